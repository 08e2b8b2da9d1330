/** Records between the wire and the tables. */
import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { FlowProcessSchema } from "@wardline/api/wardline/v1/flow";
import { FlowRecordSchema, type FlowRecord as WireFlowRecord } from "@wardline/api/wardline/v1/flow_record";
import { DecisionSchema } from "@wardline/api/wardline/v1/policy";
import { fromWireFlowRecord } from "@wardline/domain/wire";
import type { StoredRecord } from "../flow-history.ts";
import { addressKey } from "../sqlite/address-range.ts";
import { IDENTITY, type IdentityColumn, resolutionOf } from "./schema.ts";

export interface Identity {
  readonly digest: Buffer;
  /** In the order of {@link IDENTITY}. */
  readonly values: readonly unknown[];
}

/** A text of this database has no NUL; hosts are made harmless before, so that none is expected. */
const plain = (text: string) => (text.includes("\0") ? text.replaceAll("\0", "\ufffd") : text);

export function identityOf(hostId: string, host: string, record: WireFlowRecord): Identity {
  const { process, decision } = record;
  const columns: Record<IdentityColumn, unknown> = {
    host_id: plain(hostId),
    host: plain(host),
    direction: record.direction,
    protocol: record.protocol,
    source: plain(record.sourceAddress),
    source_key: Buffer.from(addressKey(record.sourceAddress)),
    destination: plain(record.destinationAddress),
    destination_key: Buffer.from(addressKey(record.destinationAddress)),
    port: record.destinationPort,
    source_name: plain(record.sourceName),
    destination_name: plain(record.destinationName),
    observed_name: plain(record.observedName),
    verdict: record.verdict,
    enforced: record.enforced,
    decision: decision ? Buffer.from(toBinary(DecisionSchema, decision)) : Buffer.alloc(0),
    policy_keys: (decision?.policyKeys ?? []).map(plain),
    summary: plain(decision?.summary ?? ""),
    subject: plain(record.subjectKey),
    cgroup: plain(record.cgroupPath),
    hook: record.hook,
    user_id: process?.userId ?? 0,
    user_name: plain(process?.userName ?? ""),
    command: plain(process?.command ?? ""),
    executable: plain(process?.executable ?? ""),
    has_process: process !== undefined,
  };
  const names = Object.keys(IDENTITY) as IdentityColumn[];
  const values = names.map((name) => columns[name]);
  const text = JSON.stringify(values, (_, value) => (Buffer.isBuffer(value) ? value.toString("base64") : value));
  return { digest: createHash("sha256").update(text).digest(), values };
}

function toMs(time: Timestamp | undefined): number {
  return time === undefined ? 0 : Number(time.seconds) * 1000 + Math.floor(time.nanos / 1e6);
}

/** Numbers of a record without its part and series, in the order of `NUMBERS`. */
export function numbersOf(record: WireFlowRecord): (number | string)[] {
  const { started, ended, deniedPackets, packets, originatorBytes, responderBytes } = record;
  return [
    ...[toMs(record.windowStart), record.windowSeconds * 1000, toMs(record.firstSeen), toMs(record.lastSeen), 1],
    ...[started, ended, deniedPackets, packets, originatorBytes, responderBytes].map(String),
    ...[record.process?.pid ?? 0, String(record.generation), record.foldedFlows],
  ];
}

export type Row = Readonly<Record<string, unknown>>;

/** A row of `records` with its `series`. */
export function storedRecordOf(row: Row): StoredRecord {
  const text = (name: string) => String(row[name]);
  const number = (name: string) => Number(row[name]);
  const big = (name: string) => BigInt(String(row[name]));
  const record = create(FlowRecordSchema, {
    windowStart: timestampFromMs(number("start_ms")),
    windowSeconds: number("length_ms") / 1000,
    firstSeen: timestampFromMs(number("first_ms")),
    lastSeen: timestampFromMs(number("last_ms")),
    direction: number("direction"),
    protocol: number("protocol"),
    sourceAddress: text("source"),
    destinationAddress: text("destination"),
    destinationPort: number("port"),
    sourceName: text("source_name"),
    destinationName: text("destination_name"),
    observedName: text("observed_name"),
    verdict: number("verdict"),
    enforced: number("enforced"),
    generation: big("generation"),
    subjectKey: text("subject"),
    cgroupPath: text("cgroup"),
    hook: number("hook"),
    started: big("started"),
    ended: big("ended"),
    deniedPackets: big("denied"),
    packets: big("packets"),
    originatorBytes: big("out_bytes"),
    responderBytes: big("in_bytes"),
    foldedFlows: number("folded"),
  });
  const decision = row.decision;
  if (decision instanceof Uint8Array && decision.length > 0) record.decision = fromBinary(DecisionSchema, decision);
  if (row.has_process === true) {
    const names = { userName: text("user_name"), command: text("command"), executable: text("executable") };
    record.process = create(FlowProcessSchema, { pid: number("pid"), userId: number("user_id"), ...names });
  }
  return {
    id: text("id"),
    hostId: text("host_id"),
    host: text("host"),
    record,
    resolution: resolutionOf(number("part")),
  };
}

export function plainRecordOf(row: Row) {
  const { hostId, host, record } = storedRecordOf(row);
  return { ...fromWireFlowRecord(record, host), hostId };
}
