import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { FlowFilterSchema, type FlowSecond, type WatchFlowsResponse } from "@wardline/api/wardline/console/v1/flows";
import { type Flow, FlowEventKind } from "@wardline/api/wardline/v1/flow";
import { Verdict } from "@wardline/api/wardline/v1/policy";
import { connectionKey } from "@wardline/domain/flows";
import type { StreamState } from "./live-stream.ts";

/** Rows that the window holds; older ones are in the backend's store. */
export const FLOW_BUFFER_ROWS = 10_000;
/** Seconds that the time strip can look back. */
export const STRIP_SECONDS = 180;
/** Clocks of hosts differ. What lies further ahead than this is no time: it would push everything else out of the strip. */
const AHEAD_SECONDS = 120;

export type VerdictKind = "allow" | "deny" | "observed" | "unknown";

/** What a flow shows: a deny that was let through is `observed`, never `allow`. */
export function flowVerdict(flow: Pick<Flow, "verdict" | "enforced">): VerdictKind {
  if (flow.verdict === Verdict.DENY && flow.enforced === Verdict.ALLOW) return "observed";
  if (flow.enforced === Verdict.DENY || flow.verdict === Verdict.DENY) return "deny";
  if (flow.verdict === Verdict.ALLOW) return "allow";
  return "unknown";
}

export function verdictKind(verdict: Verdict): VerdictKind {
  if (verdict === Verdict.ALLOW) return "allow";
  return verdict === Verdict.DENY ? "deny" : "unknown";
}

export interface StripSecond {
  allow: number;
  deny: number;
  observed: number;
}

export interface FlowLossCounts {
  readonly ringFull: bigint;
  readonly rateLimited: bigint;
  readonly readerLag: bigint;
  /** Reported, but the host's flow table had no room to follow them. No event was lost. */
  readonly notFollowed: bigint;
}

/** A connection as the window has it: its start with what its end said, once that came. */
export interface LiveFlow extends Flow {
  readonly endTime?: Timestamp;
  /** What the console's inventory calls the address, when the host that decided had no name for it. */
  readonly sourceDisplayName?: string;
  readonly destinationDisplayName?: string;
}

export interface FlowBuffer {
  /** One row a connection, newest first. An end is not a row of its own: it completes the counts of its start. */
  readonly rows: readonly LiveFlow[];
  /** Highest id that came; ids at or below it came before. */
  readonly newestId: bigint;
  /** All rows that were ever added for this question; grows even when `rows` is full, and over interruptions. */
  readonly received: number;
  /** Flows that came faster than they could be listed, over interruptions. They are stored, and counted in `strip`. */
  readonly passed: number;
  /** The same, as the stream counts it that is read now. */
  readonly passedOfStream: number;
  /** Interruptions of the stream after which some flows may be in neither `rows` nor `received`. */
  readonly holes: number;
  readonly losses: FlowLossCounts;
  readonly ratePerSecond: number;
  /** How old the newest flow was that the backend had read for this stream, by its host's clock; 0 = nothing was left. */
  readonly behindMs: number;
  readonly silentHostIds: readonly string[];
  /** Counts by second of the flow's own time (Unix seconds). */
  readonly strip: ReadonlyMap<number, StripSecond>;
}

/** Flows take some hundred milliseconds from a host to the window; beyond this they lag. */
const LAGS_FROM_MS = 2_000;

/**
 * How far the rows are behind the hosts, in milliseconds; 0 when they are as new as they can be. The backend says something
 * every second: while it says nothing they grow older.
 */
export function flowsBehindMs(
  { value, receivedAtMs }: Pick<StreamState<FlowBuffer>, "value" | "receivedAtMs">,
  monotonicNowMs: number,
): number {
  if (value === null || receivedAtMs === null) return 0;
  const silentMs = monotonicNowMs - receivedAtMs;
  const behindMs = value.behindMs + (silentMs >= LAGS_FROM_MS ? silentMs : 0);
  return behindMs >= LAGS_FROM_MS ? behindMs : 0;
}

const newestFirst = (a: Flow, b: Flow) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);

/**
 * Writes the ends of a batch into the rows of their starts. An end whose start is not among the rows (older than the
 * window, or filtered away) stays a row.
 *
 * @param fresh those of `rows` that are new
 */
function mergeEnds(rows: readonly LiveFlow[], fresh: readonly LiveFlow[]): readonly LiveFlow[] {
  const ends = new Map<string, Flow>();
  const own = new Set(fresh);
  const merged = new Set<Flow>();
  let waiting = fresh.filter(({ kind }) => kind === FlowEventKind.END).length;
  const completed = rows.map((row): LiveFlow => {
    // Newest first: an end is met before its start.
    if (row.kind === FlowEventKind.END && own.has(row)) ends.set(connectionKey(row), row);
    if (row.kind !== FlowEventKind.START || ends.size === 0 || waiting === 0) return row;
    const key = connectionKey(row);
    const end = ends.get(key);
    if (!end) return row;
    ends.delete(key);
    waiting -= 1;
    merged.add(end);
    const { packets, bytes, originatorBytes, responderBytes, time } = end;
    const counts = { packets, bytes, originatorBytes, responderBytes };
    return { ...row, kind: FlowEventKind.END, ...counts, ...(time ? { endTime: time } : {}) };
  });
  return merged.size === 0 ? rows : completed.filter((row) => !merged.has(row));
}

