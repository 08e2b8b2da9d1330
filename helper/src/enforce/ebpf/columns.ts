/**
 * The tables of a program as plain numbers, column by column. The objects of a large program lie all over the heap, and
 * following them is most of the work of an apply; so it is done once, and packing and the self-test read these.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AddressEntry, ClassEntry, Decision, HostProgram, PolicySet, PortEntry } from "@wardline/domain/policy";
import { PLACE_EGRESS, RESULT_DENY, RESULT_OBSERVE_ONLY, VALUE_FLAGS_SHIFT } from "./layout.ts";
import { HIGHEST_KEY, type PrefixList } from "./ranges.ts";

/** What of a program goes into the kernel. */
export interface PackableProgram
  extends Pick<HostProgram, "formatVersion" | "addresses4" | "addresses6" | "classes" | "ports"> {
  readonly sets: readonly Pick<PolicySet, "id">[];
  readonly decisions: readonly Pick<Decision, "verdict" | "observeOnly">[];
}

/** Everything in the order of the program's own lists. */
export interface ProgramColumns {
  /** First and last addresses, atoms. */
  readonly ipv4: PrefixList;
  /** `places`: atom and direction bit. */
  readonly classes: { readonly places: Uint32Array; readonly sets: Uint32Array; readonly classIds: Uint32Array };
  /** Keys are `protocol << 16 | port`, values decisions with their flags above; a default is the whole space. */
  readonly ports: PrefixList & { readonly classIds: Uint32Array };
  /** Whether the lists are sorted as compiled ones are: prefixes by first key and shorter ones first, ports by class. */
  readonly isSorted: { readonly ipv4: boolean; readonly ports: boolean };
  readonly highestClass: number;
}

export const MAX_NUMBER = 0x0fff_ffff;
/** Bits of a port value that are the decision. */
export const DECISION_BITS = 0x0fff_ffff;

export function refuse(message: string): never {
  throw new Failure({ code: ErrorCode.POLICY_UNSUPPORTED, message, hint: "This is a defect of the compiler." });
}

const known = new WeakMap<PackableProgram, ProgramColumns>();

/** Throws `Failure` POLICY_UNSUPPORTED for numbers that are out of range. Programs do not change, so each is read once. */
export function columnsOf(program: PackableProgram): ProgramColumns {
  let columns = known.get(program);
  if (columns === undefined) {
    const ipv4 = readIpv4(program.addresses4);
    const ports = readPorts(program);
    const isSorted = { ipv4: ipv4.isSorted, ports: ports.isSorted };
    const { highestClass } = ports;
    columns = { ipv4: ipv4.list, classes: readClasses(program.classes), ports: ports.list, isSorted, highestClass };
    known.set(program, columns);
  }
  return columns;
}

function makeList(count: number): PrefixList {
  return { lows: new Uint32Array(count), highs: new Uint32Array(count), values: new Uint32Array(count) };
}

function readIpv4(entries: readonly AddressEntry[]) {
  const list = makeList(entries.length);
  let isSorted = true;
  let lowBefore = 0;
  let highBefore = HIGHEST_KEY;
  for (let place = 0; place < entries.length; place++) {
    const { prefix, prefixLength, atom } = entries[place] as AddressEntry;
    if (atom > MAX_NUMBER) refuse(`Atom ${atom} is out of range.`);
    const low =
      (((prefix[0] ?? 0) << 24) | ((prefix[1] ?? 0) << 16) | ((prefix[2] ?? 0) << 8) | (prefix[3] ?? 0)) >>> 0;
    const high = (low | (prefixLength === 32 ? 0 : 0xffff_ffff >>> prefixLength)) >>> 0;
    if (low < lowBefore || (low === lowBefore && high > highBefore)) isSorted = false;
    list.lows[place] = low;
    list.highs[place] = high;
    list.values[place] = atom;
    lowBefore = low;
    highBefore = high;
  }
  return { list, isSorted };
}

function readClasses(entries: readonly ClassEntry[]): ProgramColumns["classes"] {
  const places = new Uint32Array(entries.length);
  const sets = new Uint32Array(entries.length);
  const classIds = new Uint32Array(entries.length);
  for (let place = 0; place < entries.length; place++) {
    const { set, direction, atom, classId } = entries[place] as ClassEntry;
    if (atom > MAX_NUMBER) refuse(`Atom ${atom} is out of range.`);
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
    const flags = (verdict === "deny" ? RESULT_DENY : 0) | (observeOnly ? RESULT_OBSERVE_ONLY : 0);
    values[index] = (flags << VALUE_FLAGS_SHIFT) | index;
  }
  return values;
}

function readPorts(program: PackableProgram) {
  const { ports } = program;
  const decisionValues = packDecisions(program);
  const list = { ...makeList(ports.length), classIds: new Uint32Array(ports.length) };
  let isSorted = true;
  let highestClass = 0;
  let classBefore = 0;
  let lowBefore = 0;
  let highBefore = HIGHEST_KEY;
  for (let place = 0; place < ports.length; place++) {
    const { classId, protocol, port, portBits, decision } = ports[place] as PortEntry;
    if (decision >= decisionValues.length) refuse(`Class ${classId} names decision ${decision}, which does not exist.`);
    if (classId > highestClass) highestClass = classId;
    const low = protocol === null ? 0 : (protocol << 16) | port;
    const high = protocol === null ? HIGHEST_KEY : low | (0xffff >>> portBits);
    if (classId < classBefore) isSorted = false;
    else if (classId === classBefore && (low < lowBefore || (low === lowBefore && high > highBefore))) isSorted = false;
    list.classIds[place] = classId;
    list.lows[place] = low;
    list.highs[place] = high;
    list.values[place] = decisionValues[decision] ?? 0;
    classBefore = classId;
    lowBefore = low;
    highBefore = high;
  }
  if (highestClass > 4 * ports.length + 1024) refuse(`Class ${highestClass} is out of range.`);
  return { list, isSorted, highestClass };
}
