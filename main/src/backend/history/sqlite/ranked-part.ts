/**
 * The rows of one partition that a list has. How many there are before each thousandth row is kept, and not where each of them
 * is: a list of ten million rows is made in the time of looking at them once, and takes next to no memory.
 */
import type { FileCache } from "./file-cache.ts";
import type { FileRef, OpenFile } from "./open-file.ts";
import { isOutside, isWithin, type QueryControl, type TimeWindow } from "./query-control.ts";
import type { RowTable, RowTables } from "./row-table.ts";
import type { Selection } from "./selection.ts";
import { flagRange, measureColumnsOf, rangeOf, type SumRange } from "./whole-sums.ts";

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

type Cut = { readonly window: TimeWindow | null; readonly most: number };

/** What a part is of, and which rows of its table are in it. */
interface Facts {
  readonly ref: FileRef;
  /** By number of the series. */
  readonly members: Uint8Array;
  /** Records that were looked at. */
  readonly searched: number;
  /** By place in the table: 1 = it is in, as far as measures are concerned; `null` when they say nothing. */
  readonly flags: Uint8Array | null;
  readonly cut: Cut | null;
}

export class RankedPart {
  /** Rows that are in it, and records that they stand for. */
  readonly count: number;
  readonly matched: number;
  /** When the rows of the file were first seen. */
  readonly oldestMs: number;
  readonly newestMs: number;
  readonly #facts: Facts;
  readonly #stamp: string;
  /** Kept where the file grows: rows have other places in the next table. */
  readonly #own: RowTable | null;
  /** Rows before each chunk of the table, and all of them at the end; when the first row of each was seen. */
  readonly #before: Uint32Array;
  readonly #times: Float64Array;

  private constructor(facts: Facts, table: RowTable, control: QueryControl) {
    this.#facts = facts;
    this.#stamp = table.stamp;
    this.newestMs = table.rows === 0 ? Number.NEGATIVE_INFINITY : table.timeMs(0);
    this.oldestMs = table.rows === 0 ? Number.POSITIVE_INFINITY : table.timeMs(table.rows - 1);
    this.#own = facts.ref.isSealed ? null : table;
    const chunks = Math.ceil(table.rows / CHUNK_ROWS);
    this.#before = new Uint32Array(chunks + 1);
    this.#times = new Float64Array(chunks);
    let count = 0;
    for (let chunk = 0; chunk < chunks; chunk++) {
      const from = chunk * CHUNK_ROWS;
      if (from % CHECK_ROWS === 0) control.check();
      this.#before[chunk] = count;
      this.#times[chunk] = table.timeMs(from);
      count += this.#countBetween(table, from, Math.min(table.rows, from + CHUNK_ROWS));
    }
    this.#before[chunks] = count;
    this.count = count;
    this.matched = table.records ? this.#weigh(table, table.records) : count;
  }

  static find(file: OpenFile, ref: FileRef, tables: RowTables, asked: PartQuestion): RankedPart {
    const { selection, window, most, control } = asked;
    const table = tables.of(file, ref.resolution !== "record", () => control.check());
    const isWhole = ref.isSealed && isWithin(ref, window);
    const isCut = !isWhole || most < table.rows;
    const cut = isCut ? { window: isWhole ? null : window, most } : null;
    const searched = isCut ? searchedOf(table, cut) : ref.records;
    const flags = selection.isEmpty ? null : flagsOf(file, ref, table, tables, asked);
    return new RankedPart({ ref, members: selection.series, searched, flags, cut }, table, control);
  }

  get ref(): FileRef {
    return this.#facts.ref;
  }

  get members(): Uint8Array {
    return this.#facts.members;
  }

  get searched(): number {
    return this.#facts.searched;
  }

  /** As it was when this was made. @throws StaleList when the file is another one by now */
  table(cache: FileCache, tables: RowTables, control: QueryControl): RowTable {
    if (this.#own) return this.#own;
    const { ref } = this;
    const table = cache.use(ref, (file) => tables.of(file, ref.resolution !== "record", () => control.check()));
    if (table.stamp !== this.#stamp) throw new StaleList();
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
    const chunks = this.#before.length - 1;
    let next = 0;
    for (let chunk = 0; chunk < chunks; chunk++) {
      if (this.#before[chunk] === this.#before[chunk + 1]) continue;
      const end = Math.min(table.rows, (chunk + 1) * CHUNK_ROWS);
      for (let at = chunk * CHUNK_ROWS; at < end; at++) if (this.#has(table, at)) places[next++] = at;
    }
    return places;
  }

  /** How many of them each series has. */
  countBySeries(table: RowTable, size: number): Uint32Array {
    const counts = new Uint32Array(size);
    const { series } = table;
    const { members, flags, cut } = this.#facts;
    if (flags || cut) {
      for (const place of this.places(table)) counts[series[place]!]!++;
      return counts;
    }
    for (let at = 0; at < table.rows; at++) counts[series[at]!]!++;
    for (let id = 0; id < size; id++) if (members[id] !== 1) counts[id] = 0;
    return counts;
  }

  /** Of them, those of some series. */
  ofSeries(table: RowTable, members: Uint8Array, control: QueryControl): RankedPart {
    return new RankedPart({ ...this.#facts, members }, table, control);
  }

  /** Of them, those with a sum in a range. */
  withSum(table: RowTable, range: SumRange, control: QueryControl): RankedPart {
    const flags = new Uint8Array(table.rows);
    flagRange(flags, table, this.#facts.members, range, 0, table.rows);
    const former = this.#facts.flags;
    if (former) for (let at = 0; at < flags.length; at++) flags[at]! &= former[at]!;
    return new RankedPart({ ...this.#facts, flags }, table, control);
  }

  #has(table: RowTable, at: number): boolean {
    const { members, flags, cut } = this.#facts;
    return (
      members[table.series[at]!] === 1 &&
      (flags === null || flags[at] === 1) &&
      (cut === null || isThere(table, at, cut))
    );
  }

  #countBetween(table: RowTable, from: number, to: number): number {
    const { members, flags, cut } = this.#facts;
    const { series } = table;
    let count = 0;
    if (cut) {
      for (let at = from; at < to; at++) {
        if (members[series[at]!] === 1 && (!flags || flags[at] === 1) && isThere(table, at, cut)) count++;
      }
    } else if (flags) {
      for (let at = from; at < to; at++) count += flags[at]! & members[series[at]!]!;
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
