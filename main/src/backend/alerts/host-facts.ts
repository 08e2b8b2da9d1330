/** What rules may say of the hosts and clusters of this console at this moment. */
import { Drift, Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { MemberState, SyncState } from "@wardline/api/wardline/v1/cluster";
import type { ClusterFact, HostFact } from "@wardline/domain/alerts";
import { type KnownCluster, leaderOf } from "../cluster/known-cluster.ts";
import { labelOf, type ManagedHost } from "../hosts/managed-host.ts";
import { told } from "./delivery/outcome.ts";

/** Of which nothing is known now: neither that something is wrong nor that it is right. */
export interface Facts<Fact> {
  readonly facts: readonly Fact[];
  readonly unknown: ReadonlySet<string>;
  /** Of which not even that is known whether they can be reached. */
  readonly undecided: ReadonlySet<string>;
}

const REACHED_NOT = new Set([
  Reachability.LOST,
  Reachability.NO_AGENT,
  Reachability.PERMISSION_DENIED,
  Reachability.VERSION_MISMATCH,
  Reachability.UNREACHABLE,
  Reachability.HOST_KEY,
  Reachability.AUTHENTICATION,
]);
/** Losses are told for so long after they were seen. */
const LOSSES_TOLD_MS = 600_000;

export interface HostFactsPorts {
  readonly driftOf: (host: ManagedHost) => Drift;
  /** The newest change from here was taken back by the host. */
  readonly wasRolledBack: (hostId: string) => boolean;
  /** Events that the agent could not give to anybody, since it started. */
  readonly lostEvents: (hostId: string) => bigint;
}

export class HostFactsReader {
  readonly #ports: HostFactsPorts;
  readonly #lost = new Map<string, { readonly count: bigint; readonly atMs: number }>();

  constructor(ports: HostFactsPorts) {
    this.#ports = ports;
  }

  read(hosts: readonly ManagedHost[], nowMs: number): Facts<HostFact> {
    const facts: HostFact[] = [];
    const unknown = new Set<string>();
    const undecided = new Set<string>();
    for (const host of hosts) {
      const { reachability } = host.connection.state;
      if (reachability === Reachability.CONNECTED) facts.push(...this.#ofConnected(host, nowMs));
      else if (REACHED_NOT.has(reachability)) facts.push(...unreachable(host));
      else undecided.add(host.id);
      if (reachability !== Reachability.CONNECTED) unknown.add(host.id);
    }
    return { facts, unknown, undecided };
  }

  #ofConnected(host: ManagedHost, nowMs: number): HostFact[] {
    const { driftOf, wasRolledBack } = this.#ports;
    const name = told(labelOf(host));
    const say = (condition: HostFact["condition"], sentence: string): HostFact => ({
      ...{ hostId: host.id, host: name, condition, sentence },
    });
    const status = host.connection.state.status;
    const facts: HostFact[] = [];
    if (driftOf(host) === Drift.OTHER_STATE) {
      facts.push(say("drifted", `${name} enforces something else than what was last confirmed for it.`));
    }
    if (wasRolledBack(host.id))
      facts.push(say("rolled-back", `${name} took back the last change that was sent to it.`));
    if ((status?.enforced?.number ?? 0n) > 0n && status?.attached === false) {
      facts.push(say("not-enforcing", `${name} has policies but enforces nothing: its programs are not attached.`));
    }
    if (this.#losesEvents(host.id, nowMs)) {
      facts.push(say("events-lost", `${name} saw more than it could tell: events were lost in the last ten minutes.`));
    }
    return facts;
  }

  #losesEvents(hostId: string, nowMs: number): boolean {
    const count = this.#ports.lostEvents(hostId);
    const before = this.#lost.get(hostId);
    if (!before) this.#lost.set(hostId, { count, atMs: Number.NEGATIVE_INFINITY });
    else if (count !== before.count)
      this.#lost.set(hostId, { count, atMs: count > before.count ? nowMs : before.atMs });
    return nowMs - (this.#lost.get(hostId)?.atMs ?? Number.NEGATIVE_INFINITY) < LOSSES_TOLD_MS;
  }
}

function unreachable(host: ManagedHost): HostFact[] {
  const { problem, lastHeardAtMs } = host.connection.state;
  // A console is often used on a machine that has no agent itself.
  if (host.local && lastHeardAtMs === 0) return [];
  const name = told(labelOf(host));
  const why = problem ? `: ${told(problem.message)}` : ".";
  return [{ hostId: host.id, host: name, condition: "unreachable", sentence: `${name} is not reached${why}` }];
}

/** The keys of `unknown` are names of clusters. */
export function clusterFacts(clusters: readonly KnownCluster[]): Facts<ClusterFact> {
  const facts: ClusterFact[] = [];
  const unknown = new Set<string>();
  for (const cluster of clusters) {
    const name = told(cluster.name);
    if (cluster.problem !== null) unknown.add(name);
    else facts.push(...factsOf(name, cluster));
  }
  return { facts, unknown, undecided: unknown };
}

function factsOf(cluster: string, { status }: KnownCluster): ClusterFact[] {
  const facts: ClusterFact[] = [];
  const say = (condition: ClusterFact["condition"], about: string, sentence: string) =>
    facts.push({ cluster, condition, about, sentence });
  if (leaderOf(status) === null) say("no-leader", "", `Nobody leads the cluster ${cluster}.`);
  if (!status.storeWritable) {
    say(
      "store-unavailable",
      "",
      `The store of the cluster ${cluster} takes no changes: it is out of reach or has no majority.`,
    );
  }
  for (const { record, state, report } of status.members) {
    const member = told(record?.name ?? "");
    if (state === MemberState.UNHEALTHY || state === MemberState.GONE) {
      const what = state === MemberState.GONE ? "has gone without a word" : "is not well";
      say("member-unhealthy", member, `${member} ${what} in the cluster ${cluster}.`);
    }
    if (report?.state === SyncState.REFUSED) {
      const why = report.problem ? `: ${told(report.problem.message)}` : ".";
      say("set-refused", member, `${member} refused the desired set of the cluster ${cluster}${why}`);
    }
  }
  return facts;
}
