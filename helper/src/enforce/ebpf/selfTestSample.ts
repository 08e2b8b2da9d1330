/** Which packets the self-test of an apply asks about, and the part of a program that decides them. */
import {
  type AddressEntry,
  type ClassEntry,
  formatAddress,
  type HostProgram,
  type PortEntry,
  PROTOCOL,
  type ProgramPacket,
  parseAddress,
} from "@wardline/domain/policy";
import { compareLists, type ListChanges } from "./listChanges.ts";
import { isFaithfulProbe } from "./probePacket.ts";

const SPREAD_CLASSES = 32;
const PORTS_PER_CLASS = 3;
/** An address of documentation, which most programs do not name. */
const UNNAMED_REMOTE = "203.0.113.77";

/** Has a 1 at each member: a few numbers, looked up for each of very many. */
function flagsOf(members: Iterable<number>): Uint8Array {
  const list = [...members];
  const flags = new Uint8Array(list.reduce((highest, member) => Math.max(highest, member), -1) + 1);
  for (const member of list) flags[member] = 1;
  return flags;
}

/** At most `limit` members, spread evenly, the first and the last included. */
function spread<T>(items: readonly T[], limit: number): readonly T[] {
  if (items.length <= limit) return items;
  return Array.from({ length: limit }, (_, position) => {
    return items[Math.floor((position * (items.length - 1)) / (limit - 1))] as T;
  });
}

/**
 * Vectors that reach classes and port entries all over the program, and those that a change from `before` touches: rules
 * that came or went, and these IPv4 prefixes. Deterministic; the cost is a few passes over the tables.
 */
export function samplePackets(
  program: HostProgram,
  before: HostProgram | null,
  changedIpv4: readonly number[],
): readonly ProgramPacket[] {
  const spreadOver = spread(program.classes, SPREAD_CLASSES);
  const { added, removed } = changedDecisions(before, program);
  const packets = packetsOfClasses(program, [...classesOfDecisions(program, added), ...spreadOver], added);
  const gone = before === null ? [] : packetsOfClasses(before, classesOfDecisions(before, removed), removed);
  const prefixes = [...changedIpv4.map(ipv4Text), ...changedIpv6(before, program)];
  const ofPrefixes = prefixes.flatMap((remote) => packetsTo(remote, [...packets.slice(0, 1), ...gone.slice(0, 1)]));
  const sets = new Set(program.sets.map(({ id }) => id));
  return [...packets, ...gone, ...ofPrefixes].filter((packet) => sets.has(packet.set) && isFaithfulProbe(packet));
}

function changedDecisions(before: HostProgram | null, program: HostProgram): ListChanges {
  if (before === null || before === program) return { added: new Set(), removed: new Set() };
  const [old, now] = [before.decisions, program.decisions];
  return compareLists(old.length, now.length, (one, other) => old[one]?.id === now[other]?.id);
}

function ipv4Text(address: number): string {
  return formatAddress(Uint8Array.of(address >>> 24, address >>> 16, address >>> 8, address));
}

function changedIpv6(before: HostProgram | null, program: HostProgram): readonly string[] {
  if (before === null || before === program) return [];
  const [old, now] = [before.addresses6, program.addresses6];
  const { added, removed } = compareLists(old.length, now.length, (one, other) => isSamePrefix(old[one], now[other]));
  const entries = [...[...added].map((place) => now[place]), ...[...removed].map((place) => old[place])];
  return entries.flatMap((entry) => (entry === undefined ? [] : [formatAddress(entry.prefix)]));
}

function isSamePrefix(one: AddressEntry | undefined, other: AddressEntry | undefined): boolean {
  if (one?.prefix === undefined || other?.prefix === undefined || one.prefixLength !== other.prefixLength) return false;
  return one.prefix === other.prefix || one.prefix.every((byte, position) => byte === other.prefix[position]);
}

/** The services of these packets, to another address. */
function packetsTo(remote: string, services: readonly ProgramPacket[]): readonly ProgramPacket[] {
  return services.flatMap((service) =>
    (["ingress", "egress"] as const).map((direction) => ({ ...service, direction, remote })),
  );
}

/** A class entry for each of the decisions that some class leads to. */
function classesOfDecisions(program: HostProgram, decisions: ReadonlySet<number>): readonly ClassEntry[] {
  if (decisions.size === 0) return [];
  const wanted = flagsOf(decisions);
  const classOf = new Map<number, number>();
  for (const { decision, classId } of program.ports) {
    if (wanted[decision] !== 1 || classOf.has(decision)) continue;
    classOf.set(decision, classId);
    if (classOf.size === decisions.size) break;
  }
  const classIds = new Set(classOf.values());
  const wantedIds = flagsOf(classIds);
  const found = new Map<number, ClassEntry>();
  for (const entry of program.classes) {
    if (wantedIds[entry.classId] !== 1 || found.has(entry.classId)) continue;
    found.set(entry.classId, entry);
    if (found.size === classIds.size) break;
  }
  return [...found.values()];
}

