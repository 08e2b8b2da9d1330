/** A HostProgram as the memory that the kernel's programs search: see WARDLINE_LINE_SIZE in bpf/include/wardline.h. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import {
  type AddressEntry,
  type ClassEntry,
  type Decision,
  FIRST_RULE_DECISION,
  type HostProgram,
  type PolicySet,
  type PortEntry,
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
import { compareLists } from "./listChanges.ts";
import { PackingMemory } from "./packingMemory.ts";
import { HIGHEST_KEY, type PrefixList, RangeLists, RepeatedPrefixError, sortPrefixes } from "./ranges.ts";
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
  /** IPv4 prefixes that came or went since the program that was packed before, a few at most. First addresses. */
  readonly changedIpv4: readonly number[];
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
  return new ImagePacker().pack(program, maxDecisions);
}

/** Packs one program after the other into the same memory: an image is good until the next one is packed. */
export class ImagePacker {
  readonly #memory = new PackingMemory();
  #ipv4Before: { readonly lows: Uint32Array; readonly highs: Uint32Array } | null = null;

  /** As {@link packProgram}. */
  pack(program: PackableProgram, maxDecisions = DEFAULT_MAX_DECISIONS): TableImage {
    if (program.formatVersion !== PROGRAM_FORMAT_VERSION)
      refuse(`The program has format ${program.formatVersion}; this agent knows ${PROGRAM_FORMAT_VERSION}.`);
    if (program.decisions.length > maxDecisions)
      throw new Failure({
        code: ErrorCode.POLICY_UNSUPPORTED,
        message: `The policies give ${program.decisions.length} different decisions; this host counts ${maxDecisions} at most.`,
        hint: "Merge rules that have the same peers and ports.",
      });
    const writer = writeLines(program, this.#memory);
    const changedIpv4 = this.#compareIpv4(program.addresses4.length);
    return {
      bytes: new Uint8Array(writer.words.buffer, writer.words.byteOffset, writer.lineCount * LINE_SIZE),
      lineCount: writer.lineCount,
      decisionCount: Math.max(program.decisions.length, FIRST_RULE_DECISION),
      changedIpv4,
      workloadSets: program.sets.filter((set) => set.id !== 0).length,
    };
  }

  #compareIpv4(count: number): readonly number[] {
    const { lows, highs } = this.#memory.prefixes("ipv4", count);
    const before = this.#ipv4Before;
    this.#ipv4Before = { lows: lows.slice(), highs: highs.slice() };
    if (before === null) return [];
    const isSame = (one: number, other: number): boolean =>
      before.lows[one] === lows[other] && before.highs[one] === highs[other];
    const { added, removed } = compareLists(before.lows.length, count, isSame);
    return [...[...added].map((place) => lows[place] ?? 0), ...[...removed].map((place) => before.lows[place] ?? 0)];
  }
}

