/**
 * Prefixes as ranges without gaps, which is what a search needs: each range by its last key, with the value of the
 * longest prefix there.
 */

/** The highest 32-bit key; the last range of every list ends there. */
export const HIGHEST_KEY = 0xffff_ffff;

/** Prefixes nest, so no more than this many of one space lie around a key. */
const MAX_NESTING = 130;

/** Thrown for two entries of one prefix: which of them holds would be chance. */
export class RepeatedPrefixError extends Error {}

const openLasts = new Float64Array(MAX_NESTING);
const openLows = new Float64Array(MAX_NESTING);
const openValues = new Uint32Array(MAX_NESTING);

/** One list of ranges over 32-bit keys, as many as the arrays have room for. */
export class RangeList {
  readonly lasts: Uint32Array;
  readonly values: Uint32Array;
  count = 0;

  constructor(lasts: Uint32Array, values: Uint32Array) {
    this.lasts = lasts;
    this.values = values;
  }

  /** How many ranges `fill` makes of so many prefixes, at most. */
  static capacityFor(prefixes: number): number {
    return 2 * prefixes + 1;
  }

  /** Replaces what is in the list. `prefixes` are sorted as {@link sortPrefixes} sorts them. */
  fill(prefixes: PrefixList, from: number, to: number, otherwise: number): void {
    const { lasts, values } = this;
    const { lows, highs, values: prefixValues } = prefixes;
    let count = 0;
    let depth = 0;
    for (let position = from; position < to; position++) {
      const low = lows[position] as number;
      const high = highs[position] as number;
      while (depth > 0 && (openLasts[depth - 1] as number) < low) {
        depth -= 1;
        count = put(lasts, values, count, openLasts[depth] as number, openValues[depth] as number);
      }
      if (depth > 0 && openLows[depth - 1] === low && openLasts[depth - 1] === high) throw new RepeatedPrefixError();
      if (low > 0) {
        const around = depth > 0 ? (openValues[depth - 1] as number) : otherwise;
        count = put(lasts, values, count, low - 1, around);
      }
      openLows[depth] = low;
      openLasts[depth] = high;
      openValues[depth] = prefixValues[position] as number;
      depth += 1;
    }
    while (depth > 0) {
      depth -= 1;
      count = put(lasts, values, count, openLasts[depth] as number, openValues[depth] as number);
    }
    this.count = put(lasts, values, count, HIGHEST_KEY, otherwise);
  }
}

/** Adds a range behind the others, if it is not within them; returns how many there are then. */
function put(lasts: Uint32Array, values: Uint32Array, count: number, last: number, value: number): number {
  if (count > 0) {
    if (last <= (lasts[count - 1] as number)) return count;
    if (values[count - 1] === value) {
      lasts[count - 1] = last;
      return count;
    }
  }
  lasts[count] = last;
  values[count] = value;
  return count + 1;
}

/** Prefixes as their first and last keys. */
export interface PrefixList {
  readonly lows: Uint32Array;
  readonly highs: Uint32Array;
  readonly values: Uint32Array;
}

/**
 * The order by group, first key, and the shorter prefix first; `null` when they are in it. Only programs made by hand
 * are not.
 */
export function orderOfPrefixes({ lows, highs }: PrefixList, groups: Uint32Array | null): Uint32Array | null {
  let isSorted = true;
  for (let place = 1; place < lows.length && isSorted; place++)
    if (compare(lows, highs, groups, place - 1, place) > 0) isSorted = false;
  if (isSorted) return null;
  return Uint32Array.from(lows.keys()).sort((one, other) => compare(lows, highs, groups, one, other) || one - other);
}

function compare(
  lows: Uint32Array,
  highs: Uint32Array,
  groups: Uint32Array | null,
  one: number,
  other: number,
): number {
  if (groups !== null && groups[one] !== groups[other]) return (groups[one] as number) - (groups[other] as number);
  const difference = (lows[one] as number) - (lows[other] as number);
  return difference === 0 ? (highs[other] as number) - (highs[one] as number) : difference;
}

/** The numbers in another order. */
export function inOrder(numbers: Uint32Array, order: Uint32Array): Uint32Array {
  return order.map((place) => numbers[place] as number);
}
