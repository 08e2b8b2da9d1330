/**
 * The clusters that this console's hosts are in, each followed through one member that can be reached, and the way to
 * write to them.
 */
import type { ClusterView } from "@wardline/api/wardline/console/v1/cluster";
import type { ClusterStatus } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, type Failure } from "@wardline/domain/errors";
import type { ClusterClient } from "../agent/dialer.ts";
import { mapPooled } from "../async/pool.ts";
import { ChangeSignal } from "../async/signal.ts";
import type { HostRegistry, ManagedHost } from "../hosts/managed-host.ts";
import type { Clock, Logger } from "../ports.ts";
import { callCluster, NotSent } from "./cluster-calls.ts";
import { followCluster } from "./cluster-follower.ts";
import { type WriteOptions, writeToCluster } from "./cluster-writes.ts";
import { clusterKeyOf, type HostCluster, HostClusters } from "./host-clusters.ts";
import { type ClusterHost, type KnownCluster, viewOf } from "./known-cluster.ts";
import {
  ambiguous,
  byUse,
  isConnected,
  isListed,
  isWorthAsking,
  readersOf,
  requireFailure,
  termOf,
  unknownCluster,
} from "./member-choice.ts";

/** A host may join or leave by somebody else's hand. */
const ASK_MEMBERS_EVERY_MS = 60_000;
const ASK_OTHERS_EVERY_MS = 15_000;
const ASK_AFTER_FAILURE_MS = 5_000;
const AT_ONCE = 8;

export interface GatewayPorts {
  readonly registry: HostRegistry;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a member last said of its cluster. */
interface Said {
  readonly status: ClusterStatus;
  readonly through: ManagedHost | null;
  readonly receivedAtMs: number;
  readonly problem: Failure | null;
}

export class ClusterGateway {
  /** Notifies when what {@link list} gives has changed. */
  readonly changes = new ChangeSignal();
  readonly hosts: HostClusters;
  readonly #ports: GatewayPorts;
  readonly #said = new Map<string, Said>();
  /** What follows each host and each cluster while somebody looks. */
  readonly #followers = new Map<string, AbortController>();
  readonly #statusNumbers = new WeakMap<ClusterStatus, number>();
  #nextStatusNumber = 1;
  #lookers = 0;
  #leaveRegistry: (() => void)[] = [];

  constructor(ports: GatewayPorts) {
    this.#ports = ports;
    this.hosts = new HostClusters(ports.clock);
  }

