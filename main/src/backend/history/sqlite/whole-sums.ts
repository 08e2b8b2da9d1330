/** Sums of all rows of a sealed partition at once: decoded for the first question that has a measure, looked at by the next. */
import { SUM_COLUMNS, type SumColumn } from "./layout.ts";
import type { OpenFile } from "./open-file.ts";
import type { MeasureColumns, Numbers } from "./selection.ts";

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
  const columns = missing.map((): Numbers => new Uint32Array(rows));
  for (const block of file.blocks()) {
    check();
    const read = file.readSums(block, missing);
    for (const [index, name] of missing.entries()) {
      const values = blockColumn(read, name);
      const column = columns[index]!;
      const isSmall = column instanceof Float64Array || fitsInto32Bits(values, block.rows);
      const target = isSmall ? column : Float64Array.from(column);
      columns[index] = target;
      target.set(values.subarray(0, block.rows), block.firstRow);
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

const NOTHING = new Uint32Array();

function fitsInto32Bits(values: Float64Array, rows: number): boolean {
  for (let row = 0; row < rows; row++) if (values[row] !== values[row]! >>> 0) return false;
  return true;
}

function blockColumn(columns: ReturnType<OpenFile["readSums"]>, name: SumColumn): Float64Array {
  if (name === "out_bytes") return columns.outBytes;
  return name === "in_bytes" ? columns.inBytes : columns[name];
}
