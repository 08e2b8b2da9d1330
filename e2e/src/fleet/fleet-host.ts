/** One test machine of a fleet: namespaces, file system, accounts, sshd and agent of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { SocketPeer } from "@wardline/helper/testing/socketPeer";
import type { DualAddress } from "./addresses.ts";
import { insideMachine } from "./enter.ts";
import { AGENT_UNIT, HOST_KEY_PATH, SSH_UNIT } from "./host-files.ts";
import { type KeyPair, makeKey } from "./keys.ts";
import type { Answer } from "./machine/service-manager.ts";
import { BUILD_ROOT, CHECKOUT, ENTER_CGROUP, MACHINE_MAIN, UNSHARE } from "./machine-root.ts";
import { setLine } from "./network.ts";
import { type ProgramResult, type RunOptions, runToEnd } from "./run-program.ts";

/** Long: a hundred agents may start at once. */
const READY_LIMIT_MS = 120_000;

export interface FleetHostSpec {
  /** Of the machine; also its `Host` in the console's SSH configuration. */
  readonly name: string;
  /** `running` unless given; `stopped`: installed only; `none`: bare, for installing. */
  readonly agent?: "running" | "stopped" | "none";
  /** Options of `wardline-agent run`, by a drop-in. */
  readonly agentOptions?: readonly string[];
  /** sshd takes passwords too. */
  readonly hasPasswords?: boolean;
  /** Lines of sshd_config, before the usual ones: the first value of a keyword counts. */
  readonly sshdLines?: readonly string[];
  /** Puts /var/lib/wardline on a file system of this size. */
  readonly stateSizeBytes?: number;
  /** More units by name; each is started with the machine. */
  readonly services?: Readonly<Record<string, string>>;
}

export interface FleetHostPlace {
  readonly slot: number;
  readonly index: number;
  readonly namespace: string;
  readonly cgroup: string;
  readonly directory: string;
  readonly address: DualAddress;
}

export class FleetHost {
  readonly spec: FleetHostSpec;
  readonly place: FleetHostPlace;
  hostKey: KeyPair;
  #main: ChildProcess | null = null;
  #output = "";
  readonly #peers: SocketPeer[] = [];

  constructor(spec: FleetHostSpec, place: FleetHostPlace, hostKey: KeyPair) {
    this.spec = spec;
    this.place = place;
    this.hostKey = hostKey;
  }

  get name(): string {
    return this.spec.name;
  }

  get address(): DualAddress {
    return this.place.address;
  }

  /** Of the machine's first process. */
  get pid(): number {
    if (this.#main?.pid === undefined) throw new Error(`${this.name} does not run`);
    return this.#main.pid;
  }

  /** Where a path of the machine is for this process. */
  path(inside: string): string {
    return `/proc/${this.pid}/root${inside}`;
  }

  get agentSocket(): string {
    return this.path("/run/wardline/agent.sock");
  }

  /** Resolves when sshd and, where it shall run, the agent answer. @param staged what to put into its file system */
  async start(staged: string): Promise<void> {
    const { cgroup, namespace, directory } = this.place;
    mkdirSync(cgroup);
    const base = join(directory, "root");
    mkdirSync(base);
    const size = this.spec.stateSizeBytes === undefined ? "-" : String(this.spec.stateSizeBytes);
    const build = ["sh", "-c", BUILD_ROOT, "build", base, staged, CHECKOUT, size, this.name];
    const first = [process.execPath, "--disable-warning=ExperimentalWarning", MACHINE_MAIN, String(inodeOf(cgroup))];
    const line = ["nsenter", `--net=${namespace}`, ...UNSHARE, ...build, ...first];
    const main = spawn("sh", ["-c", ENTER_CGROUP, "enter", cgroup, ...line], {
      detached: true,
      env: { ...process.env, NODE_COMPILE_CACHE: join(CHECKOUT, ".cache/compile") },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#main = main;
    main.stderr?.on("data", (chunk) => {
      this.#output = (this.#output + String(chunk)).slice(-4000);
    });
    await new Promise<void>((resolve, reject) => {
      main.once("error", reject);
      main.once("exit", (code) => reject(new Error(`${this.name} ended with ${code}: ${this.#output}`)));
      createInterface({ input: main.stdout as NodeJS.ReadableStream }).once("line", () => resolve());
    });
    const agent = this.spec.agent ?? "running";
    await Promise.all([this.startSshd(), agent === "running" ? this.startAgent() : null]);
    for (const unit of Object.keys(this.spec.services ?? {})) await this.#must("start", unit);
  }

  /** Asks the machine's service manager as its root would. */
  systemctl(verb: string, ...units: readonly string[]): Promise<Answer> {
    const order = { verb, units, now: false, properties: [], valuesOnly: false };
    return this.#ask(order);
  }

  #ask(order: object): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.path("/run/systemd/machine.sock"), () => socket.write(`${JSON.stringify(order)}\n`));
      socket.once("error", reject);
      createInterface({ input: socket }).once("line", (line) => resolve(JSON.parse(line) as Answer));
    });
  }

