/**
 * What lists need of every row of a partition, decoded and kept in the order of time: who and when. With it a filter costs a
 * nanosecond or two a row instead of reading and checking blocks again.
 */
import type { OpenFile } from "./open-file.ts";
import { orderOf } from "./radix-order.ts";

/** Newest first by when they were first seen; those of one moment in the order of writing. */
export interface RowTable {
  readonly rows: number;
  /** Numbers of the rows in the file, and their series. */
  readonly row: Uint32Array;
  readonly series: Uint32Array;
  readonly startMs: Float64Array;
  readonly lengthMs: Uint32Array;
  /** After the start of the window. */
  readonly first: Uint32Array;
  /** Records that a row stands for; `null` = one each. */
  readonly records: Uint32Array | null;
  /** Series of a host that is forgotten are removed from the file: what was read before is wrong then. */
  readonly stamp: string;
}

interface Columns {
  readonly series: Uint32Array;
  readonly startMs: Float64Array;
  readonly lengthMs: Uint32Array;
  readonly first: Uint32Array;
  readonly records: Uint32Array | null;
}

interface Kept {
  rows: number;
  /** In the order of writing, with room for more; `null` once the file is sealed. */
  written: Columns | null;
  table: RowTable;
}

const BYTES_OF_ROW = 24;

export class RowTables {
  /** Least recently used first. */
  readonly #known = new Map<string, Kept>();
  readonly #budgetRows: number;

  constructor(budgetBytes: number) {
    this.#budgetRows = Math.floor(budgetBytes / BYTES_OF_ROW);
  }

  /** Of the state of the file that is being read. */
  of(file: OpenFile, hasSums: boolean, check: () => void): RowTable {
    const known = this.#known.get(file.path);
    const isTrue = known !== undefined && known.table.stamp === stampOf(file, mostOf(known.table.stamp));
    const kept = grown(isTrue ? known : null, file, hasSums, check);
    this.#known.delete(file.path);
    this.#known.set(file.path, kept);
    this.#evict(file.path);
    return kept.table;
  }

  forget(path: string): void {
    this.#known.delete(path);
  }

  #evict(path: string): void {
    const sizeOf = ({ rows, written }: Kept) => rows + (written?.series.length ?? 0);
    let rows = 0;
    for (const kept of this.#known.values()) rows += sizeOf(kept);
    for (const [other, kept] of this.#known) {
      if (rows <= this.#budgetRows) return;
      if (other === path) continue;
      this.#known.delete(other);
      rows -= sizeOf(kept);
    }
  }
}

function stampOf(file: OpenFile, most: number): string {
  const row = file.get<{ count: number }>("SELECT count(*) AS count FROM series WHERE id <= ?", most);
  return `${most} ${row?.count ?? 0}`;
}

function mostOf(stamp: string): number {
  return Number(stamp.split(" ")[0]);
}

function columnsOf(size: number, hasSums: boolean): Columns {
  return {
    series: new Uint32Array(size),
    startMs: new Float64Array(size),
    lengthMs: new Uint32Array(size),
    first: new Uint32Array(size),
    records: hasSums ? new Uint32Array(size) : null,
  };
}

function grown(former: Kept | null, file: OpenFile, hasSums: boolean, check: () => void): Kept {
  const blocks = file.blocks();
  const last = blocks.at(-1);
  const rows = last ? last.firstRow + last.rows : 0;
  const isSealed = file.hasTotals;
  if (former && former.rows === rows && (isSealed || former.written)) {
    if (isSealed) former.written = null;
    return former;
  }
  const known = former?.written ? former.rows : 0;
  const room = isSealed ? rows : Math.max(rows + (rows >> 2), 16_384);
  let written = former?.written ?? null;
  if (!written || written.series.length < rows) written = larger(written, columnsOf(room, hasSums));
  for (const block of blocks) {
    if (block.firstRow + block.rows <= known) continue;
    check();
    const columns = file.readKeys(block);
    file.readSums(block);
    for (let row = Math.max(0, known - block.firstRow); row < block.rows; row++) {
      const at = block.firstRow + row;
      written.series[at] = columns.series[row]!;
      written.startMs[at] = columns.startMs[row]!;
      written.lengthMs[at] = columns.lengthMs[row]!;
      written.first[at] = columns.first[row]!;
      if (written.records) written.records[at] = columns.records[row]!;
    }
  }
  const table = { ...inOrderOfTime(written, rows), stamp: stampOf(file, file.seriesCount) };
  return { rows, written: isSealed ? null : written, table };
}

function larger(from: Columns | null, to: Columns): Columns {
  if (!from) return to;
  to.series.set(from.series);
  to.startMs.set(from.startMs);
  to.lengthMs.set(from.lengthMs);
  to.first.set(from.first);
  if (from.records) to.records?.set(from.records);
  return to;
}

function inOrderOfTime(written: Columns, rows: number): Omit<RowTable, "stamp"> {
  const keys = new Float64Array(rows);
  for (let at = 0; at < rows; at++) keys[at] = -(written.startMs[at]! + written.first[at]!);
  const row = orderOf(keys, rows);
  const sorted = columnsOf(rows, written.records !== null);
  for (let at = 0; at < rows; at++) {
    const from = row[at]!;
    sorted.series[at] = written.series[from]!;
    sorted.startMs[at] = written.startMs[from]!;
    sorted.lengthMs[at] = written.lengthMs[from]!;
    sorted.first[at] = written.first[from]!;
    if (sorted.records && written.records) sorted.records[at] = written.records[from]!;
  }
  return { rows, row, ...sorted };
}
