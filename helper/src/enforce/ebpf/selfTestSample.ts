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
import { isFaithfulProbe } from "./probePacket.ts";

const SPREAD_CLASSES = 32;
const PORTS_PER_CLASS = 3;
/** Of decisions and of prefixes, added and removed each. */
const CHANGES = 8;
/** How far apart two lists may be before they are taken for different from there on. */
const RESYNC_DISTANCE = 64;
/** An address of documentation, which most programs do not name. */
const UNNAMED_REMOTE = "203.0.113.77";

/** At most `limit` members, spread evenly, the first and the last included. */
function spread<T>(items: readonly T[], limit: number): readonly T[] {
  if (items.length <= limit) return items;
  return Array.from({ length: limit }, (_, position) => {
    return items[Math.floor((position * (items.length - 1)) / (limit - 1))] as T;
  });
}

/**
 * Vectors that reach classes and port entries all over the program, and those that a change from `before` touches: rules
 * and prefixes that came or went. Deterministic; the cost is a few passes over the tables.
 */
export function samplePackets(program: HostProgram, before: HostProgram | null): readonly ProgramPacket[] {
  const packets = packetsOfClasses(program, spread(program.classes, SPREAD_CLASSES));
  if (before === null || before === program) return packets.filter(isFaithfulProbe);
  const decisions = compareLists(before.decisions, program.decisions, (one, other) => one.id === other.id);
  const gone = packetsOfClasses(before, classesOfDecisions(before, decisions.removed), decisions.removed);
  const came = packetsOfClasses(program, classesOfDecisions(program, decisions.added), decisions.added);
  const prefixes = [
    compareLists(before.addresses4, program.addresses4, isSamePrefix),
    compareLists(before.addresses6, program.addresses6, isSamePrefix),
  ].flatMap(({ added, removed }, family) => {
    const [now, then] =
      family === 0 ? [program.addresses4, before.addresses4] : [program.addresses6, before.addresses6];
    return [...[...added].map((place) => now[place]), ...[...removed].map((place) => then[place])];
  });
  const services = came.concat(gone, packets).slice(0, 2);
  const ofPrefixes = prefixes.flatMap((entry) => (entry === undefined ? [] : packetsOfPrefix(entry, services)));
  const sets = new Set(program.sets.map(({ id }) => id));
  return [...packets, ...came, ...gone, ...ofPrefixes].filter(
    (packet) => sets.has(packet.set) && isFaithfulProbe(packet),
  );
}

function packetsOfPrefix({ prefix }: AddressEntry, services: readonly ProgramPacket[]): readonly ProgramPacket[] {
  const remote = formatAddress(prefix);
  return services.flatMap(({ set, protocol, port }) =>
    (["ingress", "egress"] as const).map((direction) => ({ set, direction, remote, protocol, port })),
  );
}

/** Packets to addresses of these classes, for some of their port entries: only those of `decisions` when given. */
function packetsOfClasses(
  program: HostProgram,
  classes: readonly ClassEntry[],
  decisions: ReadonlySet<number> | null = null,
): readonly ProgramPacket[] {
  const wantedAtoms = new Set(classes.map(({ atom }) => atom));
  const remotes = new Map<number, string>();
  for (const addresses of [program.addresses4, program.addresses6])
    for (const { atom, prefix } of addresses)
      if (wantedAtoms.has(atom) && !remotes.has(atom)) remotes.set(atom, formatAddress(prefix));
  const portsByClass = new Map<number, PortEntry[]>(classes.map(({ classId }) => [classId, []]));
  for (const entry of program.ports) portsByClass.get(entry.classId)?.push(entry);
  return classes.flatMap(({ set, direction, atom, classId }) => {
    const remote = remotes.get(atom) ?? UNNAMED_REMOTE;
    const all = portsByClass.get(classId) ?? [];
    const ports = decisions === null ? all : all.filter(({ decision }) => decisions.has(decision));
    const services = spread(ports, PORTS_PER_CLASS).map(({ protocol, port, portBits }) => ({
      protocol: protocol ?? PROTOCOL.tcp,
      port: portBits === 0 && protocol !== null ? 1 : port,
    }));
    const others = [...services, { protocol: PROTOCOL.udp, port: 65_535 }];
    return others.map((service) => ({ set, direction, remote, ...service }));
  });
}

/** A class entry for each of the decisions that some class leads to. */
function classesOfDecisions(program: HostProgram, decisions: ReadonlySet<number>): readonly ClassEntry[] {
  if (decisions.size === 0) return [];
  const classOf = new Map<number, number>();
  for (const { decision, classId } of program.ports)
    if (decisions.has(decision) && !classOf.has(decision)) classOf.set(decision, classId);
  const wanted = new Set(classOf.values());
  const found = new Map<number, ClassEntry>();
  for (const entry of program.classes)
    if (wanted.has(entry.classId) && !found.has(entry.classId)) found.set(entry.classId, entry);
  return [...found.values()];
}

