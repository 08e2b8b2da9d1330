/** A stored flow as simulation looks at it: a fraction of what {@link flowFromRow} makes. */
import { FlowEventKind } from "@wardline/api/wardline/v1/flow";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import type { RecordedFlow } from "@wardline/domain/policy/simulate";
import type { FlowRow } from "./flow-row.ts";

export type RecordedRow = Pick<
  FlowRow,
  | "id"
  | "host"
  | "time_us"
  | "kind"
  | "direction"
  | "protocol"
  | "source_address"
  | "destination_address"
  | "destination_port"
  | "verdict"
  | "enforced"
  | "subject_key"
>;

export function recordedFromRow(row: RecordedRow): RecordedFlow & { readonly id: number } {
  const verdict = verdictOf(row.verdict);
  const enforced = verdictOf(row.enforced);
  return {
    id: row.id,
    timeMs: Math.floor(row.time_us / 1000),
    kind: row.kind === FlowEventKind.END ? "end" : row.kind === FlowEventKind.DENY ? "deny" : "start",
    direction: row.direction === Direction.INGRESS ? "ingress" : row.direction === Direction.EGRESS ? "egress" : null,
    protocol: row.protocol,
    sourceAddress: row.source_address,
    destinationAddress: row.destination_address,
    port: row.destination_port,
    verdict: verdict ?? enforced,
    enforced: enforced ?? verdict,
    subjectKey: row.subject_key,
    host: row.host,
  };
}

function verdictOf(value: number): RecordedFlow["verdict"] {
  return value === Verdict.ALLOW ? "allow" : value === Verdict.DENY ? "deny" : null;
}
