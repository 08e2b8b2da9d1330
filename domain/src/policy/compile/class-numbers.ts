import { refuseAbove } from "./limits.ts";
import type { Scratch } from "./scratch.ts";
import type { TablePool } from "./table-pool.ts";

const UNUSED = 0;

/** Classes are the port tables that one host needs, numbered from 1 in the order of their first use. */
export class ClassNumbers {
  count = 0;
  /** Of all classes together. */
  entryCount = 0;
  readonly #pool: TablePool;
  readonly #scratch: Scratch;
  /** By table. */
  #classes: Uint32Array;
  #uses: Uint32Array;
  /** By class. */
  #tables: Uint32Array;

  constructor(pool: TablePool, scratch: Scratch) {
    this.#pool = pool;
    this.#scratch = scratch;
    this.#classes = scratch.words("classOfTable", pool.count).fill(UNUSED);
    this.#uses = scratch.words("usesOfTable", pool.count).fill(0);
    this.#tables = scratch.words("tableOfClass", pool.count + 1);
  }

  /** Counts a use of the table. Throws `TOO_LARGE` above one million entries. */
  use(table: number): void {
    if (table >= this.#classes.length) this.#grow();
    this.#uses[table] = (this.#uses[table] ?? 0) + 1;
    if (this.#classes[table] !== UNUSED) return;
    const classId = ++this.count;
    this.#classes[table] = classId;
    this.#tables[classId] = table;
    this.entryCount += this.#pool.lengthOf(table);
    refuseAbove(this.entryCount);
  }

  /** Of a table that is used. */
  classOf(table: number): number {
    return this.#classes[table] ?? UNUSED;
  }

  tableOf(classId: number): number {
    return this.#tables[classId] ?? 0;
  }

  /** Puts a table that is not used in the place of one that is used once. The number of its class; `null` = it is not so. */
  replace(old: number, table: number): number | null {
    if (table >= this.#classes.length) this.#grow();
    if (this.#uses[old] !== 1 || this.#uses[table] !== 0) return null;
    const classId = this.classOf(old);
    this.#uses[old] = 0;
    this.#uses[table] = 1;
    this.#classes[old] = UNUSED;
    this.#classes[table] = classId;
    this.#tables[classId] = table;
    this.entryCount += this.#pool.lengthOf(table) - this.#pool.lengthOf(old);
    return classId;
  }

  /** There are more tables than at the beginning. What is in the room stays there. */
  #grow(): void {
    const from = this.#classes.length;
    const length = 2 * this.#pool.count;
    this.#classes = this.#scratch.words("classOfTable", length);
    this.#classes.fill(UNUSED, from);
    this.#uses = this.#scratch.words("usesOfTable", length);
    this.#uses.fill(0, from);
    this.#tables = this.#scratch.words("tableOfClass", length + 1);
  }
}
