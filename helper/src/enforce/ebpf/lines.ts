/**
 * Lines of a slot's tables: search trees and class buckets, as bpf/src/tables.h reads them. See WARDLINE_LINE_SIZE in
 * bpf/include/wardline.h for the shapes.
 */
import {
  BRANCH,
  BRANCH_KEYS,
  BUCKET_CLASSES,
  CLASS,
  CLASS_PROBES,
  LEAF,
  LEAF_RANGES,
  LINE_SIZE,
  TABLES,
  WIDE_BRANCH,
  WIDE_KEYS,
  WIDE_LEAF,
} from "./layout.ts";
import { HIGHEST_KEY, type RangeLists } from "./ranges.ts";
import { type WideRanges, WORDS_PER_KEY } from "./wideRanges.ts";

const WORDS_PER_LINE = LINE_SIZE / 4;
const CHILDREN = BRANCH_KEYS + 1;
const WIDE_CHILDREN = WIDE_KEYS + 1;

export interface Tree {
  readonly root: number;
  readonly height: number;
}

function countLines(ranges: number, perLeaf: number, perBranch: number): number {
  let level = Math.max(1, Math.ceil(ranges / perLeaf));
  let total = level;
  while (level > 1) {
    level = Math.ceil(level / perBranch);
    total += level;
  }
  return total;
}

export function countTreeLines(ranges: number): number {
  return countLines(ranges, LEAF_RANGES, CHILDREN);
}

export function countWideTreeLines(ranges: number): number {
  return countLines(ranges, WIDE_KEYS, WIDE_CHILDREN);
}

/** Fills lines from the first on, every word of each. More than there is room for throws. */
export class LineWriter {
  readonly words: Uint32Array;
  /** Line 0 is the header's. */
  #next = 1;

  constructor(words: Uint32Array) {
    this.words = words;
  }

  get lineCount(): number {
    return this.#next;
  }

  #take(lines: number): number {
    const first = this.#next;
    this.#next += lines;
    if (this.#next * WORDS_PER_LINE > this.words.length) throw new RangeError("more lines than were made room for");
    return first;
  }

  writeHeader(ipv4: Tree, ipv6: Tree, firstBucket: number, bucketCount: number): void {
    const { words } = this;
    words.fill(0, 0, WORDS_PER_LINE);
    words[TABLES.ipv4Root / 4] = ipv4.root;
    words[TABLES.ipv4Height / 4] = ipv4.height;
    words[TABLES.ipv6Root / 4] = ipv6.root;
    words[TABLES.ipv6Height / 4] = ipv6.height;
    words[TABLES.firstBucket / 4] = firstBucket;
    words[TABLES.bucketMask / 4] = bucketCount - 1;
  }

  /** The ranges `from` to before `to` of a list, which end at the highest key. */
  writeTree({ lasts, values }: RangeLists, from: number, to: number): Tree {
    const { words } = this;
    const count = to - from;
    const leaves = Math.ceil(count / LEAF_RANGES);
    let first = this.#take(leaves);
    for (let leaf = 0; leaf < leaves; leaf++) {
      const at = (first + leaf) * WORDS_PER_LINE;
      const range = from + leaf * LEAF_RANGES;
      const used = Math.min(LEAF_RANGES, to - range);
      for (let place = 0; place < used; place++) {
        words[at + LEAF.last / 4 + place] = lasts[range + place] ?? 0;
        words[at + LEAF.value / 4 + place] = values[range + place] ?? 0;
      }
      for (let place = used; place < LEAF_RANGES; place++) {
        words[at + LEAF.last / 4 + place] = HIGHEST_KEY;
        words[at + LEAF.value / 4 + place] = 0;
      }
    }
    let height = 0;
    let span = LEAF_RANGES;
    for (let children = leaves; children > 1; height++, span *= CHILDREN) {
      const branches = Math.ceil(children / CHILDREN);
      const firstBranch = this.#take(branches);
      for (let branch = 0; branch < branches; branch++) {
        const at = (firstBranch + branch) * WORDS_PER_LINE;
        for (let key = 0; key < BRANCH_KEYS; key++) {
          const end = (branch * CHILDREN + key + 1) * span;
          words[at + BRANCH.last / 4 + key] = end < count ? (lasts[from + end - 1] ?? 0) : HIGHEST_KEY;
        }
        words[at + BRANCH.firstChild / 4] = first + branch * CHILDREN;
      }
      first = firstBranch;
      children = branches;
    }
    return { root: first, height };
  }

