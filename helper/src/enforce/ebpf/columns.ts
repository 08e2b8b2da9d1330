/**
 * The tables of a program as the numbers that are packed, column by column. A compiled program has columns of its own,
 * and what two programs have in common is the same object there: it is translated once. The lists of a program that was
 * made by hand are read.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  type AddressEntry,
  type ClassEntry,
  columnsOfProgram,
  DECISION_DENIES,
  DECISION_OBSERVES_ONLY,
  type Decision,
  DIRECTION_EGRESS,
  type ProgramColumns as DomainColumns,
  type HostProgram,
  type PolicySet,
  type PortEntry,
  type PortPatch,
  patchOfPorts,
} from "@wardline/domain/policy";
import { PLACE_EGRESS, RESULT_DENY, RESULT_OBSERVE_ONLY, VALUE_FLAGS_SHIFT } from "./layout.ts";
import { HIGHEST_KEY, inOrder, orderOfPrefixes, type PrefixList } from "./ranges.ts";
import { finish, type Steps } from "./steps.ts";
import { orderOfWidePrefixes, readWidePrefix, type WidePrefixList, WORDS_PER_KEY, wideInOrder } from "./wideRanges.ts";

/** What of a program goes into the kernel. */
export interface PackableProgram
  extends Pick<HostProgram, "formatVersion" | "addresses4" | "addresses6" | "classes" | "ports"> {
  readonly sets: readonly Pick<PolicySet, "id">[];
  readonly decisions: readonly Pick<Decision, "verdict" | "observeOnly">[];
}

/** Where the entries of a sorted list are in the program's own; `null` = in the same place. */
export type Places = Uint32Array | null;

export interface ProgramColumns {
  /** First and last addresses, atoms. Sorted by first key, the shorter prefix first. */
  readonly ipv4: PrefixList & { readonly places: Places };
  /** The same of IPv6. */
  readonly ipv6: WidePrefixList & { readonly places: Places };
  /** In the program's order. `places`: atom and direction bit. */
  readonly classes: { readonly places: Uint32Array; readonly sets: Uint32Array; readonly classIds: Uint32Array };
  /**
   * Keys are `protocol << 16 | port`, values decisions with their flags above; a default is the whole space. Sorted by
   * class, then as prefixes are. To be read as classPorts.ts does.
   */
  readonly ports: PrefixList & { readonly classIds: Uint32Array; readonly places: Places };
  /** `portStarts[i]` to before `portStarts[i + 1]` are the port entries of class `i`. */
  readonly portStarts: Uint32Array;
  /** By class, as many entries in place of those in `ports`. What two programs have in common is the same object. */
  readonly patched: ReadonlyMap<number, PrefixList>;
}

const NOTHING_PATCHED: ReadonlyMap<number, PrefixList> = new Map();

export const MAX_NUMBER = 0x0fff_ffff;

export function refuse(message: string): never {
  throw new Failure({ code: ErrorCode.POLICY_UNSUPPORTED, message, hint: "This is a defect of the compiler." });
}

const known = new WeakMap<PackableProgram, ProgramColumns>();

/** Throws `Failure` POLICY_UNSUPPORTED for numbers that are out of range. Programs do not change, so each is read once. */
export function columnsOf(program: PackableProgram): ProgramColumns {
  return finish(readColumns(program));
}

/** As {@link columnsOf}, in steps. */
export function* readColumns(program: PackableProgram): Steps<ProgramColumns> {
  const before = known.get(program);
  if (before !== undefined) return before;
  const compiled = columnsOfProgram(program);
  const columns = compiled === null ? yield* readLists(program) : yield* translate(compiled);
  known.set(program, columns);
  return columns;
}

/** Without making a list of a compiled program, which would take longer than everything else. */
export function countDecisions(program: PackableProgram): number {
  return columnsOfProgram(program)?.decisionFlags.length ?? program.decisions.length;
}

