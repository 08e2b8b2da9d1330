/** Walks the rules of an anchor as pf does: the first `quick` rule that matches a packet decides. */
import { parseAddress } from "../address.ts";
import type { Direction } from "../model.ts";
import type { PfAnchor, PfRule } from "./pf-grammar.ts";

export interface PfPacket {
  readonly direction: Direction;
  readonly remote: string;
  readonly protocol: number;
  /** Destination port; `type << 8 | code` for ICMP. */
  readonly port: number;
  /** Traffic of the host with itself has `lo0`. */
  readonly interfaceName: string;
}

/** The first packet of a connection, whole and without a state. `null` = no rule matches. */
export function walkPf(anchor: PfAnchor, packet: PfPacket): PfRule | null {
  return anchor.rules.find((rule) => matches(anchor, rule, packet)) ?? null;
}

function matches(anchor: PfAnchor, rule: PfRule, packet: PfPacket): boolean {
  const address = parseAddress(packet.remote);
  if (!address.ok) throw new Error(packet.remote);
  if (rule.onlyFragments) return false;
  if (rule.direction !== null && rule.direction !== (packet.direction === "ingress" ? "in" : "out")) return false;
  if (rule.interfaceName !== null && rule.interfaceName !== packet.interfaceName) return false;
  if (rule.family !== null && rule.family !== address.family) return false;
  if (rule.protocol !== null && rule.protocol !== packet.protocol) return false;
  if (rule.ports && !rule.ports.some(([low, high]) => packet.port >= low && packet.port <= high)) return false;
  const [type, code] = [packet.port >> 8, packet.port & 0xff];
  if (rule.icmpTypes && !rule.icmpTypes.some(([wanted, only]) => wanted === type && (only === null || only === code))) {
    return false;
  }
  const [remoteTable, localTable] = packet.direction === "ingress" ? [rule.from, rule.to] : [rule.to, rule.from];
  if (localTable !== null) throw new Error("a rule names the host's own addresses");
  return remoteTable === null || (anchor.tables.get(remoteTable)?.holds(address.bytes) ?? false);
}