  writeWideTree({ lasts, values, count }: WideRanges): Tree {
    const { words } = this;
    /** `range` = the number of a range, or one behind the last for the highest key. */
    const writeKey = (at: number, range: number): void => {
      for (let word = 0; word < WORDS_PER_KEY; word++)
        // Two halves of 64 bits, and each half's lower word first.
        words[at + (word ^ 1)] = range < count ? (lasts[range * WORDS_PER_KEY + word] ?? 0) : HIGHEST_KEY;
    };
    const leaves = Math.ceil(count / WIDE_KEYS);
    let first = this.#take(leaves);
    for (let leaf = 0; leaf < leaves; leaf++) {
      const at = (first + leaf) * WORDS_PER_LINE;
      for (let place = 0; place < WIDE_KEYS; place++) {
        const range = leaf * WIDE_KEYS + place;
        writeKey(at + WIDE_LEAF.last / 4 + place * WORDS_PER_KEY, range);
        words[at + WIDE_LEAF.value / 4 + place] = range < count ? (values[range] ?? 0) : 0;
      }
      words[at + WIDE_LEAF.value / 4 + WIDE_KEYS] = 0;
    }
    let height = 0;
    let span: number = WIDE_KEYS;
    for (let children = leaves; children > 1; height++, span *= WIDE_CHILDREN) {
      const branches = Math.ceil(children / WIDE_CHILDREN);
      const firstBranch = this.#take(branches);
      for (let branch = 0; branch < branches; branch++) {
        const at = (firstBranch + branch) * WORDS_PER_LINE;
        for (let key = 0; key < WIDE_KEYS; key++) {
          const end = (branch * WIDE_CHILDREN + key + 1) * span;
          writeKey(at + WIDE_BRANCH.last / 4 + key * WORDS_PER_KEY, end < count ? end - 1 : count);
        }
        words[at + WIDE_BRANCH.firstChild / 4] = first + branch * WIDE_CHILDREN;
        words.fill(0, at + WIDE_BRANCH.firstChild / 4 + 1, at + WORDS_PER_LINE);
      }
      first = firstBranch;
      children = branches;
    }
    return { root: first, height };
  }

  /** Puts the buckets, in the shape that {@link fillBuckets} made, behind what is there. Returns their first line. */
  writeBuckets(buckets: Uint32Array): number {
    const first = this.#take(buckets.length / WORDS_PER_LINE);
    this.words.set(buckets, first * WORDS_PER_LINE);
    return first;
  }
}

/** `place`: atom and direction bit. `root` must not be 0. */
export interface ClassPlaces {
  readonly places: Uint32Array;
  readonly sets: Uint32Array;
  /** Number of the class, which the buckets hold until {@link resolveClasses}. */
  readonly classIds: Uint32Array;
}

const WORDS_PER_CLASS = CLASS.size / 4;
const ROOT = CLASS.root / 4;

/**
 * The hash table of classes: at most half full, and twice as large when a class found no room. Returns `null` when one
 * place is there twice. `take` gives memory.
 */
export function fillBuckets(entries: ClassPlaces, take: (words: number) => Uint32Array): Uint32Array | null {
  const wanted = Math.ceil(entries.places.length / (BUCKET_CLASSES / 2));
  for (let bucketCount = 2 ** Math.ceil(Math.log2(Math.max(1, wanted))); ; bucketCount *= 2) {
    const words = take(bucketCount * WORDS_PER_LINE).fill(0);
    const filled = tryFill(words, bucketCount - 1, entries);
    if (filled === "repeated") return null;
    if (filled === "filled") return words;
  }
}

function tryFill(words: Uint32Array, mask: number, { places, sets, classIds }: ClassPlaces) {
  for (let entry = 0; entry < places.length; entry++) {
    const place = places[entry] ?? 0;
    const set = sets[entry] ?? 0;
    const at = findRoom(words, mask, place, set);
    if (at === -1) return "repeated";
    if (at === -2) return "full";
    words[at + CLASS.place / 4] = place;
    words[at + CLASS.set / 4] = set;
    words[at + ROOT] = classIds[entry] ?? 0;
  }
  return "filled";
}

/** Word of the first free entry; -1 when the place is taken by itself, -2 when there is no room. */
function findRoom(words: Uint32Array, mask: number, place: number, set: number): number {
  const hash = hashOfPlace(place, set);
  for (let probe = 0; probe < CLASS_PROBES; probe++) {
    const bucket = ((hash + probe) & mask) * WORDS_PER_LINE;
    for (let index = 0; index < BUCKET_CLASSES; index++) {
      const at = bucket + index * WORDS_PER_CLASS;
      if (words[at + ROOT] === 0) return at;
      if (words[at + CLASS.place / 4] === place && words[at + CLASS.set / 4] === set) return -1;
    }
  }
  return -2;
}

/** As in `find_own_class` of bpf/src/tables.h. */
function hashOfPlace(place: number, set: number): number {
  const hash = Math.imul(place + Math.imul(set, 0x85eb_ca77), 0x9e37_79b1);
  return hash ^ (hash >>> 16);
}

/** Puts the tree of each class where its number was. */
export function resolveClasses(buckets: Uint32Array, roots: Uint32Array, heights: Uint32Array): void {
  for (let at = 0; at < buckets.length; at += WORDS_PER_CLASS) {
    const classId = buckets[at + ROOT] ?? 0;
    if (classId === 0) continue;
    buckets[at + ROOT] = roots[classId] ?? 0;
    buckets[at + CLASS.height / 4] = heights[classId] ?? 0;
  }
}
