/** One minute of a host in numbers: what the statistical detectors look at. */
import { addDistinct, countDistinct, type Distinct, distinct } from "../support/distinct.ts";
import { hashText, mixBits } from "../support/random.ts";
import { type Habits, isHabit, isKnown, processKey } from "./habits.ts";
import type { Seen } from "./seen.ts";

interface FeatureName {
  readonly key: string;
  readonly name: string;
  readonly unit: string;
  /** Counts and bytes have heavy tails: looked at as logarithms. */
  readonly isLog: boolean;
}

const feature = (key: string, name: string, unit: string, isLog = true): FeatureName => ({ key, name, unit, isLog });

/** In the order of the vector. */
export const FEATURES = [
  feature("out_connections", "connections opened", "connections/min"),
  feature("out_remotes", "different remote ends contacted", "remotes/min"),
  feature("out_ports", "different remote ports contacted", "ports/min"),
  feature("out_sent", "bytes sent on own connections", "bytes/min"),
  feature("out_received", "bytes received on own connections", "bytes/min"),
  feature("in_connections", "connections accepted or refused", "connections/min"),
  feature("in_remotes", "different remote ends that connected", "remotes/min"),
  feature("in_ports", "different own ports that were contacted", "ports/min"),
  feature("in_sent", "bytes served", "bytes/min"),
  feature("in_received", "bytes received from clients", "bytes/min"),
  feature("failed", "connections without an answer", "connections/min"),
  feature("failure_ratio", "share of connections without an answer", "", false),
  feature("denied", "connections that a policy denied", "connections/min"),
  feature("new_pairs", "remote ends and ports never seen before", "pairs/min"),
  feature("rare_connections", "connections to ends that are no habit", "connections/min"),
  feature("rare_sent", "bytes sent to ends that are no habit", "bytes/min"),
  feature("sent_to_one", "bytes sent to one remote end", "bytes/min"),
  feature("connections_to_one", "connections with one remote end and port", "connections/min"),
  feature("asymmetry", "sent against received on own connections, as a power of e", "", false),
  feature("processes", "different processes with traffic", "processes/min"),
  feature("new_processes", "processes never seen with traffic", "processes/min"),
  feature("admin_remotes", "new ends reached on ports of administration", "remotes/min"),
] as const;

export const FEATURE_COUNT = FEATURES.length;

export interface MinuteWindow {
  startMs: number;
  outConnections: number;
  inConnections: number;
  outSent: number;
  outReceived: number;
  inSent: number;
  inReceived: number;
  failed: number;
  attempts: number;
  denied: number;
  rareConnections: number;
  rareSent: number;
  /** Flows that were put together by the host because there were too many. */
  folded: number;
  readonly outRemotes: Distinct;
  readonly outPorts: Distinct;
  readonly inRemotes: Distinct;
  readonly inPorts: Distinct;
  readonly newPairs: Distinct;
  readonly processes: Distinct;
  readonly newProcesses: Distinct;
  readonly adminRemotes: Distinct;
  /** By remote: bytes sent. By remote and port: connections. At most {@link MAX_ENDS} each. */
  readonly sentTo: Map<string, number>;
  readonly connectionsTo: Map<string, number>;
}

const MAX_ENDS = 512;
const MOST_FOLDED = 4096;

export function minuteWindow(startMs: number): MinuteWindow {
  return {
    startMs,
    outConnections: 0,
    inConnections: 0,
    outSent: 0,
    outReceived: 0,
    inSent: 0,
    inReceived: 0,
    failed: 0,
    attempts: 0,
    denied: 0,
    rareConnections: 0,
    rareSent: 0,
    folded: 0,
    outRemotes: distinct(),
    outPorts: distinct(),
    inRemotes: distinct(),
    inPorts: distinct(),
    newPairs: distinct(),
    processes: distinct(),
    newProcesses: distinct(),
    adminRemotes: distinct(),
    sentTo: new Map(),
    connectionsTo: new Map(),
  };
}

const copyOf = ({ values, registers }: Distinct): Distinct => ({
  values: [...values],
  registers: registers?.slice() ?? null,
});

