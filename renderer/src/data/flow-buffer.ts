import { create } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type FlowFilter, FlowFilterSchema, type WatchFlowsResponse } from "@wardline/api/wardline/console/v1/flows";
import { type Flow, FlowEventKind } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";

/** Rows that the window holds; older ones are in the backend's store. */
export const FLOW_BUFFER_ROWS = 10_000;
/** Seconds that the time strip can look back. */
export const STRIP_SECONDS = 180;

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

export interface FlowBuffer {
  /** One row a connection, newest first. An end is not a row of its own: it completes the counts of its start. */
  readonly rows: readonly Flow[];
  /** Highest id that came; ids at or below it came before. */
  readonly newestId: bigint;
  /** All rows that were ever added in this subscription; grows even when `rows` is full. */
  readonly received: number;
  readonly losses: FlowLossCounts;
  readonly ratePerSecond: number;
  readonly silentHostIds: readonly string[];
  /** Counts by second of the flow's own time (Unix seconds). */
  readonly strip: ReadonlyMap<number, StripSecond>;
}

const newestFirst = (a: Flow, b: Flow) => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0);

function connectionKey(flow: Flow): string {
  const { host, protocol, sourceAddress, sourcePort, destinationAddress, destinationPort } = flow;
  return `${host} ${protocol} ${sourceAddress} ${sourcePort} ${destinationAddress} ${destinationPort}`;
}

/**
 * Writes the ends of a batch into the rows of their starts. An end whose start is not among the rows (older than the
 * window, or filtered away) stays a row.
 */
function mergeEnds(rows: readonly Flow[]): readonly Flow[] {
  const ends = new Map<string, Flow>();
  const merged = new Set<Flow>();
  const completed = rows.map((row) => {
    // Newest first: an end is met before its start.
    if (row.kind === FlowEventKind.END) ends.set(connectionKey(row), row);
    if (row.kind !== FlowEventKind.START || ends.size === 0) return row;
    const key = connectionKey(row);
    const end = ends.get(key);
    if (!end) return row;
    ends.delete(key);
    merged.add(end);
    return { ...row, kind: FlowEventKind.END, packets: end.packets, bytes: end.bytes };
  });
  return merged.size === 0 ? rows : completed.filter((row) => !merged.has(row));
}

/** Adds a batch. The cost is one pass over the rows, whatever the batch holds. */
export function reduceFlows(previous: FlowBuffer | null, message: WatchFlowsResponse): FlowBuffer {
  const newestKnown = previous?.newestId;
  const fresh = message.flows.filter((flow) => newestKnown === undefined || flow.id > newestKnown).sort(newestFirst);
  const all = fresh.length === 0 && previous ? previous.rows : [...fresh, ...(previous?.rows ?? [])];
  const merged = fresh.some(({ kind }) => kind === FlowEventKind.END) ? mergeEnds(all) : all;
  const rows = merged.slice(0, FLOW_BUFFER_ROWS);
  return {
    rows,
    newestId: fresh[0]?.id ?? newestKnown ?? 0n,
    received: (previous?.received ?? 0) + fresh.length - (all.length - merged.length),
    losses: {
      ringFull: message.losses?.ringFull ?? 0n,
      rateLimited: message.losses?.rateLimited ?? 0n,
      readerLag: message.losses?.readerLag ?? 0n,
      notFollowed: message.losses?.notFollowed ?? 0n,
    },
    ratePerSecond: message.ratePerSecond,
    silentHostIds: message.silentHostIds,
    strip: addToStrip(previous?.strip, fresh),
  };
}

function addToStrip(previous: ReadonlyMap<number, StripSecond> | undefined, fresh: readonly Flow[]) {
  if (fresh.length === 0 && previous) return previous;
  const strip = new Map(previous);
  for (const flow of fresh) {
    if (!flow.time || flow.kind === FlowEventKind.END) continue;
    const second = Math.floor(timestampMs(flow.time) / 1000);
    const kind = flowVerdict(flow);
    if (kind === "unknown") continue;
    const counts = { ...(strip.get(second) ?? { allow: 0, deny: 0, observed: 0 }) };
    counts[kind] += 1;
    strip.set(second, counts);
  }
  const newest = Math.max(...strip.keys(), 0);
  for (const second of strip.keys()) if (second < newest - STRIP_SECONDS) strip.delete(second);
  return strip;
}

/** What the window asks for. Plain values, so that it can be compared, stored and shown as chips. */
export interface FlowQuery {
  readonly hostIds: readonly string[];
  readonly verdicts: readonly ("allow" | "deny")[];
  readonly directions: readonly ("ingress" | "egress")[];
  readonly protocols: readonly number[];
  readonly ports: readonly number[];
  readonly addresses: readonly string[];
  readonly policyKeys: readonly string[];
  readonly excludePorts: readonly number[];
  readonly excludeAddresses: readonly string[];
  readonly excludePolicyKeys: readonly string[];
  /** Name, path or id; see FlowFilter. */
  readonly processes: readonly string[];
  readonly excludeProcesses: readonly string[];
  readonly users: readonly string[];
  readonly excludeUsers: readonly string[];
  readonly text: string;
  /** How far back, in milliseconds; null = everything that is kept. */
  readonly lastMs: number | null;
}

export const EMPTY_FLOW_QUERY: FlowQuery = {
  hostIds: [],
  verdicts: [],
  directions: [],
  protocols: [],
  ports: [],
  addresses: [],
  policyKeys: [],
  excludePorts: [],
  excludeAddresses: [],
  excludePolicyKeys: [],
  processes: [],
  excludeProcesses: [],
  users: [],
  excludeUsers: [],
  text: "",
  lastMs: null,
};

export function toWireFilter(query: FlowQuery, nowMs: number): FlowFilter {
  const filter = create(FlowFilterSchema, {
    hostIds: [...query.hostIds],
    verdicts: query.verdicts.map((verdict) => (verdict === "allow" ? Verdict.ALLOW : Verdict.DENY)),
    directions: query.directions.map((direction) => (direction === "ingress" ? Direction.INGRESS : Direction.EGRESS)),
    protocols: [...query.protocols],
    ports: [...query.ports],
    addresses: [...query.addresses],
    policyKeys: [...query.policyKeys],
    excludePorts: [...query.excludePorts],
    excludeAddresses: [...query.excludeAddresses],
    excludePolicyKeys: [...query.excludePolicyKeys],
    processes: [...query.processes],
    excludeProcesses: [...query.excludeProcesses],
    users: [...query.users],
    excludeUsers: [...query.excludeUsers],
    text: query.text,
  });
  if (query.lastMs !== null) filter.since = timestampFromMs(nowMs - query.lastMs);
  return filter;
}