  /** Every cluster that a host of this console is in, by name. */
  list(): KnownCluster[] {
    const groups = new Map<string, ClusterHost[]>();
    for (const host of this.#ports.registry.hosts) {
      const place = this.hosts.of(host.id);
      if (place.kind !== "member") continue;
      const { self, status, isShort, receivedAtMs } = place;
      const key = clusterKeyOf(status);
      groups.set(key, [...(groups.get(key) ?? []), { host, self, status, isShort, receivedAtMs }]);
    }
    return [...groups].map(([key, hosts]) => this.#known(key, hosts)).sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  views(): ClusterView[] {
    return this.list().map(viewOf);
  }

  /** Another text whenever {@link list} and {@link hostIds} say something else. */
  revision(): string {
    const clusters = this.list().map(({ key, status, receivedAtMs, through, problem, hosts }) => [
      ...[key, receivedAtMs, this.#numberOf(status), through?.id ?? "", problem?.message ?? ""],
      ...hosts.map(({ host, self }) => `${host.id} ${self}`),
    ]);
    return JSON.stringify([clusters, this.hostIds("alone"), this.hostIds("outdated")]);
  }

  /** Ids of hosts that can be reached and are of this kind. */
  hostIds(kind: "alone" | "outdated"): string[] {
    return this.#ports.registry.hosts
      .filter(({ id, connection }) => isConnected(connection) && this.hosts.of(id).kind === kind)
      .map(({ id }) => id);
  }

  /** Follows hosts and clusters until the returned function is called. Hosts that nobody needs are not connected for it. */
  look(): () => void {
    if (this.#lookers++ === 0) this.#start();
    let isLooking = true;
    return () => {
      if (!isLooking) return;
      isLooking = false;
      if (--this.#lookers === 0) this.#stop();
    };
  }

  /**
   * The cluster of that name; hosts that were not asked yet are asked.
   * @throws Failure NOT_FOUND, INVALID_ARGUMENT (two clusters have the name), and of the hosts when none answers
   */
  async require(name: string): Promise<KnownCluster> {
    let found = this.list().filter((cluster) => cluster.name === name);
    const failures = found.length === 0 ? await this.askAll() : [];
    if (found.length === 0) found = this.list().filter((cluster) => cluster.name === name);
    const [first, second] = found;
    if (first && !second) return first;
    if (first) throw ambiguous(name, found);
    throw unknownCluster(name, failures);
  }

  /** Asks every host that was not asked yet. Returns what kept those from answering that did not. */
  async askAll(): Promise<Failure[]> {
    const open = this.#ports.registry.hosts.filter(({ id }) => this.hosts.of(id).kind === "unknown");
    const answers = await mapPooled(open, AT_ONCE, (host) => this.#askQuietly(host));
    return answers.filter((answer) => answer !== null);
  }

  /** At one host, whatever cluster it is in. @throws Failure */
  async onHost<Result>(host: ManagedHost, body: (client: ClusterClient) => Promise<Result>): Promise<Result> {
    try {
      return await callCluster(host.connection, body);
    } catch (error) {
      throw error instanceof NotSent ? error.failure : error;
    }
  }

  /** Through the first member that answers. @throws Failure */
  async read<Result>(name: string, body: (client: ClusterClient) => Promise<Result>): Promise<Result> {
    const cluster = await this.require(name);
    let failure: Failure | null = null;
    for (const host of readersOf(cluster)) {
      try {
        return await callCluster(host.connection, body);
      } catch (error) {
        failure = error instanceof NotSent ? error.failure : requireFailure(error);
        if (!isWorthAsking(failure)) throw failure;
        if (failure.code === ErrorCode.NOT_A_MEMBER) await this.#askQuietly(host);
      }
    }
    throw failure ?? unknownCluster(name, []);
  }

  /** At the leader, or at who hands it on. @throws Failure, see `writeToCluster` */
  write<Result>(
    name: string,
    body: (client: ClusterClient) => Promise<Result>,
    options: WriteOptions = {},
  ): Promise<Result> {
    const refresh = async (host: ManagedHost) => void (await this.#askQuietly(host));
    return writeToCluster({ ...this.#ports, require: () => this.require(name), refresh }, body, options);
  }

  /** Members that are connected already, the best first: what only follows a cluster connects nobody. */
  connectedMembers(key: string): ManagedHost[] {
    const cluster = this.list().find((each) => each.key === key);
    return cluster ? byUse(cluster.hosts, cluster.status) : [];
  }

  /** Takes over what a host answered to a call of ours. */
  learn(host: ManagedHost, status: ClusterStatus): HostCluster {
    const place = this.hosts.learn(host.id, status);
    if (place.kind === "member") this.#say(host, status);
    this.changes.notify();
    return place;
  }

  #numberOf(status: ClusterStatus): number {
    const number = this.#statusNumbers.get(status) ?? this.#nextStatusNumber++;
    this.#statusNumbers.set(status, number);
    return number;
  }

  #known(key: string, hosts: readonly ClusterHost[]): KnownCluster {
    // The last one that was asked is the one that is kept whole.
    const newest = hosts.find(({ isShort }) => !isShort) ?? (hosts[0] as ClusterHost);
    const said = this.#said.get(key);
    // A host that was asked later may know more, but what is followed is whole and in order.
    const isOlder = said !== undefined && termOf(said.status) < termOf(newest.status) && !newest.status.stale;
    const isFollowed =
      said !== undefined && !isOlder && (said.problem === null || said.receivedAtMs >= newest.receivedAtMs);
    const { status, receivedAtMs } = isFollowed ? said : newest;
    const through = isFollowed ? said.through : newest.host;
    return { key, name: status.clusterName, status, receivedAtMs, through, problem: said?.problem ?? null, hosts };
  }

  #start(): void {
    const { registry } = this.#ports;
    this.#leaveRegistry = [
      registry.changes.subscribe(() => this.#reconcile()),
      this.hosts.changes.subscribe(() => this.#reconcile()),
    ];
    this.#reconcile();
  }

  #stop(): void {
    for (const leave of this.#leaveRegistry.splice(0)) leave();
    for (const follower of this.#followers.values()) follower.abort();
    this.#followers.clear();
  }

  /** One follower for each host and each cluster that there is now. */
  #reconcile(): void {
    const hosts = new Map(this.#ports.registry.hosts.map((host) => [`host ${host.id}`, host]));
    const clusters = new Map(this.list().map((cluster) => [`cluster ${cluster.key}`, cluster.key]));
    for (const [id, follower] of this.#followers) {
      if (hosts.has(id) || clusters.has(id)) continue;
      follower.abort();
      this.#followers.delete(id);
      if (id.startsWith("cluster ")) this.#said.delete(id.slice("cluster ".length));
      else this.hosts.forget(id.slice("host ".length));
    }
    for (const [id, host] of hosts) this.#follow(id, (signal) => this.#followHost(host, signal));
    for (const [id, key] of clusters) this.#follow(id, (signal) => this.#followCluster(key, signal));
    this.changes.notify();
  }

  #follow(id: string, run: (signal: AbortSignal) => Promise<void>): void {
    if (this.#followers.has(id)) return;
    const controller = new AbortController();
    this.#followers.set(id, controller);
    run(controller.signal).catch((error: unknown) =>
      this.#ports.logger.error({ follower: id, err: error }, "following clusters ended by a defect"),
    );
  }

  /** Asks at each new connection, and now and then. */
  async #followHost(host: ManagedHost, signal: AbortSignal): Promise<void> {
    const { clock } = this.#ports;
    while (!signal.aborted) {
      if (!(await host.connection.waitForClient(signal))) return;
      const failure = await this.#askQuietly(host, signal);
      const lost = new AbortController();
      const stop = host.connection.changes.subscribe(() => {
        if (!isConnected(host.connection)) lost.abort();
      });
      const isMember = this.hosts.of(host.id).kind === "member";
      const pauseMs = failure ? ASK_AFTER_FAILURE_MS : isMember ? ASK_MEMBERS_EVERY_MS : ASK_OTHERS_EVERY_MS;
      await clock.sleep(pauseMs, AbortSignal.any([signal, lost.signal]));
      stop();
      if (lost.signal.aborted) this.changes.notify();
    }
  }

  async #followCluster(key: string, signal: AbortSignal): Promise<void> {
    const reachable = new ChangeSignal();
    // Hosts that connect are asked where they are; that notifies whatever the answer was.
    const leave = this.changes.subscribe(() => reachable.notify());
    try {
      await followCluster(
        {
          clock: this.#ports.clock,
          changes: reachable,
          candidates: () => this.connectedMembers(key),
          onStatus: (host, status) => {
            const place = this.hosts.learn(host.id, status);
            if (place.kind !== "member" || clusterKeyOf(status) !== key) return "other";
            const hasAnother = this.#hasListed(key, host);
            if (!isListed(status) && hasAnother) return "other";
            this.#say(host, status);
            this.#askChanged(status);
            return status.stale && hasAnother ? "stale" : "followed";
          },
          onProblem: (problem) => this.#problem(key, problem),
        },
        signal,
      );
    } finally {
      leave();
    }
  }

  /** Whether another host can be asked that is a member by its own cluster's word. */
  #hasListed(key: string, except: ManagedHost): boolean {
    const hosts = this.list().find((cluster) => cluster.key === key)?.hosts ?? [];
    return hosts.some(({ host, status }) => host !== except && isConnected(host.connection) && isListed(status));
  }

  #say(host: ManagedHost, status: ClusterStatus): void {
    const receivedAtMs = this.#ports.clock.nowMs();
    this.#said.set(clusterKeyOf(status), { status, through: host, receivedAtMs, problem: null });
    this.changes.notify();
  }

  #problem(key: string, problem: Failure): void {
    const said = this.#said.get(key);
    if (!said || (said.problem?.message === problem.message && said.through === null)) return;
    this.#said.set(key, { ...said, problem, through: null });
    this.changes.notify();
  }

  /** The cluster lists a host that was not in it when it was asked, or no longer lists one: it is asked anew. */
  #askChanged(status: ClusterStatus): void {
    const names = new Set(status.members.map(({ record }) => record?.name ?? ""));
    const key = clusterKeyOf(status);
    for (const host of this.#ports.registry.hosts) {
      const place = this.hosts.of(host.id);
      if (!isConnected(host.connection)) continue;
      const isNew = place.kind === "alone" && names.has(place.self || host.connection.hostName);
      const isGone = place.kind === "member" && clusterKeyOf(place.status) === key && !names.has(place.self);
      if (isNew || isGone) void this.#askQuietly(host);
    }
  }

  /** `null` when it answered. */
  async #askQuietly(host: ManagedHost, signal?: AbortSignal): Promise<Failure | null> {
    try {
      await this.hosts.probe(host, signal);
      this.changes.notify();
      return null;
    } catch (error) {
      return error instanceof NotSent ? error.failure : requireFailure(error);
    }
  }
}