/** Packets to an address of each class, for some of its port entries; those of `decisions` are all among them. */
function packetsOfClasses(
  program: HostProgram,
  classes: readonly ClassEntry[],
  decisions: ReadonlySet<number>,
): readonly ProgramPacket[] {
  if (classes.length === 0) return [];
  const remotes = findRemotes(program, new Set(classes.map(({ atom }) => atom)));
  const wanted = flagsOf(classes.map(({ classId }) => classId));
  const portsByClass = new Map<number, PortEntry[]>(classes.map(({ classId }) => [classId, []]));
  for (const entry of program.ports) if (wanted[entry.classId] === 1) portsByClass.get(entry.classId)?.push(entry);
  return classes.flatMap(({ set, direction, atom, classId }) => {
    const remote = remotes.get(atom) ?? UNNAMED_REMOTE;
    const ports = portsByClass.get(classId) ?? [];
    const asked = new Set([
      ...ports.filter(({ decision }) => decisions.has(decision)),
      ...spread(ports, PORTS_PER_CLASS),
    ]);
    const services = [...asked].map(({ protocol, port, portBits }) => ({
      protocol: protocol ?? PROTOCOL.tcp,
      port: portBits === 0 && protocol !== null ? 1 : port,
    }));
    const others = [...services, { protocol: PROTOCOL.udp, port: 65_535 }];
    return others.map((service) => ({ set, direction, remote, ...service }));
  });
}

/** The first prefix of each atom. */
function findRemotes(program: HostProgram, atoms: ReadonlySet<number>): ReadonlyMap<number, string> {
  const wanted = flagsOf(atoms);
  const remotes = new Map<number, string>();
  for (const addresses of [program.addresses4, program.addresses6])
    for (const entry of addresses)
      if (wanted[entry.atom] === 1 && !remotes.has(entry.atom)) remotes.set(entry.atom, formatAddress(entry.prefix));
  return remotes;
}

/** The same program for these packets: every entry that can take part in deciding one of them, and few others. */
export function reduceProgram(program: HostProgram, packets: readonly ProgramPacket[]): HostProgram {
  const remotes = [...new Set(packets.map(({ remote }) => remote))].map((remote) => parseAddress(remote));
  const bytesOf = (family: 4 | 6): readonly Uint8Array[] =>
    remotes.flatMap((address) => (address.ok && address.family === family ? [address.bytes] : []));
  const addresses4 = keepAround(program.addresses4, bytesOf(4));
  const addresses6 = keepAround(program.addresses6, bytesOf(6));
  const atoms = flagsOf([0, ...addresses4.map(({ atom }) => atom), ...addresses6.map(({ atom }) => atom)]);
  const classes = program.classes.filter(({ atom }) => atoms[atom] === 1);
  const classIds = flagsOf(classes.map(({ classId }) => classId));
  const ports = program.ports.filter(({ classId }) => classIds[classId] === 1);
  return { ...program, addresses4, addresses6, classes, ports };
}

/** The prefixes that some address is in. */
function keepAround(entries: readonly AddressEntry[], addresses: readonly Uint8Array[]): readonly AddressEntry[] {
  // Most prefixes can be passed over by their first four bytes alone.
  const starts = Uint32Array.from(addresses, firstBytes).sort();
  return entries.filter(({ prefix, prefixLength }) => {
    const first = firstBytes(prefix);
    const last = first | (prefixLength >= 32 ? 0 : 0xffff_ffff >>> prefixLength);
    let low = 0;
    let high = starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) < first) low = middle + 1;
      else high = middle;
    }
    if (low === starts.length || (starts[low] ?? 0) > last >>> 0) return false;
    return addresses.some((address) => isInside(address, prefix, prefixLength));
  });
}

function firstBytes(bytes: Uint8Array): number {
  return (((bytes[0] ?? 0) << 24) | ((bytes[1] ?? 0) << 16) | ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0)) >>> 0;
}

function isInside(address: Uint8Array, prefix: Uint8Array, prefixLength: number): boolean {
  const whole = prefixLength >> 3;
  for (let position = 0; position < whole; position++) if (address[position] !== prefix[position]) return false;
  const rest = prefixLength & 7;
  if (rest === 0) return true;
  return (((address[whole] ?? 0) ^ (prefix[whole] ?? 0)) & (0xff00 >> rest)) === 0;
}
