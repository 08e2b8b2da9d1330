/** The port tree of each class: where in the image it is, and how much room it has there. */
import { type ClassPorts, portsOfClass, wholePorts } from "./classPorts.ts";
import { type ProgramColumns, refuse } from "./columns.ts";
import { measureTree, writeTree } from "./lines.ts";
import type { PackingMemory } from "./packingMemory.ts";
import { HIGHEST_KEY, type PrefixList, RangeList } from "./ranges.ts";
import { ENTRIES_OF_A_LEAF, writeSmallLeaf } from "./smallLeaf.ts";
import type { Steps } from "./steps.ts";

const CLASSES_PER_STEP = 8192;

export class ClassTrees {
  /** By class. A class that no entry has is at 0. */
  readonly roots: Uint32Array;
  readonly heights: Uint32Array;
  readonly #firsts: Uint32Array;
  /** Lines that belong to the class, whether its tree needs them or not. */
  readonly #rooms: Uint32Array;
  readonly #memory: PackingMemory;

  constructor(memory: PackingMemory, classCount: number) {
    this.#memory = memory;
    this.roots = memory.take("roots", classCount).fill(0);
    this.heights = memory.take("heights", classCount).fill(0);
    this.#firsts = memory.take("class lines", classCount).fill(0);
    this.#rooms = memory.take("class rooms", classCount).fill(0);
  }

  /** How many lines the trees of all classes need at most. */
  static most({ portStarts }: ProgramColumns): number {
    let lines = 0;
    for (let classId = 0; classId + 1 < portStarts.length; classId++) {
      const entries = (portStarts[classId + 1] as number) - (portStarts[classId] as number);
      lines += entries <= ENTRIES_OF_A_LEAF ? 1 : measureTree(RangeList.capacityFor(entries)).lines;
    }
    return lines;
  }

  /** Writes the trees of all classes from a line on. Returns the line behind them. */
  *writeAll(words: Uint32Array, columns: ProgramColumns, from: number): Steps<number> {
    const { portStarts } = columns;
    const classCount = portStarts.length - 1;
    const whole = { ports: wholePorts(columns), portStarts };
    let next = from;
    for (let first = 0; first < classCount; first += CLASSES_PER_STEP) {
      next = this.#writeSome(words, whole, first, Math.min(classCount, first + CLASSES_PER_STEP), next);
      yield;
    }
    return next;
  }

  #writeSome(words: Uint32Array, { ports, portStarts }: WholePorts, from: number, to: number, line: number): number {
    let next = line;
    for (let classId = from; classId < to; classId++) {
      const first = portStarts[classId] as number;
      const last = portStarts[classId + 1] as number;
      if (first === last) continue;
      if (last - first > ENTRIES_OF_A_LEAF) {
        next += this.#writeLarge(words, { ...ports, from: first, to: last }, classId, next);
        continue;
      }
      checkDefault(ports, first, classId);
      writeSmallLeaf(words, next, ports, first, last);
      this.#firsts[classId] = next;
      this.#rooms[classId] = 1;
      this.roots[classId] = next;
      next += 1;
    }
    return next;
  }

  /** Returns how many lines it took. */
  #writeLarge(words: Uint32Array, ports: ClassPorts, classId: number, first: number): number {
    const list = this.#rangesOf(ports, classId);
    const { lines, height } = measureTree(list.count);
    writeTree(words, first, list);
    this.#firsts[classId] = first;
    this.#rooms[classId] = lines;
    this.heights[classId] = height;
    this.roots[classId] = first + lines - 1;
    return lines;
  }

  /**
   * Writes the tree of a class anew: where it was when there is room, else at `next`. Says which lines were written, and
   * whether whoever refers to it must be told; `null` = there is no room before line `end`.
   */
  rewrite(words: Uint32Array, columns: ProgramColumns, classId: number, next: number, end: number) {
    const list = this.#rangesOf(portsOfClass(columns, classId), classId);
    const { lines, height } = measureTree(list.count);
    const hasRoom = lines <= (this.#rooms[classId] as number);
    if (!hasRoom && next + lines > end) return null;
    if (!hasRoom) {
      this.#firsts[classId] = next;
      this.#rooms[classId] = lines;
    }
    const first = this.#firsts[classId] as number;
    writeTree(words, first, list);
    const root = first + lines - 1;
    const hasMoved = this.roots[classId] !== root || this.heights[classId] !== height;
    this.roots[classId] = root;
    this.heights[classId] = height;
    return { first, lines, hasMoved };
  }

  #rangesOf(ports: ClassPorts, classId: number): RangeList {
    const { from, to } = ports;
    checkDefault(ports, from, classId);
    const list = this.#memory.ranges("ports", RangeList.capacityFor(to - from));
    list.fill(ports, from, to, ports.values[from] as number);
    return list;
  }
}

/** Nothing in them is patched. */
type WholePorts = Pick<ProgramColumns, "ports" | "portStarts">;

/** Throws when the class has no answer for everything. */
function checkDefault({ lows, highs }: PrefixList, from: number, classId: number): void {
  if (lows[from] !== 0 || highs[from] !== HIGHEST_KEY) refuse(`Class ${classId} has no default entry.`);
}
