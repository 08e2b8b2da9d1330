/** Stretches of a result that is a list: any rank, any order, and what is missing in between. */
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type ReadRowsRequest,
  type ReadRowsResponse,
  ReadRowsResponseSchema,
  RecordSort,
  type RowOrder as WireRowOrder,
} from "@wardline/api/wardline/console/v1/history";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { pageSize, safeNumber } from "../../rpc/guard.ts";
import type { RowOrder, RowSort } from "../flow-history.ts";
import { type GapsPorts, gapsOf } from "./gaps.ts";
import { readQuery } from "./read-query.ts";
import type { QueryPorts } from "./records.ts";
import { NOTHING_SEARCHED, toWireRecord, toWireSearched } from "./wire.ts";

const MAX_SNAPSHOT_LENGTH = 100;
const SORTS: ReadonlyMap<RecordSort, RowSort> = new Map([
  [RecordSort.UNSPECIFIED, "time"],
  [RecordSort.TIME, "time"],
  [RecordSort.HOST, "host"],
  [RecordSort.DIRECTION, "direction"],
  [RecordSort.SUBJECT, "subject"],
  [RecordSort.SOURCE, "source"],
  [RecordSort.DESTINATION, "destination"],
  [RecordSort.PEER, "peer"],
  [RecordSort.PORT, "port"],
  [RecordSort.PROTOCOL, "protocol"],
  [RecordSort.VERDICT, "verdict"],
  [RecordSort.POLICY, "policy"],
  [RecordSort.PROCESS, "process"],
  [RecordSort.USER, "user"],
  [RecordSort.CGROUP, "cgroup"],
  [RecordSort.BYTES, "bytes"],
  [RecordSort.PACKETS, "packets"],
  [RecordSort.CONNECTIONS, "connections"],
  [RecordSort.DENIED, "denied"],
  [RecordSort.DURATION, "duration"],
]);

/** @throws Failure INVALID_ARGUMENT */
export function fromWireOrder(wire: WireRowOrder | undefined): RowOrder {
  const sort = SORTS.get(wire?.sort ?? RecordSort.UNSPECIFIED);
  if (sort) return { sort, isAscending: wire?.ascending ?? false };
  throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: `There is no order ${wire?.sort} for flows.` });
}

/** @throws Failure QUERY_INVALID, INVALID_ARGUMENT, and of the store */
export async function readRows(
  ports: QueryPorts & GapsPorts,
  request: ReadRowsRequest,
  signal: AbortSignal,
): Promise<ReadRowsResponse> {
  const { history, book, clock } = ports;
  const order = fromWireOrder(request.order);
  const limit = pageSize(request.limit, 200, 1_000);
  const from = safeNumber(request.from, "The rank");
  const { snapshot } = request;
  if (snapshot.length > MAX_SNAPSHOT_LENGTH) {
    throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "The list is not one of this console." });
  }
  const facts = await book.facts();
  const query = readQuery(request.query, clock.nowMs(), facts);
  const startedMs = clock.nowMs();
  const atMs = request.at ? timestampMs(request.at) : null;
  const read = await history.rows(query, { order, from, atMs, limit, snapshot, labels: facts.labels }, signal);
  if (read === null) return create(ReadRowsResponseSchema, { searched: toWireSearched(NOTHING_SEARCHED, 0) });
  return create(ReadRowsResponseSchema, {
    rows: read.rows.map((record) => toWireRecord(record, facts.nameOf)),
    from: BigInt(read.from),
    rowCount: BigInt(read.rowCount),
    listedRows: BigInt(read.listed),
    snapshot: read.snapshot,
    newerRows: BigInt(read.newer),
    searched: toWireSearched(read.progress, clock.nowMs() - startedMs),
    gaps: gapsOf(ports, query),
  });
}
