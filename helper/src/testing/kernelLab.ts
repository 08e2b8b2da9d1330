/**
 * A place for tests with real packets: two network namespaces joined by a veth pair, and a cgroup subtree of its own.
 * "Host" is the side that an agent guards, "peer" is somebody on its network. Everything is removed by `close`.
 *
 * Namespaces are entered with `nsenter --net`, never `ip netns exec`: that one remounts /sys, which hides cgroup2, and
 * the process under test would run unfiltered.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { libbpfProblem, unmount } from "../linux/bpf/libbpf.ts";
import { isBpffs } from "../linux/bpffs.ts";
import { findCgroup2Mount } from "../linux/mounts.ts";
import { linksUp } from "./linksUp.ts";
import { SocketPeer } from "./socketPeer.ts";

const OBJECT_PATH = fileURLToPath(new URL("../../../bpf/build/wardline.bpf.o", import.meta.url));
const BPF_DIR = fileURLToPath(new URL("../../../bpf", import.meta.url));
const NATIVE_DIR = fileURLToPath(new URL("./native", import.meta.url));

function findProgram(name: string): boolean {
  return (process.env.PATH ?? "").split(":").some((directory) => existsSync(join(directory, name)));
}

/** Why tests with real packets cannot run here, or `null`. For `describe.skipIf`; put it into the name. */
export function kernelLabProblem(): string | null {
  if (process.platform !== "linux") return "needs Linux";
  if (process.geteuid?.() !== 0) return "needs root";
  if (libbpfProblem() !== null) return "needs libbpf.so.1";
  if (findCgroup2Mount() === null) return "needs a cgroup2 mount";
  for (const program of ["ip", "nsenter", "clang", "make"]) if (!findProgram(program)) return `needs ${program}`;
  return null;
}

/** The object's bytes, built first when it is not there or older than its sources. */
export function readBpfObject(): Uint8Array {
  execFileSync("make", ["-s", "-C", BPF_DIR], { stdio: ["ignore", "ignore", "inherit"] });
  return readFileSync(OBJECT_PATH);
}

let serial = 0;

export const PEER_ADDRESS = { 4: "10.77.0.1", 6: "fd77::1" } as const;
export const HOST_ADDRESS = { 4: "10.77.0.2", 6: "fd77::2" } as const;

export class KernelLab {
  readonly name: string;
  /** Attach here: everything that runs on the host side is inside. */
  readonly cgroupRoot: string;
  readonly directory: string;
  /** Where an enforcer may mount its BPF file system. */
  readonly bpffsDir: string;
  readonly #peers: SocketPeer[] = [];
  readonly #cgroups: string[] = [];

  constructor() {
    serial += 1;
    this.name = `wl${process.pid}-${serial}`;
    const mount = findCgroup2Mount();
    if (mount === null) throw new Error("no cgroup2 mount");
    this.cgroupRoot = join(mount, this.name);
    // With the number in it, as in the names above, scripts/test/leftovers.mjs can tell what a killed run has left.
    this.directory = mkdtempSync(join(tmpdir(), `wardline-lab-${process.pid}-`));
    this.bpffsDir = join(this.directory, "bpf");
    mkdirSync(this.cgroupRoot);
    try {
      this.#makeNetwork();
    } catch (error) {
      // Nobody holds this lab yet, so nobody else can remove what was made of it.
      for (const side of ["host", "peer"]) spawnSync("ip", ["netns", "del", `${this.name}-${side}`]);
      rmdirSync(this.cgroupRoot);
      rmSync(this.directory, { recursive: true });
      throw error;
    }
  }

  get hostNamespace(): string {
    return `/run/netns/${this.name}-host`;
  }

  get peerNamespace(): string {
    return `/run/netns/${this.name}-peer`;
  }

  #makeNetwork(): void {
    const { name } = this;
    const ip = (...args: string[]): void => void execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
    ip("netns", "add", `${name}-host`);
    ip("netns", "add", `${name}-peer`);
    ip("-n", `${name}-host`, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", `${name}-peer`);
    linksUp(...["host", "peer"].map((side) => ({ namespace: `${name}-${side}`, device: "eth0" })));
    for (const [side, addresses] of [
      ["host", HOST_ADDRESS],
      ["peer", PEER_ADDRESS],
    ] as const) {
      const namespace = `${name}-${side}`;
      ip("-n", namespace, "addr", "add", `${addresses[4]}/24`, "dev", "eth0");
      ip("-n", namespace, "addr", "add", `${addresses[6]}/64`, "dev", "eth0", "nodad");
      ip("-n", namespace, "link", "set", "lo", "up");
    }
  }

  /** Makes a cgroup below the guarded one. */
  makeCgroup(path: string): string {
    const directory = join(this.cgroupRoot, path);
    mkdirSync(directory, { recursive: true });
    const parts = path.split("/");
    for (let depth = parts.length; depth > 0; depth--)
      this.#cgroups.push(join(this.cgroupRoot, parts.slice(0, depth).join("/")));
    return directory;
  }

  /** A process that opens sockets on command. The host side's runs inside the guarded cgroup (or the one given). */
  async startSocketPeer(side: "host" | "peer", cgroup: string | null = side === "host" ? this.cgroupRoot : null) {
    const peer = new SocketPeer(side === "host" ? this.hostNamespace : this.peerNamespace, cgroup);
    this.#peers.push(peer);
    await peer.ready();
    return peer;
  }

  /** Sends one echo request. "refused" = the send itself failed. */
  ping(side: "host" | "peer", address: string): "answered" | "silence" | "refused" {
    return (["answered", "silence", "refused"] as const)[this.#runNative("ping", side, [address])] ?? "silence";
  }

  /**
   * From the host: asks a service often on one connected datagram socket, then sends from that socket to another port.
   * "silence" = the service did not answer; else what became of the last.
   */
  sendElsewhere(address: string, port: number, times: number, otherPort: number): "sent" | "silence" | "refused" {
    const status = this.#runNative("elsewhere", "host", [address, `${port}`, `${times}`, `${otherPort}`]);
    return (["sent", "silence", "refused"] as const)[status] ?? "silence";
  }

  /** Runs a program of `native/` to its end and returns its status: 0, 1 or 2 as it says at its beginning. */
  #runNative(name: string, side: "host" | "peer", words: readonly string[]): 0 | 1 | 2 {
    const path = join(this.directory, name);
    if (!existsSync(path)) execFileSync("clang", ["-O1", "-o", path, join(NATIVE_DIR, `${name}.c`)]);
    const namespace = side === "host" ? this.hostNamespace : this.peerNamespace;
    const enter = side === "host" ? `echo $$ > ${this.cgroupRoot}/cgroup.procs; ` : "";
    const script = `${enter}exec nsenter --net=${namespace} ${path} ${words.join(" ")}`;
    const { status } = spawnSync("sh", ["-c", script], { stdio: "ignore" });
    if (status === 0 || status === 1 || status === 2) return status;
    throw new Error(`${name} ended with ${status}`);
  }

  async close(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.close()));
    for (const side of ["host", "peer"]) execFileSync("ip", ["netns", "del", `${this.name}-${side}`]);
    for (const directory of this.#cgroups) if (existsSync(directory)) rmdirSync(directory);
    rmdirSync(this.cgroupRoot);
    if (isBpffs(this.bpffsDir)) unmount(this.bpffsDir);
    rmSync(this.directory, { recursive: true });
  }

  /** Writes a file into the lab's private directory and returns its path. */
  writeFile(name: string, text: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, text);
    return path;
  }
}