function* readLists(program: PackableProgram): Steps<ProgramColumns> {
  const ipv4 = readIpv4(program.addresses4);
  yield;
  const ipv6 = readIpv6(program.addresses6);
  const classes = readClasses(program.classes);
  yield;
  const ports = yield* readPorts(program.ports, packDecisions(program));
  return { ipv4, ipv6, classes, ports, portStarts: findStarts(ports.classIds), patched: NOTHING_PATCHED };
}

type PortRows = Pick<DomainColumns["ports"], "lows" | "highs" | "decisions">;
type Ports = Pick<ProgramColumns, "ports" | "portStarts" | "patched">;

/** By the columns that they were translated from. */
const translated = {
  ipv4: new WeakMap<object, ProgramColumns["ipv4"]>(),
  ipv6: new WeakMap<object, ProgramColumns["ipv6"]>(),
  classes: new WeakMap<object, ProgramColumns["classes"]>(),
  ports: new WeakMap<object, { readonly flags: Uint8Array; readonly ports: Ports }>(),
  rows: new WeakMap<PortRows, PrefixList>(),
};

function* translate(compiled: DomainColumns): Steps<ProgramColumns> {
  const { addresses4, addresses6, classes, ports, decisionFlags } = compiled;
  const ipv4 = translated.ipv4.get(addresses4) ?? translateIpv4(addresses4);
  translated.ipv4.set(addresses4, ipv4);
  yield;
  const ipv6 = translated.ipv6.get(addresses6) ?? translateIpv6(addresses6);
  translated.ipv6.set(addresses6, ipv6);
  yield;
  const packedClasses = translated.classes.get(classes) ?? translateClasses(classes);
  translated.classes.set(classes, packedClasses);
  yield;
  const patch = patchOfPorts(ports);
  const packedPorts = patch === null ? knownPorts(ports, decisionFlags) : translatePatch(patch, decisionFlags);
  return { ipv4, ipv6, classes: packedClasses, ...packedPorts };
}

function knownPorts(ports: DomainColumns["ports"], flags: Uint8Array): Ports {
  const before = translated.ports.get(ports);
  if (before?.flags === flags) return before.ports;
  const made = translatePorts(ports, flags);
  translated.ports.set(ports, { flags, ports: made });
  return made;
}

/** Only what stands in place of the base's entries. Decisions of those that stay are what they were there. */
function translatePatch({ base, baseFlags, changed }: PortPatch, flags: Uint8Array): Ports {
  const ofBase = knownPorts(base, baseFlags);
  const patched = new Map<number, PrefixList>();
  for (const [classId, rows] of changed) {
    const own = translated.rows.get(rows) ?? translateRows(rows, flags, classId);
    translated.rows.set(rows, own);
    patched.set(classId, own);
  }
  return { ...ofBase, patched };
}

function translateRows({ lows, highs, decisions }: PortRows, flags: Uint8Array, classId: number): PrefixList {
  const values = decisions.map((decision) => packedDecision(decision, flags, classId));
  const list = { lows, highs, values };
  if (orderOfPrefixes(list, null) !== null) refuse(`The ports of class ${classId} are not in order.`);
  return list;
}

function translateIpv4({ lows, prefixLengths, atoms }: DomainColumns["addresses4"]): ProgramColumns["ipv4"] {
  const highs = new Uint32Array(lows.length);
  for (let place = 0; place < lows.length; place++) {
    const length = prefixLengths[place] as number;
    highs[place] = (lows[place] as number) | (length === 32 ? 0 : 0xffff_ffff >>> length);
  }
  checkAtoms(atoms);
  return sortList({ lows, highs, values: atoms }, null);
}

function translateIpv6({ bytes, prefixLengths, atoms }: DomainColumns["addresses6"]): ProgramColumns["ipv6"] {
  const words = atoms.length * WORDS_PER_KEY;
  const list = { lows: new Uint32Array(words), highs: new Uint32Array(words), values: atoms };
  for (let place = 0; place < atoms.length; place++)
    readWidePrefix(bytes, place * 16, prefixLengths[place] as number, list, place);
  checkAtoms(atoms);
  return sortWideList(list);
}

