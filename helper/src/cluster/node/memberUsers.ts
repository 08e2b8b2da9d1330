/**
 * A user in etcd for each member, where the cluster's store is configured so: etcd itself then holds members to what they may,
 * and a certificate ends to count there with its member. Kept in step by the leader.
 */
import { MemberRecordSchema, type StoreConfiguration } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { Authority } from "../../identity/authority.ts";
import type { StoreMember } from "../../identity/etcdPermissions.ts";
import { EtcdRoles } from "../../identity/etcdRoles.ts";
import type { Roots } from "../../identity/trustBundle.ts";
import { rootsPem } from "../../identity/trustBundle.ts";
import { sentenceOf, waitFor } from "../leadership/waiting.ts";
import type { HeldTerm, MembershipView } from "../ports.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import { askForDemand } from "./certificateDemand.ts";
import { decode } from "./clusterRecord.ts";
import { KEYS } from "./nodePorts.ts";
import { serverCheck } from "./serverCheck.ts";

export interface MemberUsersPorts {
  readonly configuration: StoreConfiguration;
  readonly authority: () => Promise<Authority>;
  readonly roots: () => Roots;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a lost word about a change costs. */
const LOOK_EVERY_MS = 60_000;
/** Members come in bursts. */
const COALESCE_MS = 200;
const COMPARED_MEMBERS = 100;

export class MemberUsers {
  readonly #ports: MemberUsersPorts;
  readonly #roles: EtcdRoles;

  constructor(ports: MemberUsersPorts) {
    this.#ports = ports;
    const { configuration, authority, roots, clock, log } = ports;
    const { endpoints, serverCaPem } = configuration;
    const check = serverCaPem === "" ? { verifyServer: serverCheck(roots, clock) } : {};
    this.#roles = new EtcdRoles({ endpoints, keys: KEYS, authority, serverCaPem, ...check, clock, log });
  }

  /** What is in the way of it, as sentences. Endpoints that do not answer are: nobody knows what they would let in. */
  async obstacles(): Promise<readonly string[]> {
    const { configuration, roots } = this.#ports;
    const ca = configuration.serverCaPem === "" ? rootsPem(roots()) : configuration.serverCaPem;
    const demands = await Promise.all(configuration.endpoints.map((endpoint) => askForDemand(endpoint, ca)));
    return demands.flatMap((demand, at) => {
      const endpoint = configuration.endpoints[at];
      if (demand === "demanded") return [];
      return demand === "unreachable"
        ? [`${endpoint} does not answer, so nobody knows whether it asks for certificates.`]
        : [`${endpoint} lets in who shows no certificate: start it with --client-cert-auth.`];
    });
  }

  /** Turns authentication on for exactly these. Throws `Failure` INVALID_ARGUMENT while something is in the way. */
  async enable(members: readonly StoreMember[]): Promise<void> {
    await this.refuseObstacles();
    await this.#roles.enable(members);
  }

  async refuseObstacles(): Promise<void> {
    const [obstacle] = await this.obstacles();
    if (obstacle !== undefined) {
      const message = `etcd cannot tell members apart: ${obstacle}`;
      throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message, hint: "Nothing was changed." });
    }
  }

  disable(): Promise<void> {
    return this.#roles.disable();
  }

  admit(member: StoreMember): Promise<void> {
    return this.#roles.admit(member);
  }

  /**
   * Ends what a removed member may do in the store, now: the duty does the same, but may be in a pause after a failure.
   * Never rejects.
   */
  async remove(memberName: string): Promise<void> {
    try {
      await this.#roles.remove(memberName);
    } catch (error) {
      this.#ports.log.warn(
        { problem: sentenceOf(error), member: memberName },
        "the store still knows a removed member",
      );
    }
  }

  /** The leader's duty. What it throws is shown, and it begins anew. */
  async run({ signal }: HeldTerm, store: ClusterStore, membership: MembershipView): Promise<void> {
    const changes = new Wake(membership);
    try {
      let known = await readMembers(store);
      await this.#roles.enable(known);
      while (!signal.aborted) {
        const isChanged = await changes.next(this.#ports.clock, signal);
        if (signal.aborted) return;
        const present = await readMembers(store);
        if (isChanged || !isSame(known, present)) await this.#bring(known, present);
        known = present;
      }
    } finally {
      changes.close();
    }
  }

  /**
   * Other candidates make users too, for hosts that they let in: one that came and went between two looks is in neither
   * list. So everything is compared, as long as that is cheap.
   */
  async #bring(known: readonly StoreMember[], present: readonly StoreMember[]): Promise<void> {
    if (present.length <= COMPARED_MEMBERS) return this.#roles.enable(present);
    for (const member of present.filter((each) => !isIn(known, each))) await this.#roles.admit(member);
    const names = new Set(present.map(({ name }) => name));
    for (const { name } of known.filter((each) => !names.has(each.name))) await this.#roles.remove(name);
  }
}

/** Loses no change that comes while the last one is worked on. */
class Wake {
  readonly #unsubscribe: () => void;
  #isChanged = false;
  #woken = new AbortController();

  constructor(membership: MembershipView) {
    this.#unsubscribe = membership.onChange(() => {
      this.#isChanged = true;
      this.#woken.abort();
    });
  }

  /** True after a change, false after a while without one. */
  async next(clock: Clock, signal: AbortSignal): Promise<boolean> {
    await waitFor(clock, LOOK_EVERY_MS, AbortSignal.any([signal, this.#woken.signal]));
    const isChanged = this.#isChanged;
    if (isChanged) await waitFor(clock, COALESCE_MS, signal);
    this.#isChanged = false;
    this.#woken = new AbortController();
    return isChanged;
  }

  close(): void {
    this.#unsubscribe();
  }
}

function isSame(one: readonly StoreMember[], other: readonly StoreMember[]): boolean {
  return one.length === other.length && one.every((member) => isIn(other, member));
}

function isIn(members: readonly StoreMember[], { name, candidate }: StoreMember): boolean {
  return members.some((each) => each.name === name && each.candidate === candidate);
}

export async function readMembers(store: ClusterStore): Promise<readonly StoreMember[]> {
  const { items } = await store.range(KEYS.members);
  return items.map((item) => {
    const { name, candidate } = decode(MemberRecordSchema, item);
    return { name, candidate };
  });
}
