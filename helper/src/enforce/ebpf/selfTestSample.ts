/** Which packets the self-test of an apply asks about, and the part of a program that decides them. */
import {
  type AddressEntry,
  type ClassEntry,
  type HostProgram,
  type PortEntry,
  PROTOCOL,
  type ProgramPacket,
  parseAddress,
} from "@wardline/domain/policy";
import { addressText, findIpv4, findIpv6, wordsOf } from "./columnSearch.ts";
import { columnsOf, type Places, type ProgramColumns } from "./columns.ts";
import { PLACE_EGRESS } from "./layout.ts";
import { placesByNumber } from "./placesByNumber.ts";
import { isFaithfulProbe } from "./probePacket.ts";
import { type ChangedParts, programChanges } from "./programChanges.ts";
import { decisionsOf, entriesOf, type ProgramEntries } from "./programEntries.ts";

const SPREAD_CLASSES = 32;
const PORTS_PER_CLASS = 3;
/** Entries of one class that are asked about because they came or went. */
const CHANGED_PORTS_PER_CLASS = 8;
const PORT_BITS = 16;
/** An address of documentation, which most programs do not name. */
const UNNAMED_REMOTE = "203.0.113.77";

function placeIn(places: Places, sorted: number): number {
  return places === null ? sorted : (places[sorted] as number);
}

/** At most `limit` places of a list, spread evenly, the first and the last included. */
function spreadPlaces(count: number, limit: number): readonly number[] {
  if (count <= limit) return Array.from({ length: count }, (_, place) => place);
  return Array.from({ length: limit }, (_, position) => Math.floor((position * (count - 1)) / (limit - 1)));
}

/**
 * Vectors that a change from `before` touches (ports and prefixes that came, went or changed), and then some that reach
 * classes and port entries all over the program. Deterministic; the cost is a few passes over numbers.
 */
export function samplePackets(program: HostProgram, before: HostProgram | null): readonly ProgramPacket[] {
  const [now, old] = [new Sampler(program), before === null ? null : new Sampler(before)];
  const changes = programChanges(before, program);
  const all = [
    ...now.packetsOfChanges(changes.now),
    ...(old?.packetsOfChanges(changes.before) ?? []),
    ...now.packetsOfPlaces(spreadPlaces(now.entries.classCount, SPREAD_CLASSES)),
  ];
  const sets = new Set(program.sets.map(({ id }) => id));
  const distinct = new Map(all.map((packet) => [keyOf(packet), packet]));
  return [...distinct.values()].filter((packet) => sets.has(packet.set) && isFaithfulProbe(packet));
}

function keyOf({ set, direction, remote, protocol, port }: ProgramPacket): string {
  return `${set} ${direction} ${remote} ${protocol} ${port}`;
}

class Sampler {
  readonly entries: ProgramEntries;
  readonly #columns: ProgramColumns;

  constructor(program: HostProgram) {
    this.entries = entriesOf(program);
    this.#columns = columnsOf(program);
  }

  packetsOfChanges({ classIds, ports, ipv4, ipv6 }: ChangedParts): readonly ProgramPacket[] {
    const { lows: lows4, values: atoms4 } = this.#columns.ipv4;
    const { lows: lows6, values: atoms6 } = this.#columns.ipv6;
    const prefixes = [
      ...ipv4.map((place) => ({ remote: addressText(lows4, place, 1), atom: atoms4[place] as number })),
      ...ipv6.map((place) => ({ remote: addressText(lows6, place, 4), atom: atoms6[place] as number })),
    ];
    const byAtom = Map.groupBy(this.#classesOfAtoms([0, ...prefixes.map(({ atom }) => atom)]), ({ atom }) => atom);
    const generally = byAtom.get(0) ?? [];
    return [
      ...this.#packets(this.#classesOf(classIds), ports),
      // To a prefix as its own classes say, and as those of everybody else do.
      ...prefixes.flatMap(({ remote, atom }) =>
        [...(byAtom.get(atom) ?? []), ...generally].flatMap((entry) => this.#packetsTo(remote, entry, ports)),
      ),
    ];
  }

  packetsOfPlaces(places: readonly number[]): readonly ProgramPacket[] {
    return this.#packets(
      places.map((place) => this.entries.classEntry(place)),
      new Set(),
    );
  }

  /** The first class entry of each class. */
  #classesOf(wanted: ReadonlySet<number>): readonly ClassEntry[] {
    const byClass = placesByNumber(this.#columns.classes.classIds);
    return [...wanted]
      .map((classId) => byClass.first(classId))
      .filter((place) => place >= 0)
      .sort(ascending)
      .map((place) => this.entries.classEntry(place));
  }

  /** All class entries of these atoms; of very many sets the first ones. */
  #classesOfAtoms(atoms: readonly number[]): readonly ClassEntry[] {
    return placesOfAtoms(this.#columns, new Set(atoms), SPREAD_CLASSES * atoms.length).map((place) =>
      this.entries.classEntry(place),
    );
  }