function translateClasses({ sets, directions, atoms, classIds }: DomainColumns["classes"]): ProgramColumns["classes"] {
  const places = new Uint32Array(atoms.length);
  for (let place = 0; place < atoms.length; place++)
    places[place] = (atoms[place] as number) | (directions[place] === DIRECTION_EGRESS ? PLACE_EGRESS : 0);
  checkAtoms(atoms);
  return { places, sets, classIds };
}

function translatePorts({ classIds, lows, highs, decisions }: DomainColumns["ports"], flags: Uint8Array): Ports {
  const decisionValues = new Uint32Array(flags.length);
  for (let index = 0; index < flags.length; index++) decisionValues[index] = packedDecision(index, flags, 0);
  const values = new Uint32Array(decisions.length);
  for (let place = 0; place < decisions.length; place++) {
    const decision = decisions[place] as number;
    if (decision >= flags.length) refuseDecision(classIds[place] as number, decision);
    values[place] = decisionValues[decision] as number;
  }
  const ports = sortPorts({ lows, highs, values }, classIds);
  return { ports, portStarts: findStarts(ports.classIds), patched: NOTHING_PATCHED };
}

function packedDecision(index: number, flags: Uint8Array, classId: number): number {
  if (index >= flags.length) refuseDecision(classId, index);
  const own = flags[index] as number;
  return packDecision(index, (own & DECISION_DENIES) !== 0, (own & DECISION_OBSERVES_ONLY) !== 0);
}

function checkAtoms(atoms: Uint32Array): void {
  for (let place = 0; place < atoms.length; place++) checkAtom(atoms[place] as number);
}

function refuseDecision(classId: number, decision: number): never {
  return refuse(`Class ${classId} names decision ${decision}, which does not exist.`);
}

function packDecision(index: number, denies: boolean, observes: boolean): number {
  const flags = (denies ? RESULT_DENY : 0) | (observes ? RESULT_OBSERVE_ONLY : 0);
  return ((flags << VALUE_FLAGS_SHIFT) | index) >>> 0;
}

function sortWideList(list: WidePrefixList): ProgramColumns["ipv6"] {
  const order = orderOfWidePrefixes(list);
  return order === null ? { ...list, places: null } : { ...wideInOrder(list, order), places: order };
}

function sortPorts(list: PrefixList, classIds: Uint32Array): ProgramColumns["ports"] {
  const sorted = sortList(list, classIds);
  const ofSorted = sorted.places === null ? classIds : inOrder(classIds, sorted.places);
  const highest = ofSorted.at(-1) ?? 0;
  if (highest > 4 * classIds.length + 1024) refuse(`Class ${highest} is out of range.`);
  return { ...sorted, classIds: ofSorted };
}

function makeList(count: number): PrefixList {
  return { lows: new Uint32Array(count), highs: new Uint32Array(count), values: new Uint32Array(count) };
}

function sortList(list: PrefixList, groups: Uint32Array | null): PrefixList & { readonly places: Places } {
  const order = orderOfPrefixes(list, groups);
  if (order === null) return { ...list, places: null };
  const { lows, highs, values } = list;
  return { lows: inOrder(lows, order), highs: inOrder(highs, order), values: inOrder(values, order), places: order };
}

function checkAtom(atom: number): void {
  if (atom > MAX_NUMBER) refuse(`Atom ${atom} is out of range.`);
}

