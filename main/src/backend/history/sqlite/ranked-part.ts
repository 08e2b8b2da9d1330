/**
 * The rows of one partition that a list has. How many there are before each thousandth row is kept, and not where each of them
 * is: a list of ten million rows is made in the time of looking at them once, and takes next to no memory.
 */
import type { FileCache } from "./file-cache.ts";
import type { FileRef, OpenFile } from "./open-file.ts";
import { isOutside, isWithin, type QueryControl, type TimeWindow } from "./query-control.ts";
import type { RowTable, RowTables } from "./row-table.ts";
import type { Selection } from "./selection.ts";
import { flagRange, measureColumnsOf, rangeOf } from "./whole-sums.ts";

const CHUNK_ROWS = 1_024;
/** Rows between two looks at whether the query was cancelled. */
const CHECK_ROWS = 64 * CHUNK_ROWS;

export interface PartQuestion {
  readonly selection: Selection;
  readonly window: TimeWindow;
  /** Rows of the file that were there; infinite for all. */
  readonly most: number;
  readonly control: QueryControl;
}

export class RankedPart {
  readonly ref: FileRef;
  /** By number of the series. */
  readonly members: Uint8Array;
  readonly stamp: string;
  /** Rows that match; of all rows that were looked at, and of them, the records they stand for. */
  readonly count: number;
  readonly matched: number;
  readonly searched: number;
  /** When the rows of the file were first seen. */
  readonly oldestMs: number;
  readonly newestMs: number;
  /** Kept where the file grows: rows have other places in the next table. */
  readonly #own: RowTable | null;
  /** By place in the table: 1 = a measure lets it in. */
  readonly #flags: Uint8Array | null;
  readonly #cut: { readonly window: TimeWindow | null; readonly most: number } | null;
  /** Matching rows before each chunk of the table, and all of them at the end; when the first row of each was seen. */
  readonly #before: Uint32Array;
  readonly #times: Float64Array;

