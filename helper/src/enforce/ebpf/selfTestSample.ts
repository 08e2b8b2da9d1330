/** Which packets the self-test of an apply asks about, and the part of a program that decides them. */
import {
  type AddressEntry,
  formatAddress,
  type HostProgram,
  type PortEntry,
  PROTOCOL,
  type ProgramPacket,
  parseAddress,
} from "@wardline/domain/policy";
import { columnsOf, DECISION_BITS } from "./columns.ts";
import { PLACE_EGRESS } from "./layout.ts";
import { compareLists, type ListChanges } from "./listChanges.ts";
import { isFaithfulProbe } from "./probePacket.ts";
import type { PrefixList } from "./ranges.ts";

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

/** At most `limit` places of a list, spread evenly, the first and the last included. */
function spreadPlaces(count: number, limit: number): readonly number[] {
  if (count <= limit) return Array.from({ length: count }, (_, place) => place);
  return Array.from({ length: limit }, (_, position) => Math.floor((position * (count - 1)) / (limit - 1)));
}

/**
 * Vectors that reach classes and port entries all over the program, and those that a change from `before` touches: rules
 * and prefixes that came or went. Deterministic; the cost is a few passes over numbers.
 */
export function samplePackets(program: HostProgram, before: HostProgram | null): readonly ProgramPacket[] {
  const spreadOver = spreadPlaces(program.classes.length, SPREAD_CLASSES);
  const { added, removed } = changedDecisions(before, program);
  const packets = packetsOfClasses(program, [...classesOfDecisions(program, added), ...spreadOver], added);
  const gone = before === null ? [] : packetsOfClasses(before, classesOfDecisions(before, removed), removed);
  const services = [...packets.slice(0, 1), ...gone.slice(0, 1)];
  const ofPrefixes = changedPrefixes(before, program).flatMap((remote) => packetsTo(remote, services));
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

/** First addresses of prefixes that came or went. */
function changedPrefixes(before: HostProgram | null, program: HostProgram): readonly string[] {
  if (before === null || before === program) return [];
  const [old4, now4] = [columnsOf(before).ipv4, columnsOf(program).ipv4];
  const of4 = compareLists(old4.lows.length, now4.lows.length, (one, other) => {
    return old4.lows[one] === now4.lows[other] && old4.highs[one] === now4.highs[other];
  });
  const [old6, now6] = [before.addresses6, program.addresses6];
  const of6 = compareLists(old6.length, now6.length, (one, other) => isSamePrefix(old6[one], now6[other]));
  const entries6 = [...[...of6.added].map((place) => now6[place]), ...[...of6.removed].map((place) => old6[place])];
  return [
    ...[...of4.added].map((place) => ipv4Text(now4.lows[place] ?? 0)),
    ...[...of4.removed].map((place) => ipv4Text(old4.lows[place] ?? 0)),
    ...entries6.flatMap((entry) => (entry === undefined ? [] : [formatAddress(entry.prefix)])),
  ];
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

/** Place of a class entry for each of the decisions that some class leads to. */
function classesOfDecisions(program: HostProgram, decisions: ReadonlySet<number>): readonly number[] {
  if (decisions.size === 0) return [];
  const { ports, classes } = columnsOf(program);
  const wanted = flagsOf(decisions);
  const classOf = new Map<number, number>();
  for (let place = 0; place < ports.values.length && classOf.size < decisions.size; place++) {
    const decision = (ports.values[place] ?? 0) & DECISION_BITS;
    if (wanted[decision] === 1 && !classOf.has(decision)) classOf.set(decision, ports.classIds[place] ?? 0);
  }
  const classIds = new Set(classOf.values());
  const wantedIds = flagsOf(classIds);
  const found = new Map<number, number>();
  for (let place = 0; place < classes.classIds.length && found.size < classIds.size; place++) {
    const classId = classes.classIds[place] ?? 0;
    if (wantedIds[classId] === 1 && !found.has(classId)) found.set(classId, place);
  }
  return [...found.values()];
}

/** Packets to an address of each class, for some of its port entries; those of `decisions` are all among them. */
function packetsOfClasses(
  program: HostProgram,
  places: readonly number[],
  decisions: ReadonlySet<number>,
): readonly ProgramPacket[] {
  const classes = places.flatMap((place) => program.classes[place] ?? []);
  if (classes.length === 0) return [];
  const remotes = findRemotes(program, new Set(classes.map(({ atom }) => atom)));
  const portsByClass = new Map<number, PortEntry[]>(classes.map(({ classId }) => [classId, []]));
  const wanted = flagsOf(portsByClass.keys());
  const { classIds } = columnsOf(program).ports;
  for (let place = 0; place < classIds.length; place++) {
    const classId = classIds[place] ?? 0;
    if (wanted[classId] === 1) portsByClass.get(classId)?.push(program.ports[place] as PortEntry);
  }
  return classes.flatMap(({ set, direction, atom, classId }) => {
    const remote = remotes.get(atom) ?? UNNAMED_REMOTE;
    const ports = portsByClass.get(classId) ?? [];
    const asked = new Set([
      ...ports.filter(({ decision }) => decisions.has(decision)),
      ...spreadPlaces(ports.length, PORTS_PER_CLASS).flatMap((place) => ports[place] ?? []),
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
  const { lows, values } = columnsOf(program).ipv4;
  for (let place = 0; place < values.length && remotes.size < atoms.size; place++) {
    const atom = values[place] ?? 0;
    if (wanted[atom] === 1 && !remotes.has(atom)) remotes.set(atom, ipv4Text(lows[place] ?? 0));
  }
  for (const { atom, prefix } of program.addresses6)
    if (wanted[atom] === 1 && !remotes.has(atom)) remotes.set(atom, formatAddress(prefix));
  return remotes;
}

/**
 * The same program for these packets: every entry that can take part in deciding one of them, and few others. They are
 * chosen by the numbers that were packed, which say what the program says (image.test.ts), and are the program's own.
 */
export function reduceProgram(program: HostProgram, packets: readonly ProgramPacket[]): HostProgram {
  const { ipv4, classes, ports } = columnsOf(program);
  const remotes = [...new Set(packets.map(({ remote }) => remote))].map((remote) => parseAddress(remote));
  const bytesOf = (family: 4 | 6): readonly Uint8Array[] =>
    remotes.flatMap((address) => (address.ok && address.family === family ? [address.bytes] : []));
  const addresses4 = placesAround(ipv4, bytesOf(4)).map((place) => program.addresses4[place] as AddressEntry);
  const wanted6 = bytesOf(6);
  const addresses6 = program.addresses6.filter((entry) => hasOneOf(entry, wanted6));
  const atoms = flagsOf([0, ...addresses4.map(({ atom }) => atom), ...addresses6.map(({ atom }) => atom)]);
  const ownClasses = program.classes.filter((_, place) => {
    return atoms[((classes.places[place] ?? 0) & ~PLACE_EGRESS) >>> 0] === 1;
  });
  const classIds = flagsOf(ownClasses.map(({ classId }) => classId));
  const ownPorts: PortEntry[] = [];
  for (let place = 0; place < ports.classIds.length; place++)
    if (classIds[ports.classIds[place] ?? 0] === 1) ownPorts.push(program.ports[place] as PortEntry);
  return { ...program, addresses4, addresses6, classes: ownClasses, ports: ownPorts };
}

/** Places of the prefixes that some address is in. */
function placesAround({ lows, highs }: PrefixList, addresses: readonly Uint8Array[]): readonly number[] {
  const wanted = Uint32Array.from(addresses, ipv4Number).sort();
  const places: number[] = [];
  for (let place = 0; place < lows.length; place++) {
    const low = lows[place] ?? 0;
    let from = 0;
    let to = wanted.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((wanted[middle] ?? 0) < low) from = middle + 1;
      else to = middle;
    }
    if (from < wanted.length && (wanted[from] ?? 0) <= (highs[place] ?? 0)) places.push(place);
  }
  return places;
}

function ipv4Number(bytes: Uint8Array): number {
  return (((bytes[0] ?? 0) << 24) | ((bytes[1] ?? 0) << 16) | ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0)) >>> 0;
}

/** Whether one of the addresses is in the prefix. */
function hasOneOf({ prefix, prefixLength }: AddressEntry, addresses: readonly Uint8Array[]): boolean {
  const whole = prefixLength >> 3;
  const mask = 0xff00 >> (prefixLength & 7);
  return addresses.some((address) => {
    for (let position = 0; position < whole; position++) if (address[position] !== prefix[position]) return false;
    return (((address[whole] ?? 0) ^ (prefix[whole] ?? 0)) & mask & 0xff) === 0;
  });
}
