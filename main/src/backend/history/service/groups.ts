/** Sums: by dimensions, and over time. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type GetSeriesRequest,
  type GetSeriesResponse,
  GetSeriesResponseSchema,
  type GroupRecordsRequest,
  type GroupRecordsResponse,
  GroupRecordsResponseSchema,
  FlowDimension as WireDimension,
} from "@wardline/api/wardline/console/v1/history";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type FlowDimension, type FlowQuery, protocolName } from "@wardline/domain/flows";
import { pageSize } from "../../rpc/guard.ts";
import type { FlowSums, HistoryGroup, HistoryResolution } from "../flow-history.ts";
import type { EndpointFacts } from "./endpoint-book.ts";
import { withHeartbeat } from "./heartbeat.ts";
import { observedNames } from "./observed-names.ts";
import { readQuery } from "./read-query.ts";
import { PROGRESS_MS, type QueryPorts } from "./records.ts";
import { fromWireDimension, fromWireMeasure, NOTHING_SEARCHED, toWireSearched, toWireSums } from "./wire.ts";

const NO_SUMS: FlowSums = {
  ...{ records: 0, connections: 0, deniedPackets: 0, packets: 0, originatorBytes: 0, responderBytes: 0 },
  ...{ firstSeenMs: 0, lastSeenMs: 0 },
};
const MAX_DIMENSIONS = 3;
const ADDRESSES: ReadonlySet<FlowDimension> = new Set(["source", "destination", "peer"]);

/** @throws Failure QUERY_INVALID, INVALID_ARGUMENT, and of the store */
export async function* groupRecords(
  ports: QueryPorts,
  request: GroupRecordsRequest,
  signal: AbortSignal,
): AsyncGenerator<GroupRecordsResponse> {
  const { history, book, clock } = ports;
  const by = dimensionsOf(request.by);
  const order = fromWireMeasure(request.order);
  const limit = pageSize(request.limit, 20, 1_000);
  const facts = await book.facts();
  const query = readQuery(request.query, clock.nowMs(), facts);
  const startedMs = clock.nowMs();
  const options = { by, order, limit, labels: facts.labels };
  type Answer = {
    groups: readonly HistoryGroup[];
    total: FlowSums;
    groupCount: number;
    progress: typeof NOTHING_SEARCHED;
  };
  let answer: Answer = { groups: [], total: NO_SUMS, groupCount: 0, progress: NOTHING_SEARCHED };
  const message = (isFinal: boolean, observed: ReadonlyMap<string, string>) =>
    create(GroupRecordsResponseSchema, {
      groups: answer.groups.map(({ values, sums }) => ({
        values: [...values],
        names: values.map((value, index) => nameOfValue(by[index], value, facts) || (observed.get(value) ?? "")),
        sums: toWireSums(sums),
      })),
      total: toWireSums(answer.total),
      groupCount: BigInt(answer.groupCount),
      searched: toWireSearched(answer.progress, clock.nowMs() - startedMs),
      isFinal,
    });
  for await (const beat of withHeartbeat(history.group(query, options, signal), PROGRESS_MS, clock, signal)) {
    if (beat.kind === "item") answer = beat.item;
    yield message(false, new Map());
  }
  if (signal.aborted) return;
  const nameless = answer.groups.flatMap(({ values }) =>
    values.filter((value, index) => isAddress(by[index]) && facts.nameOf(value) === ""),
  );
  const observed = await observedNames(ports, query, nameless, signal);
  if (!signal.aborted) yield message(true, observed);
}

function dimensionsOf(wire: readonly WireDimension[]): FlowDimension[] {
  const by = wire.map(fromWireDimension);
  if (by.length >= 1 && by.length <= MAX_DIMENSIONS && new Set(by).size === by.length) return by;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `Flows are grouped by one to ${MAX_DIMENSIONS} different dimensions; ${by.length} were given.`,
  });
}

function isAddress(dimension: FlowDimension | undefined): boolean {
  return dimension !== undefined && ADDRESSES.has(dimension);
}

function nameOfValue(dimension: FlowDimension | undefined, value: string, facts: EndpointFacts): string {
  if (isAddress(dimension)) return facts.nameOf(value);
  return dimension === "protocol" ? protocolName(Number(value)) : "";
}

const STEPS_S = [10, 30, 60, 300, 600, 900, 1_800, 3_600, 10_800, 21_600, 43_200, 86_400, 604_800];
const RESOLUTION_S: Record<HistoryResolution, number> = { record: 10, minute: 60, hour: 3_600, day: 86_400 };
const MAX_LINES = 8;

