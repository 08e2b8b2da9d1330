/** Which role a local user has, from the host's own accounts. Read anew after a few seconds, so a removal takes effect. */
import { readFileSync } from "node:fs";
import { Role } from "@wardline/api/wardline/v1/host";
import { readUserNames } from "../linux/passwd.ts";
import type { PeerCredentials } from "../linux/peerCredentials.ts";

export interface Identity {
  /** `user (uid)` */
  readonly actor: string;
  /** UNSPECIFIED = no role at all. */
  readonly role: Role;
}

export interface RoleResolverOptions {
  readonly groupPath?: string;
  readonly passwdPath?: string;
  /** The agent's own user is admin: it could do all of this without the agent. */
  readonly agentUserId: number;
  readonly nowMs: () => number;
}

const ROLE_OF_GROUP: ReadonlyMap<string, Role> = new Map([
  ["wardline", Role.VIEWER],
  ["wardline-operators", Role.OPERATOR],
  ["wardline-admins", Role.ADMIN],
]);
const CACHE_MS = 5_000;

interface RoleGroup {
  readonly role: Role;
  readonly groupId: number;
  readonly members: ReadonlySet<string>;
}

interface Accounts {
  readonly readAtMs: number;
  readonly groups: readonly RoleGroup[];
  readonly nameByUserId: ReadonlyMap<number, string>;
}

function lines(path: string): string[][] {
  try {
    return readFileSync(path, "utf8")
      .split("\n")
      .map((line) => line.split(":"));
  } catch {
    // No accounts file: then only the superuser and the agent's own user have a role.
    return [];
  }
}

function readGroups(path: string): RoleGroup[] {
  return lines(path).flatMap(([name = "", , id = "", members = ""]) => {
    const role = ROLE_OF_GROUP.get(name);
    const isValid = role !== undefined && /^\d+$/.test(id);
    return isValid ? [{ role, groupId: Number(id), members: new Set(members.split(",").filter(Boolean)) }] : [];
  });
}

/** Group id of the group that may open the socket, or `null` when this host has no such group. */
export function socketGroupId(groupPath = "/etc/group"): number | null {
  return readGroups(groupPath).find((group) => group.role === Role.VIEWER)?.groupId ?? null;
}

export class RoleResolver {
  readonly #options: RoleResolverOptions;
  #accounts: Accounts | null = null;

  constructor(options: RoleResolverOptions) {
    this.#options = options;
  }

  resolve(credentials: PeerCredentials | null): Identity {
    if (credentials === null) return { actor: "unknown", role: Role.UNSPECIFIED };
    const { groups, nameByUserId } = this.#read();
    const { userId, groupId } = credentials;
    const name = nameByUserId.get(userId);
    const actor = `${name ?? "unknown"} (${userId})`;
    if (userId === 0 || userId === this.#options.agentUserId) return { actor, role: Role.ADMIN };
    const roles = groups
      .filter((group) => group.groupId === groupId || (name !== undefined && group.members.has(name)))
      .map((group) => group.role);
    return { actor, role: Math.max(Role.UNSPECIFIED, ...roles) };
  }

  #read(): Accounts {
    const nowMs = this.#options.nowMs();
    if (this.#accounts && nowMs - this.#accounts.readAtMs < CACHE_MS) return this.#accounts;
    this.#accounts = {
      readAtMs: nowMs,
      groups: readGroups(this.#options.groupPath ?? "/etc/group"),
      nameByUserId: readUserNames(this.#options.passwdPath),
    };
    return this.#accounts;
  }
}
