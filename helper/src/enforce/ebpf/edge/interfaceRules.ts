/** Which interfaces are watched, how their packets start, and which lead into a container. No input or output. */
import type { NetworkInterface } from "../../../linux/network/interfaces.ts";

/** Where the IP header starts, by ARPHRD_* of <linux/if_arp.h>. */
const HEADER: ReadonlyMap<number, "l2" | "l3"> = new Map([
  [1, "l2"], // Ethernet, veth, bridge, tap, VLAN, VXLAN
  [512, "l3"], // PPP
  [519, "l3"], // raw IP (mobile broadband)
  [768, "l3"], // IPv4 in IPv4
  [769, "l3"], // IPv6 in IPv6
  [776, "l3"], // IPv6 in IPv4
  [778, "l3"], // GRE
  [823, "l3"], // GRE over IPv6
  [65534, "l3"], // none: tun, wireguard, xfrm
]);

/** `null` = packets of this kind of interface cannot be read. */
export function packetStart(entry: NetworkInterface): "l2" | "l3" | null {
  return HEADER.get(entry.hardwareType) ?? null;
}

/**
 * Packets of a port come by again at its bridge or bond, as that one's. Not so with VRF: its packets are seen at
 * the port only.
 */
export function isPort(entry: NetworkInterface): boolean {
  return entry.master !== 0 && entry.portKind !== "vrf";
}

/** Interfaces whose other side is a network namespace of this kernel, where sockets meet the cgroup hooks. */
export function leadsIntoNamespace(entry: NetworkInterface): boolean {
  return (entry.kind === "veth" || entry.kind === "netkit") && entry.crossesNamespace;
}

/**
 * Indexes of the interfaces behind which there are only sockets of this kernel: those of containers, and bridges that
 * connect nothing else. A bridge without ports leads nowhere and is not one of them.
 */
export function innerInterfaces(
  entries: readonly NetworkInterface[],
  isInner: (entry: NetworkInterface) => boolean = leadsIntoNamespace,
): ReadonlySet<number> {
  const inner = new Set(entries.filter(isInner).map(({ index }) => index));
  for (const bridge of entries.filter(({ kind }) => kind === "bridge")) {
    const ports = entries.filter(({ master }) => master === bridge.index);
    if (ports.length > 0 && ports.every(({ index }) => inner.has(index))) inner.add(bridge.index);
  }
  return inner;
}