function readIpv4(entries: readonly AddressEntry[]): ProgramColumns["ipv4"] {
  const list = makeList(entries.length);
  for (let place = 0; place < entries.length; place++) {
    const { prefix, prefixLength, atom } = entries[place] as AddressEntry;
    checkAtom(atom);
    const low =
      (((prefix[0] ?? 0) << 24) | ((prefix[1] ?? 0) << 16) | ((prefix[2] ?? 0) << 8) | (prefix[3] ?? 0)) >>> 0;
    list.lows[place] = low;
    list.highs[place] = (low | (prefixLength === 32 ? 0 : 0xffff_ffff >>> prefixLength)) >>> 0;
    list.values[place] = atom;
  }
  return sortList(list, null);
}

function readIpv6(entries: readonly AddressEntry[]): ProgramColumns["ipv6"] {
  const words = entries.length * WORDS_PER_KEY;
  const list = { lows: new Uint32Array(words), highs: new Uint32Array(words), values: new Uint32Array(entries.length) };
  for (let place = 0; place < entries.length; place++) {
    const { prefix, prefixLength, atom } = entries[place] as AddressEntry;
    checkAtom(atom);
    readWidePrefix(prefix, 0, prefixLength, list, place);
    list.values[place] = atom;
  }
  return sortWideList(list);
}

function readClasses(entries: readonly ClassEntry[]): ProgramColumns["classes"] {
  const places = new Uint32Array(entries.length);
  const sets = new Uint32Array(entries.length);
  const classIds = new Uint32Array(entries.length);
  for (let place = 0; place < entries.length; place++) {
    const { set, direction, atom, classId } = entries[place] as ClassEntry;
    checkAtom(atom);
    places[place] = direction === "egress" ? atom | PLACE_EGRESS : atom;
    sets[place] = set;
    classIds[place] = classId;
  }
  return { places, sets, classIds };
}

/** Decision and flags as a class's tree holds them, by decision. */
function packDecisions({ decisions }: PackableProgram): Uint32Array {
  const values = new Uint32Array(decisions.length);
  for (let index = 0; index < decisions.length; index++) {
    const { verdict, observeOnly } = decisions[index] as PackableProgram["decisions"][number];
    values[index] = packDecision(index, verdict === "deny", observeOnly);
  }
  return values;
}

/** Read between two turns of others. */
const PORTS_PER_STEP = 32_768;

function* readPorts(ports: readonly PortEntry[], decisionValues: Uint32Array): Steps<ProgramColumns["ports"]> {
  const list = makeList(ports.length);
  const classIds = new Uint32Array(ports.length);
  for (let from = 0; from < ports.length; from += PORTS_PER_STEP) {
    readSomePorts(ports, from, Math.min(ports.length, from + PORTS_PER_STEP), decisionValues, list, classIds);
    yield;
  }
  return sortPorts(list, classIds);
}

function readSomePorts(
  ports: readonly PortEntry[],
  from: number,
  to: number,
  decisionValues: Uint32Array,
  { lows, highs, values }: PrefixList,
  classIds: Uint32Array,
): void {
  for (let place = from; place < to; place++) {
    const { classId, protocol, port, portBits, decision } = ports[place] as PortEntry;
    if (decision >= decisionValues.length) refuseDecision(classId, decision);
    const low = protocol === null ? 0 : (protocol << 16) | port;
    classIds[place] = classId;
    lows[place] = low;
    highs[place] = protocol === null ? HIGHEST_KEY : low | (0xffff >>> portBits);
    values[place] = decisionValues[decision] as number;
  }
}

/** By the column that they were found in: versions of a program share it where only contents change. */
const foundStarts = new WeakMap<Uint32Array, Uint32Array>();

function findStarts(classIds: Uint32Array): Uint32Array {
  const known = foundStarts.get(classIds);
  if (known !== undefined) return known;
  const classCount = (classIds.at(-1) ?? 0) + 1;
  const starts = new Uint32Array(classCount + 1);
  let next = 0;
  for (let place = 0; place < classIds.length; place++) {
    const classId = classIds[place] as number;
    for (; next <= classId; next++) starts[next] = place;
  }
  for (; next <= classCount; next++) starts[next] = classIds.length;
  foundStarts.set(classIds, starts);
  return starts;
}