/** @throws Failure QUERY_INVALID, INVALID_ARGUMENT, and of the store */
export async function getSeries(
  { history, book, clock }: QueryPorts,
  request: GetSeriesRequest,
  signal: AbortSignal,
): Promise<GetSeriesResponse> {
  const points = request.points === 0 ? 120 : request.points;
  if (points < 10 || points > 1_000) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `A chart has 10 to 1,000 points; ${points.toLocaleString("en")} were asked for.`,
    });
  }
  const splitBy = request.splitBy === WireDimension.UNSPECIFIED ? null : fromWireDimension(request.splitBy);
  const facts = await book.facts();
  const query = readQuery(request.query, clock.nowMs(), facts);
  const startedMs = clock.nowMs();
  const untilMs = query.untilMs ?? clock.nowMs();
  const sinceMs = query.sinceMs ?? (await history.state()).oldestMs ?? untilMs - 3_600_000;
  const bounded = { ...query, sinceMs, untilMs: Math.max(untilMs, sinceMs + 1) };
  let stepMs = stepFor(bounded, points);
  const ask = () => history.series(bounded, { stepMs, splitBy, labels: facts.labels }, signal);
  let answer = await ask();
  // Sums of a whole hour are not what happened in its first minute.
  const coarsestMs = RESOLUTION_S[answer.progress.coarsest] * 1000;
  if (coarsestMs > stepMs && !signal.aborted) {
    stepMs = Math.max(stepFor(bounded, points), coarsestMs);
    answer = await ask();
  }
  const startMs = Math.floor(sinceMs / stepMs) * stepMs;
  const count = Math.max(1, Math.ceil((bounded.untilMs - startMs) / stepMs));
  const lines = linesOf(answer.points, { startMs, stepMs, count }, splitBy !== null);
  return create(GetSeriesResponseSchema, {
    start: timestampFromMs(startMs),
    stepSeconds: stepMs / 1000,
    lines: lines.map((line) => ({ ...line, name: nameOfValue(splitBy ?? undefined, line.value, facts) })),
    searched: toWireSearched(answer.progress, clock.nowMs() - startedMs),
  });
}

/** The finest usual step with which the window has no more points than wanted. */
function stepFor({ sinceMs, untilMs }: FlowQuery & { sinceMs: number; untilMs: number }, points: number): number {
  const fits = (stepS: number) => Math.ceil(untilMs / 1000 / stepS) - Math.floor(sinceMs / 1000 / stepS) <= points;
  const usual = STEPS_S.find(fits);
  if (usual !== undefined) return usual * 1000;
  const weekS = 604_800;
  return Math.ceil((untilMs - sinceMs) / 1000 / weekS / (points - 1)) * weekS * 1000;
}

interface Line {
  readonly value: string;
  readonly connections: number[];
  readonly deniedPackets: number[];
  readonly bytes: number[];
}

/** The largest values, then the rest as the line without a value. */
function linesOf(
  points: readonly { readonly timeMs: number; readonly value: string; readonly sums: FlowSums }[],
  { startMs, stepMs, count }: { readonly startMs: number; readonly stepMs: number; readonly count: number },
  isSplit: boolean,
): Line[] {
  const weights = new Map<string, number>();
  for (const { value, sums } of points) {
    weights.set(value, (weights.get(value) ?? 0) + sums.connections + sums.deniedPackets);
  }
  const largest = [...weights]
    .filter(([value]) => value !== "")
    .sort(([leftValue, left], [rightValue, right]) => right - left || (leftValue < rightValue ? -1 : 1))
    .slice(0, MAX_LINES)
    .map(([value]) => value);
  const zeros = () => new Array<number>(count).fill(0);
  const lines = new Map<string, Line>(
    (isSplit ? largest : []).map((value) => [
      value,
      { value, connections: zeros(), deniedPackets: zeros(), bytes: zeros() },
    ]),
  );
  for (const { timeMs, value, sums } of points) {
    const index = Math.min(count - 1, Math.max(0, Math.floor((timeMs - startMs) / stepMs)));
    const key = lines.has(value) ? value : "";
    const line = lines.get(key) ?? { value: "", connections: zeros(), deniedPackets: zeros(), bytes: zeros() };
    lines.set(key, line);
    line.connections[index] = (line.connections[index] ?? 0) + sums.connections;
    line.deniedPackets[index] = (line.deniedPackets[index] ?? 0) + sums.deniedPackets;
    line.bytes[index] = (line.bytes[index] ?? 0) + sums.originatorBytes + sums.responderBytes;
  }
  if (lines.size === 0) return [{ value: "", connections: zeros(), deniedPackets: zeros(), bytes: zeros() }];
  return [...lines.values()];
}
