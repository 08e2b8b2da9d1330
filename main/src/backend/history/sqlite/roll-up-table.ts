/** Rows by series and bucket of time, in columns that grow: millions of them without an object each. */
import type { Row } from "./block-builder.ts";
import { COLUMN_COUNT } from "./layout.ts";
import type { BlockColumns } from "./open-file.ts";

const FIRST_CAPACITY = 65_536;
/** Numbers of series are below it, so that bucket and series make one number. */
const MOST_SERIES = 2 ** 26;

export class RollUpTable {
  /** Whether a record reached over the end of its bucket. */
  straddles = false;
  readonly #bucketMs: number;
  #columns = newColumns(FIRST_CAPACITY);
  #count = 0;
  /** Open addressing: number of the row plus 1, by the hash of its key; and the keys by row. */
  #slots = new Uint32Array(FIRST_CAPACITY * 2);
  #keys = new Float64Array(FIRST_CAPACITY);

  constructor(bucketMs: number) {
    this.#bucketMs = bucketMs;
  }

  add(series: number, from: BlockColumns, at: number): void {
    const startMs = from.startMs[at]!;
    const bucket = Math.floor(startMs / this.#bucketMs);
    const bucketMs = bucket * this.#bucketMs;
    const endMs = startMs + from.lengthMs[at]!;
    if (endMs > bucketMs + this.#bucketMs) this.straddles = true;
    const row = this.#rowOf(bucket * MOST_SERIES + series, series, bucketMs);
    const [, , length, records, started, denied, packets, out, into, first, last, ended, , generation, folded] = this
      .#columns as Float64Array[];
    const shift = startMs - bucketMs;
    const isNew = records![row] === 0;
    length![row] = Math.max(length![row]!, endMs - bucketMs);
    records![row]! += from.records[at]!;
    started![row]! += from.started[at]!;
    denied![row]! += from.denied[at]!;
    packets![row]! += from.packets[at]!;
    out![row]! += from.outBytes[at]!;
    into![row]! += from.inBytes[at]!;
    ended![row]! += from.ended[at]!;
    first![row] = isNew ? shift + from.first[at]! : Math.min(first![row]!, shift + from.first[at]!);
    last![row] = isNew ? shift + from.last[at]! : Math.max(last![row]!, shift + from.last[at]!);
    // Processes come and go within a bucket: which one it was is not kept.
    generation![row] = Math.max(generation![row]!, from.generation[at]!);
    folded![row] = Math.max(folded![row]!, from.folded[at]!);
  }

  /** Numbers of rows, oldest bucket first. */
  inOrder(): Uint32Array {
    const keys = this.#keys;
    return Uint32Array.from({ length: this.#count }, (_, row) => row).sort((a, b) => keys[a]! - keys[b]!);
  }

  fill(into: Row, row: number): void {
    for (let column = 0; column < COLUMN_COUNT; column++) into[column] = this.#columns[column]![row]!;
  }

  #rowOf(key: number, series: number, bucketMs: number): number {
    let slot = hash(key) & (this.#slots.length - 1);
    for (;;) {
      const stored = this.#slots[slot]!;
      if (stored === 0) break;
      if (this.#keys[stored - 1] === key) return stored - 1;
      slot = (slot + 1) & (this.#slots.length - 1);
    }
    if (this.#count >= this.#keys.length) {
      this.#grow();
      return this.#rowOf(key, series, bucketMs);
    }
    const row = this.#count++;
    this.#slots[slot] = row + 1;
    this.#keys[row] = key;
    this.#columns[0]![row] = series;
    this.#columns[1]![row] = bucketMs;
    this.#columns[2]![row] = this.#bucketMs;
    return row;
  }

  #grow(): void {
    const capacity = this.#keys.length * 2;
    const columns = newColumns(capacity);
    for (const [index, column] of columns.entries()) column.set(this.#columns[index]!);
    this.#columns = columns;
    const keys = new Float64Array(capacity);
    keys.set(this.#keys);
    this.#keys = keys;
    this.#slots = new Uint32Array(capacity * 2);
    for (let row = 0; row < this.#count; row++) {
      let slot = hash(keys[row]!) & (this.#slots.length - 1);
      while (this.#slots[slot] !== 0) slot = (slot + 1) & (this.#slots.length - 1);
      this.#slots[slot] = row + 1;
    }
  }
}

function newColumns(capacity: number): Float64Array[] {
  return Array.from({ length: COLUMN_COUNT }, () => new Float64Array(capacity));
}

function hash(key: number): number {
  const low = key % 0x100000000;
  const high = (key - low) / 0x100000000;
  let mixed = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
