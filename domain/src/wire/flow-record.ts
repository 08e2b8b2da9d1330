/** `wardline.v1.FlowRecord` and the plain record of the domain. */
import { create } from "@bufbuild/protobuf";
import { type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { FlowHook, FlowProcessSchema } from "@wardline/api/wardline/v1/flow";
import { FlowRecordSchema, type FlowRecord as WireFlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { DecisionSchema } from "@wardline/api/wardline/v1/policy";
import type { FlowRecord, FlowRecordProcess } from "../flows/record.ts";
import { fromWireDirection, fromWireVerdict, toWireDirection, toWireVerdict } from "./policy-enums.ts";

const NO_PROCESS: FlowRecordProcess = { pid: 0, userId: 0, userName: "", command: "", executable: "" };
const MAX_COUNT = BigInt(Number.MAX_SAFE_INTEGER);
const NS_PER_MS = 1e6;

/**
 * `host` is the name of the host that the record came from: the message does not say it. Counts beyond 2^53 become 2^53 - 1,
 * directions and verdicts that this version does not know the safe side. Nothing is judged here: whoever reads from a
 * host checks what is possible.
 */
export function fromWireFlowRecord(wire: WireFlowRecord, host: string): FlowRecord {
  const { process } = wire;
  return {
    host,
    windowStartMs: toMs(wire.windowStart),
    windowMs: wire.windowSeconds * 1000,
    firstSeenMs: toMs(wire.firstSeen),
    lastSeenMs: toMs(wire.lastSeen),
    direction: fromWireDirection(wire.direction),
    protocol: wire.protocol,
    sourceAddress: wire.sourceAddress,
    destinationAddress: wire.destinationAddress,
    destinationPort: wire.destinationPort,
    sourceName: wire.sourceName,
    destinationName: wire.destinationName,
    observedName: wire.observedName,
    verdict: fromWireVerdict(wire.verdict),
    enforced: fromWireVerdict(wire.enforced),
    policyKeys: wire.decision?.policyKeys ?? [],
    decisionSummary: wire.decision?.summary ?? "",
    subjectKey: wire.subjectKey,
    cgroupPath: wire.cgroupPath,
    process: process === undefined ? NO_PROCESS : plainProcess(process),
    started: toCount(wire.started),
    ended: toCount(wire.ended),
    deniedPackets: toCount(wire.deniedPackets),
    packets: toCount(wire.packets),
    originatorBytes: toCount(wire.originatorBytes),
    responderBytes: toCount(wire.responderBytes),
    foldedFlows: wire.foldedFlows,
  };
}

/**
 * The way back, for stores, exports and tests. What the plain record does not hold (generation, hook, the decision's id and
 * rule) is left empty; windows are whole seconds.
 */
export function toWireFlowRecord(record: FlowRecord): WireFlowRecord {
  const { process, policyKeys, decisionSummary: summary } = record;
  const wire = create(FlowRecordSchema, {
    windowStart: toTimestamp(record.windowStartMs),
    windowSeconds: Math.round(record.windowMs / 1000),
    firstSeen: toTimestamp(record.firstSeenMs),
    lastSeen: toTimestamp(record.lastSeenMs),
    direction: toWireDirection(record.direction),
    protocol: record.protocol,
    sourceAddress: record.sourceAddress,
    destinationAddress: record.destinationAddress,
    destinationPort: record.destinationPort,
    sourceName: record.sourceName,
    destinationName: record.destinationName,
    observedName: record.observedName,
    verdict: toWireVerdict(record.verdict),
    enforced: toWireVerdict(record.enforced),
    subjectKey: record.subjectKey,
    cgroupPath: record.cgroupPath,
    hook: FlowHook.UNSPECIFIED,
    started: BigInt(record.started),
    ended: BigInt(record.ended),
    deniedPackets: BigInt(record.deniedPackets),
    packets: BigInt(record.packets),
    originatorBytes: BigInt(record.originatorBytes),
    responderBytes: BigInt(record.responderBytes),
    foldedFlows: record.foldedFlows,
  });
  if (policyKeys.length > 0 || summary !== "")
    wire.decision = create(DecisionSchema, { verdict: wire.verdict, policyKeys: [...policyKeys], summary });
  if (isKnown(process)) wire.process = create(FlowProcessSchema, process);
  return wire;
}

function plainProcess({ pid, userId, userName, command, executable }: FlowRecordProcess): FlowRecordProcess {
  return { pid, userId, userName, command, executable };
}

/** User 0 alone says nothing: it is also what an absent process reads as. */
function isKnown({ pid, userId, userName, command, executable }: FlowRecordProcess): boolean {
  return pid !== 0 || userId !== 0 || userName !== "" || command !== "" || executable !== "";
}

/** 0 for a time that is not there. */
function toMs(time: Timestamp | undefined): number {
  return time === undefined ? 0 : Number(time.seconds) * 1000 + time.nanos / NS_PER_MS;
}

function toTimestamp(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * NS_PER_MS);
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos });
}

function toCount(value: bigint): number {
  return Number(value > MAX_COUNT ? MAX_COUNT : value);
}
