/**
 * Three real hosts that form a cluster: an agent and an etcd member on each, inside the host's own namespaces, with mutual TLS
 * by the cluster's own authority. Made in the order of docs/cluster.md, and broken by verbs.
 */
import { inspect } from "node:util";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import type { ClusterService, WriteDocumentsResponse } from "@wardline/api/wardline/agent/v1/cluster";
import { type ClusterStatus, MemberState, StoreKind, SyncState } from "@wardline/api/wardline/v1/cluster";
import { standStill } from "@wardline/domain/testing/machine";
import { type AgentClient, connectAgent } from "@wardline/helper/testing/agentClient";
import { Fleet, fleetProblem } from "../fleet/fleet.ts";
import type { FleetHost, FleetHostSpec } from "../fleet/fleet-host.ts";
import { AGENT_UNIT } from "../fleet/host-files.ts";
import { describeHosts } from "../fleet/policies.ts";
import { DocumentWrite, mayPass, type WriteOptions } from "./document-writes.ts";
import { clientUrl, ETCD_UNIT, etcdProblem, putCertificate, putUnit } from "./etcd-member.ts";

export const PEER_PORT = 7443;
/** Reached by everybody under {@link baseDocuments}, and by nobody. */
export const OPEN_PORT = 8080;
export const CLOSED_PORT = 9090;
export const LEASE_MS = 3_000;
/** Long: the tests share two processors with everything else. */
const PATIENCE_MS = 60_000;
const CALL_LIMIT_MS = 15_000;
const LOOK_EVERY_MS = 50;

export interface ClusterFleetOptions {
  /** Made into members, in this order; three with these names unless given. */
  readonly hosts?: readonly FleetHostSpec[];
  /** More machines of the fleet that are in no cluster. */
  readonly others?: readonly FleetHostSpec[];
  /** {@link LEASE_MS} unless given. */
  readonly leaseMs?: number;
  /** Of etcd's database; etcd's own default unless given. */
  readonly quotaBytes?: number;
}

export interface Leading {
  readonly name: string;
  readonly term: bigint;
}

/** Why no such fleet can be started here, or `null`. For `describe.skipIf`; put it into the name. */
export const clusterFleetProblem = (): string | null => fleetProblem() ?? etcdProblem();

/** The hosts, and a policy for all of them that lets the cluster live. */
export function baseDocuments(hosts: readonly FleetHost[]): string[] {
  const ports = [22, PEER_PORT, 2379, 2380, OPEN_PORT].map((port) => `{port: ${port}}`);
  return [
    ...describeHosts(hosts).split("---\n"),
    `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: base}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress: [{ports: [${[...ports, `{protocol: UDP, port: ${OPEN_PORT}}`].join(", ")}]}]
`,
  ];
}

export class ClusterFleet {
  readonly fleet: Fleet;
  /** Those of the cluster. */
  readonly hosts: readonly FleetHost[];
  readonly #clients = new Map<string, AgentClient>();
  #isClosed = false;

  private constructor(fleet: Fleet, hosts: readonly FleetHost[]) {
    this.fleet = fleet;
    this.hosts = hosts;
  }

  /** Every member is healthy when it resolves; when it rejects, nothing is left. */
  static async start(options: ClusterFleetOptions = {}): Promise<ClusterFleet> {
    const specs = options.hosts ?? ["node-1", "node-2", "node-3"].map((name) => ({ name }));
    const fleet = await Fleet.start({ hosts: [...specs, ...(options.others ?? [])] });
    const hosts = specs.map(({ name }) => fleet.host(name));
    try {
      return await ClusterFleet.make(fleet, hosts, options);
    } catch (error) {
      const logs = hosts.map((host) => `${host.name}:\n${host.log(AGENT_UNIT).slice(-2000)}`);
      await fleet.close();
      throw new Error(`the cluster was not made: ${inspect(error)}\n${logs.join("\n")}`);
    }
  }

  /** Of machines of a fleet that run already. */
  static async make(
    fleet: Fleet,
    hosts: readonly FleetHost[],
    options: Pick<ClusterFleetOptions, "leaseMs" | "quotaBytes"> = {},
  ): Promise<ClusterFleet> {
    const cluster = new ClusterFleet(fleet, hosts);
    await cluster.#make(options);
    return cluster;
  }

