/** A HostProgram as the memory that the kernel's programs search: see WARDLINE_LINE_SIZE in bpf/include/wardline.h. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  type AddressEntry,
  type Decision,
  FIRST_RULE_DECISION,
  type HostProgram,
  type PolicySet,
  PROGRAM_FORMAT_VERSION,
} from "@wardline/domain/policy";
import { DEFAULT_MAX_DECISIONS } from "./counters.ts";
import { LINE_SIZE, PLACE_EGRESS, RESULT_DENY, RESULT_OBSERVE_ONLY, VALUE_FLAGS_SHIFT } from "./layout.ts";
import {
  type ClassPlaces,
  countTreeLines,
  countWideTreeLines,
  fillBuckets,
  LineWriter,
  resolveClasses,
} from "./lines.ts";
import { makePrefixList, type PrefixList, RangeLists, RepeatedPrefixError, sortPrefixes } from "./ranges.ts";
import { flattenIpv6 } from "./wideRanges.ts";

/** What of a program goes into the kernel. */
export interface PackableProgram
  extends Pick<HostProgram, "formatVersion" | "addresses4" | "addresses6" | "classes" | "ports"> {
  readonly sets: readonly Pick<PolicySet, "id">[];
  readonly decisions: readonly Pick<Decision, "verdict" | "observeOnly">[];
}

export interface TableImage {
  /** Lines of 64 bytes, ready to be copied. */
  readonly bytes: Uint8Array;
  readonly lineCount: number;
  readonly decisionCount: number;
  /** Sets other than the host's own. */
  readonly workloadSets: number;
}

const MAX_NUMBER = 0x0fff_ffff;

function refuse(message: string): never {
  throw new Failure({ code: ErrorCode.POLICY_UNSUPPORTED, message, hint: "This is a defect of the compiler." });
}

/**
 * Packs the tables. Throws `Failure` POLICY_UNSUPPORTED for a program that the kernel could not answer every packet from,
 * and for one with more decisions than the kernel's counters have room for.
 */
export function packProgram(program: PackableProgram, maxDecisions = DEFAULT_MAX_DECISIONS): TableImage {
  if (program.formatVersion !== PROGRAM_FORMAT_VERSION)
    refuse(`The program has format ${program.formatVersion}; this agent knows ${PROGRAM_FORMAT_VERSION}.`);
  if (program.decisions.length > maxDecisions)
    throw new Failure({
      code: ErrorCode.POLICY_UNSUPPORTED,
      message: `The policies give ${program.decisions.length} different decisions; this host counts ${maxDecisions} at most.`,
      hint: "Merge rules that have the same peers and ports.",
    });
  const writer = writeLines(program);
  return {
    bytes: new Uint8Array(writer.words.buffer, 0, writer.lineCount * LINE_SIZE),
    lineCount: writer.lineCount,
    decisionCount: Math.max(program.decisions.length, FIRST_RULE_DECISION),
    workloadSets: program.sets.filter((set) => set.id !== 0).length,
  };
}

function writeLines(program: PackableProgram): LineWriter {
  try {
    const ipv4 = flattenIpv4(program.addresses4);
    checkAtoms(program.addresses6);
    const ipv6 = flattenIpv6(program.addresses6);
    const ports = flattenPorts(program);
    const buckets = packClasses(program, ports.starts);
    const writer = new LineWriter(
      1 +
        countTreeLines(ipv4.count) +
        countWideTreeLines(ipv6.count) +
        ports.lineCount +
        buckets.byteLength / LINE_SIZE,
    );
    const ipv4Tree = writer.writeTree(ipv4, 0, ipv4.count);
    const ipv6Tree = writer.writeWideTree(ipv6);
    const roots = new Uint32Array(ports.starts.length);
    const heights = new Uint32Array(ports.starts.length);
    for (let classId = 0; classId < ports.starts.length; classId++) {
      const from = ports.starts[classId] ?? NO_CLASS;
      if (from === NO_CLASS) continue;
      const { root, height } = writer.writeTree(ports.lists, from, ports.ends[classId] ?? from);
      roots[classId] = root;
      heights[classId] = height;
    }
    resolveClasses(buckets, roots, heights);
    writer.writeHeader(ipv4Tree, ipv6Tree, writer.writeBuckets(buckets), buckets.byteLength / LINE_SIZE);
    return writer;
  } catch (error) {
    if (error instanceof RepeatedPrefixError) refuse("The program has two answers for one prefix.");
    throw error;
  }
}

function checkAtoms(entries: readonly AddressEntry[]): void {
  for (const { atom } of entries) if (atom > MAX_NUMBER) refuse(`Atom ${atom} is out of range.`);
}

/** IPv4 addresses never fall through to an IPv6 prefix such as ::/0: they have a tree of their own. */
function flattenIpv4(entries: readonly AddressEntry[]): RangeLists {
  checkAtoms(entries);
  const list = makePrefixList(entries.length);
  for (let position = 0; position < entries.length; position++) {
    const entry = entries[position];
    if (entry === undefined) continue;
    const { prefix, prefixLength } = entry;
    const low =
      (((prefix[0] ?? 0) << 24) | ((prefix[1] ?? 0) << 16) | ((prefix[2] ?? 0) << 8) | (prefix[3] ?? 0)) >>> 0;
    list.lows[position] = low;
    list.highs[position] = low | (prefixLength === 32 ? 0 : 0xffff_ffff >>> prefixLength);
    list.values[position] = entry.atom;
  }
  sortPrefixes(list, 0, entries.length);
  const ranges = new RangeLists(RangeLists.capacityFor(entries.length, 1));
  ranges.append(list, 0, entries.length, 0);
  return ranges;
}

