/**
 * The tree of a class with few entries, which most are: one leaf, written without a detour. Does what ranges.ts and
 * lines.ts do for any number of them, and is apart because code that runs for a hundred thousand short lists is made
 * slow by being the same that runs once for a list of a hundred thousand.
 */
import { LEAF, LEAF_RANGES } from "./layout.ts";
import { WORDS_PER_LINE } from "./lines.ts";
import { HIGHEST_KEY, type PrefixList, RepeatedPrefixError } from "./ranges.ts";

/** So many entries, the default included, make no more ranges than a leaf has. */
export const ENTRIES_OF_A_LEAF = LEAF_RANGES / 2;

const LAST = LEAF.last / 4;
const VALUE = LEAF.value / 4;
const openLows = new Float64Array(ENTRIES_OF_A_LEAF);
const openLasts = new Float64Array(ENTRIES_OF_A_LEAF);
const openValues = new Float64Array(ENTRIES_OF_A_LEAF);

/** Entry `from` is the default, the others up to before `to` are sorted. Throws {@link RepeatedPrefixError}. */
export function writeSmallLeaf(words: Uint32Array, line: number, entries: PrefixList, from: number, to: number): void {
  const { lows, highs, values } = entries;
  const at = line * WORDS_PER_LINE;
  openLows[0] = 0;
  openLasts[0] = HIGHEST_KEY;
  openValues[0] = values[from] as number;
  let depth = 1;
  let count = 0;
  for (let position = from + 1; position < to; position++) {
    const low = lows[position] as number;
    const high = highs[position] as number;
    while ((openLasts[depth - 1] as number) < low) {
      depth -= 1;
      count = put(words, at, count, openLasts[depth] as number, openValues[depth] as number);
    }
    if (openLows[depth - 1] === low && openLasts[depth - 1] === high) throw new RepeatedPrefixError();
    if (low > 0) count = put(words, at, count, low - 1, openValues[depth - 1] as number);
    openLows[depth] = low;
    openLasts[depth] = high;
    openValues[depth] = values[position] as number;
    depth += 1;
  }
  for (; depth > 0; depth--)
    count = put(words, at, count, openLasts[depth - 1] as number, openValues[depth - 1] as number);
  for (; count < LEAF_RANGES; count++) {
    words[at + LAST + count] = HIGHEST_KEY;
    words[at + VALUE + count] = 0;
  }
}

/** Adds a range behind the others, if it is not within them; returns how many there are then. */
function put(words: Uint32Array, at: number, count: number, last: number, value: number): number {
  if (count > 0) {
    if (last <= (words[at + LAST + count - 1] as number)) return count;
    if (words[at + VALUE + count - 1] === value) {
      words[at + LAST + count - 1] = last;
      return count;
    }
  }
  words[at + LAST + count] = last;
  words[at + VALUE + count] = value;
  return count + 1;
}
