/**
 * Translates a rule about both ends of a packet into rules of our model, which knows the subject's side only as the
 * subject.
 *
 * From the remote side: networks, sets and their negations become address peers. From the packet: protocol, ICMP type and
 * code and the destination port become port matches. What speaks of the subject's own address, and every source port
 * (the model has none), is decided here for one own address and source port: a rule that they rule out is left out, and
 * the engines are not asked about that part.
 */
import { cidrContainsAddress } from "../address.ts";
import { type Cidr, type Direction, type Peer, type PortMatch, PROTOCOL, type SourceRange } from "../model.ts";
import type { IcmpCondition, NamedPortMember, PacketRule, SideConditions } from "./packet-model.ts";
import { addressPeers, intersectPrefixes } from "./prefixes.ts";
import {
  ALL_SERVICES,
  complementRanges,
  EVERY_PORT,
  hasPorts,
  intersectServices,
  type PortRange,
  portMatches,
  type Services,
  servicesOf,
  servicesWithPorts,
} from "./services.ts";

/** From where a packet is seen. */
export interface Viewpoint {
  readonly family: 4 | 6;
  readonly direction: Direction;
  /** Bytes of the subject's own address. */
  readonly own: Uint8Array;
  readonly sourcePort: number | null;
}

/** A rule of the model but for its place and action. Several of them with one action are alternatives. */
export interface TranslatedRule {
  readonly peers: readonly Peer[] | null;
  readonly ports: readonly PortMatch[] | null;
}

/** What one alternative of a side asks of the rest of the packet. */
interface Alternative {
  /** Of the remote address; `null` = nothing. */
  readonly nets: readonly Cidr[] | null;
  readonly services: Services;
}

const ANYTHING: Alternative = { nets: null, services: ALL_SERVICES };

/** The ICMP of a family. Files call both 1. */
export function icmpOfFamily(family: 4 | 6): number {
  return family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6;
}

export function protocolOfFamily(family: 4 | 6, protocol: number): number {
  return protocol === PROTOCOL.icmp ? icmpOfFamily(family) : protocol;
}

/** Empty when the rule cannot match any packet seen from there. */
export function translateRule(rule: PacketRule, view: Viewpoint, place: SourceRange): readonly TranslatedRule[] {
  const { source, destination } = rule;
  const [own, remote] = view.direction === "ingress" ? [destination, source] : [source, destination];
  if (!holdsForAddress(own, view.own) || hits(source.notPorts, view.sourcePort)) return [];

  const nets = remote.ipSets.reduce<readonly Cidr[] | null>(intersectPrefixes, remote.nets);
  const without = [remote.notNets, ...remote.notIpSets].flat();
  const common = [protocolServices(rule, view.family), icmpServices(rule, view.family), notPortServices(destination)];
  const services = common.reduce(intersectServices);
  return sourceAlternatives(source, view).flatMap((one) =>
    destinationAlternatives(destination, view).map((other) => {
      const prefixes = intersectPrefixes(nets, intersectPrefixes(one.nets, other.nets));
      const covered = intersectServices(services, intersectServices(one.services, other.services));
      return { peers: addressPeers(view.family, prefixes, without, place), ports: portMatches(covered, place) };
    }),
  );
}

function contains(prefixes: readonly Cidr[], address: Uint8Array): boolean {
  return prefixes.some((prefix) => cidrContainsAddress(prefix, address));
}

function holdsForAddress({ nets, notNets, ipSets, notIpSets }: SideConditions, address: Uint8Array): boolean {
  return (
    (nets === null || contains(nets, address)) &&
    ipSets.every((set) => contains(set, address)) &&
    ![notNets, ...notIpSets].some((set) => contains(set, address))
  );
}

function hits(ranges: readonly PortRange[], port: number | null): boolean {
  return port !== null && ranges.some(({ low, high }) => port >= low && port <= high);
}

function protocolServices({ protocol, notProtocol }: PacketRule, family: 4 | 6): Services {
  const only = protocol === null ? ALL_SERVICES : servicesOf(protocolOfFamily(family, protocol), EVERY_PORT);
  if (notProtocol === null) return only;
  return intersectServices(only, servicesOf(protocolOfFamily(family, notProtocol), [], EVERY_PORT));
}

/** A condition on the type holds for ICMP only, its negation for everything else too. */
function icmpServices({ icmp, notIcmp }: PacketRule, family: 4 | 6): Services {
  const protocol = icmpOfFamily(family);
  const wanted = icmp === null ? ALL_SERVICES : servicesOf(protocol, [icmpRange(icmp)]);
  if (notIcmp === null) return wanted;
  return intersectServices(wanted, servicesOf(protocol, complementRanges([icmpRange(notIcmp)]), EVERY_PORT));
}

function icmpRange({ type, code }: IcmpCondition): PortRange {
  const low = type << 8;
  return code === null ? { low, high: low | 0xff } : { low: low | code, high: low | code };
}

/** A packet without ports is never hit by a list of ports. */
function notPortServices({ notPorts }: SideConditions): Services {
  return notPorts.length === 0 ? ALL_SERVICES : servicesWithPorts(complementRanges(notPorts), EVERY_PORT);
}

function sourceAlternatives({ ports, namedPorts }: SideConditions, view: Viewpoint): readonly Alternative[] {
  if ((ports === null && namedPorts === null) || hits(ports ?? [], view.sourcePort)) return [ANYTHING];
  return (namedPorts ?? [])
    .filter(({ protocol, port }) => hasPorts(protocol) && port === view.sourcePort)
    .flatMap((member) => memberAlternative(member, EVERY_PORT, view, "egress"));
}

function destinationAlternatives({ ports, namedPorts }: SideConditions, view: Viewpoint): readonly Alternative[] {
  if (ports === null && namedPorts === null) return [ANYTHING];
  const byNumber = { nets: null, services: servicesWithPorts(ports ?? []) };
  const byName = (namedPorts ?? [])
    .filter(({ protocol }) => hasPorts(protocol))
    .flatMap((member) => memberAlternative(member, [{ low: member.port, high: member.port }], view, "ingress"));
  return ports === null ? byName : [byNumber, ...byName];
}

/** A member is about the own address when its side is the subject's, which is so in direction `ownSide`. */
function memberAlternative(
  { net, protocol }: NamedPortMember,
  ranges: readonly PortRange[],
  { direction, own }: Viewpoint,
  ownSide: Direction,
): readonly Alternative[] {
  const services = servicesOf(protocol, ranges);
  if (direction !== ownSide) return [{ nets: [net], services }];
  return cidrContainsAddress(net, own) ? [{ nets: null, services }] : [];
}