/** No class has this number; place 0 of what is indexed by class. */
const NO_CLASS = 0xffff_ffff;

interface PortRanges {
  readonly lists: RangeLists;
  /** By class id: where its ranges begin, {@link NO_CLASS} for a number that no class has. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly lineCount: number;
}

function flattenPorts({ ports, decisions }: PackableProgram): PortRanges {
  const values = decisions.map(({ verdict, observeOnly }, index) => {
    const flags = (verdict === "deny" ? RESULT_DENY : 0) | (observeOnly ? RESULT_OBSERVE_ONLY : 0);
    return ((flags << VALUE_FLAGS_SHIFT) | index) >>> 0;
  });
  const { offsets, order } = groupByClass(ports);
  const classCount = offsets.length - 1;
  const list = makePrefixList(ports.length);
  const defaults = new Float64Array(classCount).fill(-1);
  for (let place = 0; place < ports.length; place++) {
    const entry = ports[order === null ? place : (order[place] ?? 0)];
    if (entry === undefined) continue;
    const value = values[entry.decision];
    if (value === undefined) refuse(`Class ${entry.classId} names decision ${entry.decision}, which does not exist.`);
    list.values[place] = value;
    if (entry.protocol === null) {
      // The whole space: the entries around it lie inside.
      if (defaults[entry.classId] !== -1) throw new RepeatedPrefixError();
      defaults[entry.classId] = value;
      list.highs[place] = 0xffff_ffff;
    } else {
      const low = ((entry.protocol << 16) | entry.port) >>> 0;
      list.lows[place] = low;
      list.highs[place] = low | (0xffff >>> entry.portBits);
    }
  }
  return flattenClasses(list, offsets, defaults);
}

function flattenClasses(list: PrefixList, offsets: Uint32Array, defaults: Float64Array): PortRanges {
  const classCount = defaults.length;
  const lists = new RangeLists(RangeLists.capacityFor(list.lows.length, classCount));
  const starts = new Uint32Array(classCount).fill(NO_CLASS);
  const ends = new Uint32Array(classCount);
  let lineCount = 0;
  for (let classId = 0; classId < classCount; classId++) {
    const value = defaults[classId] ?? -1;
    const [from = 0, to = 0] = [offsets[classId], offsets[classId + 1]];
    if (from === to) continue;
    if (value === -1) refuse(`Class ${classId} has no default entry.`);
    sortPrefixes(list, from, to);
    starts[classId] = lists.append(list, from, to, value);
    ends[classId] = lists.count;
    lineCount += countTreeLines(lists.count - (starts[classId] ?? 0));
  }
  return { lists, starts, ends, lineCount };
}

/** Where the entries of each class are: as they come when classes ascend, which they do in compiled programs. */
function groupByClass(ports: PackableProgram["ports"]) {
  let highest = 0;
  let before = 0;
  let ascending = true;
  for (const { classId } of ports) {
    if (classId > highest) highest = classId;
    if (classId < before) ascending = false;
    before = classId;
  }
  if (highest > MAX_NUMBER || highest > 4 * ports.length + 1024) refuse(`Class ${highest} is out of range.`);
  const offsets = new Uint32Array(highest + 2);
  for (const { classId } of ports) offsets[classId + 1] = (offsets[classId + 1] ?? 0) + 1;
  for (let classId = 0; classId <= highest; classId++)
    offsets[classId + 1] = (offsets[classId + 1] ?? 0) + (offsets[classId] ?? 0);
  if (ascending) return { offsets, order: null };
  const next = offsets.slice();
  const order = new Uint32Array(ports.length);
  ports.forEach(({ classId }, position) => {
    const place = next[classId] ?? 0;
    order[place] = position;
    next[classId] = place + 1;
  });
  return { offsets, order };
}

/** The class buckets with class numbers in place of trees. */
function packClasses({ classes, sets }: PackableProgram, starts: Uint32Array): Uint32Array {
  const packed: ClassPlaces = {
    places: new Uint32Array(classes.length),
    sets: new Uint32Array(classes.length),
    classes: new Uint32Array(classes.length),
  };
  const defaults = { ingress: new Set<number>(), egress: new Set<number>() };
  for (let position = 0; position < classes.length; position++) {
    const entry = classes[position];
    if (entry === undefined) continue;
    const { set, direction, atom, classId } = entry;
    if (classId === 0 || (starts[classId] ?? NO_CLASS) === NO_CLASS) refuse(`Class ${classId} has no default entry.`);
    if (atom > MAX_NUMBER) refuse(`Atom ${atom} is out of range.`);
    if (atom === 0) defaults[direction].add(set);
    packed.places[position] = direction === "egress" ? (atom | PLACE_EGRESS) >>> 0 : atom;
    packed.sets[position] = set;
    packed.classes[position] = classId;
  }
  for (const set of sets)
    for (const direction of ["ingress", "egress"] as const)
      if (!defaults[direction].has(set.id)) refuse(`Set ${set.id} has no ${direction} class for atom 0.`);
  return fillBuckets(packed) ?? refuse("The program has two classes for one atom.");
}
