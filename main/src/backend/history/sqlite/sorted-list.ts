/** The rows of several partitions in another order than that of time: all of them are sorted, once. */
import type { RowOrder } from "../flow-history.ts";
import type { FileCache } from "./file-cache.ts";
import type { QueryControl } from "./query-control.ts";
import { orderOf } from "./radix-order.ts";
import type { RankedPart } from "./ranked-part.ts";
import type { RowTables } from "./row-table.ts";
import { isMeasureSort, measureKeys, rankValues, SeriesValues } from "./sort-keys.ts";

/** Rows of one part, newest first. */
interface PartRows {
  readonly part: RankedPart;
  /** Rows that the file had. */
  readonly size: number;
  readonly rows: Uint32Array;
  readonly series: Uint32Array;
}

/**
 * By rank: index of the part, and number of the row in its file.
 * @param parts newest leaf first
 * @throws StaleList
 */
export function sortRows(
  parts: readonly RankedPart[],
  order: RowOrder,
  cache: FileCache,
  tables: RowTables,
  control: QueryControl,
): { readonly partOf: Uint16Array; readonly rowOf: Uint32Array } {
  const rowCount = parts.reduce((sum, { count }) => sum + count, 0);
  const ages = new Float64Array(rowCount);
  const found: PartRows[] = [];
  let at = 0;
  for (const part of parts) {
    control.check();
    const table = part.table(cache, tables, control);
    const places = part.places(table);
    const rows = new Uint32Array(places.length);
    const series = new Uint32Array(places.length);
    for (let next = 0; next < places.length; next++) {
      const place = places[next]!;
      rows[next] = table.row[place]!;
      series[next] = table.series[place]!;
      ages[at++] = -table.timeMs(place);
    }
    found.push({ part, size: table.rows, rows, series });
  }
  const byTime = orderOf(ages, rowCount);
  const positions = orderOf(keysOf(found, rowCount, order, cache, control), rowCount, byTime);
  return placesIn(found, positions);
}

function placesIn(found: readonly PartRows[], positions: Uint32Array) {
  const parts = new Uint16Array(positions.length);
  const rows = new Uint32Array(positions.length);
  let at = 0;
  for (const [index, own] of found.entries()) {
    parts.fill(index, at, at + own.rows.length);
    rows.set(own.rows, at);
    at += own.rows.length;
  }
  const partOf = new Uint16Array(positions.length);
  const rowOf = new Uint32Array(positions.length);
  for (let rank = 0; rank < positions.length; rank++) {
    partOf[rank] = parts[positions[rank]!]!;
    rowOf[rank] = rows[positions[rank]!]!;
  }
  return { partOf, rowOf };
}

function keysOf(
  found: readonly PartRows[],
  rowCount: number,
  { sort, isAscending }: RowOrder,
  cache: FileCache,
  control: QueryControl,
): Float64Array {
  const keys = new Float64Array(rowCount);
  if (sort === "time") return keys;
  let at = 0;
  if (isMeasureSort(sort)) {
    for (const { part, rows, size } of found) {
      const check = () => control.check();
      const values = cache.use(part.ref, (file) => measureKeys(file, sort, size, isAscending, check));
      for (let next = 0; next < rows.length; next++) keys[at++] = values[rows[next]!]!;
    }
    return keys;
  }
  const values = found.map(({ part }) => cache.use(part.ref, (file) => new SeriesValues(file, sort, part.members)));
  const rankOf = rankValues(values, isAscending);
  for (const [index, { series }] of found.entries()) {
    control.check();
    const bySeries = values[index]!.keys(rankOf);
    for (let next = 0; next < series.length; next++) keys[at++] = bySeries[series[next]!]!;
  }
  return keys;
}
