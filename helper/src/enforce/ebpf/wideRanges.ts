/** The same as ranges.ts over the 128 bits of IPv6. A key is four numbers of 32 bits, the most significant first. */
import type { AddressEntry } from "@wardline/domain/policy";
import { RepeatedPrefixError } from "./ranges.ts";

export const WORDS_PER_KEY = 4;

export interface WideRanges {
  /** {@link WORDS_PER_KEY} numbers for each range. */
  readonly lasts: Uint32Array;
  readonly values: Uint32Array;
  readonly count: number;
}

interface WidePrefixes {
  readonly lows: Uint32Array;
  readonly highs: Uint32Array;
  readonly values: Uint32Array;
}

function compareKeys(one: Uint32Array, oneAt: number, other: Uint32Array, otherAt: number): number {
  for (let word = 0; word < WORDS_PER_KEY; word++) {
    const difference = (one[oneAt * WORDS_PER_KEY + word] ?? 0) - (other[otherAt * WORDS_PER_KEY + word] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Sorted by first key, the shorter prefix first. */
function readPrefixes(entries: readonly AddressEntry[]): WidePrefixes {
  const lows = new Uint32Array(entries.length * WORDS_PER_KEY);
  const highs = new Uint32Array(entries.length * WORDS_PER_KEY);
  entries.forEach(({ prefix, prefixLength }, position) => {
    for (let word = 0; word < WORDS_PER_KEY; word++) {
      const [a = 0, b = 0, c = 0, d = 0] = prefix.subarray(word * 4, word * 4 + 4);
      const bits = Math.min(32, Math.max(0, prefixLength - word * 32));
      const low = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
      lows[position * WORDS_PER_KEY + word] = low;
      highs[position * WORDS_PER_KEY + word] = low | (bits === 32 ? 0 : 0xffff_ffff >>> bits);
    }
  });
  const order = entries.map((_, position) => position);
  const compare = (one: number, other: number): number =>
    compareKeys(lows, one, lows, other) || compareKeys(highs, other, highs, one) || one - other;
  // Compiled programs are sorted already, and then the sort is one pass.
  order.sort(compare);
  const inOrder = (words: Uint32Array): Uint32Array => {
    const sorted = new Uint32Array(words.length);
    order.forEach((position, place) => {
      const from = position * WORDS_PER_KEY;
      sorted.set(words.subarray(from, from + WORDS_PER_KEY), place * WORDS_PER_KEY);
    });
    return sorted;
  };
  const values = Uint32Array.from(order, (position) => entries[position]?.atom ?? 0);
  return { lows: inOrder(lows), highs: inOrder(highs), values };
}

/** Atoms of the whole of IPv6; atom 0 where no prefix is. Throws {@link RepeatedPrefixError}. */
export function flattenIpv6(entries: readonly AddressEntry[]): WideRanges {
  const { lows, highs, values: atoms } = readPrefixes(entries);
  const lasts = new Uint32Array((entries.length * 2 + 1) * WORDS_PER_KEY);
  const values = new Uint32Array(entries.length * 2 + 1);
  let count = 0;
  const add = (words: Uint32Array, at: number, value: number): void => {
    let place = count;
    if (count > 0) {
      if (compareKeys(words, at, lasts, count - 1) <= 0) return;
      if (values[count - 1] === value) place = count - 1;
    }
    lasts.set(words.subarray(at * WORDS_PER_KEY, (at + 1) * WORDS_PER_KEY), place * WORDS_PER_KEY);
    values[place] = value;
    count = place + 1;
  };
  const open: number[] = [];
  const atomAround = (): number => atoms[open.at(-1) ?? -1] ?? 0;
  for (let position = 0; position < entries.length; position++) {
    for (
      let last = open.at(-1);
      last !== undefined && compareKeys(highs, last, lows, position) < 0;
      last = open.at(-1)
    ) {
      add(highs, last, atomAround());
      open.pop();
    }
    const around = open.at(-1);
    if (around !== undefined && compareKeys(lows, around, lows, position) === 0)
      if (compareKeys(highs, around, highs, position) === 0) throw new RepeatedPrefixError();
    const before = keyBefore(lows, position);
    if (before !== null) add(before, 0, atomAround());
    open.push(position);
  }
  for (let last = open.at(-1); last !== undefined; last = open.at(-1)) {
    add(highs, last, atomAround());
    open.pop();
  }
  add(new Uint32Array(WORDS_PER_KEY).fill(0xffff_ffff), 0, 0);
  return { lasts, values, count };
}

/** The key below; `null` below the lowest. */
function keyBefore(words: Uint32Array, at: number): Uint32Array | null {
  const key = words.slice(at * WORDS_PER_KEY, (at + 1) * WORDS_PER_KEY);
  for (let word = WORDS_PER_KEY - 1; word >= 0; word--) {
    const value = key[word] ?? 0;
    key[word] = value - 1;
    if (value !== 0) return key;
  }
  return null;
}
