/** Collects rows and writes them as blocks. */
import type { Database, Statement } from "better-sqlite3";
import { packColumns } from "./columns.ts";
import { BLOCK_ROWS, COLUMN_COUNT, KEY_COLUMNS, SUM_COLUMNS } from "./layout.ts";

const SUMS_AT = KEY_COLUMNS.length;
const REST_AT = SUMS_AT + SUM_COLUMNS.length;

/** A sample, in the order of {@link KEY_COLUMNS}, `SUM_COLUMNS` and `REST_COLUMNS`. Change and add it again and again. */
export type Row = Float64Array;

export function newRow(): Row {
  return new Float64Array(COLUMN_COUNT);
}

export class BlockBuilder {
  readonly #columns = Array.from({ length: COLUMN_COUNT }, () => new Float64Array(BLOCK_ROWS));
  readonly #statements: readonly Statement[];
  #id: number;
  #rows = 0;
  #minStartMs = Number.POSITIVE_INFINITY;
  #maxStartMs = Number.NEGATIVE_INFINITY;
  #minEndMs = Number.POSITIVE_INFINITY;
  #maxEndMs = Number.NEGATIVE_INFINITY;

  /** @param firstId above every block that the file has */
  constructor(database: Database, firstId: number) {
    this.#id = firstId;
    this.#statements = [
      "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?, ?)",
      ...["block_keys", "block_sums", "block_rest"].map((table) => `INSERT OR REPLACE INTO ${table} VALUES (?, ?)`),
    ].map((sql) => database.prepare(sql));
  }

  add(row: Row): void {
    const at = this.#rows++;
    for (let column = 0; column < COLUMN_COUNT; column++) this.#columns[column]![at] = row[column]!;
    const startMs = row[1]!;
    const endMs = startMs + row[2]!;
    if (startMs < this.#minStartMs) this.#minStartMs = startMs;
    if (startMs > this.#maxStartMs) this.#maxStartMs = startMs;
    if (endMs < this.#minEndMs) this.#minEndMs = endMs;
    if (endMs > this.#maxEndMs) this.#maxEndMs = endMs;
    if (this.#rows < BLOCK_ROWS) return;
    this.flush();
    this.#begin();
  }

  /** Writes what there is of the block that is being filled; it may grow and be written again. */
  flush(): void {
    if (this.#rows === 0) return;
    const [insert, ...parts] = this.#statements;
    const id = this.#id;
    insert!.run(id, this.#rows, this.#minStartMs, this.#maxStartMs, this.#minEndMs, this.#maxEndMs);
    const bounds = [0, SUMS_AT, REST_AT, COLUMN_COUNT];
    for (const [index, statement] of parts.entries()) {
      const columns = this.#columns.slice(bounds[index], bounds[index + 1]);
      statement.run(id, packColumns(columns, this.#rows));
    }
  }

  #begin(): void {
    this.#id++;
    this.#rows = 0;
    this.#minStartMs = this.#minEndMs = Number.POSITIVE_INFINITY;
    this.#maxStartMs = this.#maxEndMs = Number.NEGATIVE_INFINITY;
  }
}
