/**
 * Memory that packing works in, kept from one program to the next. A large program needs tens of megabytes for a few
 * milliseconds; fresh ones each time would make the garbage collector walk the program's hundreds of thousands of objects.
 */
import { RangeList } from "./ranges.ts";

/** Kept however much was needed last; beyond it only while programs need it. */
const KEPT_WORDS = 2 ** 16;
const SHRINK_FACTOR = 8;

export class PackingMemory {
  readonly #arrays = new Map<string, Uint32Array>();
  /** While one of them is there, the machine code for them survives garbage collections. */
  readonly #lists = new Map<string, RangeList>();

  /** Room for so many numbers, whatever is in it. What was taken by the same name before is overwritten. */
  take(name: string, words: number): Uint32Array {
    const known = this.#arrays.get(name);
    const isFitting =
      known !== undefined &&
      known.length >= words &&
      (known.length <= KEPT_WORDS || known.length <= words * SHRINK_FACTOR);
    if (isFitting) return known.subarray(0, words);
    const made = new Uint32Array(Math.ceil(words * 1.25));
    this.#arrays.set(name, made);
    return made.subarray(0, words);
  }

  ranges(name: string, capacity: number): RangeList {
    const list = new RangeList(this.take(`${name} lasts`, capacity), this.take(`${name} range values`, capacity));
    this.#lists.set(name, list);
    return list;
  }
}
