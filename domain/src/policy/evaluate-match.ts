/** Whether one rule matches one connection, with the reason in words. Part of the reference evaluator. */
import { cidrContainsAddress, formatCidr, parseAddress, sameAddressText } from "./address.ts";
import { effectiveAddresses } from "./endpoints.ts";
import { endpointMatches, formatSelector } from "./labels.ts";
import {
  type Direction,
  type Endpoint,
  type Entity,
  type Inventory,
  type NamedPort,
  type Peer,
  type PolicyRule,
  type PortMatch,
  PROTOCOL,
  type ProtocolNumber,
} from "./model.ts";
import { domainNameMatches, entityContains } from "./named-peers.ts";

/** A connection as one of its ends sees it. */
export interface SubjectPacket {
  readonly direction: Direction;
  readonly remote: string;
  readonly protocol: ProtocolNumber;
  readonly port: number;
}

/** The same with the endpoints that have the remote address. */
export interface AskedPacket extends SubjectPacket {
  readonly remoteEndpoints: readonly Endpoint[];
}

/** Seen from outside: workloads without addresses of their own have those of their host. */
export function endpointsWithAddress(inventory: Inventory, address: string): readonly Endpoint[] {
  return inventory.endpoints.filter((endpoint) =>
    effectiveAddresses(inventory, endpoint).some((own) => sameAddressText(own, address)),
  );
}

export interface RuleMatch {
  readonly matches: boolean;
  readonly reason: string;
}

/** `selected`: the endpoints that the rule's policy selects on this side; names of ingress ports are theirs. */
export function matchRule(
  inventory: Inventory,
  rule: PolicyRule,
  selected: readonly Endpoint[],
  packet: AskedPacket,
): RuleMatch {
  const peers = rule.peers ?? ["any" as const];
  const matching = peers.filter((peer) => peer === "any" || peerMatches(inventory, peer, selected, packet));
  const portText = describePort(packet.protocol, packet.port);
  if (matching.length === 0) {
    const names = rule.peers?.map(describePeer).join(", ") ?? "";
    const reason =
      names === ""
        ? "The rule lists no peer, so it matches nobody."
        : `${packet.remote} is not among its peers: ${names}.`;
    return { matches: false, reason };
  }
  for (const peer of matching) {
    if (portMatches(inventory, rule, peer, selected, packet)) {
      const who = peer === "any" ? "any peer" : describePeer(peer);
      const what = rule.ports === null ? "any port and protocol" : portText;
      return { matches: true, reason: `${packet.remote} matches ${who}, and the rule covers ${what}.` };
    }
  }
  const ports = rule.ports?.map(describePortMatch).join(", ") ?? "";
  const reason =
    ports === "" ? "The rule lists no port, so it matches nothing." : `${portText} is not among its ports: ${ports}.`;
  return { matches: false, reason: `The peer matches. ${reason}` };
}

/** Peers are decided by address: a selector stands for the addresses of the endpoints that it picks. */
function peerMatches(inventory: Inventory, peer: Peer, selected: readonly Endpoint[], packet: AskedPacket): boolean {
  const { remote } = packet;
  const address = parseAddress(remote);
  if (!address.ok) return false;
  switch (peer.kind) {
    case "addresses":
      return (
        cidrContainsAddress(peer.cidr, address.bytes) &&
        !peer.except.some((except) => cidrContainsAddress(except, address.bytes))
      );
    case "endpoints":
      return endpointsBehind(inventory, peer, packet).length > 0;
    case "entity":
      return entityMatches(inventory, peer.entity, selected, packet);
    case "domains":
      return [...inventory.domainAddresses].some(
        ([name, addresses]) =>
          peer.names.some((pattern) => domainNameMatches(pattern, name)) &&
          addresses.some((address) => sameAddressText(address, remote)),
      );
  }
}

