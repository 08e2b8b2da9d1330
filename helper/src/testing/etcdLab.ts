/**
 * Real etcd: one to three members, each a process with a directory of its own, plain or with mutual TLS, where wanted inside
 * network namespaces. Members can be killed, paused and started again. `close` removes everything.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort, standStill } from "@wardline/domain/testing/machine";

const run = promisify(execFile);
const LAST_LINES = 40;
const FIRST_NAMESPACE_PORT = 2379;
const HEALTHY_LIMIT_MS = 30_000;

/** PEM. Used towards clients and towards the other members; clients have to show a certificate of the same `ca`. */
export interface EtcdTls {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface EtcdLabOptions {
  /** 1 unless given. */
  readonly members?: 1 | 2 | 3;
  /** Of each member; 127.0.0.1 unless given. */
  readonly addresses?: readonly string[];
  /** Path of each member's network namespace; `null` = this one. Inside, member 0 listens on 2379, the next on 2381, 2383. */
  readonly namespaces?: readonly (string | null)[];
  /** Of each member, valid for its address and as client and server; none = plain. */
  readonly tls?: readonly EtcdTls[];
  /** What {@link EtcdLab.etcdctl} shows; the first member's unless given. */
  readonly clientTls?: EtcdTls;
  /** 50 ms unless given. */
  readonly heartbeatMs?: number;
  /** 500 ms unless given. */
  readonly electionMs?: number;
  readonly quotaBytes?: number;
  readonly autoCompaction?: { readonly mode: "revision" | "periodic"; readonly retention: string };
  /** An existing directory for the members' data, for example a small file system; a temporary one unless given. */
  readonly dataDir?: string;
}

interface Member {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly dataDir: string;
  readonly namespace: string | null;
  child: ChildProcess | null;
  paused: boolean;
  lastLines: string[];
}

function findProgram(name: string): boolean {
  return (process.env.PATH ?? "").split(":").some((directory) => existsSync(join(directory, name)));
}

/** Why no etcd can be started here, or `null`. For `describe.skipIf`; put it into the name. */
export function etcdProblem(): string | null {
  for (const program of ["etcd", "etcdctl"]) if (!findProgram(program)) return `needs ${program}`;
  return null;
}

export class EtcdLab {
  readonly directory = mkdtempSync(join(tmpdir(), "wardline-etcd-"));
  readonly #options: EtcdLabOptions;
  #members: readonly Member[] = [];
  /** For a process that ends before it closes the lab; what a dying etcd writes meanwhile may be left behind. */
  readonly #killAll = () => {
    for (const { child } of this.#members) child?.kill("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 });
  };

