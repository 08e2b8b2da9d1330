/** The same as ranges.ts over the 128 bits of IPv6. A key is four numbers of 32 bits, the most significant first. */
import { RepeatedPrefixError } from "./ranges.ts";

export const WORDS_PER_KEY = 4;

export interface WideRanges {
  /** {@link WORDS_PER_KEY} numbers for each range. */
  readonly lasts: Uint32Array;
  readonly values: Uint32Array;
  readonly count: number;
}

/** Prefixes as their first and last keys. */
export interface WidePrefixList {
  readonly lows: Uint32Array;
  readonly highs: Uint32Array;
  readonly values: Uint32Array;
}

export function compareKeys(one: Uint32Array, oneAt: number, other: Uint32Array, otherAt: number): number {
  for (let word = 0; word < WORDS_PER_KEY; word++) {
    const difference = (one[oneAt * WORDS_PER_KEY + word] ?? 0) - (other[otherAt * WORDS_PER_KEY + word] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Writes first and last key of the prefix in the 16 bytes from `from` on to a place of a list. */
export function readWidePrefix(
  bytes: Uint8Array,
  from: number,
  prefixLength: number,
  to: WidePrefixList,
  place: number,
): void {
  for (let word = 0; word < WORDS_PER_KEY; word++) {
    const at = from + word * 4;
    const [a, b, c, d] = [bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0];
    const bits = Math.min(32, Math.max(0, prefixLength - word * 32));
    const low = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    to.lows[place * WORDS_PER_KEY + word] = low;
    to.highs[place * WORDS_PER_KEY + word] = low | (bits === 32 ? 0 : 0xffff_ffff >>> bits);
  }
}

/** The order by first key, the shorter prefix first; `null` when they are in it. Only programs made by hand are not. */
export function orderOfWidePrefixes({ lows, highs, values }: WidePrefixList): Uint32Array | null {
  const compare = (one: number, other: number): number =>
    compareKeys(lows, one, lows, other) || compareKeys(highs, other, highs, one);
  let isSorted = true;
  for (let place = 1; place < values.length && isSorted; place++) isSorted = compare(place - 1, place) <= 0;
  return isSorted ? null : Uint32Array.from(values.keys()).sort((one, other) => compare(one, other) || one - other);
}

/** The list in another order. */
export function wideInOrder({ lows, highs, values }: WidePrefixList, order: Uint32Array): WidePrefixList {
  const keysInOrder = (words: Uint32Array): Uint32Array =>
    words.map((_, at) => words[(order[at >> 2] as number) * WORDS_PER_KEY + (at & 3)] as number);
  return { lows: keysInOrder(lows), highs: keysInOrder(highs), values: order.map((place) => values[place] as number) };
}

/** Atoms of the whole of IPv6; atom 0 where no prefix is. Throws {@link RepeatedPrefixError}. */
export function flattenIpv6({ lows, highs, values: atoms }: WidePrefixList): WideRanges {
  const lasts = new Uint32Array((atoms.length * 2 + 1) * WORDS_PER_KEY);
  const values = new Uint32Array(atoms.length * 2 + 1);
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
  for (let position = 0; position < atoms.length; position++) {
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