/** `cluster` and `world` are asked of the endpoints that were found already. */
function entityMatches(
  inventory: Inventory,
  entity: Entity,
  selected: readonly Endpoint[],
  { remote, remoteEndpoints }: AskedPacket,
): boolean {
  const isCluster = remoteEndpoints.length > 0;
  if (entity === "cluster") return isCluster;
  if (entity === "world") return !isCluster && !entityContains(inventory, "mesh", null, remote);
  return entityContains(inventory, entity, selected[0]?.hostName ?? null, remote);
}

/** The endpoints with this address that the peer picks; all that have it for "any"; no others have port names. */
function endpointsBehind(inventory: Inventory, peer: Peer | "any", packet: AskedPacket): readonly Endpoint[] {
  if (peer === "any") return packet.remoteEndpoints;
  if (peer.kind !== "endpoints") return [];
  return packet.remoteEndpoints.filter((endpoint) => endpointMatches(peer.selector, endpoint, inventory.namespaces));
}

function portMatches(
  inventory: Inventory,
  rule: PolicyRule,
  peer: Peer | "any",
  selected: readonly Endpoint[],
  packet: AskedPacket,
): boolean {
  if (rule.ports === null) return true;
  return rule.ports.some((port) => {
    if (port.protocol !== packet.protocol) return false;
    if (port.kind === "range") return packet.port >= port.low && packet.port <= port.high;
    const owners = rule.direction === "ingress" ? selected : endpointsBehind(inventory, peer, packet);
    return owners.some((owner) => owner.ports.some((named) => isPort(named, port) && named.port === packet.port));
  });
}

function isPort(named: NamedPort, wanted: { readonly name: string; readonly protocol: ProtocolNumber }): boolean {
  return named.name === wanted.name && named.protocol === wanted.protocol;
}

const PROTOCOL_NAMES = new Map<ProtocolNumber, string>(
  Object.entries(PROTOCOL).map(([name, protocol]) => [protocol, name]),
);

/** `443/tcp`, `icmp type 8 code 0`, `protocol 47`. */
export function describePort(protocol: ProtocolNumber, port: number): string {
  const name = PROTOCOL_NAMES.get(protocol) ?? `protocol ${protocol}`;
  if (protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6) {
    return `${name} type ${port >> 8} code ${port & 0xff}`;
  }
  return PROTOCOL_NAMES.has(protocol) ? `${port}/${name}` : name;
}

export function describePortMatch(match: PortMatch): string {
  const name = PROTOCOL_NAMES.get(match.protocol) ?? `protocol ${match.protocol}`;
  if (match.kind === "named") return `${match.name}/${name}`;
  if (match.low === 0 && match.high === 0xffff) return `any ${name}`;
  if (match.low === match.high) return describePort(match.protocol, match.low);
  if (match.protocol === PROTOCOL.icmp || match.protocol === PROTOCOL.icmpv6) {
    return `${name} types ${match.low >> 8} to ${match.high >> 8}`;
  }
  return `${match.low}-${match.high}/${name}`;
}

export function describePeer(peer: Peer): string {
  if (peer.kind === "addresses") {
    const except = peer.except.map(formatCidr).join(", ");
    return except === "" ? formatCidr(peer.cidr) : `${formatCidr(peer.cidr)} except ${except}`;
  }
  if (peer.kind === "entity") return `the entity ${peer.entity}`;
  if (peer.kind === "domains") return peer.names.join(", ");
  const { namespaces, endpoints, kind } = peer.selector;
  const all = kind === undefined ? "every endpoint" : `every ${kind}`;
  const what = endpoints.requirements.length === 0 ? all : formatSelector(endpoints);
  if (namespaces.kind === "name") return `${what} in namespace ${namespaces.name}`;
  if (namespaces.kind === "any" || namespaces.selector.requirements.length === 0) return `${what} in any namespace`;
  return `${what} in namespaces with ${formatSelector(namespaces.selector)}`;
}
