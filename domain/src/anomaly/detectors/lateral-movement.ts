/**
 * Somebody comes in by a port of administration, and soon after this host opens sessions by such ports to hosts that it has
 * not gone to before: one hop of a movement. `stitchChains` puts the hops of several hosts together.
 */

import { type Habit, isHabit, isKnown, pairKey } from "../features/habits.ts";
import type { Seen } from "../features/seen.ts";
import { denyAction, quarantineAction } from "../findings/actions.ts";
import { ADMIN_PORTS, portName } from "../support/addresses.ts";
import { addEntry, keepEntry, peekEntry, type TieredMap, tieredMap, touchEntry } from "../support/tiered-map.ts";
import { counted, shownAddress, shownDuration, shownText } from "../support/words.ts";
import { ANY_EVIDENCE, type DetectorContext, type Signal } from "./signal.ts";

interface Arrival {
  readonly remote: string;
  readonly name: string;
  readonly port: number;
  firstMs: number;
  lastMs: number;
  isNew: boolean;
  /** Where this host went afterwards, by remote and port. */
  readonly hops: { remote: string; name: string; port: number; weight: number; atMs: number }[];
}

export interface LateralState {
  /** By remote, the longest quiet first. */
  readonly arrivals: Map<string, Arrival>;
}

/** Groups of names that this host administers, learned. */
export type AdminEdges = TieredMap<Habit>;

const SOON_MS = 30 * 60_000;
const LATER_MS = 24 * 3_600_000;
const MAX_ARRIVALS = 64;
const MAX_HOPS = 32;
const NEW_ARRIVAL = 0.5;
/** An arrival by habit, and a hop into a group that this host administers anyway. */
const KNOWN_GROUP = 0.35;
const FAILED_HOP = 0.7;
const LATER_HOP = 0.55;
/** Untrained every hop is new: one is not enough. */
const UNTRAINED_HOP = 0.5;

export function freshLateral(): LateralState {
  return { arrivals: new Map() };
}

export function freshAdminEdges(): AdminEdges {
  return tieredMap(256, 512);
}

export function observeLateral(state: LateralState, edges: AdminEdges, seen: Seen, context: DetectorContext): void {
  if (!ADMIN_PORTS.has(seen.port) || seen.attempts === 0 || seen.remote === "") return;
  if (seen.direction === "ingress") arrive(state, seen, context);
  else leave(state, edges, seen, context);
}

function arrive(state: LateralState, seen: Seen, context: DetectorContext): void {
  if (seen.isFailed) return;
  const known = state.arrivals.get(seen.remote);
  const arrival: Arrival = known ?? {
    remote: seen.remote,
    name: seen.record.sourceName,
    port: seen.port,
    firstMs: seen.firstMs,
    lastMs: seen.firstMs,
    isNew: !isHabit(context.habits.pairs, seen.pairKey),
    hops: [],
  };
  arrival.lastMs = seen.lastMs;
  state.arrivals.delete(seen.remote);
  state.arrivals.set(seen.remote, arrival);
  for (const [remote, { lastMs }] of state.arrivals) {
    if (state.arrivals.size > MAX_ARRIVALS || seen.firstMs - lastMs > LATER_MS) state.arrivals.delete(remote);
  }
}

function leave(state: LateralState, edges: AdminEdges, seen: Seen, context: DetectorContext): void {
  if (isKnown(context.habits.pairs, seen.pairKey) || state.arrivals.has(seen.remote)) return;
  for (const known of state.arrivals.values()) {
    const pair = pairKey({ direction: "ingress", remote: known.remote, port: known.port });
    if (known.isNew && isHabit(context.habits.pairs, pair)) known.isNew = false;
  }
  const arrival = lastArrival(state, seen, context.isTrained);
  if (arrival === null) return;
  const known = arrival.hops.find(({ remote, port }) => remote === seen.remote && port === seen.port);
  if (known !== undefined) return;
  const isSoon = seen.firstMs - arrival.lastMs <= SOON_MS;
  const name = seen.record.destinationName || seen.record.observedName;
  let weight = !context.isTrained ? UNTRAINED_HOP : isSoon ? 1 : LATER_HOP;
  if (isAdministered(edges, name, seen.port)) weight *= KNOWN_GROUP;
  if (seen.isFailed) weight *= FAILED_HOP;
  arrival.hops.push({ remote: seen.remote, name, port: seen.port, weight, atMs: seen.firstMs });
  if (arrival.hops.length > MAX_HOPS) arrival.hops.shift();
  const hops = arrival.hops.reduce((sum, hop) => sum + (seen.firstMs - hop.atMs <= LATER_MS ? hop.weight : 0), 0);
  const ratio = hops + (context.isTrained && arrival.isNew ? NEW_ARRIVAL * Math.min(1, hops) : 0);
  context.offer("lateral-movement", arrival.remote, ratio, () => describe(arrival, seen, ratio, context));
}

