/** Who may do what in an etcd that knows its users by their certificates. Pure. */
import type { Keys } from "../cluster/keys.ts";
import { storeUserOf } from "./storeUsers.ts";

export type Access = "read" | "readwrite";

/** Keys from `first` on, before `end`; no `end` = this one key. Bytes in ASCII. */
export interface Permission {
  readonly access: Access;
  readonly first: string;
  readonly end: string;
}

export interface StoreMember {
  readonly name: string;
  readonly candidate: boolean;
}

export const CANDIDATE_ROLE = "wardline-candidate";
export const MEMBER_ROLE = "wardline-member";
/** A plain member's own keys: one role for each, because etcd knows no "the key that is called as you are". */
export function ownRoleOf(memberName: string): string {
  return `wardline-member:${storeUserOf(memberName)}`;
}

export function isOurRole(role: string): boolean {
  return role === CANDIDATE_ROLE || role === MEMBER_ROLE || role.startsWith("wardline-member:");
}

/** The first key after all those that start so. Prefixes end in a printable character. */
function after(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

export function candidatePermissions({ root }: Keys): Permission[] {
  return [{ access: "readwrite", first: root, end: after(root) }];
}

/** Everything but the authority's sealed key and the tokens: what lies before, between and after them. */
export function memberPermissions({ root, authority, tokens }: Keys): Permission[] {
  return [
    { access: "read", first: root, end: authority },
    { access: "read", first: `${authority}\0`, end: tokens },
    { access: "read", first: after(tokens), end: after(root) },
  ];
}

export function ownPermissions(keys: Keys, memberName: string): Permission[] {
  const own = [keys.presence(memberName), keys.report(memberName), keys.wantedNamesOf(memberName)];
  own.push(keys.anomalySummary(memberName), keys.anomalyMovement(memberName), keys.meshObservation(memberName));
  const below = [keys.meshReceiptsOf(memberName), keys.meshDecisionsOf(memberName)];
  return [
    ...own.map((first) => ({ access: "readwrite" as const, first, end: "" })),
    ...below.map((first) => ({ access: "readwrite" as const, first, end: after(first) })),
  ];
}

export function rolesOf({ name, candidate }: StoreMember): string[] {
  return candidate ? [CANDIDATE_ROLE] : [MEMBER_ROLE, ownRoleOf(name)];
}
