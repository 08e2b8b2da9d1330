/**
 * Users and roles of an etcd with client certificates: a user per member, known by the common name of its certificate and
 * without a password, so that etcd itself holds members to what they may. A candidate does this as etcd's administrator, with
 * a certificate that it issues to itself for minutes.
 */
import { createPublicKey } from "node:crypto";
import { Permission_Type } from "@wardline/api/authpb/auth";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import type { Clock } from "../agent/clock.ts";
import type { Keys } from "../cluster/keys.ts";
import { Authentication } from "../cluster/store/etcd/authentication.ts";
import { type AttemptOptions, EtcdCalls, REPEATABLE } from "../cluster/store/etcd/calls.ts";
import { type Endpoint, EndpointPool } from "../cluster/store/etcd/endpointPool.ts";
import type { EtcdStoreOptions } from "../cluster/store/etcdStore.ts";
import type { Authority } from "./authority.ts";
import {
  CANDIDATE_ROLE,
  candidatePermissions,
  isOurRole,
  MEMBER_ROLE,
  memberPermissions,
  ownPermissions,
  ownRoleOf,
  type Permission,
  rolesOf,
  type StoreMember,
} from "./etcdPermissions.ts";
import { newPrivateKey, privateKeyPem } from "./keyPairs.ts";
import { STORE_ADMINISTRATOR, storeUserOf } from "./storeUsers.ts";

export interface EtcdRolesPorts {
  /** `https` only: without certificates etcd knows nobody. */
  readonly endpoints: readonly string[];
  readonly keys: Keys;
  readonly authority: () => Promise<Authority>;
  /** PEM of who signed the server's certificate; the cluster's own authority when empty. */
  readonly serverCaPem: string;
  readonly verifyServer?: EtcdStoreOptions["verifyServer"];
  readonly clock: Clock;
  readonly log: Logger;
}

type Perform<T> = (auth: Endpoint["auth"], options: AttemptOptions) => Promise<T>;
/** One call to etcd as its administrator. */
type Ask = <T>(perform: Perform<T>) => Promise<T>;

const CALL_TIMEOUT_MS = 10_000;
const ROOT_ROLE = "root";

export class EtcdRoles {
  readonly #ports: EtcdRolesPorts;

  /** Throws `Failure` INVALID_ARGUMENT for endpoints without TLS. */
  constructor(ports: EtcdRolesPorts) {
    if (ports.endpoints.some((endpoint) => !endpoint.startsWith("https:"))) {
      const message = "etcd can tell members apart only by their certificates: its endpoints have to begin with https.";
      throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
    }
    this.#ports = ports;
  }

