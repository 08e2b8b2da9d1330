/** What rows are sorted by, as numbers: the smaller one comes first. */
import type { FlowDimension } from "@wardline/domain/flows";
import type { RowSort } from "../flow-history.ts";
import { fileDimension } from "./group-tables.ts";
import type { OpenFile } from "./open-file.ts";
import { measureReader, SUMS_OF } from "./selection.ts";

export const MEASURE_SORTS = ["bytes", "packets", "connections", "denied", "duration"] as const;
export type MeasureSort = (typeof MEASURE_SORTS)[number];
const ADDRESSES: ReadonlySet<RowSort> = new Set(["source", "destination", "peer"]);
const NUMBERS: ReadonlySet<RowSort> = new Set(["port", "protocol"]);
/** Of values that are not known: they come last in either direction. */
const UNKNOWN = Number.MAX_SAFE_INTEGER;

export function isMeasureSort(sort: RowSort): sort is MeasureSort {
  return (MEASURE_SORTS as readonly string[]).includes(sort);
}

/** Of rows of one file, read block by block. */
export function measureKeys(
  file: OpenFile,
  sort: MeasureSort,
  rows: number,
  isAscending: boolean,
  check: () => void,
): Float64Array {
  const keys = new Float64Array(rows);
  const measure = measureReader(file, sort);
  const sign = isAscending ? 1 : -1;
  for (const block of file.blocks()) {
    check();
    // None of these looks at the series.
    const columns = file.readSums(block, SUMS_OF[sort]);
    const most = Math.min(block.rows, rows - block.firstRow);
    for (let row = 0; row < most; row++) {
      keys[block.firstRow + row] = sign * measure(row, 0, columns);
    }
  }
  return keys;
}

/** The values of one file's series that were chosen, with what they sort as. */
export class SeriesValues {
  readonly #numbers: Float64Array;
  readonly #values = new Map<number, string | number | null>();

  constructor(file: OpenFile, sort: Exclude<RowSort, "time" | MeasureSort>, members: Uint8Array) {
    if (sort === "verdict") {
      this.#numbers = shapes(file);
      for (const shape of [0, 1, 2]) this.#values.set(shape, shape);
      return;
    }
    const { numbers, text } = fileDimension(file, sort as FlowDimension);
    this.#numbers = numbers;
    for (let id = 1; id < members.length; id++) {
      if (members[id] !== 1 || this.#values.has(numbers[id]!)) continue;
      this.#values.set(numbers[id]!, sortable(file, sort, numbers[id]!, text));
    }
  }

  get values(): Iterable<string | number | null> {
    return this.#values.values();
  }

  /** By number of the series. */
  keys(rankOf: (value: string | number | null) => number): Float64Array {
    const ranks = new Map([...this.#values].map(([number, value]) => [number, rankOf(value)]));
    return this.#numbers.map((number) => ranks.get(number) ?? UNKNOWN);
  }
}

/** Allowed, let through though denied, denied. */
function shapes(file: OpenFile): Float64Array {
  const enforced = file.column("enforced");
  return file.column("verdict").map((verdict, id) => (verdict === 1 ? 0 : enforced[id] === 1 ? 1 : 2));
}

function sortable(file: OpenFile, sort: RowSort, number: number, text: (number: number) => string) {
  if (ADDRESSES.has(sort)) {
    return file.get<{ key: string }>("SELECT hex(key) AS key FROM addresses WHERE id = ?", number)?.key ?? null;
  }
  const value = text(number);
  if (value === "") return null;
  return NUMBERS.has(sort) ? Number(value) : value;
}

/** One order for the values of all files. */
export function rankValues(
  files: readonly SeriesValues[],
  isAscending: boolean,
): (value: string | number | null) => number {
  const all = new Set<string | number>();
  for (const { values } of files) for (const value of values) if (value !== null) all.add(value);
  const ordered = [...all].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const ranks = new Map(ordered.map((value, index) => [value, isAscending ? index : ordered.length - 1 - index]));
  return (value) => (value === null ? ordered.length : (ranks.get(value) ?? ordered.length));
}
