/**
 * A lab whose host has a second network: "far" is somebody behind `eth1`, and the host forwards between the two. Peer and
 * far reach each other only through the host.
 */
import { execFileSync } from "node:child_process";
import { HOST_ADDRESS, KernelLab, PEER_ADDRESS } from "./kernelLab.ts";
import { linksUp } from "./linksUp.ts";
import { SocketPeer } from "./socketPeer.ts";

export const FAR_ADDRESS = { 4: "10.78.0.1", 6: "fd78::1" } as const;
export const HOST_FAR_ADDRESS = { 4: "10.78.0.2", 6: "fd78::2" } as const;

export function inNamespace(namespace: string, ...command: readonly string[]): string {
  return execFileSync("nsenter", [`--net=${namespace}`, ...command], { encoding: "utf8" });
}

/** Unreachable messages that arrived in a namespace so far. */
export function countUnreachables(namespace: string, family: 4 | 6): number {
  const text = inNamespace(namespace, "cat", family === 4 ? "/proc/self/net/snmp" : "/proc/self/net/snmp6");
  if (family === 6) return Number(/^Icmp6InDestUnreachs\s+(\d+)$/m.exec(text)?.[1]);
  const [names, values] = [...text.matchAll(/^Icmp: (.*)$/gm)].map((line) => (line[1] ?? "").split(" "));
  return Number(values?.[names?.indexOf("InDestUnreachs") ?? -1]);
}

export class EdgeLab {
  readonly kernel = new KernelLab();
  readonly #farPeers: SocketPeer[] = [];

  constructor() {
    const { name } = this.kernel;
    const ip = (...args: string[]): void => void execFileSync("ip", args, { stdio: ["ignore", "ignore", "inherit"] });
    ip("netns", "add", `${name}-far`);
    ip("-n", `${name}-host`, "link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", `${name}-far`);
    ip("-n", `${name}-far`, "link", "set", "lo", "up");
    linksUp({ namespace: `${name}-host`, device: "eth1" }, { namespace: `${name}-far`, device: "eth0" });
    for (const [side, device, addresses] of [
      ["host", "eth1", HOST_FAR_ADDRESS],
      ["far", "eth0", FAR_ADDRESS],
    ] as const) {
      ip("-n", `${name}-${side}`, "addr", "add", `${addresses[4]}/24`, "dev", device);
      ip("-n", `${name}-${side}`, "addr", "add", `${addresses[6]}/64`, "dev", device, "nodad");
    }
    ip("-n", `${name}-far`, "route", "add", "default", "via", HOST_FAR_ADDRESS[4]);
    ip("-n", `${name}-far`, "route", "add", "default", "via", HOST_FAR_ADDRESS[6]);
    ip("-n", `${name}-peer`, "route", "add", "default", "via", HOST_ADDRESS[4]);
    ip("-n", `${name}-peer`, "route", "add", "default", "via", HOST_ADDRESS[6]);
    const script = "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";
    inNamespace(this.kernel.hostNamespace, "sh", "-c", script);
  }

  get farNamespace(): string {
    return `/run/netns/${this.kernel.name}-far`;
  }

  /** Somebody behind the second network; in a cgroup of this host when it stands for a container. */
  async startFar(cgroup: string | null = null): Promise<SocketPeer> {
    const far = new SocketPeer(this.farNamespace, cgroup);
    this.#farPeers.push(far);
    await far.ready();
    return far;
  }

  /** Translates what far sends to the peer's network to the host's address there. */
  masquerade(): void {
    const rules = `table ip nat {\n chain out {\n type nat hook postrouting priority 100;\n oifname "eth0" masquerade\n }\n}\n`;
    inNamespace(this.kernel.hostNamespace, "nft", "-f", this.kernel.writeFile("nat.nft", rules));
  }

  /** One more interface between host and peer, `name` on the host's side. */
  addInterface(name: string, hostAddress: string, peerAddress: string): void {
    const { name: lab } = this.kernel;
    const ip = (...args: string[]): void => void execFileSync("ip", args);
    ip("-n", `${lab}-host`, "link", "add", name, "type", "veth", "peer", "name", `${name}p`, "netns", `${lab}-peer`);
    linksUp({ namespace: `${lab}-host`, device: name }, { namespace: `${lab}-peer`, device: `${name}p` });
    ip("-n", `${lab}-host`, "addr", "add", `${hostAddress}/24`, "dev", name);
    ip("-n", `${lab}-peer`, "addr", "add", `${peerAddress}/24`, "dev", `${name}p`);
  }

  /** Runs `ip` on the host's side. */
  hostIp(...args: readonly string[]): void {
    execFileSync("ip", ["-n", `${this.kernel.name}-host`, ...args]);
  }

  async close(): Promise<void> {
    await Promise.all(this.#farPeers.map((far) => far.close()));
    execFileSync("ip", ["netns", "del", `${this.kernel.name}-far`]);
    await this.kernel.close();
  }
}

export { HOST_ADDRESS, PEER_ADDRESS };