  constructor(file: OpenFile, ref: FileRef, tables: RowTables, asked: PartQuestion) {
    const { selection, window, most, control } = asked;
    const check = () => control.check();
    const table = tables.of(file, ref.resolution !== "record", check);
    this.ref = ref;
    this.members = selection.series;
    this.stamp = table.stamp;
    this.newestMs = table.rows === 0 ? Number.NEGATIVE_INFINITY : table.timeMs(0);
    this.oldestMs = table.rows === 0 ? Number.POSITIVE_INFINITY : table.timeMs(table.rows - 1);
    this.#own = ref.isSealed ? null : table;
    const isWhole = ref.isSealed && isWithin(ref, window);
    const isCut = !isWhole || most < table.rows;
    this.#cut = isCut ? { window: isWhole ? null : window, most } : null;
    this.#flags = selection.isEmpty ? null : flagsOf(file, ref, table, tables, asked);
    const chunks = Math.ceil(table.rows / CHUNK_ROWS);
    this.#before = new Uint32Array(chunks + 1);
    this.#times = new Float64Array(chunks);
    let count = 0;
    for (let chunk = 0; chunk < chunks; chunk++) {
      const from = chunk * CHUNK_ROWS;
      if (from % CHECK_ROWS === 0) control.check();
      this.#before[chunk] = count;
      this.#times[chunk] = table.timeMs(from);
      if (!selection.isEmpty) count += this.#countBetween(table, from, Math.min(table.rows, from + CHUNK_ROWS));
    }
    this.#before[chunks] = count;
    this.count = count;
    this.matched = table.records ? this.#weigh(table, table.records) : count;
    this.searched = isCut ? searchedOf(table, this.#cut) : ref.records;
  }

  /** As it was when this was made. @throws StaleList when the file is another one by now */
  table(cache: FileCache, tables: RowTables, control: QueryControl): RowTable {
    if (this.#own) return this.#own;
    const { ref, stamp } = this;
    const table = cache.use(ref, (file) => tables.of(file, ref.resolution !== "record", () => control.check()));
    if (table.stamp !== stamp) throw new StaleList();
    return table;
  }

  /** At least and at most so many of its rows are newer than a moment: what can be said without the table. */
  boundsAt(timeMs: number): readonly [number, number] {
    const times = this.#times;
    let [low, high] = [0, times.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (times[middle]! > timeMs) low = middle + 1;
      else high = middle;
    }
    return [this.#before[Math.max(0, low - 1)]!, this.#before[low]!];
  }

  /** How many of its rows are newer than a moment. */
  newerThan(table: RowTable, timeMs: number): number {
    const at = table.newerThan(timeMs);
    const chunk = Math.floor(at / CHUNK_ROWS);
    return this.#before[chunk]! + this.#countBetween(table, chunk * CHUNK_ROWS, at);
  }

  /** The place in the table of the next row of the list, from the given place on; the end of the table when there is none. */
  nextFrom(table: RowTable, from: number): number {
    let at = from;
    while (at < table.rows) {
      const chunk = Math.floor(at / CHUNK_ROWS);
      const end = Math.min(table.rows, (chunk + 1) * CHUNK_ROWS);
      if (this.#before[chunk] === this.#before[chunk + 1]) at = end;
      for (; at < end; at++) if (this.#has(table, at)) return at;
    }
    return table.rows;
  }

  /** All of them, newest first: places in the table. */
  places(table: RowTable): Uint32Array {
    const places = new Uint32Array(this.count);
    let next = 0;
    for (let at = this.nextFrom(table, 0); at < table.rows; at = this.nextFrom(table, at + 1)) places[next++] = at;
    return places;
  }

  #has(table: RowTable, at: number): boolean {
    return (
      this.members[table.series[at]!] === 1 &&
      (this.#flags === null || this.#flags[at] === 1) &&
      (this.#cut === null || isThere(table, at, this.#cut))
    );
  }

  #countBetween(table: RowTable, from: number, to: number): number {
    const { members } = this;
    const { series } = table;
    const flags = this.#flags;
    const cut = this.#cut;
    let count = 0;
    if (cut) {
      for (let at = from; at < to; at++) {
        if (members[series[at]!] === 1 && (!flags || flags[at] === 1) && isThere(table, at, cut)) count++;
      }
    } else if (flags) {
      for (let at = from; at < to; at++) count += flags[at]!;
    } else {
      for (let at = from; at < to; at++) count += members[series[at]!]!;
    }
    return count;
  }

  #weigh(table: RowTable, records: Uint32Array): number {
    let sum = 0;
    for (let at = this.nextFrom(table, 0); at < table.rows; at = this.nextFrom(table, at + 1)) sum += records[at]!;
    return sum;
  }
}

/** A list was made of what is not there any more. */
export class StaleList extends Error {}

type Cut = { readonly window: TimeWindow | null; readonly most: number };

function isThere(table: RowTable, at: number, { window, most }: Cut): boolean {
  if (table.row[at]! >= most) return false;
  return window === null || table.isWithin(at, window.sinceMs, window.untilMs);
}

/** Records of the window, whether they match or not; those of nobody are left out. */
function searchedOf(table: RowTable, cut: Cut | null): number {
  let searched = 0;
  for (let at = 0; at < table.rows; at++) {
    if (table.series[at] === 0 || (cut && !isThere(table, at, cut))) continue;
    searched += table.records ? table.records[at]! : 1;
  }
  return searched;
}

/** Rows of chosen series that a measure lets in; `null` when none is asked for. */
function flagsOf(
  file: OpenFile,
  ref: FileRef,
  table: RowTable,
  tables: RowTables,
  { selection, window, control }: PartQuestion,
): Uint8Array | null {
  const { test, series: members, sums: wanted = [] } = selection;
  if (!test) return null;
  const { series, row: numbers } = table;
  const flags = new Uint8Array(table.rows);
  if (ref.isSealed && !selection.needsRest) {
    const sums = tables.sums(file, ref.resolution !== "record", wanted, () => control.check());
    const range = selection.measure ? rangeOf(selection.measure, sums) : null;
    if (range) {
      for (let from = 0; from < table.rows; from += CHECK_ROWS) {
        control.check();
        flagRange(flags, table, members, range, from, Math.min(table.rows, from + CHECK_ROWS));
      }
      return flags;
    }
    const columns = measureColumnsOf(sums);
    for (let at = 0; at < table.rows; at++) {
      if (at % CHECK_ROWS === 0) control.check();
      const id = series[at]!;
      if (members[id] === 1 && test(numbers[at]!, id, columns)) flags[at] = 1;
    }
    return flags;
  }
  const seriesOf = new Uint32Array(table.rows);
  const placeOf = new Uint32Array(table.rows);
  for (let at = 0; at < table.rows; at++) {
    seriesOf[numbers[at]!] = series[at]!;
    placeOf[numbers[at]!] = at;
  }
  for (const block of file.blocks()) {
    if (isOutside(block, window)) continue;
    control.check();
    const columns = file.readSums(block, wanted);
    if (selection.needsRest) file.readRest(block);
    const most = Math.min(block.rows, table.rows - block.firstRow);
    for (let row = 0; row < most; row++) {
      const id = seriesOf[block.firstRow + row]!;
      if (members[id] === 1 && test(row, id, columns)) flags[placeOf[block.firstRow + row]!] = 1;
    }
  }
  return flags;
}