/** The same minute, to go on without what follows in the other. */
export function copyWindow(window: MinuteWindow): MinuteWindow {
  return {
    ...window,
    outRemotes: copyOf(window.outRemotes),
    outPorts: copyOf(window.outPorts),
    inRemotes: copyOf(window.inRemotes),
    inPorts: copyOf(window.inPorts),
    newPairs: copyOf(window.newPairs),
    processes: copyOf(window.processes),
    newProcesses: copyOf(window.newProcesses),
    adminRemotes: copyOf(window.adminRemotes),
    sentTo: new Map(window.sentTo),
    connectionsTo: new Map(window.connectionsTo),
  };
}

export function addToWindow(window: MinuteWindow, seen: Seen, habits: Habits, adminPorts: ReadonlySet<number>): void {
  const remoteBits = hashText(seen.remote);
  const portBits = mixBits(seen.port * 256 + seen.protocol);
  const isOut = seen.direction === "egress";
  if (isOut) {
    window.outConnections += seen.attempts;
    window.outSent += seen.sent;
    window.outReceived += seen.received;
    addFolded(window.outRemotes, remoteBits, seen);
    addDistinct(window.outPorts, portBits);
  } else {
    window.inConnections += seen.attempts;
    window.inSent += seen.sent;
    window.inReceived += seen.received;
    addFolded(window.inRemotes, remoteBits, seen);
    addDistinct(window.inPorts, portBits);
  }
  window.attempts += seen.attempts;
  if (seen.isFailed) window.failed += seen.attempts;
  if (seen.isDenied) window.denied += seen.attempts;
  if (seen.flows > 1) window.folded += seen.flows;
  const pair = seen.pairKey;
  // Who comes to a service is its clients' habit, not its own: only what the host does itself can be rare for it.
  if (isOut && !isHabit(habits.remotes, seen.remoteKey)) {
    window.rareConnections += seen.attempts;
    window.rareSent += seen.sent;
  }
  if (isOut && !isKnown(habits.pairs, pair)) {
    addFolded(window.newPairs, hashText(pair), seen);
    if (adminPorts.has(seen.port)) addDistinct(window.adminRemotes, remoteBits);
  }
  if (seen.process !== "") {
    addDistinct(window.processes, hashText(seen.process));
    if (!isKnown(habits.processes, processKey(seen))) addDistinct(window.newProcesses, hashText(seen.process));
  }
  addTo(window.sentTo, seen.remote, seen.sent);
  addTo(window.connectionsTo, pair, seen.attempts);
}

/** A folded record stands for many ends: all of them are counted, as far as that is bounded. */
function addFolded(counter: Distinct, bits: number, seen: Seen): void {
  addDistinct(counter, bits);
  if (seen.remote !== "") return;
  for (let index = 1; index < Math.min(seen.flows, MOST_FOLDED); index++) addDistinct(counter, mixBits(bits + index));
}

function addTo(map: Map<string, number>, key: string, value: number): void {
  const known = map.get(key);
  if (known !== undefined) map.set(key, known + value);
  else if (map.size < MAX_ENDS) map.set(key, value);
}

/** As plain quantities, in the order of {@link FEATURES}. */
export function quantitiesOf(window: MinuteWindow): number[] {
  return [
    window.outConnections,
    countDistinct(window.outRemotes),
    countDistinct(window.outPorts),
    window.outSent,
    window.outReceived,
    window.inConnections,
    countDistinct(window.inRemotes),
    countDistinct(window.inPorts),
    window.inSent,
    window.inReceived,
    window.failed,
    window.attempts > 0 ? Math.min(1, window.failed / window.attempts) : 0,
    window.denied,
    countDistinct(window.newPairs),
    window.rareConnections,
    window.rareSent,
    largest(window.sentTo),
    largest(window.connectionsTo),
    Math.log((window.outSent + 1000) / (window.outReceived + 1000)),
    countDistinct(window.processes),
    countDistinct(window.newProcesses),
    countDistinct(window.adminRemotes),
  ];
}

/** As the forest sees it. */
export function vectorOf(quantities: readonly number[]): Float32Array {
  return Float32Array.from(FEATURES, ({ isLog }, index) => {
    const value = quantities[index] ?? 0;
    return isLog ? Math.log1p(Math.max(0, value)) : value;
  });
}

function largest(map: ReadonlyMap<string, number>): number {
  let most = 0;
  for (const value of map.values()) if (value > most) most = value;
  return most;
}
