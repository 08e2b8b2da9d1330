/**
 * The lines of one program in memory, and where in them everything is:
 *
 *   header | class buckets | IPv4 tree | IPv6 tree | port trees of the classes | what no longer fitted its place | spare
 *
 * Buckets and trees stay in their places while another program is written over this one, so that little differs when
 * little changed. What outgrows its place moves behind everything else; when there is no room left, all is written anew.
 */
import { addClasses, type Buckets, clearBuckets, leastBuckets, moveClass, resolveClasses } from "./buckets.ts";
import { ClassTrees } from "./classTrees.ts";
import { changedClasses, sameClasses, sameIpv4, sameIpv6 } from "./columnChanges.ts";
import { type ProgramColumns, refuse } from "./columns.ts";
import type { LineRange } from "./imageChanges.ts";
import { PLACE_EGRESS } from "./layout.ts";
import { measureTree, measureWideTree, WORDS_PER_LINE, writeHeader, writeTree, writeWideTree } from "./lines.ts";
import type { PackingMemory } from "./packingMemory.ts";
import { RangeList } from "./ranges.ts";
import type { Steps } from "./steps.ts";
import { flattenIpv6 } from "./wideRanges.ts";

/** Spare lines for what outgrows its place: some, and one in so many of all. */
const LEAST_SPARE = 64;
const SPARE_PART = 16;
const ENTRIES_PER_STEP = 32_768;
/** Where more classes than this changed, writing all is not much slower, and leaves no gaps. */
const MOST_CHANGED_CLASSES = 1024;

interface TreePlace {
  readonly first: number;
  /** Lines that it may take. */
  readonly room: number;
  readonly root: number;
  readonly height: number;
}

export class PackedImage {
  readonly #memory: PackingMemory;
  readonly #words: Uint32Array;
  readonly #columns: ProgramColumns;
  readonly #sets: readonly number[];
  readonly #buckets: Buckets;
  readonly #trees: ClassTrees;
  readonly #ipv4: TreePlace;
  readonly #ipv6: TreePlace;
  readonly lineCount: number;
  /** Which lines were written over those of the image before; `null` = all. */
  readonly written: readonly LineRange[] | null;

  private constructor(parts: PackedParts) {
    this.#memory = parts.memory;
    this.#words = parts.words;
    this.#columns = parts.columns;
    this.#sets = parts.sets;
    this.#buckets = parts.buckets;
    this.#trees = parts.trees;
    this.#ipv4 = parts.ipv4;
    this.#ipv6 = parts.ipv6;
    this.lineCount = parts.lineCount;
    this.written = parts.written;
  }

  get bytes(): Uint8Array {
    const { buffer, byteOffset } = this.#words;
    return new Uint8Array(buffer, byteOffset, this.lineCount * WORDS_PER_LINE * 4);
  }

  /** Throws {@link RepeatedPrefixError}, and `Failure` for tables that do not answer every packet. */
  static *write(columns: ProgramColumns, sets: readonly number[], memory: PackingMemory): Steps<PackedImage> {
    checkClasses(columns, sets);
    const ipv4 = flattenIpv4(columns, memory);
    yield;
    const ipv6 = flattenIpv6(columns.ipv6);
    yield;
    const treeLines =
      measureTree(ipv4.count).lines + measureWideTree(ipv6.count).lines + ClassTrees.most(columns) + LEAST_SPARE;
    const buckets = yield* fillBuckets(columns, memory, treeLines + Math.ceil(treeLines / SPARE_PART));
    const { words } = buckets;
    const ipv4Place = placeOf(1 + buckets.count, measureTree(ipv4.count));
    writeTree(words, ipv4Place.first, ipv4);
    yield;
    const ipv6Place = placeOf(ipv4Place.root + 1, measureWideTree(ipv6.count));
    writeWideTree(words, ipv6Place.first, ipv6);
    yield;
    const trees = new ClassTrees(memory, columns.portStarts.length - 1);
    const lineCount = yield* trees.writeAll(words, columns, ipv6Place.root + 1);
    resolveClasses(buckets, trees);
    const parts = { memory, words, columns, sets, buckets, trees, ipv4: ipv4Place, ipv6: ipv6Place, lineCount };
    return new PackedImage({ ...parts, written: null }).#withHeader();
  }

