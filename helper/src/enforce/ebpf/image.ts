/** A HostProgram as the memory that the kernel's programs search: see WARDLINE_LINE_SIZE in bpf/include/wardline.h. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type AddressEntry, FIRST_RULE_DECISION, PROGRAM_FORMAT_VERSION } from "@wardline/domain/policy";
import { columnsOf, MAX_NUMBER, type PackableProgram, type ProgramColumns, refuse } from "./columns.ts";
import { DEFAULT_MAX_DECISIONS } from "./counters.ts";
import { LINE_SIZE, PLACE_EGRESS } from "./layout.ts";
import { countTreeLines, countWideTreeLines, fillBuckets, LineWriter, resolveClasses } from "./lines.ts";
import { PackingMemory } from "./packingMemory.ts";
import { HIGHEST_KEY, type PrefixList, RangeLists, RepeatedPrefixError, sortPrefixes } from "./ranges.ts";
import { flattenIpv6 } from "./wideRanges.ts";

export type { PackableProgram } from "./columns.ts";

export interface TableImage {
  /** Lines of 64 bytes, ready to be copied. */
  readonly bytes: Uint8Array;
  readonly lineCount: number;
  readonly decisionCount: number;
  /** Sets other than the host's own. */
  readonly workloadSets: number;
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
    return {
      bytes: new Uint8Array(writer.words.buffer, writer.words.byteOffset, writer.lineCount * LINE_SIZE),
      lineCount: writer.lineCount,
      decisionCount: Math.max(program.decisions.length, FIRST_RULE_DECISION),
      workloadSets: program.sets.filter((set) => set.id !== 0).length,
    };
  }
}

function writeLines(program: PackableProgram, memory: PackingMemory): LineWriter {
  try {
    const columns = columnsOf(program);
    const ipv4 = flattenIpv4(columns, memory);
    checkAtoms(program.addresses6);
    const ipv6 = flattenIpv6(program.addresses6);
    const ports = flattenPorts(columns, memory);
    const buckets = packClasses(program, columns, ports.starts, memory);
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
function flattenIpv4({ ipv4, isSorted }: ProgramColumns, memory: PackingMemory): RangeLists {
  const list = isSorted.ipv4 ? ipv4 : sortPrefixes(ipv4);
  const count = list.lows.length;
  const ranges = memory.ranges("ipv4", RangeLists.capacityFor(count, 1));
  ranges.append(list, 0, count, 0);
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

function flattenPorts({ ports, isSorted, highestClass }: ProgramColumns, memory: PackingMemory): PortRanges {
  const list = isSorted.ports ? ports : sortPrefixes(ports, ports.classIds);
  const classIds = isSorted.ports ? ports.classIds : ports.classIds.toSorted();
  const { lows, highs, values }: PrefixList = list;
  const classCount = highestClass + 1;
  const lists = memory.ranges("ports", RangeLists.capacityFor(classIds.length, classCount));
  const starts = memory.take("starts", classCount).fill(NO_CLASS);
  const ends = memory.take("ends", classCount);
  let lineCount = 0;
  for (let from = 0, to = 0; from < classIds.length; from = to) {
    const classId = classIds[from] ?? 0;
    while (to < classIds.length && classIds[to] === classId) to += 1;
    if (lows[from] !== 0 || highs[from] !== HIGHEST_KEY) refuse(`Class ${classId} has no default entry.`);
    const start = lists.append(list, from, to, values[from] ?? 0);
    starts[classId] = start;
    ends[classId] = lists.count;
    lineCount += countTreeLines(lists.count - start);
  }
  return { lists, starts, ends, lineCount };
}

/** The class buckets with class numbers in place of trees. */
function packClasses(
  { sets }: PackableProgram,
  { classes }: ProgramColumns,
  starts: Uint32Array,
  memory: PackingMemory,
): Uint32Array {
  const defaults = { ingress: new Set<number>(), egress: new Set<number>() };
  for (let place = 0; place < classes.places.length; place++) {
    const classId = classes.classIds[place] ?? 0;
    if (classId === 0 || (starts[classId] ?? NO_CLASS) === NO_CLASS) refuse(`Class ${classId} has no default entry.`);
    if (classes.places[place] === 0) defaults.ingress.add(classes.sets[place] ?? 0);
    if (classes.places[place] === PLACE_EGRESS) defaults.egress.add(classes.sets[place] ?? 0);
  }
  for (const set of sets)
    for (const direction of ["ingress", "egress"] as const)
      if (!defaults[direction].has(set.id)) refuse(`Set ${set.id} has no ${direction} class for atom 0.`);
  const buckets = fillBuckets(classes, (words) => memory.take("buckets", words));
  return buckets ?? refuse("The program has two classes for one atom.");
}
