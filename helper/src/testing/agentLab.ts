/** A kernel lab with real agents in processes of their own, one after the other, on the same places. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { HostStatus } from "@wardline/api/wardline/v1/host";
import { DesiredStateSchema, EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { CGROUP_HOOKS } from "../enforce/ebpf/layout.ts";
import type { Checkpoint } from "../generations/controllerTypes.ts";
import { attachedPrograms } from "../linux/bpf/attached.ts";
import { unmount } from "../linux/bpf/libbpf.ts";
import { isBpffs } from "../linux/bpffs.ts";
import { type AgentClient, connectAgent } from "./agentClient.ts";
import { AGENT_FROM_SOURCE, AgentProcess } from "./agentProcess.ts";
import { HOST_ADDRESS, KernelLab, PEER_ADDRESS, readBpfObject } from "./kernelLab.ts";

const DETACH_LIMIT_MS = 40_000;
const UPGRADED_AGENT_MAIN = fileURLToPath(new URL("./upgradedAgentMain.ts", import.meta.url));
const KILLED_AGENT_MAIN = fileURLToPath(new URL("./killedAgentMain.ts", import.meta.url));

/** The lab's host is `alpha`, with the workload `shop/db` in the cgroup `db.service`; its peer is `beta`. */
export const LAB_INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: alpha, labels: {app: web}}
spec: {addresses: [${HOST_ADDRESS[4]}, "${HOST_ADDRESS[6]}"]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: beta}
spec: {addresses: [${PEER_ADDRESS[4]}, "${PEER_ADDRESS[6]}"]}
---
apiVersion: wardline.io/v1
kind: Workload
metadata: {name: db, namespace: shop}
spec: {host: alpha, match: {systemdUnit: db.service}}
`;

/** Lets these ports of the host be reached, for TCP and UDP, and nothing else come in. */
export function allowPorts(...ports: readonly number[]): string {
  const listed = ports.flatMap((port) => [`{port: ${port}}`, `{protocol: UDP, port: ${port}}`]);
  return `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress]
  ingress: [{ports: [${listed.join(", ")}]}]
`;
}

export interface CommandResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class AgentLab {
  readonly kernel = new KernelLab();
  agent: AgentProcess | null = null;
  readonly #clients: AgentClient[] = [];

  constructor() {
    readBpfObject();
  }

  get socketPath(): string {
    return join(this.kernel.directory, "run", "agent.sock");
  }

  get stateDir(): string {
    return join(this.kernel.directory, "state");
  }

  get options(): readonly string[] {
    return [
      ...["--socket", this.socketPath, "--state-dir", this.stateDir],
      ...["--bpffs-dir", this.kernel.bpffsDir, "--cgroup-root", this.kernel.cgroupRoot],
      ...["--host-name", "alpha", "--backend", "ebpf", "--log-level", "warn"],
    ];
  }

  async start(...more: readonly string[]): Promise<AgentProcess> {
    this.agent = await AgentProcess.start(AGENT_FROM_SOURCE, [...this.options, ...more]);
    return this.agent;
  }

  /** An agent that ends itself with SIGKILL at a place in its code. */
  async startKilledAt(checkpoint: Checkpoint): Promise<AgentProcess> {
    const command = [process.execPath, "--no-warnings", KILLED_AGENT_MAIN, checkpoint];
    this.agent = await AgentProcess.start(command, this.options);
    return this.agent;
  }

  /** An agent whose object is another file than that of {@link start}. */
  async startUpgraded(): Promise<AgentProcess> {
    this.agent = await AgentProcess.start([process.execPath, "--no-warnings", UPGRADED_AGENT_MAIN], this.options);
    return this.agent;
  }

  /** An agent on nftables, which works in the network namespace of the lab's host and never in this machine's. */
  async startOnNftables(): Promise<AgentProcess> {
    this.agent = await AgentProcess.start([...this.#inside, ...AGENT_FROM_SOURCE], this.#nftablesOptions);
    return this.agent;
  }

  /** Runs `boot` or `uninstall` to its end. */
  run(verb: string, ...more: readonly string[]): Promise<CommandResult> {
    const [program = "", word = ""] = AGENT_FROM_SOURCE;
    return this.#runToEnd([program, word, verb, ...this.options, ...more]);
  }

  /** The same for the agent of {@link startOnNftables}. */
  runOnNftables(verb: string): Promise<CommandResult> {
    const [program = "", word = ""] = AGENT_FROM_SOURCE;
    return this.#runToEnd([...this.#inside, program, word, verb, ...this.#nftablesOptions]);
  }

  get #inside(): readonly string[] {
    return ["nsenter", `--net=${this.kernel.hostNamespace}`];
  }

  get #nftablesOptions(): readonly string[] {
    return [
      ...["--socket", this.socketPath, "--state-dir", this.stateDir, "--bpffs-dir", this.kernel.bpffsDir],
      ...["--host-name", "alpha", "--backend", "nftables", "--log-level", "warn"],
    ];
  }

  #runToEnd([program = "", ...line]: readonly string[]): Promise<CommandResult> {
    const child = spawn(program, line, { stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => {
      stdout += String(chunk);
    });
    child.stderr.on("data", (chunk) => {
      stderr += String(chunk);
    });
    return new Promise((resolve) => child.once("close", (exitCode) => resolve({ exitCode, stdout, stderr })));
  }

  /** A connection of its own each time. */
  connect(): AgentClient["agent"] {
    const client = connectAgent(this.socketPath);
    this.#clients.push(client);
    return client.agent;
  }

  async status(): Promise<HostStatus> {
    const { status } = await this.connect().getStatus({});
    if (!status) throw new Error("no status");
    return status;
  }

  async apply(base: bigint, confirmWithinMs: number, ...policies: readonly string[]) {
    const files = [LAB_INVENTORY, ...policies].map((text, position) => ({ path: `${position}.yaml`, text }));
    const state = create(DesiredStateSchema, { files });
    const agent = this.connect();
    const { programDigest, diagnostics } = await agent.check({ state });
    const errors = diagnostics.filter(({ severity }) => severity === 1);
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join("\n"));
    return agent.apply({
      state,
      mode: EnforcementMode.ENFORCE,
      expectedProgramDigest: programDigest,
      baseGeneration: base,
      confirmWithin: durationFromMs(confirmWithinMs),
    });
  }

  async applyAndConfirm(base: bigint, ...policies: readonly string[]): Promise<bigint> {
    const { generation } = await this.apply(base, 30_000, ...policies);
    const { number = 0n, programDigest = "" } = generation ?? {};
    await this.connect().confirm({ generation: number, programDigest });
    return number;
  }

  /** What a reboot leaves: no process, no pins, and the disk as it was. */
  async loseKernel(): Promise<void> {
    await this.agent?.end("SIGKILL");
    this.agent = null;
    if (isBpffs(this.kernel.bpffsDir)) unmount(this.kernel.bpffsDir);
    // The kernel lets go of links a moment after their pins.
    const programs = () => attachedPrograms(this.kernel.cgroupRoot, CGROUP_HOOKS);
    const isAttached = () => programs().some(({ name }) => name.startsWith("wardline"));
    for (let waitedMs = 0; isAttached() && waitedMs < DETACH_LIMIT_MS; waitedMs += 20) await setTimeout(20);
  }

  async close(): Promise<void> {
    await this.agent?.end("SIGTERM");
    for (const client of this.#clients) client.close();
    if (existsSync(this.kernel.bpffsDir) && isBpffs(this.kernel.bpffsDir)) unmount(this.kernel.bpffsDir);
    await this.kernel.close();
  }
}