  /**
   * Writes another program over this one, which must not be used any more whatever the outcome. `null` = it has too
   * little in common with this one. Throws as {@link PackedImage.write}.
   */
  changeTo(columns: ProgramColumns, sets: readonly number[]): PackedImage | null {
    const before = this.#columns;
    const isLike = sets.length === this.#sets.length && sets.every((id, place) => id === this.#sets[place]);
    if (!isLike || !sameClasses(before, columns)) return null;
    const changed = changedClasses(before, columns, MOST_CHANGED_CLASSES);
    if (changed === null) return null;
    const written: LineRange[] = [{ first: 0, count: 1 }];
    const end = Math.floor(this.#words.length / WORDS_PER_LINE);
    let next = this.lineCount;
    const claim = (old: TreePlace, { lines, height }: { lines: number; height: number }): TreePlace | null => {
      if (lines > old.room && next + lines > end) return null;
      const moved = lines > old.room;
      const [first, room] = moved ? [next, lines] : [old.first, old.room];
      if (moved) next += lines;
      written.push({ first, count: lines });
      return { first, room, root: first + lines - 1, height };
    };
    let ipv4: TreePlace | null = this.#ipv4;
    if (!sameIpv4(before, columns)) {
      const list = flattenIpv4(columns, this.#memory);
      ipv4 = claim(ipv4, measureTree(list.count));
      if (ipv4 !== null) writeTree(this.#words, ipv4.first, list);
    }
    let ipv6: TreePlace | null = this.#ipv6;
    if (!sameIpv6(before, columns)) {
      const list = flattenIpv6(columns.ipv6);
      ipv6 = claim(ipv6, measureWideTree(list.count));
      if (ipv6 !== null) writeWideTree(this.#words, ipv6.first, list);
    }
    if (ipv4 === null || ipv6 === null) return null;
    const moved = new Set<number>();
    for (const classId of changed) {
      const place = this.#trees.rewrite(this.#words, columns, classId, next, end);
      if (place === null) return null;
      written.push({ first: place.first, count: place.lines });
      if (place.first === next) next += place.lines;
      if (place.hasMoved) moved.add(classId);
    }
    for (const line of this.#moveClasses(columns, moved)) written.push({ first: line, count: 1 });
    const { words } = this.#buckets;
    const parts = { memory: this.#memory, words, columns, sets, buckets: this.#buckets, trees: this.#trees };
    return new PackedImage({ ...parts, ipv4, ipv6, lineCount: next, written }).#withHeader();
  }

  /** Tells the buckets where the trees of these classes are. Returns the lines that changed. */
  #moveClasses({ classes }: ProgramColumns, moved: ReadonlySet<number>): readonly number[] {
    const lines: number[] = [];
    if (moved.size === 0) return lines;
    const { classIds, places, sets } = classes;
    const { roots, heights } = this.#trees;
    for (let entry = 0; entry < classIds.length; entry++) {
      const classId = classIds[entry] as number;
      if (!moved.has(classId)) continue;
      const tree = { root: roots[classId] as number, height: heights[classId] as number };
      lines.push(moveClass(this.#buckets, places[entry] as number, sets[entry] as number, tree));
    }
    return lines;
  }

  #withHeader(): this {
    const { first: firstBucket, count: bucketCount } = this.#buckets;
    writeHeader(this.#words, { ipv4: this.#ipv4, ipv6: this.#ipv6, firstBucket, bucketCount });
    return this;
  }
}

interface PackedParts {
  readonly memory: PackingMemory;
  readonly words: Uint32Array;
  readonly columns: ProgramColumns;
  readonly sets: readonly number[];
  readonly buckets: Buckets;
  readonly trees: ClassTrees;
  readonly ipv4: TreePlace;
  readonly ipv6: TreePlace;
  readonly lineCount: number;
  readonly written: readonly LineRange[] | null;
}

function placeOf(first: number, { lines, height }: { readonly lines: number; readonly height: number }): TreePlace {
  return { first, room: lines, root: first + lines - 1, height };
}

/** IPv4 addresses never fall through to an IPv6 prefix such as ::/0: they have a tree of their own. */
function flattenIpv4({ ipv4 }: ProgramColumns, memory: PackingMemory): RangeList {
  const count = ipv4.lows.length;
  const list = memory.ranges("ipv4", RangeList.capacityFor(count));
  list.fill(ipv4, 0, count, 0);
  return list;
}

/** Every class that is named has ports, and every set an answer for addresses that no prefix has. */
function checkClasses({ classes, portStarts }: ProgramColumns, sets: readonly number[]): void {
  const { places, sets: ofSets, classIds } = classes;
  const defaults = { ingress: new Set<number>(), egress: new Set<number>() };
  for (let entry = 0; entry < classIds.length; entry++) {
    const classId = classIds[entry] as number;
    const hasPorts = classId + 1 < portStarts.length && portStarts[classId] !== portStarts[classId + 1];
    if (classId === 0 || !hasPorts) refuse(`Class ${classId} has no default entry.`);
    if (places[entry] === 0) defaults.ingress.add(ofSets[entry] as number);
    if (places[entry] === PLACE_EGRESS) defaults.egress.add(ofSets[entry] as number);
  }
  for (const set of sets)
    for (const direction of ["ingress", "egress"] as const)
      if (!defaults[direction].has(set)) refuse(`Set ${set} has no ${direction} class for atom 0.`);
}

/** In memory with room for so many lines behind the buckets. */
function* fillBuckets({ classes }: ProgramColumns, memory: PackingMemory, linesBehind: number): Steps<Buckets> {
  const entries = classes.places.length;
  for (let count = leastBuckets(entries); ; count *= 2) {
    const words = memory.take("lines", (1 + count + linesBehind) * WORDS_PER_LINE);
    const buckets = { words, first: 1, count };
    clearBuckets(buckets);
    let outcome: ReturnType<typeof addClasses> = "added";
    for (let from = 0; from < entries && outcome === "added"; from += ENTRIES_PER_STEP) {
      outcome = addClasses(buckets, classes, from, Math.min(entries, from + ENTRIES_PER_STEP));
      yield;
    }
    if (outcome === "repeated") refuse("The program has two classes for one atom.");
    if (outcome === "added") return buckets;
  }
}
