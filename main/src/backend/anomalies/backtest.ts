/** A backtest as it is asked for: bounded, with progress, and with what was missing of the history. */
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type BacktestRequest,
  type BacktestResponse,
  BacktestResponseSchema,
  BacktestRunSchema,
  type BacktestRun as WireRun,
} from "@wardline/api/wardline/console/v1/anomalies";
import type { AnomalySettings } from "@wardline/domain/anomaly";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { FlowQuery } from "@wardline/domain/flows";
import { fromWireSettings, toWireDetector, toWireFinding } from "@wardline/domain/wire";
import { nextTurn } from "../async/next-turn.ts";
import type { FlowHistory } from "../history/flow-history.ts";
import { type HostRegistry, hostNameOf, labelOf } from "../hosts/managed-host.ts";
import type { Clock } from "../ports.ts";
import { type BacktestOutcome, BacktestRun } from "./backtest-run.ts";

export interface BacktestPorts {
  readonly history: FlowHistory;
  readonly registry: HostRegistry;
  readonly clock: Clock;
}

const HOUR_MS = 3_600_000;
const USUAL_WINDOW_MS = 7 * 24 * HOUR_MS;
const LONGEST_MS = 366 * 24 * HOUR_MS;
const MAX_WARM_UP_HOURS = 24 * 90;
const PROGRESS_INTERVAL_MS = 250;
const MAX_ONLY = 1_000;
const NO_LABELS = { labels: () => ({ subjectKeys: [], addresses: [] }) };
/** As long as the windows of records: a gap at the beginning that is shorter is none. */
const WINDOW_MS = 10_000;

/** @throws Failure INVALID_ARGUMENT, NOT_FOUND, and those of the history */
export async function* backtest(
  { history, registry, clock }: BacktestPorts,
  request: BacktestRequest,
  signal: AbortSignal,
): AsyncGenerator<BacktestResponse> {
  const settings = settingsOf(request);
  const { sinceMs, untilMs } = windowOf(request, clock.nowMs());
  const warmUpHours = request.warmUpHours || Math.max(...settings.map(({ learningHours }) => learningHours));
  if (warmUpHours > MAX_WARM_UP_HOURS) throw invalid(`At most ${MAX_WARM_UP_HOURS} hours can be learned from before.`);
  const hosts = registry.select(request.hostIds);
  const fromMs = sinceMs - warmUpHours * HOUR_MS;
  const hostIds = new Set(request.hostIds.length === 0 ? [] : hosts.map(({ id }) => id));
  const run = new BacktestRun({ sinceMs, untilMs }, settings, nextTurn);
  const query: FlowQuery = {
    where: whereOf(hostIds.size === 0 ? [] : hosts.map(hostNameOf)),
    sinceMs: fromMs,
    untilMs,
  };
  let toldAtMs = clock.nowMs();
  let firstMs: number | null = null;
  for await (const records of history.replay(query, NO_LABELS, signal)) {
    // A name may be that of several hosts; ids are not.
    const wanted = hostIds.size === 0 ? records : records.filter(({ hostId }) => hostIds.has(hostId));
    firstMs ??= wanted[0]?.windowStartMs ?? null;
    await run.take(wanted, signal);
    if (clock.nowMs() - toldAtMs < PROGRESS_INTERVAL_MS) continue;
    toldAtMs = clock.nowMs();
    const progress = Math.min(0.99, Math.max(0, (run.reachedMs - fromMs) / (untilMs - fromMs)));
    yield create(BacktestResponseSchema, { progress, records: BigInt(run.records) });
  }
  if (signal.aborted) return;
  const [first, other] = await run.finish();
  if (!first) return;
  const gaps = await gapsOf(
    history,
    hosts.map((host) => [host.id, labelOf(host)] as const),
    { fromMs, sinceMs, firstMs },
  );
  const answer = create(BacktestResponseSchema, {
    progress: 1,
    records: BigInt(run.records),
    run: toWire(first),
    gaps,
  });
  if (other) {
    answer.otherRun = toWire(other);
    answer.onlyFirst = without(first.findingIds, other.findingIds);
    answer.onlyOther = without(other.findingIds, first.findingIds);
  }
  yield answer;
}

function settingsOf({ settings, otherSettings }: BacktestRequest): AnomalySettings[] {
  return [fromWireSettings(settings), ...(otherSettings ? [fromWireSettings(otherSettings)] : [])];
}

function windowOf({ since, until }: BacktestRequest, nowMs: number) {
  const untilMs = until ? timestampMs(until) : nowMs;
  const sinceMs = since ? timestampMs(since) : untilMs - USUAL_WINDOW_MS;
  if (!(sinceMs < untilMs)) throw invalid("The end of a backtest comes after its beginning.");
  if (untilMs - sinceMs > LONGEST_MS) throw invalid("A backtest is over a year at most.");
  return { sinceMs, untilMs };
}

function whereOf(hostNames: readonly string[]): FlowQuery["where"] {
  return hostNames.length === 0 ? { kind: "all" } : { kind: "field", field: "host", values: hostNames };
}

async function gapsOf(
  history: FlowHistory,
  hosts: readonly (readonly [string, string])[],
  { fromMs, sinceMs, firstMs }: { fromMs: number; sinceMs: number; firstMs: number | null },
): Promise<string[]> {
  const { problems } = await history.state();
  const gaps = [...problems];
  if (firstMs === null) gaps.push("Nothing is recorded of that time.");
  else if (firstMs > sinceMs + WINDOW_MS) gaps.push(`Records begin at ${timeOf(firstMs)}: nothing is known of before.`);
  else if (firstMs > fromMs + WINDOW_MS) {
    const hours = ((sinceMs - firstMs) / HOUR_MS).toFixed(1);
    gaps.push(`Records begin at ${timeOf(firstMs)}: the detectors could learn from ${hours} hours only.`);
  }
  for (const [hostId, name] of hosts) {
    const missing = (await history.gaps(hostId)).reduce(
      (sum, { firstSequence, lastSequence }) => sum + (lastSequence - firstSequence + 1n),
      0n,
    );
    if (missing > 0n) gaps.push(`${missing} batches of ${name} are missing: the file that had them was damaged.`);
  }
  return gaps;
}

function toWire({ findings, findingCount, byDetector, findingsPerHostDay }: BacktestOutcome): WireRun {
  return create(BacktestRunSchema, {
    findings: findings.map(toWireFinding),
    findingCount: BigInt(findingCount),
    byDetector: [...byDetector].map(([detector, count]) => ({
      detector: toWireDetector(detector),
      count: BigInt(count),
    })),
    findingsPerHostDay,
  });
}

function without(left: ReadonlySet<string>, right: ReadonlySet<string>): string[] {
  return [...left].filter((id) => !right.has(id)).slice(0, MAX_ONLY);
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

function invalid(message: string): Failure {
  return new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
}