function isSamePrefix(one: AddressEntry, other: AddressEntry): boolean {
  if (one.prefixLength !== other.prefixLength) return false;
  for (let position = one.prefix.length - 1; position >= 0; position--)
    if (one.prefix[position] !== other.prefix[position]) return false;
  return true;
}

/**
 * The first places at which two lists in the same order differ. Where too much differs to find the thread again, the rest
 * counts as the same: the packets from all over the program are asked anyway.
 */
export function compareLists<T>(
  before: readonly T[],
  after: readonly T[],
  isSame: (one: T, other: T) => boolean,
): { readonly added: ReadonlySet<number>; readonly removed: ReadonlySet<number> } {
  const added = new Set<number>();
  const removed = new Set<number>();
  const sameAt = (one: number, other: number): boolean => {
    const [first, second] = [before[one], after[other]];
    return first !== undefined && second !== undefined && isSame(first, second);
  };
  let one = 0;
  let other = 0;
  while (one < before.length || other < after.length) {
    if (sameAt(one, other)) {
      one += 1;
      other += 1;
      continue;
    }
    let skip = 1;
    while (skip <= RESYNC_DISTANCE && !sameAt(one + skip, other) && !sameAt(one, other + skip)) skip += 1;
    const isReplaced = skip > RESYNC_DISTANCE || (sameAt(one + 1, other + 1) && skip > 1);
    const goneCount = isReplaced ? 1 : sameAt(one + skip, other) ? skip : 0;
    const cameCount = isReplaced ? 1 : goneCount > 0 ? 0 : skip;
    for (let place = 0; place < goneCount; place++) if (one + place < before.length) removed.add(one + place);
    for (let place = 0; place < cameCount; place++) if (other + place < after.length) added.add(other + place);
    one += goneCount;
    other += cameCount;
    if (added.size >= CHANGES || removed.size >= CHANGES) break;
  }
  const limit = (places: Set<number>): ReadonlySet<number> => new Set([...places].slice(0, CHANGES));
  return { added: limit(added), removed: limit(removed) };
}

/** The same program for these packets: every entry that can take part in deciding one of them, and few others. */
export function reduceProgram(program: HostProgram, packets: readonly ProgramPacket[]): HostProgram {
  const remotes = [...new Set(packets.map(({ remote }) => remote))].map((remote) => parseAddress(remote));
  const bytesOf = (family: 4 | 6): readonly Uint8Array[] =>
    remotes.flatMap((address) => (address.ok && address.family === family ? [address.bytes] : []));
  const addresses4 = keepAround(program.addresses4, bytesOf(4));
  const addresses6 = keepAround(program.addresses6, bytesOf(6));
  const atoms = new Set([0, ...addresses4.map(({ atom }) => atom), ...addresses6.map(({ atom }) => atom)]);
  const classes = program.classes.filter(({ atom }) => atoms.has(atom));
  const classIds = new Set(classes.map(({ classId }) => classId));
  const ports = program.ports.filter(({ classId }) => classIds.has(classId));
  return { ...program, addresses4, addresses6, classes, ports };
}

/** The prefixes that some address is in. */
function keepAround(entries: readonly AddressEntry[], addresses: readonly Uint8Array[]): readonly AddressEntry[] {
  // How many addresses begin with less than so many: most prefixes can be passed over by their first two bytes alone.
  const below = new Uint32Array(0x1_0001);
  for (const address of addresses) {
    const start = firstBytes(address);
    below[start + 1] = (below[start + 1] ?? 0) + 1;
  }
  for (let start = 1; start < below.length; start++) below[start] = (below[start] ?? 0) + (below[start - 1] ?? 0);
  return entries.filter(({ prefix, prefixLength }) => {
    const first = firstBytes(prefix);
    const last = prefixLength >= 16 ? first : first | (0xffff >> prefixLength);
    if (below[last + 1] === below[first]) return false;
    return addresses.some((address) => isInside(address, prefix, prefixLength));
  });
}

function firstBytes(bytes: Uint8Array): number {
  return ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
}

function isInside(address: Uint8Array, prefix: Uint8Array, prefixLength: number): boolean {
  const whole = prefixLength >> 3;
  for (let position = 0; position < whole; position++) if (address[position] !== prefix[position]) return false;
  const rest = prefixLength & 7;
  if (rest === 0) return true;
  return (((address[whole] ?? 0) ^ (prefix[whole] ?? 0)) & (0xff00 >> rest)) === 0;
}
