/** Flows between the wire and their rows. */
import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { type Flow, FlowProcessSchema, FlowSchema } from "@wardline/api/wardline/v1/flow";
import { type Decision, DecisionSchema } from "@wardline/api/wardline/v1/policy";
import { addressKey } from "./address-key.ts";

export interface FlowRow {
  id: number;
  host_id: string;
  host: string;
  time_us: number;
  kind: number;
  direction: number;
  protocol: number;
  source_address: string;
  source_port: number;
  destination_address: string;
  destination_port: number;
  source_name: string;
  destination_name: string;
  verdict: number;
  enforced: number;
  decision_wire: Uint8Array | null;
  generation: number;
  subject_key: string;
  cgroup_path: string;
  packets: number;
  bytes: number;
  originator_bytes: number;
  responder_bytes: number;
  hook: number;
  /** 0 = the process is unknown. */
  process_pid: number;
  process_user_id: number;
  process_user_name: string;
  process_command: string;
  process_executable: string;
}

/** What SQLite and JavaScript can both hold exactly. */
function bounded(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}

export const FLOW_COLUMNS = [
  "host_id",
  "agent_epoch_ms",
  "agent_flow_id",
  "host",
  "time_us",
  "kind",
  "direction",
  "protocol",
  "source_address",
  "source_key",
  "source_port",
  "destination_address",
  "destination_key",
  "destination_port",
  "source_name",
  "destination_name",
  "verdict",
  "enforced",
  "decision_row",
  "generation",
  "subject_key",
  "cgroup_path",
  "packets",
  "bytes",
  "originator_bytes",
  "responder_bytes",
  "hook",
  "process_pid",
  "process_user_id",
  "process_user_name",
  "process_command",
  "process_executable",
] as const;

export interface FlowOrigin {
  readonly hostId: string;
  readonly agentEpochMs: number;
}

/** Values in the order of {@link FLOW_COLUMNS}. */
export function flowValues(origin: FlowOrigin, flow: Flow, decisionRow: number | null): unknown[] {
  const time = flow.time ?? timestampNow();
  return [
    origin.hostId,
    origin.agentEpochMs,
    flow.id > 0n ? bounded(flow.id) : null,
    flow.host,
    bounded(time.seconds) * 1e6 + Math.floor(time.nanos / 1000),
    flow.kind,
    flow.direction,
    flow.protocol,
    flow.sourceAddress,
    addressKey(flow.sourceAddress),
    flow.sourcePort,
    flow.destinationAddress,
    addressKey(flow.destinationAddress),
    flow.destinationPort,
    flow.sourceName,
    flow.destinationName,
    flow.verdict,
    flow.enforced,
    decisionRow,
    bounded(flow.generation),
    flow.subjectKey,
    flow.cgroupPath,
    bounded(flow.packets),
    bounded(flow.bytes),
    bounded(flow.originatorBytes),
    bounded(flow.responderBytes),
    flow.hook,
    flow.process?.pid ?? 0,
    flow.process?.userId ?? 0,
    flow.process?.userName ?? "",
    flow.process?.command ?? "",
    flow.process?.executable ?? "",
  ];
}

export function flowFromRow(row: FlowRow): Flow {
  const flow = create(FlowSchema, {
    id: BigInt(row.id),
    host: row.host,
    time: { seconds: BigInt(Math.floor(row.time_us / 1e6)), nanos: (row.time_us % 1e6) * 1000 },
    kind: row.kind,
    direction: row.direction,
    protocol: row.protocol,
    sourceAddress: row.source_address,
    sourcePort: row.source_port,
    destinationAddress: row.destination_address,
    destinationPort: row.destination_port,
    sourceName: row.source_name,
    destinationName: row.destination_name,
    verdict: row.verdict,
    enforced: row.enforced,
    generation: BigInt(row.generation),
    subjectKey: row.subject_key,
    cgroupPath: row.cgroup_path,
    packets: BigInt(row.packets),
    bytes: BigInt(row.bytes),
    originatorBytes: BigInt(row.originator_bytes),
    responderBytes: BigInt(row.responder_bytes),
    hook: row.hook,
  });
  if (row.process_pid > 0) {
    flow.process = create(FlowProcessSchema, {
      pid: row.process_pid,
      userId: row.process_user_id,
      userName: row.process_user_name,
      command: row.process_command,
      executable: row.process_executable,
    });
  }
  if (row.decision_wire) flow.decision = fromBinary(DecisionSchema, row.decision_wire);
  return flow;
}

export function encodeDecision(decision: Decision): { digest: string; wire: Uint8Array } {
  const wire = toBinary(DecisionSchema, decision);
  return { digest: createHash("sha256").update(wire).digest("base64"), wire };
}
