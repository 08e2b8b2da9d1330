/**
 * Agents of one cluster inside the test process: real sockets, real peer links over TLS on loopback addresses of their own,
 * the real policy engine and the real clock, with the double of the enforcer. Real etcd behind them where a test asks for it.
 */
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClusterStatus } from "@wardline/api/wardline/v1/cluster";
import { StoreKind } from "@wardline/api/wardline/v1/cluster";
import { freePort } from "@wardline/domain/testing/machine";
import { pino } from "pino";
import { systemClock } from "../agent/clock.ts";
import type { AgentOptions } from "../agent/options.ts";
import { type AgentPorts, type RunningAgent, runAgent } from "../agent/runAgent.ts";
import { EnforcerSession } from "../enforce/enforcerSession.ts";
import { type AgentClient, connectAgent } from "./agentClient.ts";
import { EtcdLab } from "./etcdLab.ts";
import { FakeEnforcer, FakeKernel } from "./fakeEnforcer.ts";

/** A host of the test: what its disk and its kernel hold outlives its agent. */
export class ClusterAgent {
  readonly name: string;
  readonly stateDir: string;
  readonly socketPath: string;
  readonly peerAddress: string;
  readonly kernel = new FakeKernel();
  readonly #clients: AgentClient[] = [];
  #running: RunningAgent | null = null;

  constructor(directory: string, name: string, peerAddress: string) {
    this.name = name;
    this.stateDir = join(directory, "state");
    this.socketPath = join(directory, "agent.sock");
    this.peerAddress = peerAddress;
  }

  async start(over: Partial<AgentOptions & AgentPorts> = {}): Promise<void> {
    const enforcer = new FakeEnforcer(systemClock, this.kernel);
    const options: AgentOptions = {
      socketPath: this.socketPath,
      stateDir: this.stateDir,
      bpffsDir: "/nowhere",
      cgroupRoot: null,
      hostName: this.name,
      backend: "ebpf",
      logLevel: "fatal",
      edge: false,
      earlyDrop: [],
      bootFailure: "closed",
    };
    const ports: AgentPorts = {
      log: pino({ level: process.env.WARDLINE_TEST_LOG ?? "silent" }),
      chooseBackend: async () => ({
        enforcer: new EnforcerSession(enforcer),
        reason: "A double.",
        capabilities: [],
        cgroupRoot: "/nowhere",
      }),
      ...over,
    };
    this.#running = await runAgent({ ...options, ...over }, ports);
  }

  async stop(): Promise<void> {
    for (const client of this.#clients.splice(0)) client.close();
    await this.#running?.close();
    this.#running = null;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** One connection each time. */
  connect(): AgentClient {
    const client = connectAgent(this.socketPath);
    this.#clients.push(client);
    return client;
  }

  get cluster(): AgentClient["cluster"] {
    return this.connect().cluster;
  }

  get agent(): AgentClient["agent"] {
    return this.connect().agent;
  }

  async status(): Promise<ClusterStatus> {
    const { status } = await this.cluster.getCluster({});
    if (!status) throw new Error("no status");
    return status;
  }

  /** Follows the status until it is so; at most as long as the test lasts. */
  async until(what: (status: ClusterStatus) => boolean): Promise<ClusterStatus> {
    const client = this.connect();
    try {
      for await (const { status } of client.cluster.watchCluster({})) if (status && what(status)) return status;
    } finally {
      client.close();
    }
    throw new Error("the agent ended its stream");
  }

  async audited(): Promise<string[]> {
    const { entries } = await this.agent.listAudit({ limit: 200, ascending: true });
    return entries.map(({ actor, action, outcome, detail }) => `${actor} ${action} ${outcome}: ${detail}`);
  }
}

export class ClusterAgents {
  readonly directory = mkdtempSync(join(tmpdir(), "wardline-cluster-"));
  readonly #agents: ClusterAgent[] = [];
  readonly #stores: EtcdLab[] = [];
  #count = 0;

  /** Started, alone. */
  async add(name: string, over: Partial<AgentOptions & AgentPorts> = {}): Promise<ClusterAgent> {
    this.#count += 1;
    const directory = mkdtempSync(join(this.directory, `${this.#count}-`));
    const agent = new ClusterAgent(directory, name, `127.0.0.1:${await freePort()}`);
    this.#agents.push(agent);
    await agent.start(over);
    return agent;
  }

  /** A member of the cluster in which `by` is a candidate. */
  async join(by: ClusterAgent, name: string, options: { readonly candidate?: boolean } = {}): Promise<ClusterAgent> {
    const agent = await this.add(name);
    const { token } = await by.cluster.createJoinToken({ memberName: name, candidate: options.candidate ?? true });
    await agent.cluster.joinCluster({ token, peerAddress: agent.peerAddress });
    return agent;
  }

  async plainEtcd(): Promise<EtcdLab> {
    const etcd = await EtcdLab.start();
    this.#stores.push(etcd);
    return etcd;
  }

  /** With mutual TLS under the authority of the cluster in which `by` leads: certificates first, then the servers. */
  async clusterEtcd(by: ClusterAgent): Promise<EtcdLab> {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const { certificateChainPem, bundlePem } = await by.cluster.issueCertificate({
      name: "etcd-0",
      publicKey: publicKey.export({ type: "spki", format: "der" }),
      ipAddresses: ["127.0.0.1"],
      dnsNames: ["localhost"],
    });
    const key = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    const etcd = await EtcdLab.start({ tls: [{ ca: bundlePem, cert: certificateChainPem, key }] });
    this.#stores.push(etcd);
    return etcd;
  }

  async close(): Promise<void> {
    for (const agent of this.#agents) await agent.stop();
    for (const etcd of this.#stores) await etcd.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const etcdStoreAt = (endpoints: readonly string[]) => ({ kind: StoreKind.ETCD, endpoints: [...endpoints] });