/** Who came in last, sooner rather than later; after half an hour only those who were new. */
function lastArrival(state: LateralState, seen: Seen, isTrained: boolean): Arrival | null {
  let best: Arrival | null = null;
  for (const arrival of state.arrivals.values()) {
    const age = seen.firstMs - arrival.lastMs;
    if (age > LATER_MS || (age > SOON_MS && !(arrival.isNew && isTrained))) continue;
    // A stranger who came in explains new ways better than a regular who came after.
    if (best === null || Number(arrival.isNew) >= Number(best.isNew)) best = arrival;
  }
  return best;
}

function describe(arrival: Arrival, seen: Seen, ratio: number, context: DetectorContext): Signal {
  const targets = arrival.hops.map(({ remote }) => remote);
  const place = shownText(seen.record.host, 48);
  const from = shownText(arrival.name, 48) || shownAddress(arrival.remote, 0);
  const last = arrival.hops.at(-1);
  const to = shownText(last?.name ?? "", 48) || shownAddress(seen.remote, 0);
  const others = targets.length > 1 ? ` and ${counted(targets.length - 1, "other host")}` : "";
  const waited = Math.max(1000, seen.firstMs - arrival.lastMs);
  return {
    detector: "lateral-movement",
    key: arrival.remote,
    ratio,
    severity: !context.isTrained ? "medium" : ratio >= 2 ? "critical" : "high",
    sentence: `${shownDuration(waited)} after ${from} was on ${place} by ${portName(arrival.port)}, ${shownText(seen.process || "a process", 32)} there went on to ${to}${others} by ${portName(seen.port)}, where ${place} had not gone before.`,
    beganAtMs: Math.min(arrival.firstMs, seen.firstMs),
    atMs: seen.firstMs,
    subjectKey: seen.subjectKey,
    process: seen.process,
    remote: targets.length === 1 ? seen.remote : "",
    port: seen.port,
    direction: "egress",
    features: [
      {
        key: "new_admin_hosts",
        name: "new hosts reached by ports of administration after somebody came in by one",
        value: targets.length,
        normal: { low: 0, high: 0 },
        unit: "hosts",
        weight: Math.max(0.1, ratio - (arrival.isNew ? NEW_ARRIVAL : 0)),
      },
      {
        key: "new_arrival",
        name: "the one who came in had not come before",
        value: arrival.isNew ? 1 : 0,
        normal: { low: 0, high: 0 },
        unit: "",
        weight: arrival.isNew && context.isTrained ? NEW_ARRIVAL : 0,
      },
    ],
    filter: { ...ANY_EVIDENCE, remotes: [arrival.remote, ...targets] },
    actions: [
      ...denyAction(seen.subjectKey, "egress", seen.remote, seen.protocol, seen.port),
      ...quarantineAction(seen.subjectKey),
    ],
    quietMs: SOON_MS,
  };
}

/** `web-12.example.org` belongs to `web`; an address is no name. */
export function nameGroup(name: string): string {
  if (name === "" || /^[\d.]+$|:/.test(name)) return "";
  return (name.split(".")[0] ?? "").replace(/[-_]?\d+$/, "");
}

function isAdministered(edges: AdminEdges, name: string, port: number): boolean {
  const group = nameGroup(name);
  return group !== "" && (peekEntry(edges, `${group}:${port}`)?.hours ?? 0) >= 3;
}

/** Only of traffic in which no finding lies. */
export function learnAdminEdge(edges: AdminEdges, seen: Seen): void {
  if (seen.direction !== "egress" || seen.isFailed || !ADMIN_PORTS.has(seen.port)) return;
  const group = nameGroup(seen.record.destinationName || seen.record.observedName);
  if (group === "") return;
  const key = `${group}:${seen.port}`;
  const edge = touchEntry(edges, key) ?? addEntry(edges, key, { firstMs: seen.firstMs, lastMs: 0, hours: 0 });
  if (Math.floor(seen.firstMs / 3_600_000) > Math.floor(edge.lastMs / 3_600_000)) edge.hours++;
  edge.lastMs = seen.firstMs;
  if (edge.hours === 3) keepEntry(edges, key);
}
