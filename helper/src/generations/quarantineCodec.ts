/** Quarantines as they come back from a record. They are written as they are. */
import type { WorkloadMatch } from "@wardline/domain/policy";
import type { QuarantineRecord } from "../agent/policyEngine.ts";
import { CorruptStateError, count, fields, list, text } from "./recordFields.ts";

/** Throws {@link CorruptStateError}. */
export function decodeQuarantines(value: unknown): readonly QuarantineRecord[] {
  return list(value, "the list of quarantines").map((entry) => {
    const from = fields(entry, "a quarantine");
    return {
      subjectKey: text(from, "subjectKey"),
      match: decodeMatch(from.match ?? null),
      managementCidrs: list(from.managementCidrs, `"managementCidrs"`).map(String),
      managementPorts: list(from.managementPorts, `"managementPorts"`).map(Number),
      sinceMs: count(from, "sinceMs"),
      actor: text(from, "actor"),
      reason: text(from, "reason"),
    };
  });
}

function decodeMatch(value: unknown): WorkloadMatch | null {
  if (value === null) return null;
  const from = fields(value, "the match of a quarantine");
  const kind = text(from, "kind");
  switch (kind) {
    case "systemdUnit":
      return { kind, unit: text(from, "unit") };
    case "cgroupPath":
      return { kind, path: text(from, "path") };
    case "container":
      return { kind, id: text(from, "id") };
    case "user":
      return { kind, user: text(from, "user") };
    default:
      throw new CorruptStateError(`a quarantine finds its workload by "${kind}"`);
  }
}
