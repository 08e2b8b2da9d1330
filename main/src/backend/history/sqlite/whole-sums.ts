/** Sums of all rows of a sealed partition at once: decoded for the first question that has a measure, looked at by the next. */
import type { QueryMeasure } from "@wardline/domain/flows";
import { SUM_COLUMNS, type SumColumn } from "./layout.ts";
import type { OpenFile } from "./open-file.ts";
import type { RowTable } from "./row-table.ts";
import { type MeasureColumns, type MeasureNode, type Numbers, SUMS_OF } from "./selection.ts";

/** In the order of writing. */
export type WholeSums = Partial<Record<SumColumn, Numbers>>;

/** Adds the columns that are not there yet. */
export function readWholeSums(
  file: OpenFile,
  known: WholeSums,
  wanted: readonly SumColumn[],
  rows: number,
  check: () => void,
): void {
  const missing = SUM_COLUMNS.filter((name) => wanted.includes(name) && !known[name]);
  if (missing.length === 0) return;
  const columns = missing.map((): Numbers => new Uint16Array(rows));
  for (const block of file.blocks()) {
    check();
    const read = file.readSums(block, missing);
    for (const [index, name] of missing.entries()) {
      const values = blockColumn(read, name);
      const { rows: count, firstRow } = block;
      while (!fill(columns[index]!, values, count, firstRow)) {
        if (columns[index] instanceof Float64Array) break;
        columns[index] = wider(columns[index]!);
      }
    }
  }
  for (const [index, name] of missing.entries()) known[name] = columns[index]!;
}

/** As tests of measures take them. Columns that were not asked for are empty. */
export function measureColumnsOf(sums: WholeSums): MeasureColumns {
  const of = (name: SumColumn): Numbers => sums[name] ?? NOTHING;
  return {
    ...{ started: of("started"), denied: of("denied"), packets: of("packets") },
    ...{ outBytes: of("out_bytes"), inBytes: of("in_bytes"), first: of("first"), last: of("last"), pid: NOTHING },
  };
}

/** The sum of two columns, or the second less the first. By number of the row. */
export interface SumColumns {
  readonly first: Numbers;
  readonly second: Numbers | null;
  readonly isDifference: boolean;
}

/** From and up to. */
export interface SumRange extends SumColumns {
  readonly least: number;
  readonly most: number;
}

export function sumColumnsOf(measure: Exclude<QueryMeasure, "sent" | "received">, sums: WholeSums): SumColumns {
  const [first = NOTHING, second = null] = SUMS_OF[measure].map((name) => sums[name] ?? NOTHING);
  return { first, second, isDifference: measure === "duration" };
}

/** Which numbers a condition lets in: they are whole. `null` for what depends on more than sums. */
export function rangeOf({ measure, comparison, value }: MeasureNode, sums: WholeSums): SumRange | null {
  if (measure === "sent" || measure === "received") return null;
  const least = { ">": Math.floor(value) + 1, ">=": Math.ceil(value), "=": value };
  const most = { "<": Math.ceil(value) - 1, "<=": Math.floor(value), "=": value };
  return {
    ...sumColumnsOf(measure, sums),
    least: comparison in least ? least[comparison as keyof typeof least] : Number.NEGATIVE_INFINITY,
    most: comparison in most ? most[comparison as keyof typeof most] : Number.POSITIVE_INFINITY,
  };
}

/** Sets the flags of rows of chosen series that a measure lets in. */
export function flagRange(
  flags: Uint8Array,
  { row, series }: RowTable,
  members: Uint8Array,
  { first, second, isDifference, least, most }: SumRange,
  from: number,
  to: number,
): void {
  const sign = isDifference ? -1 : 1;
  for (let at = from; at < to; at++) {
    const number = row[at]!;
    const value = second === null ? first[number]! : second[number]! + sign * first[number]!;
    if (value >= least && value <= most && members[series[at]!] === 1) flags[at] = 1;
  }
}

const NOTHING = new Uint32Array();

/** Some number is larger than all before. */
function wider(column: Numbers): Numbers {
  const larger = column instanceof Uint16Array ? new Uint32Array(column.length) : new Float64Array(column.length);
  for (let row = 0; row < column.length; row++) larger[row] = column[row]!;
  return larger;
}

/** False when the array cannot hold a number. */
function fill(column: Numbers, values: Float64Array, rows: number, firstRow: number): boolean {
  let isSame = true;
  for (let row = 0; row < rows; row++) {
    const value = values[row]!;
    column[firstRow + row] = value;
    if (column[firstRow + row] !== value) isSame = false;
  }
  return isSame;
}

function blockColumn(columns: ReturnType<OpenFile["readSums"]>, name: SumColumn): Float64Array {
  if (name === "out_bytes") return columns.outBytes;
  return name === "in_bytes" ? columns.inBytes : columns[name];
}
