/** Draft, staged, enforced and reported verdicts, streamed: what stands behind them, progress, rows, done. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type ListVerdictsRequest,
  ListVerdictsRequestSchema,
  type ListVerdictsResponse,
  ListVerdictsResponseSchema,
  VerdictColumn,
  VerdictRowsSchema,
  VerdictSourceSchema,
} from "@wardline/api/wardline/console/v1/verdicts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { ReportedRecord } from "@wardline/domain/policy/verdicts";
import { nextTurn } from "../../async/next-turn.ts";
import type { HeldThread, ThreadPool } from "../../async/thread-pool.ts";
import type { FlowHistory, StoredRecord } from "../../history/flow-history.ts";
import { hostNameOf, labelOf, type ManagedHost } from "../../hosts/managed-host.ts";
import { pageSize } from "../../rpc/guard.ts";
import type { ReceiptsTable } from "../../store/receipts-table.ts";
import type { StoredRollout } from "../../store/rollouts-table.ts";
import { askHosts } from "./host-stances.ts";
import { isNoPolicy, RecordedDecisions, readRecords, toReported } from "./read-records.ts";
import { rowFilter } from "./row-filter.ts";
import { type StateWorldPorts, StateWorlds } from "./state-worlds.ts";
import type {
  AddRequest,
  Fates,
  OpenRequest,
  PageAnswer,
  PageRequest,
  RowsAnswer,
  RowsRequest,
} from "./verdict-protocol.ts";
import { completeReports, type ReportContext } from "./verdict-wire.ts";
import { VersionBook } from "./version-book.ts";

const PROGRESS_INTERVAL_MS = 200;
const USUAL_WINDOW_MS = 86_400_000;
const USUAL_ROWS = 500;
const MAX_ROWS = 5_000;
const ROWS_IN_MESSAGE = 100;
/** Records of one turn. */
const RECORDS_AT_ONCE = 1_000;
const DEADLINE_MS = 120_000;
const MAX_RECEIPTS = 1_000;

export interface VerdictPorts extends StateWorldPorts {
  readonly history: FlowHistory;
  readonly receipts: ReceiptsTable;
  readonly rollouts: () => readonly StoredRollout[];
  readonly userName: string;
}

/**
 * @throws Failure INVALID_ARGUMENT, NOT_FOUND (a host), POLICY_INVALID (the draft), TOO_LARGE (too many comparisons at once, or
 * too much memory), DEADLINE_EXCEEDED, and of the history
 */
export async function* listVerdicts(
  ports: VerdictPorts,
  threads: ThreadPool,
  request: ListVerdictsRequest,
  signal: AbortSignal,
): AsyncGenerator<ListVerdictsResponse> {
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(tooSlow()), DEADLINE_MS);
  let thread: Awaited<ReturnType<ThreadPool["hold"]>> | null = null;
  try {
    thread = await threads.hold(AbortSignal.any([signal, end.signal]));
    yield* compare(ports, thread, request, signal);
    await thread.call("close", null);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
    thread?.release();
  }
}

