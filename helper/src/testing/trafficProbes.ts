/** Probes of allowed and denied traffic into a lab's host, counted exactly; see native/prober.c. */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { HOST_ADDRESS } from "./kernelLab.ts";

const SOURCE = fileURLToPath(new URL("./native/prober.c", import.meta.url));
const HERTZ = 1_000;

export interface Arrivals {
  readonly allowedDatagrams: number;
  readonly deniedDatagrams: number;
  readonly allowedConnections: number;
  readonly deniedConnections: number;
}

/** Where traffic goes to and comes from: a `KernelLab`, or a machine with another address. */
export interface ProbePlace {
  /** For the compiled prober. */
  readonly directory: string;
  readonly cgroupRoot: string;
  readonly hostNamespace: string;
  readonly peerNamespace: string;
  /** That of the lab's host unless given. */
  readonly hostAddress?: { readonly 4: string; readonly 6: string };
}

interface Sent {
  readonly allowedDatagrams: number;
  readonly deniedDatagrams: number;
  readonly allowedTried: number;
  readonly allowedConnected: number;
  readonly allowedRetried: number;
  readonly allowedFailed: number;
  readonly deniedTried: number;
  readonly deniedConnected: number;
  readonly skipped: number;
}

/** What went wrong during a run, and how much was tried. */
export interface ProbeResult {
  /** Datagrams and connections that arrived although they are denied. */
  readonly leaked: number;
  /** Allowed datagrams that did not arrive, and allowed connections that failed or had to be tried again. */
  readonly dropped: number;
  readonly tried: number;
}

class Lines {
  readonly child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;

  constructor(command: readonly string[]) {
    const [program = "", ...rest] = command;
    this.child = spawn(program, rest);
    this.child.stderr.pipe(process.stderr);
    this.#lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async next<T>(): Promise<T> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`the prober ended with ${this.child.exitCode}`);
    return JSON.parse(value) as T;
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin.end();
    await ended;
  }
}

export class TrafficProbes {
  readonly #program: string;
  readonly #lab: ProbePlace;
  readonly #ports: readonly [allowed: string, denied: string];
  readonly #server: Lines;

  private constructor(lab: ProbePlace, ports: readonly [number, number]) {
    this.#lab = lab;
    this.#program = join(lab.directory, "prober");
    this.#ports = [String(ports[0]), String(ports[1])];
    execFileSync("clang", ["-O1", "-o", this.#program, SOURCE]);
    const enter = `echo $$ > "${lab.cgroupRoot}/cgroup.procs" && exec nsenter "--net=${lab.hostNamespace}" "$@"`;
    this.#server = new Lines(["sh", "-c", enter, "sh", this.#program, "serve", ...this.#ports]);
  }

  static async start(lab: ProbePlace, allowedPort: number, deniedPort: number): Promise<TrafficProbes> {
    const probes = new TrafficProbes(lab, [allowedPort, deniedPort]);
    await probes.#server.next();
    return probes;
  }

  /** Of the process that everything arrives at. */
  get serverPid(): number {
    return this.#server.child.pid ?? 0;
  }

  /** 1,000 probes a second of each kind (TCP and UDP, IPv4 and IPv6, allowed and denied) while `body` runs. */
  async during(body: () => Promise<void>): Promise<ProbeResult> {
    const before = await this.#arrivals();
    const address = this.#lab.hostAddress ?? HOST_ADDRESS;
    const hosts = [address[4], address[6], String(HERTZ)];
    const namespace = `--net=${this.#lab.peerNamespace}`;
    const prober = new Lines(["nsenter", namespace, this.#program, "probe", ...this.#ports, ...hosts]);
    await prober.next();
    try {
      await body();
    } finally {
      prober.child.stdin.end();
    }
    const sent = await prober.next<Sent>();
    await prober.end();
    const after = await this.#arrivals();
    const arrived = (name: keyof Arrivals) => after[name] - before[name];
    const retried = sent.allowedRetried + (sent.allowedTried - sent.allowedConnected);
    return {
      leaked: arrived("deniedDatagrams") + arrived("deniedConnections") + sent.deniedConnected,
      dropped: sent.allowedDatagrams - arrived("allowedDatagrams") + retried,
      tried: sent.allowedDatagrams + sent.deniedDatagrams + sent.allowedTried + sent.deniedTried,
    };
  }

  async close(): Promise<void> {
    await this.#server.end();
  }

  #arrivals(): Promise<Arrivals> {
    this.#server.child.stdin.write("\n");
    return this.#server.next<Arrivals>();
  }
}
