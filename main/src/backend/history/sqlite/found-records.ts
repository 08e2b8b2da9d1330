/** Rows as the rest of the console knows them. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { FlowProcessSchema } from "@wardline/api/wardline/v1/flow";
import { FlowRecordSchema, type FlowRecord as WireFlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { DecisionSchema } from "@wardline/api/wardline/v1/policy";
import type { FlowRecord } from "@wardline/domain/flows";
import type { StoredRecord } from "../flow-history.ts";
import { wireCount } from "../wire-count.ts";
import type { FoundRow } from "./read-rows.ts";

export function storedRecord(row: FoundRow): StoredRecord {
  const { id, resolution, series } = row;
  return { id, hostId: series.hostId, host: series.host, record: wireRecord(row), resolution };
}

function wireRecord(row: FoundRow): WireFlowRecord {
  const { series } = row;
  const record = create(FlowRecordSchema, {
    windowStart: toTimestamp(row.startMs),
    windowSeconds: row.lengthMs / 1000,
    firstSeen: toTimestamp(row.firstMs),
    lastSeen: toTimestamp(row.lastMs),
    direction: series.direction,
    protocol: series.protocol,
    sourceAddress: series.source,
    destinationAddress: series.destination,
    destinationPort: series.port,
    sourceName: series.sourceName,
    destinationName: series.destinationName,
    observedName: series.observedName,
    verdict: series.verdict,
    enforced: series.enforced,
    generation: wireCount(row.generation),
    subjectKey: series.subject,
    cgroupPath: series.cgroup,
    hook: series.hook,
    started: wireCount(row.started),
    ended: wireCount(row.ended),
    deniedPackets: wireCount(row.denied),
    packets: wireCount(row.packets),
    originatorBytes: wireCount(row.outBytes),
    responderBytes: wireCount(row.inBytes),
    foldedFlows: row.folded,
  });
  if (series.decision) record.decision = fromBinary(DecisionSchema, series.decision);
  if (series.hasProcess) {
    const { userId, userName, command, executable } = series;
    record.process = create(FlowProcessSchema, { pid: row.pid, userId, userName, command, executable });
  }
  return record;
}

export function plainRecord(row: FoundRow): FlowRecord & { readonly hostId: string } {
  const { series } = row;
  const { userId, userName, command, executable } = series;
  return {
    hostId: series.hostId,
    host: series.host,
    windowStartMs: row.startMs,
    windowMs: row.lengthMs,
    firstSeenMs: row.firstMs,
    lastSeenMs: row.lastMs,
    direction: series.direction === 1 ? "ingress" : "egress",
    protocol: series.protocol,
    sourceAddress: series.source,
    destinationAddress: series.destination,
    destinationPort: series.port,
    sourceName: series.sourceName,
    destinationName: series.destinationName,
    observedName: series.observedName,
    verdict: series.verdict === 1 ? "allow" : "deny",
    enforced: series.enforced === 1 ? "allow" : "deny",
    policyKeys: series.policyKeys,
    decisionSummary: series.summary,
    subjectKey: series.subject,
    cgroupPath: series.cgroup,
    process: { pid: row.pid, userId, userName, command, executable },
    started: row.started,
    ended: row.ended,
    deniedPackets: row.denied,
    packets: row.packets,
    originatorBytes: row.outBytes,
    responderBytes: row.inBytes,
    foldedFlows: row.folded,
  };
}

function toTimestamp(timeMs: number): Timestamp {
  const seconds = Math.floor(timeMs / 1000);
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos: (timeMs - seconds * 1000) * 1e6 });
}
