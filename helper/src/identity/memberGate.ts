/** Does a proven identity belong to a member of now? The member's record decides: with it ends the right. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { MemberRecord } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { isAuthorised } from "@wardline/domain/identity";
import type { MemberDirectory, PeerIdentity } from "./ports.ts";

/**
 * A renewal (nothing else) is given to a member whose certificate is over for less than this: a host that was off comes back
 * by itself. Its record and its key still have to be the ones that count.
 */
export const RENEW_AFTER_EXPIRY_MS = 30 * 24 * 3_600_000;

function notMember(name: string): Failure {
  return new Failure({
    code: ErrorCode.NOT_A_MEMBER,
    message: `${name} is no member of this cluster, or not any more.`,
    hint: "An administrator can let it in: wardline cluster token on a candidate, wardline cluster join on the host.",
  });
}

function wrongKey(name: string): Failure {
  return new Failure({
    code: ErrorCode.IDENTITY_REFUSED,
    message: `The certificate of ${name} is not the one that the cluster has on record: another key.`,
    hint: "Two hosts may use one name, or the host was set up anew. Remove the member and let the right one join again.",
  });
}

/** The key is the present one, or the one before it while its certificate lasts. */
function hasRecordedKey(record: MemberRecord, keyFingerprint: string, nowMs: number, graceMs: number): boolean {
  if (record.keyFingerprint !== "" && record.keyFingerprint === keyFingerprint) return true;
  if (record.previousKeyFingerprint === "" || record.previousKeyFingerprint !== keyFingerprint) return false;
  return record.previousKeyUntil !== undefined && nowMs < timestampMs(record.previousKeyUntil) + graceMs;
}

/** Why this is not the member of that record; `null` when it is. */
export function memberProblem(
  identity: PeerIdentity,
  record: MemberRecord | null,
  nowMs: number,
  graceMs = 0,
): Failure | null {
  if (identity.kind !== "host" || record === null || record.name !== identity.name) return notMember(identity.name);
  if (!isAuthorised(identity.spiffeId, [record.spiffeId])) return notMember(identity.name);
  return hasRecordedKey(record, identity.keyFingerprint, nowMs, graceMs) ? null : wrongKey(identity.name);
}

/** The record of the member that this is. Asks the store before it says no: this node may not have heard yet. */
export async function authoriseMember(
  identity: PeerIdentity,
  directory: MemberDirectory,
  nowMs: number,
  graceMs = 0,
): Promise<MemberRecord | Failure> {
  const known = identity.kind === "host" ? directory.find(identity.name) : null;
  const problem = memberProblem(identity, known, nowMs, graceMs);
  if (problem === null) return known as MemberRecord;
  if (identity.kind !== "host" || !directory.refresh) return problem;
  const fresh = await directory.refresh(identity.name);
  return memberProblem(identity, fresh, nowMs, graceMs) ?? (fresh as MemberRecord);
}