/**
 * Adds a batch. The cost is one pass over the rows, whatever the batch holds.
 *
 * @param kept what there was before the stream was interrupted, when this is the first batch after that: the newest flows
 *   are sent again, oldest first. Where they reach back to what is known, nothing is missing.
 */
export function reduceFlows(
  previous: FlowBuffer | null,
  message: WatchFlowsResponse,
  kept: FlowBuffer | null = null,
): FlowBuffer {
  const isAgain = previous === null && kept !== null && kept.rows.length > 0;
  const reachesBack = isAgain && message.flows.some((flow) => flow.id <= kept.newestId);
  const former = reachesBack ? kept : previous;
  const counted = isAgain ? kept : former;
  const newestKnown = former?.newestId;
  const fresh = message.flows
    .filter((flow) => newestKnown === undefined || flow.id > newestKnown)
    .sort(newestFirst)
    .map((flow) => named(flow, message.names));
  const all = fresh.length === 0 && former ? former.rows : [...fresh, ...(former?.rows ?? [])];
  const merged = fresh.some(({ kind }) => kind === FlowEventKind.END) ? mergeEnds(all, fresh) : all;
  return {
    rows: merged.slice(0, FLOW_BUFFER_ROWS),
    newestId: fresh[0]?.id ?? newestKnown ?? 0n,
    received: (counted?.received ?? 0) + fresh.length - (all.length - merged.length),
    passed: (counted?.passed ?? 0) + Math.max(0, Number(message.passed) - (previous?.passedOfStream ?? 0)),
    passedOfStream: Number(message.passed),
    holes: (counted?.holes ?? 0) + (isAgain && !reachesBack ? 1 : 0),
    losses: {
      ringFull: message.losses?.ringFull ?? 0n,
      rateLimited: message.losses?.rateLimited ?? 0n,
      readerLag: message.losses?.readerLag ?? 0n,
      notFollowed: message.losses?.notFollowed ?? 0n,
    },
    ratePerSecond: message.ratePerSecond,
    behindMs: message.behindSeconds * 1000,
    silentHostIds: message.silentHostIds,
    strip: addToStrip(former?.strip, fresh, message.passedSeconds),
  };
}

function named(flow: Flow, names: Readonly<Record<string, string>>): LiveFlow {
  // An address is text of a host: it could be called `constructor`.
  const nameOf = (own: string, address: string) =>
    own === "" && Object.hasOwn(names, address) ? names[address] : undefined;
  const source = nameOf(flow.sourceName, flow.sourceAddress);
  const destination = nameOf(flow.destinationName, flow.destinationAddress);
  if (source === undefined && destination === undefined) return flow;
  return {
    ...flow,
    ...(source === undefined ? {} : { sourceDisplayName: source }),
    ...(destination === undefined ? {} : { destinationDisplayName: destination }),
  };
}

function addToStrip(
  previous: ReadonlyMap<number, StripSecond> | undefined,
  fresh: readonly Flow[],
  passed: readonly FlowSecond[],
) {
  if (fresh.length === 0 && passed.length === 0 && previous) return previous;
  const strip = new Map(previous);
  const latest = Date.now() / 1000 + AHEAD_SECONDS;
  const add = (second: number, counts: StripSecond) => {
    if (second > latest) return;
    const { allow, deny, observed } = strip.get(second) ?? { allow: 0, deny: 0, observed: 0 };
    strip.set(second, { allow: allow + counts.allow, deny: deny + counts.deny, observed: observed + counts.observed });
  };
  const own = new Map<number, StripSecond>();
  for (const flow of fresh) {
    if (!flow.time || flow.kind === FlowEventKind.END) continue;
    const kind = flowVerdict(flow);
    if (kind === "unknown") continue;
    const second = Math.floor(timestampMs(flow.time) / 1000);
    const counts = own.get(second) ?? { allow: 0, deny: 0, observed: 0 };
    counts[kind] += 1;
    own.set(second, counts);
  }
  for (const [second, counts] of own) add(second, counts);
  for (const { unixSeconds, allowed, denied, observed } of passed)
    add(Number(unixSeconds), { allow: Number(allowed), deny: Number(denied), observed: Number(observed) });
  const newest = Math.max(...strip.keys(), 0);
  for (const second of strip.keys()) if (second < newest - STRIP_SECONDS) strip.delete(second);
  return strip;
}

/** What the live view asks for. Plain values, so that it can be compared. */
export interface LiveQuestion {
  /** In the flow query language; empty = every flow. */
  readonly text: string;
  readonly hostIds: readonly string[];
  /** How far back, in milliseconds; null = everything that is kept. */
  readonly lastMs: number | null;
}

export const EVERY_FLOW: LiveQuestion = { text: "", hostIds: [], lastMs: null };

/** As `WatchFlows` takes it. */
export function toWireQuestion({ text, hostIds, lastMs }: LiveQuestion, nowMs: number) {
  const filter = create(FlowFilterSchema, { hostIds: [...hostIds] });
  if (lastMs !== null) filter.since = timestampFromMs(nowMs - lastMs);
  return { filter, query: text };
}