  /** Packets to an address of each class. */
  #packets(classes: readonly ClassEntry[], changed: ReadonlySet<number>): readonly ProgramPacket[] {
    const remotes = this.#findRemotes(new Set(classes.map(({ atom }) => atom)));
    return classes.flatMap((entry) => this.#packetsTo(remotes.get(entry.atom) ?? UNNAMED_REMOTE, entry, changed));
  }

  /** For some port entries of a class; the changed ones are among them, with what is right beside them. */
  #packetsTo(remote: string, entry: ClassEntry, changedPlaces: ReadonlySet<number>): readonly ProgramPacket[] {
    const { set, direction, classId } = entry;
    const places = portPlaces(this.#columns, classId);
    const changed = places.filter((place) => changedPlaces.has(place)).slice(0, CHANGED_PORTS_PER_CLASS);
    const others = spreadPlaces(places.length, PORTS_PER_CLASS).map((position) => places[position] as number);
    const services = [
      ...changed.flatMap((place) => edgesOf(this.#port(place))),
      ...others.map((place) => firstOf(this.#port(place))),
      { protocol: PROTOCOL.udp, port: 65_535 },
    ];
    return services.map((service) => ({ set, direction, remote, ...service }));
  }

  #port(place: number): PortEntry {
    return this.entries.port(placeIn(this.#columns.ports.places, place));
  }

  /** The first prefix of each atom, an IPv4 one if there is one. */
  #findRemotes(atoms: ReadonlySet<number>): ReadonlyMap<number, string> {
    const { ipv4, ipv6 } = this.#columns;
    const [byAtom4, byAtom6] = [placesByNumber(ipv4.values), placesByNumber(ipv6.values)];
    const remotes = new Map<number, string>();
    for (const atom of atoms) {
      const [place4, place6] = [byAtom4.first(atom), byAtom6.first(atom)];
      if (place4 >= 0) remotes.set(atom, addressText(ipv4.lows, place4, 1));
      else if (place6 >= 0) remotes.set(atom, addressText(ipv6.lows, place6, 4));
    }
    return remotes;
  }
}

function portPlaces({ portStarts }: ProgramColumns, classId: number): readonly number[] {
  const from = portStarts[classId] ?? 0;
  return Array.from({ length: (portStarts[classId + 1] ?? from) - from }, (_, place) => from + place);
}

function firstOf({ protocol, port, portBits }: PortEntry) {
  if (protocol === null) return { protocol: PROTOCOL.tcp, port: 0 };
  return { protocol, port: portBits === 0 ? 1 : port };
}

/** The first and the last port of an entry, and those on both sides. */
function edgesOf(entry: PortEntry) {
  const { protocol, port, portBits } = entry;
  if (protocol === null || portBits === 0) return [firstOf(entry)];
  const last = port + 2 ** (PORT_BITS - portBits) - 1;
  const edges = new Set([port, last, port - 1, last + 1]);
  return [...edges].filter((each) => each >= 0 && each < 2 ** PORT_BITS).map((each) => ({ protocol, port: each }));
}

/** Places of the class entries of these atoms, `most` at most. */
function placesOfAtoms({ classes }: ProgramColumns, atoms: ReadonlySet<number>, most: number): readonly number[] {
  const byAtom = placesByNumber(classes.places, ~PLACE_EGRESS);
  return [...atoms]
    .flatMap((atom) => [...byAtom.all(atom)])
    .sort(ascending)
    .slice(0, most);
}

function ascending(one: number, other: number): number {
  return one - other;
}

/**
 * The same program for these packets: every entry that can take part in deciding one of them, and few others. They are
 * found by the numbers that were packed, which say what the program says (image.test.ts), and are the program's own.
 */
export function reduceProgram(program: HostProgram, packets: readonly ProgramPacket[]): HostProgram {
  const columns = columnsOf(program);
  const entries = entriesOf(program);
  const found = { 4: new Map<number, AddressEntry>(), 6: new Map<number, AddressEntry>() };
  for (const remote of new Set(packets.map((packet) => packet.remote))) {
    const address = parseAddress(remote);
    if (!address.ok) continue;
    const words = wordsOf(address.bytes);
    const place = address.family === 4 ? findIpv4(columns, words[0] ?? 0) : findIpv6(columns, words);
    if (place === -1) continue;
    if (address.family === 4) found[4].set(place, entries.address4(placeIn(columns.ipv4.places, place)));
    else found[6].set(place, entries.address6(placeIn(columns.ipv6.places, place)));
  }
  const [addresses4, addresses6] = [[...found[4].values()], [...found[6].values()]];
  const atoms = new Set([0, ...[...addresses4, ...addresses6].map(({ atom }) => atom)]);
  const classes = placesOfAtoms(columns, atoms, Number.POSITIVE_INFINITY).map((place) => entries.classEntry(place));
  const ports = [...new Set(classes.map(({ classId }) => classId))].flatMap((classId) =>
    portPlaces(columns, classId).map((place) => entries.port(placeIn(columns.ports.places, place))),
  );
  const { formatVersion, hostName, digest, sets } = program;
  const decisions = decisionsOf(entries, ports);
  return { formatVersion, hostName, digest, sets, addresses4, addresses6, classes, ports, decisions };
}
