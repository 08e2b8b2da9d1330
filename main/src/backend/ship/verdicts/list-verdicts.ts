/** Draft, staged, enforced and reported verdicts, streamed: what stands behind them, progress, rows, done. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type ListVerdictsRequest,
  type ListVerdictsResponse,
  ListVerdictsResponseSchema,
  VerdictColumn,
  VerdictSourceSchema,
} from "@wardline/api/wardline/console/v1/verdicts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type ReportedPart, type VerdictRow, VerdictTable } from "@wardline/domain/policy/verdicts";
import { nextTurn } from "../../flows/recorded-batches.ts";
import type { FlowHistory } from "../../history/flow-history.ts";
import { hostNameOf, labelOf, type ManagedHost } from "../../hosts/managed-host.ts";
import { pageSize } from "../../rpc/guard.ts";
import type { ReceiptsTable } from "../../store/receipts-table.ts";
import type { StoredRollout } from "../../store/rollouts-table.ts";
import { askHosts } from "./host-stances.ts";
import { RecordedDecisions, readRecords, toReported } from "./read-records.ts";
import { rowFilter } from "./row-filter.ts";
import { type StateWorldPorts, StateWorlds } from "./state-worlds.ts";
import { toWireRow } from "./verdict-wire.ts";
import { VersionBook } from "./version-book.ts";

const PROGRESS_INTERVAL_MS = 200;
const USUAL_WINDOW_MS = 86_400_000;
const USUAL_ROWS = 500;
const MAX_ROWS = 5_000;
const ROWS_IN_MESSAGE = 100;
/** Rows that are held to find the most important ones among them. */
const MAX_HELD_ROWS = 100_000;
const MAX_RECEIPTS = 1_000;

export interface VerdictPorts extends StateWorldPorts {
  readonly history: FlowHistory;
  readonly receipts: ReceiptsTable;
  readonly rollouts: () => readonly StoredRollout[];
  readonly userName: string;
}

/** @throws Failure INVALID_ARGUMENT, NOT_FOUND (a host), POLICY_INVALID (the draft), and of the history */
export async function* listVerdicts(
  ports: VerdictPorts,
  request: ListVerdictsRequest,
  signal: AbortSignal,
): AsyncGenerator<ListVerdictsResponse> {
  const { registry, clock } = ports;
  const maxRows = pageSize(request.maxRows, USUAL_ROWS, MAX_ROWS);
  const isWanted = rowFilter(request);
  const window = windowOf(request, clock.nowMs());
  const chosen = new Set(registry.select(request.hostIds).map(hostNameOf));
  const isEveryHost = request.hostIds.length === 0;

  const worlds = new StateWorlds(ports);
  const versions = new VersionBook(ports.versions);
  const draftVersion = addDraft(ports, versions);
  const stances = await askHosts(registry.hosts, ports.rollouts(), worlds, versions);
  if (signal.aborted) return;
  const table = new VerdictTable({
    worlds: worlds.all,
    draftVersion,
    ...stances,
    isLookedAt: (name) => isEveryHost || (name !== null && chosen.has(name)),
  });
  const since = timestampFromMs(window.sinceMs);
  const until = timestampFromMs(window.untilMs);
  yield message({ case: "basis", value: { versions: [...versions.all], since, until } });

  const source = create(VerdictSourceSchema);
  const decisions = new RecordedDecisions();
  let toldAtMs = clock.nowMs();
  for await (const { records, progress, isCut } of readRecords(ports.history, window, signal)) {
    for (const stored of records) {
      decisions.note(stored);
      const record = toReported(stored);
      const fate = record === null ? "folded" : table.add(record);
      if (fate === "folded") source.foldedRecords += 1n;
      else if (fate === "builtin") source.builtinRecords += 1n;
      else if (fate === "unowned") source.unownedRecords += 1n;
      if (record) widen(source, record.firstSeenMs, record.lastSeenMs);
    }
    source.readRecords += BigInt(records.length);
    source.totalRecords = BigInt(Math.max(progress.total, Number(source.readRecords)));
    source.gaps = [...progress.gaps];
    source.isCut = isCut;
    await nextTurn();
    if (signal.aborted) return;
    if (clock.nowMs() - toldAtMs < PROGRESS_INTERVAL_MS) continue;
    toldAtMs = clock.nowMs();
    yield message({ case: "progress", value: { ...source } });
  }

  const found = await collectRows(table, request.includeAgreeing, isWanted, signal);
  if (signal.aborted) return;
  const known = versions.all.length;
  const context = {
    decisionOf: (id: string) => decisions.find(id),
    versionOf: reportedVersions(ports, versions),
    hostName: (hostId: string) => nameOf(registry.find(hostId), hostId),
  };
  const shown = found.rows.sort(byImportance).slice(0, maxRows);
  for (let start = 0; start < shown.length && !signal.aborted; start += ROWS_IN_MESSAGE) {
    const rows = shown.slice(start, start + ROWS_IN_MESSAGE).map((row) => toWireRow(row, context));
    yield message({ case: "rows", value: { rows } });
    await nextTurn();
  }
  yield message({
    case: "done",
    value: {
      source,
      matchingRows: BigInt(found.matching),
      leftOut: BigInt(found.matching - shown.length),
      disagreeingRows: BigInt(found.disagreeing),
      comparedPairs: BigInt(table.comparedPairs),
      versions: versions.all.slice(known),
    },
  });
}