  async #make({ leaseMs = LEASE_MS, quotaBytes }: Pick<ClusterFleetOptions, "leaseMs" | "quotaBytes">): Promise<void> {
    const first = this.#at(0);
    const lease = durationFromMs(leaseMs);
    await this.on(first).initCluster({ clusterName: "office", peerAddress: peerAddress(first), lease });
    await this.makeEtcd(quotaBytes ?? null);
    await this.on(first).setStore({ store: this.store() });
    for (const host of this.hosts.slice(1)) await this.join(host);
    await this.allHealthy();
  }

  /** Certificates, units, and three servers that answer. */
  async makeEtcd(quotaBytes: number | null = null): Promise<void> {
    await Promise.all(this.hosts.map((host) => putCertificate(host, this.on(this.#at(0)))));
    await Promise.all(
      this.hosts.map(async (host) => {
        putUnit(host, this.hosts, quotaBytes);
        await host.systemctl("daemon-reload");
        await this.startEtcd(host);
      }),
    );
    await this.until("etcd answers", async () => {
      const { usable } = await this.on(this.#at(0)).testStore({ store: this.store() });
      return usable;
    });
  }

  store() {
    return { kind: StoreKind.ETCD, endpoints: this.hosts.map(clientUrl) };
  }

  /** With a token of the first member, as a candidate. */
  async join(host: FleetHost, candidate = true): Promise<void> {
    const { token } = await this.on(this.#at(0)).createJoinToken({ candidate });
    await this.on(host).joinCluster({ token, peerAddress: peerAddress(host) });
  }

  #at(index: number): FleetHost {
    const host = this.hosts[index];
    if (!host) throw new Error(`no host ${index}`);
    return host;
  }

  host(name: string): FleetHost {
    return this.fleet.host(name);
  }

  /** Those that are not this one. */
  others({ name }: { readonly name: string }): readonly [FleetHost, FleetHost] {
    const [first, second] = this.hosts.filter((host) => host.name !== name);
    if (!first || !second) throw new Error("fewer than three hosts");
    return [first, second];
  }

  /** The agent of a host, asked on the host: no line and no policy is in between. */
  agent(host: FleetHost): AgentClient {
    const client = this.#clients.get(host.name) ?? connectAgent(host.agentSocket);
    this.#clients.set(host.name, client);
    return client;
  }

  on(host: FleetHost): Client<typeof ClusterService> {
    return this.agent(host).cluster;
  }

  async status(host: FleetHost): Promise<ClusterStatus> {
    const { status } = await this.on(host).getCluster({}, { timeoutMs: CALL_LIMIT_MS });
    if (!status) throw new Error("no status");
    return status;
  }

  /** Who leads, as this host knows it and others agree by the member's own word. */
  async leading(host: FleetHost = this.#at(0)): Promise<Leading> {
    const { currentTerm } = await this.status(host);
    return { name: currentTerm?.leader ?? "", term: currentTerm?.number ?? 0n };
  }

  /** The newest that any host knows of: who leads knows it first. */
  async newestTerm(): Promise<Leading> {
    let newest: Leading = { name: "", term: 0n };
    await this.until("every host tells who leads", async () => {
      const known = await Promise.all(this.hosts.map((host) => this.leading(host)));
      newest = known.reduce((one, other) => (other.term > one.term ? other : one), newest);
      return newest.name !== "";
    });
    return newest;
  }

  async leader(on: FleetHost = this.#at(0)): Promise<FleetHost> {
    const { name } = await this.untilLeads(() => true, on);
    return this.host(name);
  }

  /** Waits until somebody leads of whom this holds. @param on whom to ask; the first host unless given */
  async untilLeads(isWanted: (leading: Leading) => boolean, on: FleetHost = this.#at(0)): Promise<Leading> {
    let last: Leading = { name: "", term: 0n };
    await this.until("a leader", async () => {
      const { currentTerm, stale } = await this.status(on);
      last = { name: currentTerm?.endedAt ? "" : (currentTerm?.leader ?? ""), term: currentTerm?.number ?? 0n };
      return !stale && last.name !== "" && isWanted(last);
    });
    return last;
  }

  /** Each host sees every member healthy, and a leader. */
  async allHealthy(hosts: readonly FleetHost[] = this.hosts): Promise<void> {
    await this.until("every member is healthy", async () => {
      const seen = await Promise.all(hosts.map((host) => this.status(host)));
      return seen.every(
        ({ members, currentTerm, stale, storeWritable }) =>
          !stale &&
          storeWritable &&
          currentTerm?.endedAt === undefined &&
          members.filter(({ state }) => state === MemberState.HEALTHY).length === this.hosts.length,
      );
    });
  }

  /** Writes each text on the newest version that is there, once; asks again while nobody leads or the store does not answer. */
  async write(on: FleetHost, texts: readonly string[], more: WriteOptions = {}): Promise<WriteDocumentsResponse> {
    const write = new DocumentWrite(this.on(on), texts, more);
    let final: Promise<WriteDocumentsResponse> | null = null;
    await this.until("the write is answered", async () => {
      const sent = write.send();
      const isFinal = await sent.then(
        () => true,
        (error: unknown) => !mayPass(error),
      );
      if (isFinal) final = sent;
      else await sent;
      return isFinal;
    });
    if (final === null) throw new Error("unreachable");
    return final;
  }

  /** The same, and nothing is asked again. */
  writeOnce(on: FleetHost, texts: readonly string[], more: WriteOptions = {}): Promise<WriteDocumentsResponse> {
    return new DocumentWrite(this.on(on), texts, more).send();
  }

  /** Writes what lets the cluster live, and waits until every host enforces it. @returns the set */
  async writeBase(): Promise<bigint> {
    const leader = await this.leader();
    const { head } = await this.write(leader, baseDocuments(this.fleet.hosts));
    const number = head?.setNumber ?? 0n;
    await this.untilActive(number);
    return number;
  }

  /** Waits until these hosts have this set, or a later one, in force and say so. */
  async untilActive(setNumber: bigint, hosts = this.hosts, on = hosts[0] ?? this.#at(0)): Promise<void> {
    await this.until(`set ${setNumber} is in force`, async () => {
      const { members } = await this.status(on);
      return hosts.every(({ name }) => {
        const report = members.find(({ record }) => record?.name === name)?.report;
        return report?.state === SyncState.ACTIVE && report.activeSetNumber >= setNumber;
      });
    });
  }

  /** Generation and digest in force, asked of the host's own agent. */
  async enforced(host: FleetHost): Promise<{ readonly number: bigint; readonly digest: string }> {
    const { status } = await this.agent(host).agent.getStatus({}, { timeoutMs: CALL_LIMIT_MS });
    return { number: status?.enforced?.number ?? 0n, digest: status?.enforced?.programDigest ?? "" };
  }

  async startEtcd(host: FleetHost): Promise<void> {
    const { exitCode, stderr } = await host.systemctl("start", ETCD_UNIT);
    if (exitCode !== 0) throw new Error(`etcd of ${host.name}: ${stderr}`);
  }

  async killEtcd(host: FleetHost): Promise<void> {
    const pid = await host.mainPid(ETCD_UNIT);
    if (pid === 0) throw new Error(`no etcd runs on ${host.name}`);
    process.kill(pid, "SIGKILL");
    await this.until(`etcd of ${host.name} ends`, async () => (await host.mainPid(ETCD_UNIT)) === 0);
  }

  /** On whose machine etcd's own leader runs. */
  async etcdLeader(on: FleetHost = this.#at(0)): Promise<FleetHost> {
    let found: FleetHost | undefined;
    await this.until("etcd has a leader", async () => {
      const { endpoints } = await this.status(on);
      const leading = endpoints.find(
        ({ memberId, leaderId, reachable }) => reachable && memberId !== "" && memberId === leaderId,
      );
      found = this.hosts.find((host) => clientUrl(host) === leading?.endpoint);
      return found !== undefined;
    });
    if (!found) throw new Error("unreachable");
    return found;
  }

  /** The agent stands still, with its sockets open. */
  async pauseAgent(host: FleetHost): Promise<void> {
    await standStill(await this.#agentPid(host));
  }

  async resumeAgent(host: FleetHost): Promise<void> {
    process.kill(await this.#agentPid(host), "SIGCONT");
  }

  async #agentPid(host: FleetHost): Promise<number> {
    const pid = await host.mainPid(AGENT_UNIT);
    if (pid === 0) throw new Error(`no agent runs on ${host.name}`);
    return pid;
  }

  /** Cables in, nothing paused, every etcd running, every member healthy: whatever a test that failed left behind. */
  async heal(): Promise<void> {
    await Promise.all(
      this.hosts.map(async (host) => {
        await host.linkUp();
        const pid = await host.mainPid(AGENT_UNIT);
        if (pid > 0) process.kill(pid, "SIGCONT");
        await this.startEtcd(host);
      }),
    );
    await this.allHealthy();
  }

  /** Asks again until it is answered: a moment after a fault the way to the store may still be an old one. */
  async answerTo<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    let answer: { readonly value: Answer } | null = null;
    await this.until("an answer", async () => {
      answer = { value: await ask() };
      return true;
    });
    if (answer === null) throw new Error("unreachable");
    return (answer as { readonly value: Answer }).value;
  }

  /** Waits until this holds; errors count as no. The error tells what every host saw last. */
  async until(what: string, isSo: () => Promise<boolean>, limitMs = PATIENCE_MS): Promise<void> {
    const startedAtMs = performance.now();
    let problem: unknown = null;
    for (;;) {
      const holds = await isSo().catch((error: unknown) => {
        problem = error;
        return false;
      });
      if (this.#isClosed) throw new Error(`${what}: the cluster is closed`);
      if (holds) return;
      if (performance.now() - startedAtMs > limitMs) break;
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    throw new Error(`${what}: not within ${limitMs} ms. ${problem ?? ""}\n${await this.#seen()}`);
  }

  async #seen(): Promise<string> {
    const lines = this.hosts.map(async (host) => {
      const status = await this.status(host).catch((error: unknown) => String(error));
      if (typeof status === "string") return `${host.name}: ${status}`;
      const members = status.members.map(({ record, state, report }) => [
        record?.name,
        MemberState[state],
        SyncState[report?.state ?? 0],
        report?.activeSetNumber,
        report?.problem?.message,
      ]);
      const { currentTerm, stale, storeWritable, problems, head } = status;
      const term = [currentTerm?.number, currentTerm?.leader, currentTerm?.endedAt !== undefined];
      return `${host.name}: ${inspect({ term, stale, storeWritable, set: head?.setNumber, problems, members }, { depth: 4, breakLength: 160 })}`;
    });
    return (await Promise.all(lines)).join("\n");
  }

  /** The hosts go on without who made them. */
  disconnect(): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  /** What still waits for something of it fails. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.disconnect();
    await this.fleet.close();
  }
}

export const peerAddress = ({ address }: FleetHost): string => `${address[4]}:${PEER_PORT}`;
