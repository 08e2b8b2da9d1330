/** Port tables by number, each once, one behind the other in columns of numbers. */
import { withRoom, withRoomUnsigned } from "./growing.ts";
import type { PortTableEntry } from "./port-table.ts";

/** What the entry for every protocol covers: `protocol << 16 | port` never gets so high. */
export const WHOLE_PORT_SPACE = 0xffff_ffff;

const FREE = -1;

export class TablePool {
  #lows = new Uint32Array(256);
  #highs = new Uint32Array(256);
  #decisions = new Int32Array(256);
  /** Where each table begins, and where the last one ends. */
  #starts = new Int32Array(64);
  /** How many tables there are. */
  count = 0;
  #hashes = new Int32Array(64);
  /** Open addressing over the numbers of the tables; at most half full. */
  #slots = new Int32Array(128).fill(FREE);
  /** Behind the last table: where the one that is being written stands. */
  #end = 0;

  /** `room`: a pool that nobody asks any more. */
  constructor(room: TablePool | null = null) {
    if (room === null) return;
    this.#lows = room.#lows;
    this.#highs = room.#highs;
    this.#decisions = room.#decisions;
    this.#starts = room.#starts;
    this.#hashes = room.#hashes;
    this.#slots = room.#slots.fill(FREE);
  }

  lengthOf(table: number): number {
    return (this.#starts[table + 1] ?? 0) - (this.#starts[table] ?? 0);
  }

  /** Where the table's entries are in the columns. */
  startOf(table: number): number {
    return this.#starts[table] ?? 0;
  }

  /** `protocol << 16 | port` of the first and last port of each entry. Valid until the next table is written. */
  get lows(): Uint32Array {
    return this.#lows;
  }

  get highs(): Uint32Array {
    return this.#highs;
  }

  get decisions(): Int32Array {
    return this.#decisions;
  }

  /** Adds an entry to the table that is being written. */
  push(low: number, high: number, decision: number): void {
    const at = this.#end++;
    this.#lows = withRoomUnsigned(this.#lows, this.#end);
    this.#highs = withRoomUnsigned(this.#highs, this.#end);
    this.#decisions = withRoom(this.#decisions, this.#end, 0);
    this.#lows[at] = low;
    this.#highs[at] = high;
    this.#decisions[at] = decision;
  }

  pushEntry({ protocol, port, portBits, decision }: PortTableEntry): void {
    if (protocol === null) this.push(0, WHOLE_PORT_SPACE, decision);
    else this.push((protocol << 16) | port, (protocol << 16) | port | (0xffff >>> portBits), decision);
  }

  /** Ends the table that was written. The number of an equal one, or a new number. */
  finish(): number {
    const start = this.#starts[this.count] ?? 0;
    const hash = this.#hashFrom(start);
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (let table = this.#slots[slot] ?? FREE; table !== FREE; table = this.#slots[slot] ?? FREE) {
      if (this.#hashes[table] === hash && this.#isEqual(table, start)) {
        this.#end = start;
        return table;
      }
      slot = (slot + 1) & mask;
    }
    const table = this.count++;
    this.#slots[slot] = table;
    this.#hashes = withRoom(this.#hashes, this.count, 0);
    this.#hashes[table] = hash;
    this.#starts = withRoom(this.#starts, this.count + 1, 0);
    this.#starts[this.count] = this.#end;
    if (2 * this.count > this.#slots.length) this.#rehash();
    return table;
  }

  #hashFrom(start: number): number {
    let hash = 0x811c9dc5;
    for (let at = start; at < this.#end; at++) {
      hash = Math.imul(hash ^ (this.#lows[at] ?? 0), 0x85ebca6b);
      hash = Math.imul((hash ^ (hash >>> 13)) + (this.#highs[at] ?? 0), 0xc2b2ae35);
      hash = Math.imul((hash ^ (hash >>> 16)) + (this.#decisions[at] ?? 0), 0x27d4eb2f);
    }
    return hash ^ (hash >>> 15);
  }

  #isEqual(table: number, start: number): boolean {
    const other = this.startOf(table);
    const length = this.lengthOf(table);
    if (length !== this.#end - start) return false;
    for (let at = 0; at < length; at++) {
      const isSame =
        this.#lows[other + at] === this.#lows[start + at] &&
        this.#highs[other + at] === this.#highs[start + at] &&
        this.#decisions[other + at] === this.#decisions[start + at];
      if (!isSame) return false;
    }
    return true;
  }

  #rehash(): void {
    const slots = new Int32Array(2 * this.#slots.length).fill(FREE);
    const mask = slots.length - 1;
    for (let table = 0; table < this.count; table++) {
      let slot = (this.#hashes[table] ?? 0) & mask;
      while (slots[slot] !== FREE) slot = (slot + 1) & mask;
      slots[slot] = table;
    }
    this.#slots = slots;
  }
}
