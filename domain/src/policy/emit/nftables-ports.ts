/** Ports in the words of nftables. */
import { PROTOCOL, type ProtocolNumber } from "../model.ts";
import type { PortRun } from "./port-rules.ts";

/** Whether a packet is from the end that opened its connection, or from the other one. */
export type Packet = "opened" | "answered";

export const PACKETS: readonly Packet[] = ["opened", "answered"];

const PORT_FIELDS: ReadonlyMap<ProtocolNumber, string> = new Map([
  [PROTOCOL.tcp, "tcp"],
  [PROTOCOL.udp, "udp"],
  [PROTOCOL.sctp, "sctp"],
]);

export function portMapKey(runs: readonly PortRun[]): string {
  return runs.map(({ low, decision }) => `${low} ${decision.index}`).join();
}

export function portRangeText({ low, high }: PortRun): string {
  return low === high ? String(low) : `${low}-${high}`;
}

export function portField(protocol: ProtocolNumber, packet: Packet): string {
  const transport = PORT_FIELDS.get(protocol);
  if (transport !== undefined) return `${transport} ${packet === "opened" ? "dport" : "sport"}`;
  const family = protocol === PROTOCOL.icmp ? "ipv4 meta l4proto icmp" : "ipv6 meta l4proto icmpv6";
  // Type and code are the first two bytes. Connection tracking keeps those of the request as its destination port.
  return `meta nfproto ${family} ${packet === "opened" ? "@th,0,16" : "ct original proto-dst"}`;
}