function message(event: MessageInitShape<typeof ListVerdictsResponseSchema>["event"]): ListVerdictsResponse {
  return create(ListVerdictsResponseSchema, event === undefined ? {} : { event });
}

function windowOf(request: ListVerdictsRequest, nowMs: number) {
  const untilMs = request.until ? timestampMs(request.until) : nowMs;
  const sinceMs = request.since ? timestampMs(request.since) : untilMs - USUAL_WINDOW_MS;
  if (sinceMs < untilMs) return { sinceMs, untilMs };
  throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "The window of time ends before it begins." });
}

function addDraft({ workspace, versions, userName }: VerdictPorts, book: VersionBook): number {
  const { stateDigest, files } = workspace.snapshot();
  const kept = versions.find(stateDigest);
  const timeMs = files.reduce((newest, { modifiedAtMs }) => Math.max(newest, modifiedAtMs), 0);
  const author = kept?.author ?? userName;
  return book.add({ column: VerdictColumn.DRAFT, stateDigest, author, ...(timeMs > 0 ? { timeMs } : {}) }, null);
}

function widen(source: ReturnType<typeof create<typeof VerdictSourceSchema>>, firstMs: number, lastMs: number): void {
  if (!source.oldest || firstMs < timestampMs(source.oldest)) source.oldest = timestampFromMs(firstMs);
  if (!source.newest || lastMs > timestampMs(source.newest)) source.newest = timestampFromMs(lastMs);
}

interface Found {
  readonly rows: VerdictRow[];
  readonly matching: number;
  readonly disagreeing: number;
}

async function collectRows(
  table: VerdictTable,
  includeAgreeing: boolean,
  isWanted: (row: VerdictRow) => boolean,
  signal: AbortSignal,
): Promise<Found> {
  const rows: VerdictRow[] = [];
  let matching = 0;
  let disagreeing = 0;
  for (const row of table.rows({ includeAgreeing })) {
    if (row === null) {
      await nextTurn();
      if (signal.aborted) break;
      continue;
    }
    if (row.disagrees) disagreeing += 1;
    if (!isWanted(row)) continue;
    matching += 1;
    if (rows.length < MAX_HELD_ROWS) rows.push(row);
  }
  return { rows, matching, disagreeing };
}

/** What carries traffic first; then what the draft changes. */
function byImportance(left: VerdictRow, right: VerdictRow): number {
  if (left.disagrees !== right.disagrees) return left.disagrees ? -1 : 1;
  if (left.count !== right.count) return right.count - left.count;
  if (left.isRecorded !== right.isRecorded) return left.isRecorded ? -1 : 1;
  const [one, other] = [`${left.to.text} ${left.from.text}`, `${right.to.text} ${right.from.text}`];
  return one < other ? -1 : one > other ? 1 : 0;
}

function nameOf(host: ManagedHost | null, hostId: string): string {
  return host ? labelOf(host) : hostId;
}

/** Which state decided where a record says a generation: as receipts and the host's own word know it. */
function reportedVersions({ receipts, registry }: VerdictPorts, book: VersionBook): (part: ReportedPart) => number {
  const digests = new Map<string, string>();
  for (const receipt of receipts.list(MAX_RECEIPTS)) {
    const key = `${receipt.hostId} ${receipt.generation}`;
    if (receipt.generation > 0 && !digests.has(key)) digests.set(key, receipt.stateDigest);
  }
  for (const host of registry.hosts) {
    const { enforced, pending } = host.connection.state.status ?? {};
    for (const generation of [enforced, pending?.generation, pending?.previous]) {
      if (generation && generation.number > 0n) digests.set(`${host.id} ${generation.number}`, generation.stateDigest);
    }
  }
  return ({ hostId, generation }) => {
    const column = VerdictColumn.REPORTED;
    const stateDigest = digests.get(`${hostId} ${generation}`);
    if (stateDigest !== undefined) return book.add({ column, stateDigest }, null);
    const unknownBecause =
      generation === 0
        ? "several generations decided in the window, or the host did not say which"
        : "this console has no receipt of that generation";
    return book.add({ column, unknownBecause }, null);
  };
}