  async #must(verb: string, unit: string): Promise<void> {
    const { exitCode, stderr } = await this.systemctl(verb, unit);
    if (exitCode !== 0) throw new Error(`systemctl ${verb} ${unit} on ${this.name}: ${stderr}`);
  }

  /** Of a service, 0 when it does not run. */
  async mainPid(unit: string): Promise<number> {
    return Number(await this.#show("MainPID", unit));
  }

  async #show(property: string, unit: string): Promise<string> {
    const order = { verb: "show", units: [unit], now: false, properties: [property], valuesOnly: true };
    return (await this.#ask(order)).stdout.trim();
  }

  async startSshd(): Promise<void> {
    await this.#must("start", SSH_UNIT);
    await this.#waitFor("sshd", () => this.#greets());
  }

  /** Sessions end with it. */
  async stopSshd(): Promise<void> {
    await this.#must("stop", SSH_UNIT);
  }

  async startAgent(): Promise<void> {
    await this.#must("start", AGENT_UNIT);
    await this.#waitFor("the agent", async () => {
      // Its unit starts it again for ever: one that ends twice has something to say that waiting does not change.
      const restarts = Number(await this.#show("NRestarts", AGENT_UNIT));
      if (restarts > 1) throw new Error(`the agent of ${this.name} ends by itself:\n${this.log(AGENT_UNIT)}`);
      return accepts(this.agentSocket);
    });
  }

  async stopAgent(): Promise<void> {
    await this.#must("stop", AGENT_UNIT);
  }

  /** SIGKILL; its unit starts it again after a second. @returns the process that was killed */
  async killAgent(): Promise<number> {
    const pid = await this.mainPid(AGENT_UNIT);
    if (pid === 0) throw new Error(`no agent runs on ${this.name}`);
    process.kill(pid, "SIGKILL");
    return pid;
  }

  /** Resolves when somebody listens on the agent's socket. */
  agentAnswers(): Promise<void> {
    return this.socketAnswers("/run/wardline/agent.sock");
  }

  /** The same for any socket of the machine. */
  async socketAnswers(inside: string): Promise<void> {
    await this.#waitFor(inside, () => accepts(this.path(inside)));
  }

  /** The machine shows another key from now on. The console's files keep the old one. */
  async newHostKey(): Promise<KeyPair> {
    const serial = statSync(this.place.directory).ino + Math.floor(performance.now() * 1000);
    this.hostKey = await makeKey(join(this.place.directory, `host-key-${serial}`));
    writeFileSync(this.path(`/${HOST_KEY_PATH}`), this.hostKey.privateText, { mode: 0o600 });
    await this.stopSshd();
    await this.startSshd();
    return this.hostKey;
  }

  linkDown(): Promise<void> {
    return setLine(this.place.slot, this.place.index, "down");
  }

  linkUp(): Promise<void> {
    return setLine(this.place.slot, this.place.index, "up");
  }

  /** Leaves no byte where the agent keeps its records; needs `stateSizeBytes`. */
  fillDisk(): void {
    if (this.spec.stateSizeBytes === undefined)
      throw new Error(`${this.name} has no file system of its own for records`);
    const { bavail, bsize } = statfsSync(this.path("/var/lib/wardline"));
    writeFileSync(this.path("/var/lib/wardline/filler"), Buffer.alloc(bavail * bsize));
  }

  freeDisk(): void {
    rmSync(this.path("/var/lib/wardline/filler"), { force: true });
  }

  /** Runs a program on the machine, as its root and inside its control group. */
  run(words: readonly string[], options: RunOptions = {}): Promise<ProgramResult> {
    return runToEnd(...insideMachine({ pid: this.pid, cgroup: this.place.cgroup }, words), options);
  }

  /** A process that opens sockets on command on this machine. */
  async startPeer(): Promise<SocketPeer> {
    const peer = new SocketPeer(this.place.namespace, this.place.cgroup);
    this.#peers.push(peer);
    await peer.ready();
    return peer;
  }

  /** What services wrote, newest last. */
  log(unit: string): string {
    try {
      return readFileSync(this.path(`/var/log/services/${unit}.log`), "utf8");
    } catch {
      return "";
    }
  }

  async #waitFor(what: string, isThere: () => Promise<boolean>): Promise<void> {
    const startedAtMs = performance.now();
    while (!(await isThere())) {
      if (performance.now() - startedAtMs > READY_LIMIT_MS) {
        throw new Error(`${what} of ${this.name} does not answer:\n${this.log(AGENT_UNIT)}\n${this.log(SSH_UNIT)}`);
      }
      await setTimeout(15);
    }
  }

  /** Whether sshd listens: asked inside the machine, so that neither line nor policy is in the way. */
  async #greets(): Promise<boolean> {
    const listening = readFileSync(`/proc/${this.pid}/net/tcp`, "utf8");
    // Port 22, state LISTEN (proc_net_tcp(5)).
    return /^ *\d+: [0-9A-F]{8}:0016 [0-9A-F:]+ 0A /m.test(listening);
  }

  /** Ends the machine's first process, and all others with it. The subtree itself is the fleet's to remove. */
  async stop(): Promise<void> {
    const main = this.#main;
    this.#main = null;
    await Promise.all(this.#peers.map((peer) => peer.close()));
    if (!main || main.exitCode !== null || main.signalCode !== null) return;
    const ended = new Promise((resolve) => main.once("exit", resolve));
    main.stdin?.end();
    await ended;
  }
}

export const inodeOf = (path: string): bigint => statSync(path, { bigint: true }).ino;

/** Whether somebody listens on the socket: its file is there before. */
export function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** For directories that other users of this machine must not look into. */
export function makePrivateDirectory(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  chmodSync(path, 0o700);
  return path;
}