async function* compare(
  ports: VerdictPorts,
  thread: HeldThread,
  request: ListVerdictsRequest,
  signal: AbortSignal,
): AsyncGenerator<ListVerdictsResponse> {
  const { registry, clock } = ports;
  const maxRows = pageSize(request.maxRows, USUAL_ROWS, MAX_ROWS);
  // Refused before anything is read.
  rowFilter(request);
  const window = windowOf(request, clock.nowMs());
  const lookedAt = request.hostIds.length === 0 ? null : registry.select(request.hostIds).map(hostNameOf);

  const worlds = new StateWorlds(ports, thread);
  const versions = new VersionBook(ports.versions);
  const draftVersion = addDraft(ports, versions);
  await worlds.loadDraft();
  const hosts = await askHosts(registry.hosts, ports.rollouts(), worlds, versions);
  if (signal.aborted) return;
  const opening: OpenRequest = { ...worlds.frame(), worlds: worlds.all, draftVersion, hosts, lookedAt };
  await thread.call("open", opening);
  const since = timestampFromMs(window.sinceMs);
  const until = timestampFromMs(window.untilMs);
  yield message({ case: "basis", value: { versions: [...versions.all], since, until } });

  const source = create(VerdictSourceSchema);
  const decisions = new RecordedDecisions();
  let tooMany = 0;
  let toldAtMs = clock.nowMs();
  for await (const { records, progress, isCut } of readRecords(ports.history, window, signal)) {
    for (let start = 0; start < records.length; start += RECORDS_AT_ONCE) {
      tooMany += await addRecords(thread, records.slice(start, start + RECORDS_AT_ONCE), { source, decisions });
    }
    source.readRecords += BigInt(records.length);
    source.totalRecords = BigInt(Math.max(progress.total, Number(source.readRecords)));
    source.gaps = [...progress.gaps, ...gapOf(tooMany)];
    source.isCut = isCut;
    if (signal.aborted) return;
    if (clock.nowMs() - toldAtMs < PROGRESS_INTERVAL_MS) continue;
    toldAtMs = clock.nowMs();
    yield message({ case: "progress", value: { ...source } });
  }

  const asked: RowsRequest = { request: toBinary(ListVerdictsRequestSchema, request), maxRows };
  const found = (await thread.call("rows", asked)) as RowsAnswer;
  const known = versions.all.length;
  const context = {
    decisionOf: (id: string) => decisions.find(id),
    versionOf: reportedVersions(ports, versions, decisions),
    hostName: (hostId: string) => nameOf(registry.find(hostId), hostId),
  };
  for (let start = 0; start < found.shown; start += ROWS_IN_MESSAGE) {
    const page = (await thread.call("page", { start, count: ROWS_IN_MESSAGE } satisfies PageRequest)) as PageAnswer;
    const { rows } = fromBinary(VerdictRowsSchema, page.rows);
    completeReports(rows, page.reported, context);
    yield message({ case: "rows", value: { rows } });
    await nextTurn();
  }
  yield message({
    case: "done",
    value: {
      source,
      matchingRows: BigInt(found.matching),
      leftOut: BigInt(found.matching - found.shown),
      disagreeingRows: BigInt(found.disagreeing),
      comparedPairs: BigInt(found.comparedPairs),
      versions: versions.all.slice(known),
    },
  });
}

function gapOf(tooMany: number): readonly string[] {
  if (tooMany === 0) return [];
  const records = tooMany === 1 ? "1 record is" : `${tooMany.toLocaleString("en")} records are`;
  return [
    `${records} not counted: the window has more different connections and decisions than the table tells apart.`,
  ];
}

/** A turn's worth: this thread only reads them out of the store and hands them on. How many have no place any more. */
async function addRecords(
  thread: HeldThread,
  stored: readonly StoredRecord[],
  { source, decisions }: { readonly source: Source; readonly decisions: RecordedDecisions },
): Promise<number> {
  const records: ReportedRecord[] = [];
  for (const one of stored) {
    decisions.note(one);
    const record = toReported(one);
    if (record === null) {
      source.foldedRecords += 1n;
      continue;
    }
    records.push(record);
    widen(source, record.firstSeenMs, record.lastSeenMs);
  }
  const fates = (await thread.call("add", { records } satisfies AddRequest)) as Fates;
  source.builtinRecords += BigInt(fates.builtin ?? 0);
  source.unownedRecords += BigInt(fates.unowned ?? 0);
  return fates["too-many"] ?? 0;
}

function tooSlow(): Failure {
  return new Failure({
    code: ErrorCode.DEADLINE_EXCEEDED,
    message: `Comparing every connection takes longer than ${DEADLINE_MS / 1_000} s.`,
    hint: "Look at fewer hosts at a time.",
  });
}

type Source = ReturnType<typeof create<typeof VerdictSourceSchema>>;

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

function widen(source: Source, firstMs: number, lastMs: number): void {
  if (!source.oldest || firstMs < timestampMs(source.oldest)) source.oldest = timestampFromMs(firstMs);
  if (!source.newest || lastMs > timestampMs(source.newest)) source.newest = timestampFromMs(lastMs);
}

function nameOf(host: ManagedHost | null, hostId: string): string {
  return host ? labelOf(host) : hostId;
}

/** Which state decided where a record says a generation: as receipts and the host's own word know it. */
function reportedVersions(
  { receipts, registry }: VerdictPorts,
  book: VersionBook,
  decisions: RecordedDecisions,
): ReportContext["versionOf"] {
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
  return ({ hostId, generation, decision }) => {
    const column = VerdictColumn.REPORTED;
    if (generation === 0 && isNoPolicy(decisions.find(decision))) return book.add({ column, isNothing: true }, null);
    const stateDigest = digests.get(`${hostId} ${generation}`);
    if (stateDigest !== undefined) return book.add({ column, stateDigest }, null);
    const unknownBecause =
      generation === 0
        ? "several generations decided in the window, or the host did not say which"
        : "this console has no receipt of that generation";
    return book.add({ column, unknownBecause }, null);
  };
}
