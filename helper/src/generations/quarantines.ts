/** The list of quarantines: what a request makes of it. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  type FoundSubject,
  findQuarantineSubject,
  type PolicyWorld,
  quarantinePolicyKey,
} from "@wardline/domain/policy";
import type { QuarantineRecord } from "../agent/policyEngine.ts";

export interface QuarantineRequest {
  /** A key, `namespace/name`, or a name that only one subject of this host has. */
  readonly subject: string;
  readonly lifted: boolean;
  /** Canonical prefixes; only for the host. */
  readonly managementCidrs: readonly string[];
  readonly managementPorts: readonly number[];
  readonly reason: string;
}

const MAX_QUARANTINES = 64;

function meaningOf({ subjectKey, match, managementCidrs, managementPorts }: QuarantineRecord): string {
  return JSON.stringify([subjectKey, match, managementCidrs.toSorted(), managementPorts.toSorted((a, b) => a - b)]);
}

/** Whether both cut off the same, whoever said so. */
export function sameQuarantines(one: readonly QuarantineRecord[], other: readonly QuarantineRecord[]): boolean {
  return one.map(meaningOf).sort().join("\n") === other.map(meaningOf).sort().join("\n");
}

/** The list after a request. Throws `Failure` NOT_FOUND, INVALID_ARGUMENT, TOO_LARGE. */
export function changeQuarantines(
  present: readonly QuarantineRecord[],
  request: QuarantineRequest,
  world: PolicyWorld,
  hostName: string,
  by: { readonly actor: string; readonly nowMs: number },
): readonly QuarantineRecord[] {
  const held = request.lifted ? heldSubject(present, request.subject) : null;
  const { key, match } =
    held ?? subjectOf(findQuarantineSubject(world, hostName, request.subject), request.subject, present);
  const others = present.filter(({ subjectKey }) => subjectKey !== key);
  if (request.lifted) return others;
  const { managementCidrs, managementPorts, reason } = request;
  if (match !== null && managementCidrs.length > 0) throw managementOfWorkload(key);
  const record: QuarantineRecord = {
    subjectKey: key,
    match,
    managementCidrs,
    managementPorts: managementCidrs.length === 0 ? [] : managementPorts,
    sinceMs: by.nowMs,
    actor: by.actor,
    reason,
  };
  const known = present.find(({ subjectKey }) => subjectKey === key);
  if (known && meaningOf(known) === meaningOf(record)) return present;
  if (others.length >= MAX_QUARANTINES) throw tooMany();
  return [...others, record];
}

/** A quarantine can be lifted although the policies no longer declare its subject. */
function heldSubject(present: readonly QuarantineRecord[], text: string) {
  const found = present.filter(({ subjectKey }) => {
    const [, ...rest] = subjectKey.split("/");
    return subjectKey === text || rest.join("/") === text || rest.at(-1) === text;
  });
  const [only] = found;
  return only && found.length === 1 ? { key: only.subjectKey, match: only.match } : null;
}

function subjectOf(found: FoundSubject, text: string, present: readonly QuarantineRecord[]) {
  if (found.kind === "found") return { key: found.endpoint.key, match: found.endpoint.match };
  const held = present.map(({ subjectKey }) => subjectKey).filter((key) => !found.keys.includes(key));
  const keys = [...found.keys, ...held].join(", ");
  const name = JSON.stringify(text.slice(0, 200));
  if (found.kind === "ambiguous") {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: `Several have the name ${name}.`,
      hint: `Name one of ${keys}.`,
    });
  }
  const meant = found.nearest === null ? "" : `Did you mean ${found.nearest}? `;
  throw new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `This host has no workload ${name}, and is not called that itself.`,
    hint: `${meant}There are: ${keys}. A workload needs a Workload document that says how its processes are found.`,
  });
}

function managementOfWorkload(key: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `${key} is a workload: its quarantine leaves no way in for management.`,
    hint: "Leave the addresses out, or quarantine the host.",
  });
}

function tooMany(): Failure {
  return new Failure({
    code: ErrorCode.TOO_LARGE,
    message: `${MAX_QUARANTINES} subjects of this host are in quarantine; there can be no more.`,
    hint: "Quarantine the host itself.",
  });
}

export function describeQuarantine(record: QuarantineRecord): string {
  const { subjectKey, managementCidrs, managementPorts, sinceMs, actor, reason } = record;
  const ways =
    managementCidrs.length === 0
      ? "nothing passes in or out"
      : `nothing passes but TCP ${managementPorts.join(", ")} from ${managementCidrs.join(", ")}`;
  const why = reason === "" ? "" : ` (${reason})`;
  return `${subjectKey} is in quarantine since ${new Date(sinceMs).toISOString()} by ${actor}${why}: ${ways}. Its policy is ${quarantinePolicyKey(subjectKey)}.`;
}
