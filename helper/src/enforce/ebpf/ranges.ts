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

/** Lists of ranges over 32-bit keys, one behind the other. As many as the arrays have room for. */
export class RangeLists {
  readonly lasts: Uint32Array;
  readonly values: Uint32Array;
  count = 0;
  readonly #openLasts = new Float64Array(MAX_NESTING);
  readonly #openLows = new Float64Array(MAX_NESTING);
  readonly #openValues = new Uint32Array(MAX_NESTING);

  constructor(lasts: Uint32Array, values: Uint32Array) {
    this.lasts = lasts;
    this.values = values;
  }

  /** How many ranges `append` makes of so many prefixes, at most. */
  static capacityFor(prefixes: number, lists: number): number {
    return 2 * prefixes + lists;
  }

  /** Adds one list. `prefixes` are sorted as {@link sortPrefixes} sorts them. Returns where the list begins. */
  append(prefixes: PrefixList, from: number, to: number, otherwise: number): number {
    const first = this.count;
    const { lows, highs, values } = prefixes;
    let depth = 0;
    for (let position = from; position < to; position++) {
      const low = lows[position] ?? 0;
      const high = highs[position] ?? 0;
      while (depth > 0 && (this.#openLasts[depth - 1] ?? 0) < low) {
        depth -= 1;
        this.#add(first, this.#openLasts[depth] ?? 0, this.#openValues[depth] ?? 0);
      }
      if (depth > 0 && this.#openLows[depth - 1] === low && this.#openLasts[depth - 1] === high)
        throw new RepeatedPrefixError();
      if (low > 0) this.#add(first, low - 1, depth > 0 ? (this.#openValues[depth - 1] ?? 0) : otherwise);
      this.#openLows[depth] = low;
      this.#openLasts[depth] = high;
      this.#openValues[depth] = values[position] ?? 0;
      depth += 1;
    }
    while (depth > 0) {
      depth -= 1;
      this.#add(first, this.#openLasts[depth] ?? 0, this.#openValues[depth] ?? 0);
    }
    this.#add(first, HIGHEST_KEY, otherwise);
    return first;
  }

  #add(first: number, last: number, value: number): void {
    const { count, lasts, values } = this;
    if (count > first) {
      if (last <= (lasts[count - 1] ?? 0)) return;
      if (values[count - 1] === value) {
        lasts[count - 1] = last;
        return;
      }
    }
    lasts[count] = last;
    values[count] = value;
    this.count = count + 1;
  }
}

/** Prefixes as their first and last keys. */
export interface PrefixList {
  readonly lows: Uint32Array;
  readonly highs: Uint32Array;
  readonly values: Uint32Array;
}

/** The same by group, first key, and the shorter prefix first. Only programs made by hand are not sorted so. */
export function sortPrefixes(
  { lows, highs, values }: PrefixList,
  groups: Uint32Array = new Uint32Array(0),
): PrefixList {
  const order = Array.from(lows, (_, place) => place);
  order.sort(
    (one, other) =>
      (groups[one] ?? 0) - (groups[other] ?? 0) ||
      (lows[one] ?? 0) - (lows[other] ?? 0) ||
      (highs[other] ?? 0) - (highs[one] ?? 0) ||
      one - other,
  );
  const inOrder = (numbers: Uint32Array): Uint32Array => Uint32Array.from(order, (place) => numbers[place] ?? 0);
  return { lows: inOrder(lows), highs: inOrder(highs), values: inOrder(values) };
}
