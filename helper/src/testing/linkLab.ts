/**
 * Three hosts in a row, each a network namespace of its own: `host` (that measures), `router`, `peer`. IPv4 and IPv6. Faults
 * are put into the router. Everything is removed by `close`.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ProbeTarget } from "../mesh/ports.ts";
import type { LinkCommand, LinkState } from "./linkProbesMain.ts";
import { linksUp } from "./linksUp.ts";

export type { LinkState, ShownProbe } from "./linkProbesMain.ts";

const PROBES_MAIN = fileURLToPath(new URL("./linkProbesMain.ts", import.meta.url));
const FORGER_MAIN = fileURLToPath(new URL("./echoForgerMain.ts", import.meta.url));
const PROGRAMS = ["ip", "nsenter", "nft", "setpriv", "ss", "sysctl"];
const QUIET = "--disable-warning=ExperimentalWarning";

export type LabHost = "host" | "router" | "peer";

export const PEER = { 4: "10.92.0.1", 6: "fd92::1" } as const;
const ADDRESSES = {
  hostSide: { 4: ["10.91.0.1", "10.91.0.2"], 6: ["fd91::1", "fd91::2"] },
  peerSide: { 4: [PEER[4], "10.92.0.2"], 6: [PEER[6], "fd92::2"] },
} as const;

/** Why the lab cannot be made here, or `null`. For `describe.skipIf`; put it into the name. */
export function linkLabProblem(): string | null {
  if (process.platform !== "linux") return "needs Linux";
  if (process.geteuid?.() !== 0) return "needs root";
  const directories = (process.env.PATH ?? "").split(":");
  const missing = PROGRAMS.find((program) => !directories.some((directory) => existsSync(join(directory, program))));
  return missing === undefined ? null : `needs ${missing}`;
}

let serial = 0;

export class LinkLab {
  readonly #name: string;
  readonly #children: ChildProcess[] = [];

  constructor() {
    serial += 1;
    this.#name = `wl${process.pid}-link${serial}`;
    try {
      this.#makeNetwork();
    } catch (error) {
      this.#remove();
      throw error;
    }
  }

  #makeNetwork(): void {
    const ip = (...args: string[]): void => void execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
    for (const host of ["host", "router", "peer"] as const) {
      ip("netns", "add", this.#namespace(host));
      ip("-n", this.#namespace(host), "link", "set", "lo", "up");
    }
    for (const [end, toRouter, addresses] of [
      ["host", "eth0", ADDRESSES.hostSide],
      ["peer", "eth1", ADDRESSES.peerSide],
    ] as const) {
      const [ours, router] = [this.#namespace(end), this.#namespace("router")];
      ip("-n", ours, "link", "add", "eth0", "type", "veth", "peer", "name", toRouter, "netns", router);
      linksUp({ namespace: ours, device: "eth0" }, { namespace: router, device: toRouter });
      for (const [namespace, device, at] of [
        [ours, "eth0", 0],
        [router, toRouter, 1],
      ] as const) {
        ip("-n", namespace, "addr", "add", `${addresses[4][at]}/24`, "dev", device);
        ip("-n", namespace, "addr", "add", `${addresses[6][at]}/64`, "dev", device, "nodad");
      }
      ip("-n", ours, "route", "add", "default", "via", addresses[4][1]);
      ip("-n", ours, "-6", "route", "add", "default", "via", addresses[6][1]);
    }
    this.sysctl("router", "net.ipv4.ip_forward", "1");
    this.sysctl("router", "net.ipv6.conf.all.forwarding", "1");
    this.rules("");
  }

  #namespace(host: LabHost): string {
    return `${this.#name}-${host}`;
  }

  path(host: LabHost): string {
    return `/run/netns/${this.#namespace(host)}`;
  }

  /** Runs a program in a namespace; throws with its error text. */
  run(host: LabHost, program: string, args: readonly string[], input = ""): string {
    const ran = spawnSync("nsenter", [`--net=${this.path(host)}`, program, ...args], { input });
    if (ran.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${ran.stderr.toString().slice(0, 500)}`);
    return ran.stdout.toString();
  }

  sysctl(host: LabHost, name: string, value: string): void {
    this.run(host, "sysctl", ["-qw", `${name}=${value}`]);
  }

  /** What the router does with packets that it passes on; replaces what it did before. Packets to the peer leave by `eth1`. */
  rules(lines: string, host: LabHost = "router", hook = "forward"): void {
    const script = `table inet faults\ndelete table inet faults\ntable inet faults { chain everything { type filter hook ${hook} priority 0; policy accept;\n${lines}\n}\n}\n`;
    this.run(host, "nft", ["-f", "-"], script);
  }

  mtu(host: LabHost, device: string, bytes: number): void {
    this.run(host, "ip", ["link", "set", device, "mtu", String(bytes)]);
  }

  /** Takes connections and says nothing, until it is stopped. */
  async listen(host: LabHost, port: number): Promise<() => void> {
    const program = `require("node:net").createServer((socket) => socket.on("error", () => {})).listen(${port}, "::", () => console.log("ready"))`;
    const child = spawn("nsenter", [`--net=${this.path(host)}`, process.execPath, "-e", program], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#children.push(child);
    await once(child.stdout, "data");
    return () => child.kill("SIGKILL");
  }

  /** `capabilities` of the process, as of `setpriv --bounding-set`; all unless given. */
  startProbes(capabilities: string | null = null): ProbesProcess {
    const confined = capabilities === null ? [] : ["setpriv", "--no-new-privs", `--bounding-set=${capabilities}`];
    const words = [`--net=${this.path("host")}`, ...confined, process.execPath, QUIET, PROBES_MAIN];
    const child = spawn("nsenter", words, {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#children.push(child);
    return new ProbesProcess(child);
  }

  /** Answers echoes in the peer's place until it is stopped. */
  async startForger(mode: string): Promise<() => void> {
    this.sysctl("peer", "net.ipv4.icmp_echo_ignore_all", "1");
    const child = spawn("nsenter", [`--net=${this.path("peer")}`, process.execPath, QUIET, FORGER_MAIN, mode], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#children.push(child);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    child.stdout.once("data", () => resolve());
    child.once("exit", () => reject(new Error(`the forger ended: ${mode}`)));
    await promise;
    return () => child.kill("SIGKILL");
  }

  close(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    this.#remove();
  }

  #remove(): void {
    for (const host of ["host", "router", "peer"] as const) spawnSync("ip", ["netns", "del", this.#namespace(host)]);
  }
}

/** `linkProbesMain.ts` as a child. */
export class ProbesProcess {
  readonly #child: ChildProcess;
  readonly changes: LinkState[] = [];
  readonly #waiting: ((state: LinkState) => void)[] = [];

  constructor(child: ChildProcess) {
    this.#child = child;
    createInterface({ input: child.stdout! }).on("line", (line) => {
      const state = JSON.parse(line) as LinkState;
      if (state.kind === "change") this.changes.push(state);
      else this.#waiting.shift()?.(state);
    });
    // The first it says by itself.
    this.#waiting.push(() => {});
  }

  #say(command: LinkCommand): void {
    this.#child.stdin!.write(`${JSON.stringify(command)}\n`);
  }

  setTargets(targets: readonly ProbeTarget[]): void {
    this.#say({ targets });
  }

  state(): Promise<LinkState> {
    const { promise, resolve } = Promise.withResolvers<LinkState>();
    this.#waiting.push(resolve);
    this.#say({ ask: "state" });
    return promise;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  end(): void {
    this.#child.kill("SIGKILL");
  }
}
