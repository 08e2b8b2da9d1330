/**
 * What lists need of every row of a partition, decoded and kept in the order of time: who and when, in fourteen bytes. With it
 * a filter costs a nanosecond or two a row instead of reading and checking blocks again.
 */
import type { SumColumn } from "./layout.ts";
import type { BlockColumns, OpenFile } from "./open-file.ts";
import { orderOf, orderOfWords } from "./radix-order.ts";
import { readWholeSums, type WholeSums } from "./whole-sums.ts";

/** Newest first by when they were first seen; those of one moment in the order of writing. It does not change. */
export class RowTable {
  readonly rows: number;
  /** Numbers of the rows in the file, and their series. */
  readonly row: Uint32Array;
  readonly series: Uint32Array;
  /** Records that a row stands for; `null` = one each. */
  readonly records: Uint32Array | null;
  /** Series of a host that is forgotten are removed from the file: what was read before is wrong then. */
  readonly stamp: string;
  readonly #baseMs: number;
  /** After the base, and after the start of the window. */
  readonly #seen: Uint32Array | Float64Array;
  readonly #first: Uint16Array | Float64Array;
  readonly #lengthMs: number | Uint32Array;

  constructor(written: Columns, rows: number, stamp: string) {
    const { seenMs, first, lengthMs } = written;
    let [low, high, most, least] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
    const lengthOfFirst = lengthMs[0] ?? 0;
    let isOneLength = true;
    for (let at = 0; at < rows; at++) {
      const timeMs = seenMs[at]!;
      const after = first[at]!;
      if (timeMs < low) low = timeMs;
      if (timeMs > high) high = timeMs;
      if (after > most) most = after;
      if (after < least) least = after;
      if (lengthMs[at] !== lengthOfFirst) isOneLength = false;
    }
    const row = newestFirst(seenMs, rows, low, high);
    this.rows = rows;
    this.row = row;
    this.stamp = stamp;
    this.#baseMs = rows === 0 ? 0 : low;
    this.#seen = high - low <= 0xffffffff ? new Uint32Array(rows) : new Float64Array(rows);
    this.#first = least >= 0 && most <= 0xffff ? new Uint16Array(rows) : new Float64Array(rows);
    this.#lengthMs = isOneLength ? lengthOfFirst : new Uint32Array(rows);
    this.series = new Uint32Array(rows);
    this.records = written.records ? new Uint32Array(rows) : null;
    gather(written.series, row, this.series);
    gather(first, row, this.#first);
    gather(seenMs, row, this.#seen, low);
    if (typeof this.#lengthMs !== "number") gather(lengthMs, row, this.#lengthMs);
    if (this.records && written.records) gather(written.records, row, this.records);
  }

  get bytes(): number {
    const lengths = typeof this.#lengthMs === "number" ? 0 : this.#lengthMs.byteLength;
    const columns = [this.row, this.series, this.#seen, this.#first, this.records];
    return columns.reduce((sum, column) => sum + (column?.byteLength ?? 0), lengths);
  }

  /** When the row at a position of the table was first seen. */
  timeMs(at: number): number {
    return this.#baseMs + this.#seen[at]!;
  }

  isWithin(at: number, sinceMs: number, untilMs: number): boolean {
    const startMs = this.#baseMs + this.#seen[at]! - this.#first[at]!;
    const lengthMs = typeof this.#lengthMs === "number" ? this.#lengthMs : this.#lengthMs[at]!;
    return startMs < untilMs && startMs + lengthMs > sinceMs;
  }

  /** How many rows are newer than a moment: they are the first. */
  newerThan(timeMs: number): number {
    let [low, high] = [0, this.rows];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.timeMs(middle) > timeMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

type Numbers = Uint16Array | Uint32Array | Float64Array;

function gather(from: Numbers, row: Uint32Array, to: Numbers, less = 0): void {
  for (let at = 0; at < to.length; at++) to[at] = from[row[at]!]! - less;
}

function newestFirst(seenMs: Float64Array, rows: number, lowMs: number, highMs: number): Uint32Array {
  if (highMs - lowMs <= 0xffffffff) {
    const ages = new Uint32Array(rows);
    for (let at = 0; at < rows; at++) ages[at] = highMs - seenMs[at]!;
    return orderOfWords(ages);
  }
  const ages = new Float64Array(rows);
  for (let at = 0; at < rows; at++) ages[at] = highMs - seenMs[at]!;
  return orderOf(ages, rows);
}

interface Columns {
  readonly series: Uint32Array;
  readonly seenMs: Float64Array;
  readonly lengthMs: Uint32Array;
  /** When it was seen, after the start of the window. */
  readonly first: Float64Array;
  readonly records: Uint32Array | null;
}

interface Kept {
  /** Of the file that was read, and its version then. */
  file: OpenFile;
  version: number;
  rows: number;
  /** In the order of writing, with room for more; `null` once the file is sealed. */
  written: Columns | null;
  table: RowTable;
  /** Of a sealed file: sums that measures asked for. */
  readonly sums: WholeSums;
}

const WRITTEN_BYTES_OF_ROW = 24;

export class RowTables {
  /** Least recently used first. */
  readonly #known = new Map<string, Kept>();
  readonly #budgetBytes: number;
  /** Least recently used first; so many at the end are needed now. */
  #sumsUsed: readonly SumColumn[] = [];
  #sumsWanted = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  /** Of the state of the file that is being read. */
  of(file: OpenFile, hasSums: boolean, check: () => void): RowTable {
    return this.#kept(file, hasSums, check).table;
  }

  /** Sums of all rows of a sealed file, in the order of writing. */
  sums(file: OpenFile, hasSums: boolean, wanted: readonly SumColumn[], check: () => void): WholeSums {
    this.#sumsUsed = [...this.#sumsUsed.filter((name) => !wanted.includes(name)), ...wanted];
    this.#sumsWanted = wanted.length;
    const kept = this.#kept(file, hasSums, check);
    readWholeSums(file, kept.sums, wanted, kept.rows, check);
    this.#evict(file.path);
    return kept.sums;
  }

  forget(path: string): void {
    this.#known.delete(path);
  }

  #kept(file: OpenFile, hasSums: boolean, check: () => void): Kept {
    const { path } = file;
    const known = this.#known.get(path);
    const version = file.version();
    const isSame = known?.file === file && known.version === version;
    const isTrue = known && (isSame || known.table.stamp === stampOf(file, mostOf(known.table.stamp)));
    const kept = isSame && !known.written ? known : grown(isTrue ? known : null, file, hasSums, check);
    kept.file = file;
    kept.version = version;
    this.#known.delete(path);
    this.#known.set(path, kept);
    this.#evict(path);
    return kept;
  }

  /** Sums of other questions go first, and of all files: a question asks all of them. */
  #evict(path: string): void {
    let bytes = 0;
    for (const kept of this.#known.values()) bytes += sizeOf(kept);
    for (const name of this.#sumsUsed.slice(0, this.#sumsUsed.length - this.#sumsWanted)) {
      if (bytes <= this.#budgetBytes) return;
      for (const { sums } of this.#known.values()) {
        bytes -= sums[name]?.byteLength ?? 0;
        delete sums[name];
      }
    }
    for (const [other, kept] of this.#known) {
      if (bytes <= this.#budgetBytes) return;
      if (other === path) continue;
      this.#known.delete(other);
      bytes -= sizeOf(kept);
    }
  }
}

function sizeOf({ table, written, sums }: Kept): number {
  let bytes = table.bytes + (written?.series.length ?? 0) * WRITTEN_BYTES_OF_ROW;
  for (const column of Object.values(sums)) bytes += column.byteLength;
  return bytes;
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
    seenMs: new Float64Array(size),
    lengthMs: new Uint32Array(size),
    first: new Float64Array(size),
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
  const wanted: readonly SumColumn[] = written.records ? ["first", "records"] : ["first"];
  for (const block of blocks) {
    if (block.firstRow + block.rows <= known) continue;
    check();
    const columns = file.readKeys(block);
    file.readSums(block, wanted);
    copyRows(columns, written, Math.max(0, known - block.firstRow), block.rows, block.firstRow);
  }
  const table = new RowTable(written, rows, stampOf(file, file.seriesCount));
  return { file, version: 0, rows, written: isSealed ? null : written, table, sums: {} };
}

/** One by one: the array's own way of copying numbers of another width is many times slower. */
function copyRows(columns: BlockColumns, to: Columns, from: number, end: number, firstRow: number): void {
  const { series, startMs, lengthMs, first, records } = columns;
  for (let row = from; row < end; row++) {
    const at = firstRow + row;
    to.series[at] = series[row]!;
    to.lengthMs[at] = lengthMs[row]!;
    to.first[at] = first[row]!;
    to.seenMs[at] = startMs[row]! + first[row]!;
  }
  if (!to.records) return;
  for (let row = from; row < end; row++) to.records[firstRow + row] = records[row]!;
}

function larger(from: Columns | null, to: Columns): Columns {
  if (!from) return to;
  to.series.set(from.series);
  to.seenMs.set(from.seenMs);
  to.lengthMs.set(from.lengthMs);
  to.first.set(from.first);
  if (from.records) to.records?.set(from.records);
  return to;
}
