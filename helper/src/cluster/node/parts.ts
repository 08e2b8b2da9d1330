/** Everything of the cluster that works on one store, put together. Made anew when the store or the membership changes. */
import { networkInterfaces } from "node:os";
import type { StoreConfiguration } from "@wardline/api/wardline/v1/cluster";
import { AGENT_VERSION } from "../../agent/version.ts";
import { anomalyDuties } from "../anomaly/anomalyDuties.ts";
import { AnomalyExchange } from "../anomaly/anomalyExchange.ts";
import { DesiredReplica } from "../desired/desiredReplica.ts";
import { DesiredSet } from "../desired/desiredSet.ts";
import { Reconciler } from "../desired/reconciler.ts";
import type { ClusterDiscovery } from "../discovery/discovery.ts";
import { leadershipDuties } from "../leadership/duties.ts";
import { DutyRunner } from "../leadership/dutyRunner.ts";
import { Leadership } from "../leadership/leadership.ts";
import { Session } from "../leadership/session.ts";
import { Membership } from "../membership/membership.ts";
import { meshDuties } from "../mesh/meshDuties.ts";
import { MeshExchange } from "../mesh/meshExchange.ts";
import { NoteStore } from "../notes/noteStore.ts";
import type { LeaderDuty } from "../ports.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import type { Links } from "./links.ts";
import { KEYS, type NodePorts } from "./nodePorts.ts";
import { readHeadFresh, type StoreContext } from "./stores.ts";

export interface PartsPlan {
  readonly ports: NodePorts;
  readonly context: StoreContext;
  readonly store: ClusterStore;
  readonly configuration: StoreConfiguration;
  readonly leaseMs: number;
  readonly candidate: boolean;
  /** `null` = this node is alone. */
  readonly links: Links | null;
}

/** How long an orderly end may take before what is left is given up: leases run out by themselves. */
const STOP_WITHIN_MS = 8_000;

export class ClusterParts {
  readonly plan: PartsPlan;
  readonly session: Session;
  readonly leadership: Leadership;
  readonly membership: Membership;
  readonly replica: DesiredReplica;
  readonly desired: DesiredSet;
  readonly reconciler: Reconciler;
  readonly discovery: ClusterDiscovery;
  readonly notes: NoteStore;
  /** `null` = this node is alone, or looks for nothing. */
  readonly anomaly: AnomalyExchange | null;
  /** `null` = this node is alone, or has nothing to do with meshes. */
  readonly mesh: MeshExchange | null;
  readonly duties: DutyRunner;
  readonly #ended = new AbortController();
  #forgetRegistration: () => void = () => {};

