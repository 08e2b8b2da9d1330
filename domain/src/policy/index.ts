export * from "./address.ts";
export * from "./builtin.ts";
export { nextExpiryNoticeUnixMs } from "./check/effect.ts";
export { DIAGNOSTICS, type DiagnosticCode } from "./check/registry.ts";
export { checkRisks, type HostNeeds, type NeededConnection, type RiskOptions, type RiskPurpose } from "./check/risk.ts";
export * from "./compile/index.ts";
export * from "./decision.ts";
export * from "./diagnostic.ts";
export * from "./diff/index.ts";
export * from "./digest.ts";
export * from "./endpoints.ts";
export * from "./evaluate.ts";
export * from "./evaluation.ts";
export * from "./flow-ends.ts";
export * from "./label-syntax.ts";
export * from "./labels.ts";
export * from "./lookup.ts";
export * from "./model.ts";
export * from "./named-peers.ts";
export * from "./order.ts";
export * from "./packet-port.ts";
export { type PortColumns, type PortPatch, patchOfPorts } from "./port-columns.ts";
export * from "./program.ts";
export {
  columnsOfProgram,
  DECISION_DENIES,
  DECISION_OBSERVES_ONLY,
  DIRECTION_EGRESS,
  DIRECTION_INGRESS,
  EVERY_PROTOCOL,
  type ProgramColumns,
  portEntryAt,
} from "./program-columns.ts";
export * from "./quarantine.ts";
export * from "./read.ts";
export { type DecodedPolicy, decodePolicyBytes, refuseBySize } from "./yaml/decode.ts";
export { DEFAULT_READ_LIMITS, type ReadLimits } from "./yaml/limits.ts";
