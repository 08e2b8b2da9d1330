/** Records as a file, in pieces: NDJSON or CSV, in any order that a list has. */
import { create, toJson } from "@bufbuild/protobuf";
import {
  ExportFormat,
  type ExportRecordsRequest,
  type ExportRecordsResponse,
  ExportRecordsResponseSchema,
  type HistoryRecord,
  HistoryRecordSchema,
} from "@wardline/api/wardline/console/v1/history";
import { type FlowQuery, recordCsvHeader, recordCsvLine, requireCsvColumns } from "@wardline/domain/flows";
import { safeNumber } from "../../rpc/guard.ts";
import type { LabelResolver, RowOrder, SearchProgress, StoredRecord } from "../flow-history.ts";
import { withHeartbeat } from "./heartbeat.ts";
import { readQuery } from "./read-query.ts";
import { PROGRESS_MS, type QueryPorts } from "./records.ts";
import { fromWireOrder } from "./rows.ts";
import { NOTHING_SEARCHED, toWireRecord, toWireSearched } from "./wire.ts";

const EXPORT_PAGE = 5_000;
const RANKED_PAGE = 1_000;
const PIECE_BYTES = 256 * 1024;

interface Piece {
  readonly records: readonly StoredRecord[];
  readonly progress: SearchProgress;
  /** Whether there is more. */
  readonly isLast: boolean;
}

/**
 * Newest first, or in the order asked for. Of NDJSON the last line counts the others, so that a file that was cut short is
 * known as such; CSV has no place for it. @throws Failure QUERY_INVALID, INVALID_ARGUMENT, and of the store
 */
export async function* exportRecords(
  ports: QueryPorts,
  request: ExportRecordsRequest,
  signal: AbortSignal,
): AsyncGenerator<ExportRecordsResponse> {
  const { book, clock } = ports;
  const given = safeNumber(request.limit, "The limit");
  const limit = given === 0 ? Number.POSITIVE_INFINITY : given;
  const columns = request.format === ExportFormat.CSV ? requireCsvColumns(request.columns) : null;
  const order = fromWireOrder(request.order);
  const facts = await book.facts();
  const query = readQuery(request.query, clock.nowMs(), facts);
  const isUsual = order.sort === "time" && !order.isAscending;
  const pieces = isUsual
    ? searched(ports, query, facts.labels, limit, signal)
    : ranked(ports, query, order, facts.labels, limit, signal);
  const startedMs = clock.nowMs();
  const encoder = new TextEncoder();
  let lines: string[] = columns ? [recordCsvHeader(columns)] : [];
  let [size, written, isLast] = [0, 0, false];
  let progress: SearchProgress = NOTHING_SEARCHED;
  const flush = () => {
    const ndjson = encoder.encode(lines.join(""));
    [lines, size] = [[], 0];
    const searchedSoFar = toWireSearched({ ...progress, matched: written }, clock.nowMs() - startedMs);
    return create(ExportRecordsResponseSchema, { ndjson, searched: searchedSoFar, rows: BigInt(written) });
  };
  for await (const beat of withHeartbeat(pieces, PROGRESS_MS, clock, signal)) {
    if (beat.kind === "waiting") {
      yield flush();
      continue;
    }
    ({ progress, isLast } = beat.item);
    for (const stored of beat.item.records) {
      const line = lineOf(toWireRecord(stored, facts.nameOf), columns);
      const lineBytes = Buffer.byteLength(line);
      if (size > 0 && size + lineBytes > PIECE_BYTES) yield flush();
      lines.push(line);
      size += lineBytes;
      written += 1;
    }
  }
  if (signal.aborted) return;
  const isComplete = isLast && written <= limit;
  const { gaps } = progress;
  progress = { ...progress, isComplete };
  if (!columns) {
    lines.push(`${JSON.stringify({ end: { records: written, isComplete, ...(gaps.length > 0 ? { gaps } : {}) } })}\n`);
  }
  yield flush();
}

function lineOf(item: HistoryRecord, columns: readonly string[] | null): string {
  return columns ? recordCsvLine(item, columns) : `${JSON.stringify(toJson(HistoryRecordSchema, item))}\n`;
}

async function* searched(
  { history }: QueryPorts,
  query: FlowQuery,
  labels: LabelResolver,
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<Piece> {
  let [written, pageToken] = [0, ""];
  do {
    const options = { limit: Math.min(EXPORT_PAGE, limit - written), pageToken, labels };
    pageToken = "";
    for await (const { records, progress, nextPageToken } of history.search(query, options, signal)) {
      pageToken = nextPageToken;
      written += records.length;
      yield { records, progress, isLast: nextPageToken === "" };
    }
  } while (pageToken !== "" && written < limit && !signal.aborted);
}

async function* ranked(
  { history }: QueryPorts,
  query: FlowQuery,
  order: RowOrder,
  labels: LabelResolver,
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<Piece> {
  let [from, snapshot] = [0, ""];
  while (!signal.aborted) {
    const options = { order, from, atMs: null, limit: Math.min(RANKED_PAGE, limit - from), snapshot, labels };
    const read = await history.rows(query, options, signal);
    if (!read) return;
    snapshot = read.snapshot;
    from += read.rows.length;
    const isEnd = from >= read.listed || read.rows.length === 0;
    // What has no rank is not in the file: it must not count as complete.
    yield { records: read.rows, progress: read.progress, isLast: isEnd && read.listed === read.rowCount };
    if (isEnd || from >= limit) return;
  }
}
