/**
 * Lines of a slot's tables: header and search trees, as bpf/src/tables.h reads them. See WARDLINE_LINE_SIZE in
 * bpf/include/wardline.h for the shapes.
 */
import {
  BRANCH,
  BRANCH_KEYS,
  LEAF,
  LEAF_RANGES,
  LINE_SIZE,
  TABLES,
  WIDE_BRANCH,
  WIDE_KEYS,
  WIDE_LEAF,
} from "./layout.ts";
import { HIGHEST_KEY, type RangeList } from "./ranges.ts";
import { type WideRanges, WORDS_PER_KEY } from "./wideRanges.ts";

export const WORDS_PER_LINE = LINE_SIZE / 4;
const CHILDREN = BRANCH_KEYS + 1;
const WIDE_CHILDREN = WIDE_KEYS + 1;

/** A tree's root is the last of its lines. `height`: levels of branches above its leaves. */
export interface TreeSize {
  readonly lines: number;
  readonly height: number;
}

const ONE_LEAF: TreeSize = { lines: 1, height: 0 };

function measure(ranges: number, perLeaf: number, perBranch: number): TreeSize {
  if (ranges <= perLeaf) return ONE_LEAF;
  let level = Math.ceil(ranges / perLeaf);
  let lines = level;
  let height = 0;
  for (; level > 1; height++) {
    level = Math.ceil(level / perBranch);
    lines += level;
  }
  return { lines, height };
}

export function measureTree(ranges: number): TreeSize {
  return measure(ranges, LEAF_RANGES, CHILDREN);
}

export function measureWideTree(ranges: number): TreeSize {
  return measure(ranges, WIDE_KEYS, WIDE_CHILDREN);
}

export interface Header {
  readonly ipv4: { readonly root: number; readonly height: number };
  readonly ipv6: { readonly root: number; readonly height: number };
  readonly firstBucket: number;
  readonly bucketCount: number;
}

/** Line 0. */
export function writeHeader(words: Uint32Array, { ipv4, ipv6, firstBucket, bucketCount }: Header): void {
  words.fill(0, 0, WORDS_PER_LINE);
  words[TABLES.ipv4Root / 4] = ipv4.root;
  words[TABLES.ipv4Height / 4] = ipv4.height;
  words[TABLES.ipv6Root / 4] = ipv6.root;
  words[TABLES.ipv6Height / 4] = ipv6.height;
  words[TABLES.firstBucket / 4] = firstBucket;
  words[TABLES.bucketMask / 4] = bucketCount - 1;
}

/** Writes every word of the tree's lines, which begin at `first`. The ranges end at the highest key. */
export function writeTree(words: Uint32Array, first: number, { lasts, values, count }: RangeList): void {
  const leaves = Math.ceil(count / LEAF_RANGES);
  for (let leaf = 0; leaf < leaves; leaf++) {
    const at = (first + leaf) * WORDS_PER_LINE;
    const range = leaf * LEAF_RANGES;
    const used = Math.min(LEAF_RANGES, count - range);
    for (let place = 0; place < used; place++) {
      words[at + LEAF.last / 4 + place] = lasts[range + place] as number;
      words[at + LEAF.value / 4 + place] = values[range + place] as number;
    }
    for (let place = used; place < LEAF_RANGES; place++) {
      words[at + LEAF.last / 4 + place] = HIGHEST_KEY;
      words[at + LEAF.value / 4 + place] = 0;
    }
  }
  let span = LEAF_RANGES;
  let below = first;
  for (let children = leaves; children > 1; span *= CHILDREN) {
    const branches = Math.ceil(children / CHILDREN);
    const firstBranch = below + children;
    for (let branch = 0; branch < branches; branch++) {
      const at = (firstBranch + branch) * WORDS_PER_LINE;
      for (let key = 0; key < BRANCH_KEYS; key++) {
        const end = (branch * CHILDREN + key + 1) * span;
        words[at + BRANCH.last / 4 + key] = end < count ? (lasts[end - 1] as number) : HIGHEST_KEY;
      }
      words[at + BRANCH.firstChild / 4] = below + branch * CHILDREN;
    }
    below = firstBranch;
    children = branches;
  }
}

/** As {@link writeTree}. */
export function writeWideTree(words: Uint32Array, first: number, { lasts, values, count }: WideRanges): void {
  /** `range` = the number of a range, or one behind the last for the highest key. */
  const writeKey = (at: number, range: number): void => {
    for (let word = 0; word < WORDS_PER_KEY; word++)
      // Two halves of 64 bits, and each half's lower word first.
      words[at + (word ^ 1)] = range < count ? (lasts[range * WORDS_PER_KEY + word] as number) : HIGHEST_KEY;
  };
  const leaves = Math.ceil(count / WIDE_KEYS);
  for (let leaf = 0; leaf < leaves; leaf++) {
    const at = (first + leaf) * WORDS_PER_LINE;
    for (let place = 0; place < WIDE_KEYS; place++) {
      const range = leaf * WIDE_KEYS + place;
      writeKey(at + WIDE_LEAF.last / 4 + place * WORDS_PER_KEY, range);
      words[at + WIDE_LEAF.value / 4 + place] = range < count ? (values[range] as number) : 0;
    }
    words[at + WIDE_LEAF.value / 4 + WIDE_KEYS] = 0;
  }
  let span: number = WIDE_KEYS;
  let below = first;
  for (let children = leaves; children > 1; span *= WIDE_CHILDREN) {
    const branches = Math.ceil(children / WIDE_CHILDREN);
    const firstBranch = below + children;
    for (let branch = 0; branch < branches; branch++) {
      const at = (firstBranch + branch) * WORDS_PER_LINE;
      for (let key = 0; key < WIDE_KEYS; key++) {
        const end = (branch * WIDE_CHILDREN + key + 1) * span;
        writeKey(at + WIDE_BRANCH.last / 4 + key * WORDS_PER_KEY, end < count ? end - 1 : count);
      }
      words[at + WIDE_BRANCH.firstChild / 4] = below + branch * WIDE_CHILDREN;
      words.fill(0, at + WIDE_BRANCH.firstChild / 4 + 1, at + WORDS_PER_LINE);
    }
    below = firstBranch;
    children = branches;
  }
}
