/**
 * Where numbers are in a column. Made once for each column, which programs share while they have it in common, so that
 * the self-test of one changed rule does not go through all of them.
 */

const NOWHERE = 0;
/** Numbers up to so many times the places are looked up in a list, others in a map: only programs made by hand have them. */
const SPARSE = 4;

const known = new WeakMap<Uint32Array, PlacesByNumber>();

/** `mask`: the bits that count; always the same for one column. The column must not change any more. */
export function placesByNumber(column: Uint32Array, mask = 0xffff_ffff): PlacesByNumber {
  const before = known.get(column);
  if (before !== undefined) return before;
  const made = new PlacesByNumber(column, mask);
  known.set(column, made);
  return made;
}

/** Lists of places, chained: the first one of each number, and the next one behind each place. Places are kept plus one. */
export class PlacesByNumber {
  readonly #firsts: Uint32Array | Map<number, number>;
  readonly #nexts: Uint32Array;

  constructor(column: Uint32Array, mask: number) {
    let highest = 0;
    for (let place = 0; place < column.length; place++)
      highest = Math.max(highest, ((column[place] as number) & mask) >>> 0);
    this.#nexts = new Uint32Array(column.length);
    if (highest <= SPARSE * (column.length + 256)) {
      const firsts = new Uint32Array(highest + 1);
      for (let place = column.length - 1; place >= 0; place--) {
        const number = ((column[place] as number) & mask) >>> 0;
        this.#nexts[place] = firsts[number] as number;
        firsts[number] = place + 1;
      }
      this.#firsts = firsts;
      return;
    }
    const firsts = new Map<number, number>();
    for (let place = column.length - 1; place >= 0; place--) {
      const number = ((column[place] as number) & mask) >>> 0;
      this.#nexts[place] = firsts.get(number) ?? NOWHERE;
      firsts.set(number, place + 1);
    }
    this.#firsts = firsts;
  }

  /** -1 when the number is not there. */
  first(number: number): number {
    return this.#first(number) - 1;
  }

  /** Ascending. */
  *all(number: number): Generator<number> {
    for (let next = this.#first(number); next !== NOWHERE; next = this.#nexts[next - 1] as number) yield next - 1;
  }

  #first(number: number): number {
    if (!(this.#firsts instanceof Uint32Array)) return this.#firsts.get(number) ?? NOWHERE;
    return number < this.#firsts.length ? (this.#firsts[number] as number) : NOWHERE;
  }
}
