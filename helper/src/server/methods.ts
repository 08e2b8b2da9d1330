/** What every rpc needs, in one table. A method without an entry is refused. */
import type { DescMethod } from "@bufbuild/protobuf";
import { Role } from "@wardline/api/wardline/v1/host";

export interface MethodRule {
  /** Lowest role that may call it. */
  readonly role: Role;
  /** A mutating call: refusals go to the audit log under this name. */
  readonly audit: string | null;
  /** `null` for streams, which end when the reader leaves. */
  readonly deadlineMs: number | null;
}

const read = { role: Role.VIEWER, audit: null, deadlineMs: 10_000 } as const;
const watch = { role: Role.VIEWER, audit: null, deadlineMs: null } as const;

export const METHOD_RULES: ReadonlyMap<string, MethodRule> = new Map<string, MethodRule>([
  ["wardline.agent.v1.AgentService/Handshake", read],
  ["wardline.agent.v1.AgentService/GetStatus", read],
  ["wardline.agent.v1.AgentService/WatchStatus", watch],
  ["wardline.agent.v1.AgentService/GetEnforcedState", read],
  ["wardline.agent.v1.AgentService/Check", { ...read, deadlineMs: 30_000 }],
  ["wardline.agent.v1.AgentService/Apply", { role: Role.OPERATOR, audit: "apply", deadlineMs: 60_000 }],
  ["wardline.agent.v1.AgentService/Confirm", { role: Role.OPERATOR, audit: "confirm", deadlineMs: 15_000 }],
  ["wardline.agent.v1.AgentService/Rollback", { role: Role.OPERATOR, audit: "rollback", deadlineMs: 30_000 }],
  ["wardline.agent.v1.AgentService/SetEmergency", { role: Role.OPERATOR, audit: "emergency", deadlineMs: 10_000 }],
  ["wardline.agent.v1.AgentService/SetQuarantine", { role: Role.OPERATOR, audit: "quarantine", deadlineMs: 30_000 }],
  ["wardline.agent.v1.AgentService/WatchFlows", watch],
  ["wardline.agent.v1.AgentService/ListAudit", { ...read, deadlineMs: 30_000 }],
  ["wardline.agent.v1.AgentService/Release", { role: Role.ADMIN, audit: "release", deadlineMs: 30_000 }],
  ["grpc.health.v1.Health/Check", read],
  ["grpc.health.v1.Health/Watch", watch],
]);

export function methodName(method: DescMethod): string {
  return `${method.parent.typeName}/${method.name}`;
}
