/**
 * Contacts in a beat: a process that reports to somebody by a timer. Regularity of the moments at which connections began (at
 * the precision of the records' first sight), for a destination that is no habit of the host.
 */

import { isHabit } from "../features/habits.ts";
import type { Seen } from "../features/seen.ts";
import { denyAction, quarantineAction } from "../findings/actions.ts";
import { addEntry, keepEntry, removeWhere, type TieredMap, tieredMap, touchEntry } from "../support/tiered-map.ts";
import { shownAddress, shownBytes, shownDuration, shownNumber, shownText } from "../support/words.ts";
import { type Regularity, regularityOf } from "./regularity.ts";
import { ANY_EVIDENCE, type DetectorContext, type Signal } from "./signal.ts";

interface BeaconEntry {
  firstMs: number;
  lastMs: number;
  contacts: number;
  bytes: number;
  /** The newest {@link MOMENTS}, rising. */
  moments: number[];
  /** It was a habit when it was first seen here. */
  isHabit: boolean;
}

export interface BeaconState {
  readonly entries: TieredMap<BeaconEntry>;
  /** Periods of the beats that each process had when watching began, or that became habit. */
  readonly usualBeats: Map<string, number[]>;
}

const MOMENTS = 96;
const FEWEST_CONTACTS = 8;
/** Powers of ten by which chance must be unlikely: a host has thousands of destinations, and each contact is a look. */
const WANTED_EVIDENCE = 6.5;
/** Longer periods are looked at for days, and next to more other traffic. */
const WANTED_SLOW_EVIDENCE = 7.5;
const SLOW_MS = 120_000;
/** However long it goes on: what is less steady is no timer, and what is steadier needs no more of it. */
const LEAST_STEADY = 0.55;
const STEADY = 0.75;
/** What was there when the watch began is likely to belong here: told as such, when it leads outside in a quick beat. */
const FEWEST_OLD_CONTACTS = 60;
const QUICK_MS = 600_000;
const MAX_BEATING = 256;
const MAX_BEATS = 16;
/** Who moves as much with each contact does a job; a beacon asks for one. */
const MOST_BYTES = 300_000;
/** A flow that goes on is no contact until it has rested so long. */
const REST_MS = 30_000;
/** More in one window is no beat but a conversation. */
const MOST_PER_WINDOW = 4;
const SHORTEST_MS = 1500;
const LONGEST_MS = 6 * 3_600_000;
const FORGOTTEN_MS = 3 * 86_400_000;
/** Time and names are asked for by timers everywhere. */
const TIMER_PORTS: ReadonlySet<number> = new Set([53, 67, 68, 123, 323, 546, 547, 5353, 5355, 1900]);

export function freshBeacon(): BeaconState {
  return { entries: tieredMap(2048, 1024), usualBeats: new Map() };
}

export function observeBeacon(state: BeaconState, seen: Seen, context: DetectorContext): void {
  if (!isCandidate(seen)) return;
  const key = `${seen.remote}:${seen.port}/${seen.protocol}|${seen.who}`;
  const entry =
    touchEntry(state.entries, key) ??
    addEntry(state.entries, key, {
      firstMs: seen.firstMs,
      lastMs: seen.firstMs,
      contacts: 0,
      bytes: 0,
      moments: [],
      isHabit: isHabit(context.habits.remotes, seen.remoteKey),
    });
  const restedMs = seen.firstMs - entry.lastMs;
  if (restedMs > LONGEST_MS) entry.moments = [];
  entry.bytes += seen.sent + seen.received;
  entry.lastMs = Math.max(entry.lastMs, seen.lastMs);
  if (seen.attempts === 0 && (seen.protocol === 6 || restedMs < REST_MS)) return;
  entry.contacts += Math.max(1, seen.attempts);
  addMoments(entry, seen);
  if (entry.contacts >= 4) keepEntry(state.entries, key);
  judge(state, entry, key, seen, context);
}

function isCandidate(seen: Seen): boolean {
  if (seen.direction !== "egress" || seen.kind === "multicast" || seen.kind === "unknown") return false;
  if (TIMER_PORTS.has(seen.port)) return false;
  return seen.attempts > 0 || seen.record.packets > 0;
}

function addMoments(entry: BeaconEntry, seen: Seen): void {
  const starts = seen.isDenied ? 1 : seen.record.started;
  if (starts > MOST_PER_WINDOW) {
    entry.moments = [];
    return;
  }
  // Between the first and the last of a window nothing is known: both are taken only when there are two.
  const moments =
    starts === 2 && seen.lastMs - seen.firstMs >= SHORTEST_MS ? [seen.firstMs, seen.lastMs] : [seen.firstMs];
  for (const moment of moments) {
    if (moment - (entry.moments.at(-1) ?? 0) >= SHORTEST_MS) entry.moments.push(moment);
  }
  if (entry.moments.length > MOMENTS) entry.moments.splice(0, entry.moments.length - MOMENTS);
}