function writeLines(program: PackableProgram, memory: PackingMemory): LineWriter {
  try {
    const ipv4 = flattenIpv4(program.addresses4, memory);
    checkAtoms(program.addresses6);
    const ipv6 = flattenIpv6(program.addresses6);
    const ports = flattenPorts(program, memory);
    const buckets = packClasses(program, ports.starts, memory);
    const lineCount =
      1 +
      countTreeLines(ipv4.count) +
      countWideTreeLines(ipv6.count) +
      ports.lineCount +
      buckets.byteLength / LINE_SIZE;
    const writer = new LineWriter(memory.take("lines", (lineCount * LINE_SIZE) / 4));
    const ipv4Tree = writer.writeTree(ipv4, 0, ipv4.count);
    const ipv6Tree = writer.writeWideTree(ipv6);
    const classCount = ports.starts.length;
    const roots = memory.take("roots", classCount);
    const heights = memory.take("heights", classCount);
    for (let classId = 0; classId < classCount; classId++) {
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
function flattenIpv4(entries: readonly AddressEntry[], memory: PackingMemory): RangeLists {
  const list = memory.prefixes("ipv4", entries.length);
  const { lows, highs, values } = list;
  for (let position = 0; position < entries.length; position++) {
    const { prefix, prefixLength, atom } = entries[position] as AddressEntry;
    if (atom > MAX_NUMBER) refuse(`Atom ${atom} is out of range.`);
    const low =
      (((prefix[0] ?? 0) << 24) | ((prefix[1] ?? 0) << 16) | ((prefix[2] ?? 0) << 8) | (prefix[3] ?? 0)) >>> 0;
    lows[position] = low;
    highs[position] = low | (prefixLength === 32 ? 0 : 0xffff_ffff >>> prefixLength);
    values[position] = atom;
  }
  sortPrefixes(list, 0, entries.length);
  const ranges = memory.ranges("ipv4", RangeLists.capacityFor(entries.length, 1));
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

/** Decision and flags as a class's tree holds them, by decision. */
function packDecisions({ decisions }: PackableProgram, memory: PackingMemory): Uint32Array {
  const values = memory.take("decisions", decisions.length);
  for (let index = 0; index < decisions.length; index++) {
    const { verdict, observeOnly } = decisions[index] as PackableProgram["decisions"][number];
    const flags = (verdict === "deny" ? RESULT_DENY : 0) | (observeOnly ? RESULT_OBSERVE_ONLY : 0);
    values[index] = (flags << VALUE_FLAGS_SHIFT) | index;
  }
  return values;
}

function flattenPorts(program: PackableProgram, memory: PackingMemory): PortRanges {
  const { ports } = program;
  const decisionValues = packDecisions(program, memory);
  const list = memory.prefixes("ports", ports.length);
  const classIds = memory.take("classIds", ports.length);
  const { lows, highs, values } = list;
  let highest = 0;
  let before = 0;
  let ascending = true;
  // One pass over the objects, which lie all over the heap; everything else works on these numbers.
  for (let place = 0; place < ports.length; place++) {
    const { classId, protocol, port, portBits, decision } = ports[place] as PortEntry;
    if (decision >= decisionValues.length) refuse(`Class ${classId} names decision ${decision}, which does not exist.`);
    if (classId < before) ascending = false;
    if (classId > highest) highest = classId;
    before = classId;
    classIds[place] = classId;
    values[place] = decisionValues[decision] ?? 0;
    // The default is the whole space: the entries of its class lie inside.
    const low = protocol === null ? 0 : (protocol << 16) | port;
    lows[place] = low;
    highs[place] = protocol === null ? HIGHEST_KEY : low | (0xffff >>> portBits);
  }
  if (highest > MAX_NUMBER || highest > 4 * ports.length + 1024) refuse(`Class ${highest} is out of range.`);
  if (!ascending) groupByClass(classIds, list);
  return flattenClasses(list, classIds, highest + 1, memory);
}

/** Brings the entries of each class together. Compiled programs have them so. */
function groupByClass(classIds: Uint32Array, { lows, highs, values }: PrefixList): void {
  const order = Array.from(classIds, (_, place) => place);
  order.sort((one, other) => (classIds[one] ?? 0) - (classIds[other] ?? 0) || one - other);
  for (const numbers of [classIds, lows, highs, values])
    numbers.set(Uint32Array.from(order, (place) => numbers[place] ?? 0));
}

function flattenClasses(
  list: PrefixList,
  classIds: Uint32Array,
  classCount: number,
  memory: PackingMemory,
): PortRanges {
  const { lows, highs, values } = list;
  const lists = memory.ranges("ports", RangeLists.capacityFor(classIds.length, classCount));
  const starts = memory.take("starts", classCount).fill(NO_CLASS);
  const ends = memory.take("ends", classCount);
  let lineCount = 0;
  for (let from = 0, to = 0; from < classIds.length; from = to) {
    const classId = classIds[from] ?? 0;
    while (to < classIds.length && classIds[to] === classId) to += 1;
    sortPrefixes(list, from, to);
    if (lows[from] !== 0 || highs[from] !== HIGHEST_KEY) refuse(`Class ${classId} has no default entry.`);
    const start = lists.append(list, from, to, values[from] ?? 0);
    starts[classId] = start;
    ends[classId] = lists.count;
    lineCount += countTreeLines(lists.count - start);
  }
  return { lists, starts, ends, lineCount };
}

/** The class buckets with class numbers in place of trees. */
function packClasses({ classes, sets }: PackableProgram, starts: Uint32Array, memory: PackingMemory): Uint32Array {
  const packed: ClassPlaces = {
    places: memory.take("places", classes.length),
    sets: memory.take("sets", classes.length),
    classes: memory.take("classes", classes.length),
  };
  const defaults = { ingress: new Set<number>(), egress: new Set<number>() };
  for (let position = 0; position < classes.length; position++) {
    const { set, direction, atom, classId } = classes[position] as ClassEntry;
    if (classId === 0 || (starts[classId] ?? NO_CLASS) === NO_CLASS) refuse(`Class ${classId} has no default entry.`);
    if (atom > MAX_NUMBER) refuse(`Atom ${atom} is out of range.`);
    if (atom === 0) defaults[direction].add(set);
    packed.places[position] = direction === "egress" ? atom | PLACE_EGRESS : atom;
    packed.sets[position] = set;
    packed.classes[position] = classId;
  }
  for (const set of sets)
    for (const direction of ["ingress", "egress"] as const)
      if (!defaults[direction].has(set.id)) refuse(`Set ${set.id} has no ${direction} class for atom 0.`);
  const buckets = fillBuckets(packed, (words) => memory.take("buckets", words));
  return buckets ?? refuse("The program has two classes for one atom.");
}
