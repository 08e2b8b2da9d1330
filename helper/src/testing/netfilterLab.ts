/**
 * A host with nftables and a neighbour, in two network namespaces of their own: packets made by hand, both ways, and what
 * the counters of a table say about them. Everything is removed by `close`.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { linksUp } from "./linksUp.ts";
import { ethernet } from "./rawPacket.ts";
import { SocketPeer } from "./socketPeer.ts";

const PING_SOURCE = fileURLToPath(new URL("./native/ping.c", import.meta.url));
const INJECT_SOURCE = fileURLToPath(new URL("./native/inject.c", import.meta.url));
const PROGRAMS = ["ip", "nsenter", "nft", "clang", "sysctl"];

/** Every address of these belongs to the host; no generated rule or endpoint names one. */
export const LAB_HOST = { 4: "198.18.0.1", 6: "fd99::1" } as const;
export const LAB_PEER = { 4: "198.18.255.1", 6: "fd99:ffff::1" } as const;

/** Why the lab cannot be made here, or `null`. For `describe.skipIf`; put it into the name. */
export function netfilterLabProblem(): string | null {
  if (process.platform !== "linux") return "needs Linux";
  if (process.geteuid?.() !== 0) return "needs root";
  const directories = (process.env.PATH ?? "").split(":");
  const missing = PROGRAMS.find((program) => !directories.some((directory) => existsSync(join(directory, program))));
  return missing === undefined ? null : `needs ${missing}`;
}

export interface NftablesCounter {
  readonly packets: number;
  readonly bytes: number;
}

/** What the kernel itself sends would be counted too, and what arrives would be answered: neither is let through. */
const QUIET_TABLE = `table inet quiet {
	chain before_output {
		type filter hook output priority -10; policy accept;
		oif != lo meta mark != 0x77 drop
	}
	counter passed {}
	chain after_output {
		type filter hook output priority 10; policy drop;
		counter name passed
	}
	chain after_input {
		type filter hook input priority 10; policy drop;
		counter name passed
	}
}
`;

let serial = 0;

export class NetfilterLab {
  readonly #name: string;
  readonly #directory: string;
  readonly #injectPath: string;
  readonly #peers: SocketPeer[] = [];