function judge(state: BeaconState, entry: BeaconEntry, key: string, seen: Seen, context: DetectorContext): void {
  const { moments } = entry;
  if (moments.length < FEWEST_CONTACTS || entry.isHabit || entry.bytes > MOST_BYTES * entry.contacts) return;
  const regularity = regularityOf(moments);
  if (regularity === null || regularity.periodMs < SHORTEST_MS) return;
  const { periodMs, evidence, steadiness } = regularity;
  const isOld = entry.firstMs - context.watchingSinceMs < 1.2 * periodMs + 10_000;
  const ratio =
    (evidence / (periodMs > SLOW_MS ? WANTED_SLOW_EVIDENCE : WANTED_EVIDENCE)) *
    clamp((steadiness - LEAST_STEADY) / (STEADY - LEAST_STEADY));
  if (isOld) {
    if (ratio >= 1) addBeat(state, seen.who, periodMs);
    if (isHabit(context.habits.remotes, seen.remoteKey)) return;
    if (seen.kind !== "public" || periodMs > QUICK_MS || entry.contacts < FEWEST_OLD_CONTACTS) return;
  } else if (isUsualBeat(state, seen.who, periodMs)) return;
  context.offer("beacon", key, ratio, () => describe(entry, key, seen, regularity, { ratio, isOld }));
}

const clamp = (share: number): number => Math.max(0, Math.min(1, share));

/** A job that reaches several ends by one timer is one job. */
function isUsualBeat({ usualBeats }: BeaconState, who: string, periodMs: number): boolean {
  return usualBeats.get(who)?.some((usual) => Math.abs(usual - periodMs) < 0.03 * usual) ?? false;
}

function addBeat(state: BeaconState, who: string, periodMs: number): void {
  if (isUsualBeat(state, who, periodMs)) return;
  const beats = state.usualBeats.get(who) ?? [];
  if (beats.length < MAX_BEATS) beats.push(periodMs);
  if (state.usualBeats.size < MAX_BEATING || state.usualBeats.has(who)) state.usualBeats.set(who, beats);
}

interface Beat {
  readonly ratio: number;
  readonly isOld: boolean;
}

function describe(entry: BeaconEntry, key: string, seen: Seen, regularity: Regularity, { ratio, isOld }: Beat): Signal {
  const { periodMs, jitterMs } = regularity;
  const isOutside = seen.kind === "public";
  const place = shownText(seen.record.host, 48);
  const since = Math.max(1000, entry.lastMs - entry.firstMs);
  const novelty = isOld ? "it was there when watching began" : "nothing on this host had made a habit of it before";
  return {
    detector: "beacon",
    key,
    ratio,
    severity: isOld ? "low" : isOutside ? "high" : "medium",
    sentence: `${shownText(seen.process || "A process", 32)} on ${place} ${seen.isDenied ? "tried to contact" : "contacted"} ${shownAddress(seen.remote, seen.port)} every ${shownSeconds(periodMs)} (±${shownSeconds(jitterMs)}) for ${shownDuration(since)}; ${novelty}.`,
    beganAtMs: entry.firstMs,
    atMs: seen.firstMs,
    subjectKey: seen.subjectKey,
    process: seen.process,
    remote: seen.remote,
    port: seen.port,
    direction: "egress",
    features: [
      {
        key: "regular_contacts",
        name: "contacts in a beat",
        value: entry.contacts,
        normal: { low: 0, high: FEWEST_CONTACTS - 1 },
        unit: "contacts",
        weight: 0.3,
      },
      {
        key: "steadiness",
        name: "regularity of the intervals (1 = a clock, 0 = chance)",
        value: regularity.steadiness,
        normal: { low: 0, high: 0.5 },
        unit: "",
        weight: regularity.steadiness,
      },
      {
        key: "echo",
        name: "contacts followed by another one a period later",
        value: regularity.echo,
        normal: { low: 0, high: 0.5 },
        unit: "",
        weight: regularity.echo,
      },
      {
        key: "bytes_per_contact",
        name: `bytes in a contact (${shownBytes(entry.bytes / Math.max(1, entry.contacts))})`,
        value: Math.round(entry.bytes / Math.max(1, entry.contacts)),
        normal: null,
        unit: "bytes",
        weight: 0,
      },
    ],
    filter: {
      ...ANY_EVIDENCE,
      direction: "egress",
      remotes: [seen.remote],
      port: seen.port,
      protocol: seen.protocol,
      process: seen.process,
    },
    actions: [
      ...denyAction(seen.subjectKey, "egress", seen.remote, seen.protocol, seen.port),
      ...(isOutside ? quarantineAction(seen.subjectKey) : []),
    ],
    quietMs: Math.max(120_000, 4 * periodMs),
    isTentative: isOld,
  };
}

function shownSeconds(ms: number): string {
  const seconds = ms / 1000;
  if (seconds >= 5400) return `${shownNumber(seconds / 3600)} h`;
  if (seconds >= 300) return `${shownNumber(seconds / 60)} min`;
  return `${seconds >= 100 ? Math.round(seconds) : seconds.toFixed(1)} s`;
}

export function ageBeacon(state: BeaconState, nowMs: number): void {
  removeWhere(state.entries, ({ lastMs }) => nowMs - lastMs > FORGOTTEN_MS);
}