  /**
   * Makes roles and users for exactly these members and turns authentication on. May be called again at any time: what is
   * right stays as it is, users of hosts that are no members any more go, users that somebody else made are not touched.
   * Throws `Failure` of the store; what was done until then stays, and the next call goes on from there. Throws ALREADY_EXISTS,
   * after everything else is done, when etcd has a user of a member's name that somebody else made: that member would have
   * this user's rights.
   */
  enable(members: readonly StoreMember[]): Promise<void> {
    return this.#asAdministrator(async (ask) => {
      await this.#writeRole(ask, CANDIDATE_ROLE, candidatePermissions(this.#ports.keys));
      await this.#writeRole(ask, MEMBER_ROLE, memberPermissions(this.#ports.keys));
      const taken: Failure[] = [];
      const users = await usersOf(ask);
      for (const member of members) {
        const problem = await this.#writeMember(ask, member, users);
        if (problem) taken.push(problem);
      }
      await this.#removeOthers(ask, members, users);
      await this.#writeUser(ask, STORE_ADMINISTRATOR, [ROOT_ROLE]);
      await ask((auth, options) => auth.authEnable({}, options));
      if (taken[0]) throw taken[0];
    });
  }

  /** One more member. Throws ALREADY_EXISTS as `enable` does. */
  admit(member: StoreMember): Promise<void> {
    return this.#asAdministrator(async (ask) => {
      const problem = await this.#writeMember(ask, member, await usersOf(ask));
      if (problem) throw problem;
    });
  }

  /** Its certificate opens nothing there from now on. A watch that is open already goes on until its connection ends. */
  remove(memberName: string): Promise<void> {
    return this.#asAdministrator((ask) => this.#deleteMember(ask, storeUserOf(memberName)));
  }

  /** Everybody with a certificate may do everything again. Roles and users stay. */
  disable(): Promise<void> {
    return this.#asAdministrator((ask) => ask(async (auth, options) => void (await auth.authDisable({}, options))));
  }

  async #asAdministrator<T>(work: (ask: Ask) => Promise<T>): Promise<T> {
    const { endpoints, authority, serverCaPem, verifyServer, clock, log } = this.#ports;
    const { chainPem, bundlePem, key } = await administrator(await authority(), clock.wallMs());
    const ca = serverCaPem === "" ? bundlePem : serverCaPem;
    const tls = () => ({ cert: chainPem, key, ca });
    const pool = new EndpointPool({ endpoints, tls, ...(verifyServer ? { verifyServer } : {}), clock, log });
    try {
      const calls = new EtcdCalls(pool, new Authentication(undefined), log);
      return await work((perform) =>
        calls.call(REPEATABLE, { timeoutMs: CALL_TIMEOUT_MS }, ({ auth }, options) => perform(auth, options)),
      );
    } finally {
      await pool.close();
    }
  }

  /** Why it was left out; `null` = it was not. */
  async #writeMember(ask: Ask, member: StoreMember, users: ReadonlySet<string>): Promise<Failure | null> {
    const { keys } = this.#ports;
    const user = storeUserOf(member.name);
    if (users.has(user) && (await this.#isSomebodyElses(ask, user))) return nameTaken(member.name);
    if (!member.candidate) await this.#writeRole(ask, ownRoleOf(member.name), ownPermissions(keys, member.name));
    await this.#writeUser(ask, user, rolesOf(member));
    return null;
  }

  /** Has rights, and none of ours. */
  async #isSomebodyElses(ask: Ask, name: string): Promise<boolean> {
    const { roles } = await ask((auth, options) => auth.userGet({ name }, options));
    return roles.length > 0 && !roles.some(isOurRole);
  }

  async #writeRole(ask: Ask, name: string, permissions: readonly Permission[]): Promise<void> {
    await unlessSaid(
      /already exists/,
      ask((auth, options) => auth.roleAdd({ name }, options)),
    );
    for (const { access, first, end } of permissions) {
      const permType = access === "read" ? Permission_Type.READ : Permission_Type.READWRITE;
      const perm = { permType, key: Buffer.from(first), rangeEnd: Buffer.from(end) };
      await ask((auth, options) => auth.roleGrantPermission({ name, perm }, options));
    }
  }

  /** The user has exactly these of our roles, and others if somebody else gave it some. */
  async #writeUser(ask: Ask, name: string, roles: readonly string[]): Promise<void> {
    const user = { name, options: { noPassword: true } };
    await unlessSaid(
      /already exists/,
      ask((auth, options) => auth.userAdd(user, options)),
    );
    const { roles: present } = await ask((auth, options) => auth.userGet({ name }, options));
    for (const role of present.filter((one) => isOurRole(one) && !roles.includes(one))) {
      await ask((auth, options) => auth.userRevokeRole({ name, role }, options));
    }
    for (const role of roles.filter((one) => !present.includes(one))) {
      await ask((auth, options) => auth.userGrantRole({ user: name, role }, options));
    }
  }

  async #removeOthers(ask: Ask, members: readonly StoreMember[], users: ReadonlySet<string>): Promise<void> {
    const wanted = new Set(members.map(({ name }) => storeUserOf(name)));
    for (const name of [...users].filter((user) => !wanted.has(user) && user !== STORE_ADMINISTRATOR)) {
      const { roles } = await ask((auth, options) => auth.userGet({ name }, options));
      if (roles.some(isOurRole)) await this.#deleteMember(ask, name);
    }
  }

  async #deleteMember(ask: Ask, user: string): Promise<void> {
    await unlessSaid(
      /not found/,
      ask((auth, options) => auth.userDelete({ name: user }, options)),
    );
    const role = `${MEMBER_ROLE}:${user}`;
    await unlessSaid(
      /not found/,
      ask((auth, options) => auth.roleDelete({ role }, options)),
    );
  }
}

async function usersOf(ask: Ask): Promise<ReadonlySet<string>> {
  return new Set((await ask((auth, options) => auth.userList({}, options))).users);
}

function nameTaken(memberName: string): Failure {
  return new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: `etcd has a user called ${memberName} that is not of this cluster: the member of that name would have its rights.`,
    hint: "Rename or delete that user in etcd, or remove the member and let it join under another name.",
  });
}

async function administrator(authority: Authority, nowMs: number) {
  const privateKey = newPrivateKey();
  const { chainPem } = await authority.issueStoreAdministrator(createPublicKey(privateKey), nowMs);
  return { chainPem, bundlePem: authority.bundlePem, key: privateKeyPem(privateKey) };
}

/** A step that was done before is done. etcd says so in words only. */
async function unlessSaid(words: RegExp, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof Failure && words.test(error.message))) throw error;
  }
}