  private constructor(options: EtcdLabOptions) {
    this.#options = options;
    process.once("exit", this.#killAll);
  }

  /** Resolves when every member answers. */
  static async start(options: EtcdLabOptions = {}): Promise<EtcdLab> {
    const lab = new EtcdLab(options);
    try {
      lab.#members = await lab.#plan();
      for (const index of lab.#members.keys()) lab.start(index);
      await lab.waitHealthy();
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** Client URLs, by member. */
  get endpoints(): readonly string[] {
    return this.#members.map(({ clientUrl }) => clientUrl);
  }

  pid(index: number): number {
    const pid = this.#member(index).child?.pid;
    if (pid === undefined) throw new Error(`member ${index} does not run`);
    return pid;
  }

  isRunning(index: number): boolean {
    return this.#member(index).child !== null;
  }

  dataDir(index: number): string {
    return this.#member(index).dataDir;
  }

  /** Starts a member for the first time, or again with what it has on disk. Does not wait until it answers. */
  start(index: number): void {
    const member = this.#member(index);
    if (member.child !== null) throw new Error(`${member.name} runs already`);
    const enter = member.namespace === null ? [] : ["nsenter", `--net=${member.namespace}`];
    // Dies with whoever started it, also when that one is killed.
    const tie = findProgram("setpriv") ? ["setpriv", "--pdeathsig", "KILL"] : [];
    const [program = "", ...rest] = [...tie, ...enter, "etcd", ...this.#arguments(member)];
    const child = spawn(program, rest, { stdio: ["ignore", "ignore", "pipe"] });
    member.child = child;
    member.paused = false;
    child.stderr.on("data", (chunk) => {
      member.lastLines = [...member.lastLines, ...String(chunk).split("\n")].slice(-LAST_LINES);
    });
    child.once("exit", () => {
      if (member.child === child) member.child = null;
    });
  }

  /** Ends a member at once and waits until it is gone. */
  kill(index: number): Promise<void> {
    return this.#end(this.#member(index), "SIGKILL");
  }

  /** Asks a member to end and waits until it is gone. */
  stop(index: number): Promise<void> {
    return this.#end(this.#member(index), "SIGTERM");
  }

  /** From when this resolves the member answers nothing, and keeps its sockets. */
  async pause(index: number): Promise<void> {
    this.#member(index).paused = true;
    await standStill(this.pid(index));
  }

  resume(index: number): void {
    this.#member(index).child?.kill("SIGCONT");
    this.#member(index).paused = false;
  }

  /** Removes what a member that does not run has on disk. */
  wipe(index: number): void {
    const member = this.#member(index);
    if (member.child !== null) throw new Error(`${member.name} runs`);
    rmSync(member.dataDir, { recursive: true, force: true });
  }

  /** Index of the member that leads now; waits while there is none. */
  async leader(): Promise<number> {
    const deadline = Date.now() + HEALTHY_LIMIT_MS;
    for (;;) {
      for (const index of this.#answering()) if (await this.#leads(index)) return index;
      if (Date.now() > deadline) throw new Error(`no member leads: ${this.#lastWords()}`);
      await sleep(50);
    }
  }

  /** Waits until every member that runs and is not paused answers a read that needs a majority. */
  async waitHealthy(limitMs = HEALTHY_LIMIT_MS): Promise<void> {
    const deadline = Date.now() + limitMs;
    for (const index of this.#answering()) {
      while (!(await this.#isHealthy(index))) {
        if (Date.now() > deadline) throw new Error(`etcd does not become healthy: ${this.#lastWords()}`);
        await sleep(30);
      }
    }
  }

  /** What etcd's own tool says, asked of the given members (all unless given). Throws when it fails. */
  async etcdctl(words: readonly string[], members: readonly number[] = [...this.#members.keys()]): Promise<string> {
    const namespace = this.#member(members[0] ?? 0).namespace;
    const endpoints = members.map((index) => this.#member(index).clientUrl).join(",");
    const tls = this.#tlsFiles("client").flatMap(([name, path]) => [`--${name === "ca" ? "cacert" : name}`, path]);
    const enter = namespace === null ? [] : ["nsenter", `--net=${namespace}`];
    const [program = "", ...rest] = [...enter, "etcdctl", "--endpoints", endpoints, ...tls, ...words];
    const { stdout } = await run(program, rest, { env: { ...process.env, ETCDCTL_API: "3" }, timeout: 20_000 });
    return stdout;
  }

  async close(): Promise<void> {
    process.off("exit", this.#killAll);
    await Promise.all(this.#members.map((member) => this.#end(member, "SIGKILL")));
    for (const { dataDir } of this.#members) rmSync(dataDir, { recursive: true, force: true });
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #plan(): Promise<Member[]> {
    const { members: count = 1, addresses = [], namespaces = [], tls = [], clientTls, dataDir } = this.#options;
    const scheme = tls.length > 0 ? "https" : "http";
    for (const [index, files] of tls.entries()) this.#writeTls(`m${index}`, files);
    const client = clientTls ?? tls[0];
    if (client) this.#writeTls("client", client);
    const planned: Member[] = [];
    for (let index = 0; index < count; index += 1) {
      const namespace = namespaces[index] ?? null;
      const address = addresses[index] ?? "127.0.0.1";
      const host = address.includes(":") ? `[${address}]` : address;
      const first = FIRST_NAMESPACE_PORT + 2 * index;
      const ports = namespace === null ? [await freePort(address), await freePort(address)] : [first, first + 1];
      planned.push({
        name: `m${index}`,
        clientUrl: `${scheme}://${host}:${ports[0]}`,
        peerUrl: `${scheme}://${host}:${ports[1]}`,
        dataDir: join(dataDir ?? this.directory, `m${index}`),
        namespace,
        child: null,
        paused: false,
        lastLines: [],
      });
    }
    return planned;
  }

  #arguments(member: Member): string[] {
    const { heartbeatMs = 50, electionMs = 500, quotaBytes, autoCompaction } = this.#options;
    const tls = this.#tlsFiles(member.name).flatMap(([name, path]) => {
      const option = name === "ca" ? "trusted-ca-file" : `${name}-file`;
      return [`--${option}=${path}`, `--peer-${option}=${path}`];
    });
    return [
      `--name=${member.name}`,
      `--data-dir=${member.dataDir}`,
      `--listen-client-urls=${member.clientUrl}`,
      `--advertise-client-urls=${member.clientUrl}`,
      `--listen-peer-urls=${member.peerUrl}`,
      `--initial-advertise-peer-urls=${member.peerUrl}`,
      `--initial-cluster=${this.#members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(",")}`,
      `--initial-cluster-token=${this.directory}`,
      `--heartbeat-interval=${heartbeatMs}`,
      `--election-timeout=${electionMs}`,
      "--logger=zap",
      "--log-level=warn",
      ...(tls.length > 0 ? ["--client-cert-auth", "--peer-client-cert-auth", ...tls] : []),
      ...(quotaBytes === undefined ? [] : [`--quota-backend-bytes=${quotaBytes}`]),
      ...(autoCompaction === undefined
        ? []
        : [`--auto-compaction-mode=${autoCompaction.mode}`, `--auto-compaction-retention=${autoCompaction.retention}`]),
    ];
  }

  #writeTls(name: string, files: EtcdTls): void {
    mkdirSync(join(this.directory, "tls"), { recursive: true });
    for (const part of ["ca", "cert", "key"] as const) {
      writeFileSync(join(this.directory, "tls", `${name}.${part}`), files[part], { mode: 0o600 });
    }
  }

  #tlsFiles(name: string): [string, string][] {
    if (!this.#options.tls?.length) return [];
    return ["ca", "cert", "key"].map((part) => [part, join(this.directory, "tls", `${name}.${part}`)]);
  }

  #member(index: number): Member {
    const member = this.#members[index];
    if (!member) throw new Error(`there is no member ${index}`);
    return member;
  }

  #answering(): number[] {
    return [...this.#members.keys()].filter((index) => this.isRunning(index) && !this.#member(index).paused);
  }

  async #leads(index: number): Promise<boolean> {
    try {
      const text = await this.etcdctl(["--command-timeout=2s", "endpoint", "status", "-w", "json"], [index]);
      // 64-bit numbers: compared as text.
      const id = /"member_id":(\d+)/.exec(text)?.[1];
      return id !== undefined && /"leader":(\d+)/.exec(text)?.[1] === id;
    } catch {
      return false;
    }
  }

  async #isHealthy(index: number): Promise<boolean> {
    const { child, name, lastLines } = this.#member(index);
    if (child === null) throw new Error(`${name} has ended: ${lastLines.join("\n")}`);
    try {
      await this.etcdctl(["--command-timeout=2s", "endpoint", "health"], [index]);
      return true;
    } catch {
      return false;
    }
  }

  async #end(member: Member, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const { child } = member;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    child.kill("SIGCONT");
    await ended;
    member.child = null;
  }

  #lastWords(): string {
    return this.#members.map(({ name, lastLines }) => `${name}: ${lastLines.join("\n")}`).join("\n");
  }
}
