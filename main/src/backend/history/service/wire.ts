/** Answers of the history between the store and the wire. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  FlowSumsSchema,
  type HistoryRecord,
  HistoryRecordSchema,
  type Searched,
  SearchedSchema,
  FlowDimension as WireDimension,
  FlowMeasure as WireMeasure,
  HistoryResolution as WireResolution,
  type FlowSums as WireSums,
} from "@wardline/api/wardline/console/v1/history";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { FlowDimension, FlowMeasure } from "@wardline/domain/flows";
import type { FlowSums, HistoryResolution, SearchProgress, StoredRecord } from "../flow-history.ts";
import { wireCount } from "../wire-count.ts";

const DIMENSIONS: ReadonlyMap<WireDimension, FlowDimension> = new Map([
  [WireDimension.HOST, "host"],
  [WireDimension.SOURCE, "source"],
  [WireDimension.DESTINATION, "destination"],
  [WireDimension.PEER, "peer"],
  [WireDimension.PORT, "port"],
  [WireDimension.PROTOCOL, "protocol"],
  [WireDimension.PROCESS, "process"],
  [WireDimension.USER, "user"],
  [WireDimension.VERDICT, "verdict"],
  [WireDimension.POLICY, "policy"],
  [WireDimension.RULE, "rule"],
  [WireDimension.DIRECTION, "direction"],
  [WireDimension.SUBJECT, "subject"],
  [WireDimension.SOURCE_NAME, "source-name"],
  [WireDimension.DESTINATION_NAME, "destination-name"],
  [WireDimension.CGROUP, "cgroup"],
]);
const MEASURES: ReadonlyMap<WireMeasure, FlowMeasure> = new Map([
  [WireMeasure.UNSPECIFIED, "connections"],
  [WireMeasure.CONNECTIONS, "connections"],
  [WireMeasure.BYTES, "bytes"],
  [WireMeasure.DENIED_PACKETS, "denied"],
  [WireMeasure.RECORDS, "records"],
  [WireMeasure.PACKETS, "packets"],
]);
const RESOLUTIONS: Record<HistoryResolution, WireResolution> = {
  record: WireResolution.RECORD,
  minute: WireResolution.MINUTE,
  hour: WireResolution.HOUR,
  day: WireResolution.DAY,
};

/** @throws Failure INVALID_ARGUMENT */
export function fromWireDimension(wire: WireDimension): FlowDimension {
  const dimension = DIMENSIONS.get(wire);
  if (dimension) return dimension;
  throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: `There is no dimension ${wire} to group flows by.` });
}

export function toWireDimension(dimension: FlowDimension): WireDimension {
  for (const [wire, each] of DIMENSIONS) if (each === dimension) return wire;
  return WireDimension.UNSPECIFIED;
}

/** @throws Failure INVALID_ARGUMENT */
export function fromWireMeasure(wire: WireMeasure): FlowMeasure {
  const measure = MEASURES.get(wire);
  if (measure) return measure;
  throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: `There is no measure ${wire} to order flows by.` });
}

export function toWireResolution(resolution: HistoryResolution): WireResolution {
  return RESOLUTIONS[resolution];
}

export function toWireSums(sums: FlowSums): WireSums {
  return create(FlowSumsSchema, {
    records: wireCount(sums.records),
    connections: wireCount(sums.connections),
    deniedPackets: wireCount(sums.deniedPackets),
    packets: wireCount(sums.packets),
    originatorBytes: wireCount(sums.originatorBytes),
    responderBytes: wireCount(sums.responderBytes),
    ...(sums.records === 0
      ? {}
      : { firstSeen: timestampFromMs(sums.firstSeenMs), lastSeen: timestampFromMs(sums.lastSeenMs) }),
  });
}

export const NOTHING_SEARCHED: SearchProgress = {
  matched: 0,
  isComplete: false,
  searched: 0,
  total: 0,
  coarsest: "record",
  coarseBeforeMs: null,
  gaps: [],
};
const MAX_GAPS = 50;

export function toWireSearched(progress: SearchProgress, tookMs: number, moreGaps: readonly string[] = []): Searched {
  return create(SearchedSchema, {
    matched: BigInt(progress.matched),
    isComplete: progress.isComplete,
    searched: BigInt(progress.searched),
    total: BigInt(progress.total),
    coarsest: RESOLUTIONS[progress.coarsest],
    ...(progress.coarseBeforeMs === null ? {} : { coarseBefore: timestampFromMs(progress.coarseBeforeMs) }),
    gaps: [...progress.gaps, ...moreGaps].slice(0, MAX_GAPS),
    tookMs: Math.max(0, Math.round(tookMs)),
  });
}

/** Names beside the addresses, never instead of them: inventory, discovery, what DNS said on the host. */
export function toWireRecord(stored: StoredRecord, nameOf: (address: string) => string): HistoryRecord {
  const { record, id, hostId, host, resolution } = stored;
  const observed = (isRemote: boolean) => (isRemote ? record.observedName : "");
  const isIngress = record.direction === Direction.INGRESS;
  return create(HistoryRecordSchema, {
    ...{ id, hostId, host, record, resolution: RESOLUTIONS[resolution] },
    sourceDisplayName: record.sourceName || nameOf(record.sourceAddress) || observed(isIngress),
    destinationDisplayName: record.destinationName || nameOf(record.destinationAddress) || observed(!isIngress),
  });
}