  constructor(plan: PartsPlan) {
    this.plan = plan;
    const { ports, store, candidate, leaseMs, links } = plan;
    const { clock, log, hostName } = ports;
    const random = Math.random;
    const common = { store, keys: KEYS, clock, random, log };
    this.session = new Session({ ...common, leaseMs });
    this.leadership = new Leadership({
      ...common,
      session: this.session,
      name: hostName,
      candidate,
      mayCampaign: () => this.membership.isRegistered,
    });
    this.membership = new Membership({
      ...common,
      session: this.session,
      leadership: this.leadership,
      self: { name: hostName, agentVersion: AGENT_VERSION, addresses: ownAddresses },
      ...(links === null ? {} : { measureClock: (leader, signal) => links.measureClock(leader, signal) }),
    });
    this.replica = new DesiredReplica({ store, keys: KEYS, clock, log });
    this.desired = new DesiredSet({ ...common, replica: this.replica, leadership: this.leadership });
    this.reconciler = this.#makeReconciler();
    this.reconciler.onChange(() => ports.onReport?.(this.reconciler.report));
    const { leadership, membership } = this;
    this.discovery = ports.discovery.follow({ store, keys: KEYS, memberName: hostName, membership, leadership });
    this.notes = new NoteStore({ store, keys: KEYS });
    this.anomaly =
      links === null || ports.anomaly === undefined
        ? null
        : new AnomalyExchange({ ...common, memberName: hostName, membership, sharing: ports.anomaly });
    this.mesh = this.#makeMeshExchange();
    this.duties = new DutyRunner({ leadership, duties: this.#dutyList(), clock, random, log });
  }

  get store(): ClusterStore {
    return this.plan.store;
  }

  /** Aborted when these parts end. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Called after each change of what the status shows. Returns the unsubscriber. */
  onChange(listener: () => void): () => void {
    const { session, leadership, membership, replica, reconciler } = this;
    const unsubscribers = [session, leadership, membership, replica, reconciler].map((part) => part.onChange(listener));
    return () => {
      for (const unsubscribe of unsubscribers) unsubscribe();
    };
  }

  /** Returns without waiting for the store: whatever needs it tries again by itself. */
  async start(): Promise<void> {
    this.#forgetRegistration = this.#campaignOnceRegistered();
    this.session.start();
    this.leadership.start();
    this.membership.start();
    this.replica.start();
    await this.reconciler.start();
    this.anomaly?.start();
    this.mesh?.start();
    this.duties.start();
  }

  /**
   * Ends the work on the store: presence STOPPED, a held term resigned. What this host enforces stays. The links and the
   * store stay open, for whoever has something to say before {@link close}. Never rejects, and takes 8 s at most.
   */
  stop(end: "resigned" | "removed" = "resigned"): Promise<void> {
    this.#ended.abort();
    return withinTime(async () => {
      await this.reconciler.close();
      await this.duties.stop();
      await this.discovery.close();
      await this.anomaly?.close();
      await this.mesh?.close();
      this.#forgetRegistration();
      await this.leadership.stop(end);
      await this.membership.stop();
      await this.replica.close();
      await this.session.stop();
    }, this.plan.ports);
  }

  async close(): Promise<void> {
    const { links, store, ports } = this.plan;
    await withinTime(async () => links?.close(), ports);
    await store.close();
  }

  #campaignOnceRegistered(): () => void {
    let wasRegistered = false;
    return this.membership.onChange(() => {
      const { isRegistered } = this.membership;
      if (isRegistered && !wasRegistered) this.leadership.reconsider();
      wasRegistered = isRegistered;
    });
  }

  #makeReconciler(): Reconciler {
    const { ports, store, context, configuration, links } = this.plan;
    const { controller, engine, clock, log, hostName, stateDir, trail } = ports;
    return new Reconciler({
      store,
      keys: KEYS,
      replica: this.replica,
      controller,
      engine,
      clock,
      log,
      hostName,
      stateDir,
      mayReport: () => this.membership.isRegistered,
      freshProof: (signal) => readHeadFresh(store, configuration, context, links?.identity ?? null, signal),
      recordAutomatic: (action, detail) => {
        log.info({ action, detail }, "the host follows the cluster");
        void trail.automatic(action, detail);
      },
    });
  }

  #makeMeshExchange(): MeshExchange | null {
    const { ports, candidate, links } = this.plan;
    if (links === null || ports.mesh === undefined) return null;
    const { membership, leadership } = this;
    const isRegistered = () => membership.isRegistered;
    const storeProblem = () => this.session.problem;
    const self = {
      memberName: ports.hostName,
      candidate,
      isRegistered,
      storeProblem,
      log: ports.log,
      mesh: ports.mesh,
    };
    return new MeshExchange({ ...this.#dutyPorts(), ...self, membership, leadership });
  }

  #meshDuties(): readonly LeaderDuty[] {
    const { membership } = this;
    const { hostName, log } = this.plan.ports;
    return this.plan.links === null ? [] : meshDuties({ ...this.#dutyPorts(), log, memberName: hostName, membership });
  }

  #dutyPorts() {
    const { store, ports } = this.plan;
    return { store, keys: KEYS, clock: ports.clock, random: Math.random };
  }

  #dutyList(): LeaderDuty[] {
    const { links } = this.plan;
    return [
      ...this.membership.duties(),
      ...this.desired.duties(),
      ...this.discovery.duties,
      ...(links?.duties ?? []),
      ...(links === null ? [] : anomalyDuties({ ...this.#dutyPorts(), membership: this.membership })),
      ...this.#meshDuties(),
      ...leadershipDuties(this.#dutyPorts()),
    ];
  }
}

async function withinTime(work: () => Promise<unknown>, { log }: Pick<NodePorts, "log">): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const isLate = new Promise<true>((resolve) => {
    timer = setTimeout(() => resolve(true), STOP_WITHIN_MS);
  });
  try {
    const ended = await Promise.race([work().then(() => false), isLate]);
    if (ended) log.warn({ withinMs: STOP_WITHIN_MS }, "the cluster's parts did not end in time and are left behind");
  } catch (error) {
    log.error({ err: error }, "a part of the cluster failed while it ended");
  } finally {
    clearTimeout(timer);
  }
}

/** Where this host can be reached, loopback and link-local addresses left out. */
function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const reachable = all.filter(({ internal, address }) => !internal && !/^(fe80:|169\.254\.)/i.test(address));
  return reachable.map(({ address }) => address).sort();
}
