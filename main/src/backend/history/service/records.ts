/** Single records: found newest first. */
import { create } from "@bufbuild/protobuf";
import {
  type SearchRecordsRequest,
  type SearchRecordsResponse,
  SearchRecordsResponseSchema,
} from "@wardline/api/wardline/console/v1/history";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Clock } from "../../ports.ts";
import { pageSize } from "../../rpc/guard.ts";
import type { FlowHistory, SearchProgress } from "../flow-history.ts";
import type { EndpointBook } from "./endpoint-book.ts";
import { withHeartbeat } from "./heartbeat.ts";
import { readQuery } from "./read-query.ts";
import { NOTHING_SEARCHED, toWireRecord, toWireSearched } from "./wire.ts";

export interface QueryPorts {
  readonly history: FlowHistory;
  readonly book: EndpointBook;
  readonly clock: Clock;
}

/** A message at least so often, with how far the search is. */
export const PROGRESS_MS = 200;
const RECORDS_IN_MESSAGE = 200;
const MAX_TOKEN_LENGTH = 500;

/** @throws Failure QUERY_INVALID, INVALID_ARGUMENT, and of the store */
export async function* searchRecords(
  { history, book, clock }: QueryPorts,
  request: SearchRecordsRequest,
  signal: AbortSignal,
): AsyncGenerator<SearchRecordsResponse> {
  const limit = pageSize(request.limit, 200, 1_000);
  requireToken(request.pageToken);
  const facts = await book.facts();
  const query = readQuery(request.query, clock.nowMs(), facts);
  const startedMs = clock.nowMs();
  const options = { limit, pageToken: request.pageToken, labels: facts.labels };
  let progress: SearchProgress = NOTHING_SEARCHED;
  let nextPageToken = "";
  const message = (records: SearchRecordsResponse["records"] = []) =>
    create(SearchRecordsResponseSchema, { records, searched: toWireSearched(progress, clock.nowMs() - startedMs) });
  for await (const beat of withHeartbeat(history.search(query, options, signal), PROGRESS_MS, clock, signal)) {
    if (beat.kind === "waiting") {
      yield message();
      continue;
    }
    const { records } = beat.item;
    ({ progress, nextPageToken } = beat.item);
    for (let start = 0; start < records.length; start += RECORDS_IN_MESSAGE) {
      const piece = records.slice(start, start + RECORDS_IN_MESSAGE);
      yield message(piece.map((record) => toWireRecord(record, facts.nameOf)));
    }
  }
  // The last message says how it ended, also when nothing matched.
  if (!signal.aborted) yield create(SearchRecordsResponseSchema, { ...message(), nextPageToken });
}

function requireToken(token: string): void {
  if (token.length <= MAX_TOKEN_LENGTH) return;
  throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "The page token is not one of this console." });
}
