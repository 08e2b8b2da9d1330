/**
 * Real Yggdrasil nodes, each a process with a directory of its own, without an interface of the system unless one is asked for. They
 * can be killed, hung and started again. `close` ends all and removes everything.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, standStill } from "@wardline/domain/testing/machine";

const PROGRAM = ["/usr/sbin/yggdrasil", "/usr/bin/yggdrasil"].find((path) => existsSync(path)) ?? "";
const UP_LIMIT_MS = 60_000;
const LAST_LINES = 20;

/** Why no node can be started here, or `null`. For `describe.skipIf`; put it into the name. */
export function yggdrasilProblem(): string | null {
  return PROGRAM === "" ? "needs yggdrasil" : null;
}

export interface NodeOptions {
  /** Whom it dials. */
  readonly peers?: readonly string[];
  /** Address that it listens on, beside a free port; 127.0.0.1 unless given, `null` = nowhere. */
  readonly listen?: string | null;
  /** Name of its TUN; none unless given, as that needs root. */
  readonly interfaceName?: string;
  /** Path of the network namespace it lives in. */
  readonly namespace?: string;
}

interface NodeConfig {
  readonly PublicKey: string;
}

export class YggdrasilNode {
  readonly name: string;
  readonly socketPath: string;
  readonly configPath: string;
  readonly key: string;
  /** What others dial; empty where it does not listen. */
  readonly uri: string;
  readonly #namespace: string | null;
  #child: ChildProcess | null = null;
  #lastLines: string[] = [];

  constructor(directory: string, name: string, port: number, options: NodeOptions) {
    const { peers = [], listen = "127.0.0.1", interfaceName = "none", namespace = null } = options;
    const own = join(directory, name);
    mkdirSync(own);
    this.name = name;
    this.socketPath = join(own, "admin.sock");
    this.configPath = join(own, "yggdrasil.conf");
    this.uri = listen === null ? "" : `tcp://${listen.includes(":") ? `[${listen}]` : listen}:${port}`;
    this.#namespace = namespace;
    const generated = JSON.parse(execFileSync(PROGRAM, ["-genconf", "-json"], { encoding: "utf8" })) as NodeConfig;
    this.key = generated.PublicKey;
    const config = {
      ...generated,
      ...{ Peers: peers, Listen: listen === null ? [] : [this.uri], AdminListen: `unix://${this.socketPath}` },
      ...{ IfName: interfaceName, MulticastInterfaces: [] },
    };
    writeFileSync(this.configPath, JSON.stringify(config, null, 2), { mode: 0o600 });
  }

  get isRunning(): boolean {
    return this.#child !== null;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Resolves when it takes connections on its admin socket. */
  async start(): Promise<void> {
    if (this.#child !== null) throw new Error(`${this.name} runs already`);
    const enter = this.#namespace === null ? [] : ["nsenter", `--net=${this.#namespace}`];
    const [program = "", ...words] = [...enter, PROGRAM, "-useconffile", this.configPath];
    const child = spawn(program, words, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    const keep = (chunk: unknown) => {
      this.#lastLines = [...this.#lastLines, ...String(chunk).split("\n")].slice(-LAST_LINES);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("exit", () => {
      if (this.#child === child) this.#child = null;
    });
    for (const deadline = Date.now() + UP_LIMIT_MS; !(await takesConnections(this.socketPath)); ) {
      if (this.#child === null || Date.now() > deadline) {
        throw new Error(`${this.name} does not start: ${this.#lastLines.join("\n")}`);
      }
      await sleep(20);
    }
  }

  /** Gone at once; its socket stays behind. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  /** From when this resolves it answers nothing, and keeps its sockets. */
  async hang(): Promise<void> {
    await standStill(this.pid);
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    child.kill("SIGCONT");
    await ended;
    this.#child = null;
  }
}

export class YggdrasilLab {
  readonly directory = mkdtempSync(join(tmpdir(), "wardline-ygg-"));
  readonly #nodes: YggdrasilNode[] = [];
  /** For a process that ends before it closes the lab. */
  readonly #killAll = () => {
    for (const { pid } of this.#nodes) if (pid !== 0) process.kill(pid, "SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  };

  constructor() {
    process.once("exit", this.#killAll);
  }

  /** Makes and starts a node. */
  async node(name: string, options: NodeOptions = {}): Promise<YggdrasilNode> {
    const node = new YggdrasilNode(this.directory, name, await freePort(), options);
    this.#nodes.push(node);
    await node.start();
    return node;
  }

  async close(): Promise<void> {
    process.off("exit", this.#killAll);
    await Promise.all(this.#nodes.map((node) => node.kill()));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

function takesConnections(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (takes: boolean) => {
      socket.destroy();
      resolve(takes);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}