  constructor() {
    serial += 1;
    this.#name = `wlnf${process.pid}-${serial}`;
    this.#directory = mkdtempSync(join(tmpdir(), "wardline-netfilter-"));
    this.#injectPath = join(this.#directory, "inject");
    try {
      execFileSync("clang", ["-O1", "-o", this.#injectPath, INJECT_SOURCE]);
      this.#makeNetwork();
    } catch (error) {
      this.#remove();
      throw error;
    }
  }

  #makeNetwork(): void {
    const [host, peer] = [this.#namespaceName("host"), this.#namespaceName("peer")];
    const ip = (...args: string[]): void => void execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
    ip("netns", "add", host);
    ip("netns", "add", peer);
    ip("-n", host, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", peer);
    for (const side of ["host", "peer"] as const) {
      const name = this.#namespaceName(side);
      ip("-n", name, "link", "set", "lo", "up");
      ip("-n", name, "link", "set", "eth0", "address", MAC[side]);
    }
    linksUp(...[host, peer].map((namespace) => ({ namespace, device: "eth0" })));
    for (const side of ["host", "peer"] as const) {
      const name = this.#namespaceName(side);
      const addresses = side === "host" ? LAB_HOST : LAB_PEER;
      ip("-n", name, "addr", "add", `${addresses[4]}/32`, "dev", "eth0");
      ip("-n", name, "addr", "add", `${addresses[6]}/128`, "dev", "eth0", "nodad");
      // Whatever the address, it is the other side's: no neighbour has to be looked for.
      const mac = MAC[side === "host" ? "peer" : "host"];
      for (const [family, gateway] of [
        ["-4", "198.19.0.1"],
        ["-6", "fe80::99"],
      ] as const) {
        ip("-n", name, family, "neigh", "add", gateway, "lladdr", mac, "dev", "eth0", "nud", "permanent");
        ip("-n", name, family, "route", "add", "default", "via", gateway, "dev", "eth0", "onlink");
      }
    }
  }

  #namespaceName(side: "host" | "peer"): string {
    return `${this.#name}-${side}`;
  }

  namespacePath(side: "host" | "peer"): string {
    return `/run/netns/${this.#namespaceName(side)}`;
  }

  /** Runs a program in a namespace and returns what it prints; throws with its error text. */
  inside(side: "host" | "peer", program: string, args: readonly string[], input: string | Buffer = ""): string {
    const ran = spawnSync("nsenter", [`--net=${this.namespacePath(side)}`, program, ...args], {
      input,
      maxBuffer: 1 << 28,
    });
    if (ran.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${ran.stderr.toString().slice(0, 2000)}`);
    return ran.stdout.toString();
  }

  /**
   * From here on only packets that the tests send are counted, and none of them is answered. The counter `passed` of the
   * table `quiet` has those that every other table let through.
   */
  hush(): void {
    this.inside("peer", "sysctl", ["-qw", "net.ipv6.conf.all.disable_ipv6=1"]);
    this.load(QUIET_TABLE);
  }

  /** Loads a script on the host; throws with nft's message when it refuses it. */
  load(script: string): void {
    this.inside("host", "nft", ["-f", "-"], script);
  }

  /** Counters of a table by name. */
  counters(tableName: string): ReadonlyMap<string, NftablesCounter> {
    const listed = JSON.parse(this.inside("host", "nft", ["-j", "list", "counters", "table", "inet", tableName])) as {
      nftables: { counter?: { name: string; packets: number; bytes: number } }[];
    };
    return new Map(
      listed.nftables.flatMap(({ counter }) => {
        if (!counter) return [];
        return [[counter.name, { packets: counter.packets, bytes: counter.bytes }] as const];
      }),
    );
  }

  /** Packets from the neighbour to the host, from the IP header on. */
  sendToHost(packets: readonly Buffer[]): void {
    const frames = packets.map((packet) => {
      const frame = ethernet(packet);
      frame.set(Buffer.from(MAC.host.replaceAll(":", ""), "hex"), 0);
      frame.set(Buffer.from(MAC.peer.replaceAll(":", ""), "hex"), 6);
      return frame;
    });
    this.#inject("peer", "link", frames);
  }

  /** Packets that the host itself sends, from the IP header on. */
  sendFromHost(packets: readonly Buffer[]): void {
    this.#inject("host", "local", packets);
  }

  #inject(side: "host" | "peer", how: "link" | "local", packets: readonly Buffer[]): void {
    const input = packets.flatMap((packet) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(packet.length);
      return [length, packet];
    });
    const sent = Number(this.inside(side, this.#injectPath, [how, "eth0"], Buffer.concat(input)));
    if (sent !== packets.length) throw new Error(`${sent} of ${packets.length} packets were sent`);
  }

  /** Sends one echo request. "refused" = the send itself failed. */
  ping(side: "host" | "peer", address: string): "answered" | "silence" | "refused" {
    const path = join(this.#directory, "ping");
    if (!existsSync(path)) execFileSync("clang", ["-O1", "-o", path, PING_SOURCE]);
    const { status } = spawnSync("nsenter", [`--net=${this.namespacePath(side)}`, path, address]);
    if (status === 0) return "answered";
    if (status === 1) return "silence";
    if (status === 2) return "refused";
    throw new Error(`ping ended with ${status}`);
  }

  async startSocketPeer(side: "host" | "peer"): Promise<SocketPeer> {
    const peer = new SocketPeer(this.namespacePath(side), null);
    this.#peers.push(peer);
    await peer.ready();
    return peer;
  }

  async close(): Promise<void> {
    await Promise.all(this.#peers.map((peer) => peer.close()));
    this.#remove();
  }

  #remove(): void {
    for (const side of ["host", "peer"] as const) {
      if (existsSync(this.namespacePath(side))) execFileSync("ip", ["netns", "del", this.#namespaceName(side)]);
    }
    rmSync(this.#directory, { recursive: true });
  }
}

const MAC = { host: "02:00:00:00:00:01", peer: "02:00:00:00:00:02" } as const;
