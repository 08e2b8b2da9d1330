/** The tables of a program as plain numbers, column by column: what a compiler makes, and a packer reads. */
import { type PortColumns, portAt } from "./port-columns.ts";
import type { AddressEntry, ClassEntry, HostProgram, PortEntry } from "./program.ts";

/** Everything in the order of the program's own lists, which are sorted as each column says. Not to be changed. */
export interface ProgramColumns {
  /** By address, then length: a prefix comes after those that enclose it. */
  readonly addresses4: {
    /** First address of each prefix. */
    readonly lows: Uint32Array;
    readonly prefixLengths: Uint8Array;
    readonly atoms: Uint32Array;
  };
  readonly addresses6: {
    /** Sixteen for each prefix. */
    readonly bytes: Uint8Array;
    readonly prefixLengths: Uint8Array;
    readonly atoms: Uint32Array;
  };
  /** By set, ingress first, then atom. */
  readonly classes: {
    readonly sets: Uint32Array;
    /** {@link DIRECTION_INGRESS} or {@link DIRECTION_EGRESS}. */
    readonly directions: Uint8Array;
    readonly atoms: Uint32Array;
    readonly classIds: Uint32Array;
  };
  /**
   * By class; then the entry for every protocol, and the others by their first port and the wider one first. Ports are
   * `protocol << 16 | port`; the entry for every protocol goes from 0 to {@link EVERY_PROTOCOL}. Those of a program that
   * differs little from an earlier one are patched: see port-columns.ts.
   */
  readonly ports: PortColumns;
  /** Of each decision: {@link DECISION_DENIES} and {@link DECISION_OBSERVES_ONLY}, added up. */
  readonly decisionFlags: Uint8Array;
}

export const DIRECTION_INGRESS = 0;
export const DIRECTION_EGRESS = 1;
export const DECISION_DENIES = 1;
export const DECISION_OBSERVES_ONLY = 2;
/** Last port of the entry for every protocol. */
export const EVERY_PROTOCOL = 0xffff_ffff;

const columnsByProgram = new WeakMap<object, ProgramColumns>();

/** The columns of a compiled program; `null` for one that was put together from lists or is a copy. */
export function columnsOfProgram(program: object): ProgramColumns | null {
  return columnsByProgram.get(program) ?? null;
}

type Lists = Pick<HostProgram, "addresses4" | "addresses6" | "classes" | "ports" | "decisions">;

/** The program of these columns. Its lists are made when they are asked for; `decisions` makes one of them. */
export function programOfColumns(
  { formatVersion, hostName, digest, sets }: Omit<HostProgram, keyof Lists>,
  columns: ProgramColumns,
  decisions: () => HostProgram["decisions"],
): HostProgram {
  const made: { -readonly [List in keyof Lists]?: Lists[List] } = {};
  const program: HostProgram = {
    formatVersion,
    hostName,
    digest,
    sets,
    get addresses4() {
      made.addresses4 ??= addresses4Of(columns);
      return made.addresses4;
    },
    get addresses6() {
      made.addresses6 ??= addresses6Of(columns);
      return made.addresses6;
    },
    get classes() {
      made.classes ??= classesOf(columns);
      return made.classes;
    },
    get ports() {
      made.ports ??= portsOf(columns);
      return made.ports;
    },
    get decisions() {
      made.decisions ??= decisions();
      return made.decisions;
    },
  };
  columnsByProgram.set(program, columns);
  return program;
}

function addresses4Of({ addresses4: { lows, prefixLengths, atoms } }: ProgramColumns): readonly AddressEntry[] {
  return Array.from(lows, (low, place) => {
    const prefix = Uint8Array.of(low >>> 24, (low >>> 16) & 0xff, (low >>> 8) & 0xff, low & 0xff);
    return { prefix, prefixLength: prefixLengths[place] ?? 0, atom: atoms[place] ?? 0 };
  });
}

function addresses6Of({ addresses6: { bytes, prefixLengths, atoms } }: ProgramColumns): readonly AddressEntry[] {
  return Array.from(atoms, (atom, place) => {
    return { prefix: bytes.slice(place * 16, place * 16 + 16), prefixLength: prefixLengths[place] ?? 0, atom };
  });
}

function classesOf({ classes: { sets, directions, atoms, classIds } }: ProgramColumns): readonly ClassEntry[] {
  return Array.from(classIds, (classId, place) => ({
    set: sets[place] ?? 0,
    direction: directions[place] === DIRECTION_EGRESS ? "egress" : "ingress",
    atom: atoms[place] ?? 0,
    classId,
  }));
}

function portsOf({ ports: { classIds, lows, highs, decisions } }: ProgramColumns): readonly PortEntry[] {
  return Array.from(classIds, (classId, place) =>
    portEntry(classId, lows[place] ?? 0, highs[place] ?? 0, decisions[place] ?? 0),
  );
}

/** One entry of a list that need not be made for it. */
export function portEntryAt(ports: PortColumns, place: number): PortEntry {
  const { low, high, decision } = portAt(ports, place);
  return portEntry(ports.classIds[place] ?? 0, low, high, decision);
}

function portEntry(classId: number, low: number, high: number, decision: number): PortEntry {
  if (high === EVERY_PROTOCOL) return { classId, protocol: null, port: 0, portBits: 0, decision };
  const portBits = Math.clz32(high - low) - 16;
  return { classId, protocol: low >>> 16, port: low & 0xffff, portBits, decision };
}
