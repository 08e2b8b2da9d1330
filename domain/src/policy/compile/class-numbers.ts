import { refuseAbove } from "./limits.ts";
import type { Scratch } from "./scratch.ts";
import type { TablePool } from "./table-pool.ts";

const UNUSED = 0;

/** Classes are the port tables that one host needs, numbered from 1 in the order in which they are asked about. */
export class ClassNumbers {
  count = 0;
  /** Of all classes together. */
  entryCount = 0;
  readonly #pool: TablePool;
  readonly #scratch: Scratch;
  /** By table. */
  #classes: Uint32Array;
  /** By class. */
  #tables: Uint32Array;

  constructor(pool: TablePool, scratch: Scratch) {
    this.#pool = pool;
    this.#scratch = scratch;
    this.#classes = scratch.words("classOfTable", pool.count).fill(UNUSED);
    this.#tables = scratch.words("tableOfClass", pool.count + 1);
  }

  /** Throws `TOO_LARGE` above one million entries. */
  classOf(table: number): number {
    if (table >= this.#classes.length) this.#grow();
    const known = this.#classes[table] ?? UNUSED;
    if (known !== UNUSED) return known;
    const classId = ++this.count;
    this.#classes[table] = classId;
    this.#tables[classId] = table;
    this.entryCount += this.#pool.lengthOf(table);
    refuseAbove(this.entryCount);
    return classId;
  }

  tableOf(classId: number): number {
    return this.#tables[classId] ?? 0;
  }

  /** There are more tables than at the beginning. What is in the room stays there. */
  #grow(): void {
    const from = this.#classes.length;
    const length = 2 * this.#pool.count;
    this.#classes = this.#scratch.words("classOfTable", length);
    this.#classes.fill(UNUSED, from);
    this.#tables = this.#scratch.words("tableOfClass", length + 1);
  }
}
