/** Read-only mode: what a console that changes nothing still answers. Everything that is not named here is refused. */
import { ErrorCode, Failure } from "@wardline/domain/errors";

const READING = new Set([
  "ActivityService/WatchActivity",
  "AuditService/ListAudit",
  "AuditService/VerifyAudit",
  // Answers let connections be made; they change no host.
  "FleetService/AnswerQuestion",
  "FleetService/CheckHost",
  "FleetService/ConnectHost",
  "FleetService/ListCandidates",
  "FleetService/ReadInventory",
  "FleetService/WatchQuestions",
  "FlowService/QueryFlows",
  "FlowService/WatchFlows",
  "HostService/GetSession",
  "HostService/WatchHosts",
  "JobService/WatchJobs",
  "PolicyService/Check",
  "PolicyService/Explain",
  "PolicyService/GetFile",
  "PolicyService/GetVersion",
  "PolicyService/ListVersions",
  "PolicyService/PreviewImport",
  "PolicyService/SimulatePolicies",
  "PolicyService/WatchWorkspace",
  "RolloutService/WatchRollouts",
  "ShipService/ListReceipts",
  "ShipService/Plan",
]);

/** @param service with its package, as in a path. @throws Failure READ_ONLY */
export function requireReading(service: string, method: string): void {
  const name = `${service.slice(service.lastIndexOf(".") + 1)}/${method}`;
  if (READING.has(name)) return;
  throw readOnlyFailure();
}

export function readOnlyFailure(): Failure {
  return new Failure({
    code: ErrorCode.READ_ONLY,
    message: "This console is in read-only mode: it changes neither hosts nor policies. Nothing was done.",
    hint: "Start one without --read-only (and without WARDLINE_READ_ONLY) to make changes.",
  });
}
