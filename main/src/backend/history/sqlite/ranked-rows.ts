/**
 * Results as lists: every matching row has a rank, in any order, and any stretch of ranks can be read. A result is made once
 * and kept for a while; it holds where its rows are (some bytes each), never the rows.
 */
import type { FlowQuery } from "@wardline/domain/flows";
import type { RowOrder } from "../flow-history.ts";
import type { FileCache } from "./file-cache.ts";
import type { FileRef, OpenFile } from "./open-file.ts";
import { isOutside, isWithin, type QueryControl } from "./query-control.ts";
import { orderOf } from "./radix-order.ts";
import { type FoundRow, readRows } from "./read-rows.ts";
import { type RowTable, RowTables } from "./row-table.ts";
import { type Selection, select } from "./selection.ts";
import { SeriesReader } from "./series-info.ts";
import type { ResolvedLabels } from "./series-members.ts";
import { isMeasureSort, measureKeys, rankValues, SeriesValues } from "./sort-keys.ts";
import { windowOf } from "./sum-queries.ts";

export interface RankedQuery {
  readonly files: readonly FileRef[];
  readonly query: FlowQuery;
  readonly labels: ResolvedLabels;
  readonly order: RowOrder;
  readonly from: number;
  /** Instead of `from`, in the order of time. */
  readonly atMs: number | null;
  readonly limit: number;
  /** `null` = as it is now. */
  readonly snapshot: Snapshot | null;
}

/** Rows that were there: all of the leaves before, and so many of the newest. */
export interface Snapshot {
  readonly leaf: number;
  readonly rows: number;
}

export interface RankedAnswer {
  readonly rows: readonly FoundRow[];
  readonly from: number;
  readonly rowCount: number;
  /** Of them, those that have a rank: the newest. */
  readonly listed: number;
  readonly matched: number;
  readonly searched: number;
  readonly newer: number;
  readonly snapshot: Snapshot;
  /** Why it is not in the order that was asked for; empty when it is. */
  readonly unsorted: string;
}

/** Rows of one result that get a rank. */
const MOST_RANKED = 5_000_000;
const MAX_RESULTS = 4;
const TABLES_BYTES = 160 * 1024 * 1024;

interface Result {
  readonly files: readonly FileRef[];
  readonly fileOf: Uint16Array;
  readonly rowOf: Uint32Array;
  /** In the order of time only. */
  readonly times: Float64Array | null;
  readonly rowCount: number;
  readonly matched: number;
  readonly searched: number;
  readonly unsorted: string;
}

/** Matching rows of one file, newest first. */
interface Part {
  readonly ref: FileRef;
  readonly members: Uint8Array;
  /** Rows that the file has. */
  readonly size: number;
  readonly rows: Uint32Array;
  /** By {@link rows}: their series, and minus the time. */
  readonly series: Uint32Array;
  readonly ages: Float64Array;
}

export class RankedRows {
  readonly #cache: FileCache;
  readonly #tables = new RowTables(TABLES_BYTES);
  /** Least recently used first. */
  readonly #results = new Map<string, Result>();

  constructor(cache: FileCache) {
    this.#cache = cache;
  }

  /** The file changed as a whole, or went. */
  forget(path: string): void {
    this.#tables.forget(path);
    this.#results.clear();
  }

  read(asked: RankedQuery, control: QueryControl): RankedAnswer {
    const now = this.#now(asked.files, control);
    const snapshot = asked.snapshot ?? now.snapshot;
    const result = this.#result(asked, snapshot, now.stamp, control);
    const listed = result.rowOf.length;
    const wanted = asked.atMs === null || result.times === null ? asked.from : rankAt(result.times, asked);
    const from = Math.max(0, Math.min(wanted, listed));
    const rows = this.#rows(result, from, Math.min(listed, from + asked.limit));
    const { rowCount, matched, searched, unsorted } = result;
    const newer = asked.snapshot === null ? 0 : this.#newer(asked, snapshot, control);
    return { rows, from, rowCount, listed, matched, searched, newer, snapshot, unsorted };
  }

  /** How far the newest leaf is, and whether anything was taken out of it. */
  #now(files: readonly FileRef[], control: QueryControl): { readonly snapshot: Snapshot; readonly stamp: string } {
    const newest = files.reduce<FileRef | null>(
      (last, ref) => (last && last.firstLeaf > ref.firstLeaf ? last : ref),
      null,
    );
    if (!newest) return { snapshot: { leaf: 0, rows: 0 }, stamp: "" };
    if (newest.resolution !== "record" || newest.isSealed) {
      return { snapshot: { leaf: newest.firstLeaf, rows: Number.MAX_SAFE_INTEGER }, stamp: "" };
    }
    const table = this.#cache.use(newest, (file) => this.#tables.of(file, false, () => control.check()));
    return { snapshot: { leaf: newest.firstLeaf, rows: table.rows }, stamp: table.stamp.split(" ")[1] ?? "" };
  }

  #result(asked: RankedQuery, snapshot: Snapshot, stamp: string, control: QueryControl): Result {
    const files = asked.files.filter(({ firstLeaf }) => firstLeaf <= snapshot.leaf);
    const { query, labels, order } = asked;
    const paths = files.map(({ path }) => path);
    // Series that only came later do not matter; that some went does.
    const key = JSON.stringify([query, labels, order, snapshot, paths, asked.snapshot === null ? stamp : ""]);
    const known = this.#results.get(key);
    const result = known ?? this.#build({ ...asked, files }, snapshot, control);
    this.#results.delete(key);
    this.#results.set(key, result);
    const [oldest] = this.#results.keys();
    if (this.#results.size > MAX_RESULTS && oldest !== undefined) this.#results.delete(oldest);
    return result;
  }

  #build(asked: RankedQuery, snapshot: Snapshot, control: QueryControl): Result {
    const parts: Part[] = [];
    let searched = 0;
    let matched = 0;
    let rowCount = 0;
    // Newest leaf first: of one moment, what arrived last is first.
    for (const ref of [...asked.files].sort((a, b) => b.firstLeaf - a.firstLeaf)) {
      const part = this.#cache.use(ref, (file) => this.#part(file, ref, asked, snapshot, control));
      searched += part.searched;
      matched += part.matched;
      rowCount += part.rows.length;
      if (part.rows.length > 0) parts.push(part);
    }
    const isTooMany = rowCount > MOST_RANKED && asked.order.sort !== "time";
    const order: RowOrder = isTooMany ? { sort: "time", isAscending: false } : asked.order;
    const unsorted = isTooMany
      ? `${MOST_RANKED.toLocaleString("en")} rows at most are sorted by anything but time: narrow the query or its time range`
      : "";
    return { ...this.#ranked(parts, rowCount, order, control), rowCount, matched, searched, unsorted };
  }

  #part(file: OpenFile, ref: FileRef, asked: RankedQuery, snapshot: Snapshot, control: QueryControl) {
    const check = () => control.check();
    const table = this.#tables.of(file, ref.resolution !== "record", check);
    const selection = select(file, asked.query.where, asked.labels);
    const flags = flagsOf(file, table, selection, asked, control);
    const isCut = ref.resolution === "record" && ref.firstLeaf === snapshot.leaf;
    const most = isCut ? Math.min(snapshot.rows, table.rows) : table.rows;
    const { sinceMs, untilMs } = windowOf(asked.query);
    const isWhole = ref.isSealed && isWithin(ref, { sinceMs, untilMs });
    const members = selection.series;
    const { series, startMs, lengthMs, first, row: numbers, records } = table;
    const found = new Uint32Array(table.rows);
    let [count, searched, matched] = [0, 0, 0];
    for (let at = 0; at < table.rows; at++) {
      const id = series[at]!;
      if (id === 0 || (most < table.rows && numbers[at]! >= most)) continue;
      if (!isWhole && (startMs[at]! >= untilMs || startMs[at]! + lengthMs[at]! <= sinceMs)) continue;
      const weight = records ? records[at]! : 1;
      searched += weight;
      if (members[id] !== 1 || (flags && flags[numbers[at]!] !== 1)) continue;
      found[count++] = at;
      matched += weight;
    }
    // Only what is needed is kept.
    const rows = new Uint32Array(count);
    const seriesOf = new Uint32Array(count);
    const ages = new Float64Array(count);
    for (let next = 0; next < count; next++) {
      const at = found[next]!;
      rows[next] = numbers[at]!;
      seriesOf[next] = series[at]!;
      ages[next] = -(startMs[at]! + first[at]!);
    }
    return { ref, members, size: table.rows, rows, series: seriesOf, ages, searched, matched };
  }

  #ranked(parts: readonly Part[], rowCount: number, order: RowOrder, control: QueryControl) {
    const fileOf = new Uint16Array(rowCount);
    const rowOf = new Uint32Array(rowCount);
    const ages = new Float64Array(rowCount);
    let at = 0;
    for (const [index, part] of parts.entries()) {
      fileOf.fill(index, at, at + part.rows.length);
      rowOf.set(part.rows, at);
      ages.set(part.ages, at);
      at += part.rows.length;
    }
    control.check();
    const files = parts.map(({ ref }) => ref);
    if (order.sort === "time" && !order.isAscending && rowCount <= MOST_RANKED && isOrdered(ages)) {
      for (let rank = 0; rank < rowCount; rank++) ages[rank] = -ages[rank]!;
      return { fileOf, rowOf, times: ages, files };
    }
    let positions = orderOf(ages, rowCount);
    if (order.sort === "time") {
      if (order.isAscending) positions.reverse();
    } else {
      positions = orderOf(this.#keys(parts, rowCount, order, control), rowCount, positions);
    }
    const listed = Math.min(rowCount, MOST_RANKED);
    const ranked = { fileOf: new Uint16Array(listed), rowOf: new Uint32Array(listed) };
    const rankedTimes = order.sort === "time" ? new Float64Array(listed) : null;
    for (let rank = 0; rank < listed; rank++) {
      const position = positions[rank]!;
      ranked.fileOf[rank] = fileOf[position]!;
      ranked.rowOf[rank] = rowOf[position]!;
      if (rankedTimes) rankedTimes[rank] = -ages[position]!;
    }
    return { ...ranked, times: rankedTimes, files };
  }

  #keys(
    parts: readonly Part[],
    rowCount: number,
    { sort, isAscending }: RowOrder,
    control: QueryControl,
  ): Float64Array {
    const keys = new Float64Array(rowCount);
    if (sort === "time") return keys;
    let at = 0;
    if (isMeasureSort(sort)) {
      for (const { ref, rows, size } of parts) {
        const check = () => control.check();
        const values = this.#cache.use(ref, (file) => measureKeys(file, sort, size, isAscending, check));
        for (let next = 0; next < rows.length; next++) keys[at++] = values[rows[next]!]!;
      }
      return keys;
    }
    const values = parts.map(({ ref, members }) =>
      this.#cache.use(ref, (file) => new SeriesValues(file, sort, members)),
    );
    const rankOf = rankValues(values, isAscending);
    for (const [index, { series }] of parts.entries()) {
      control.check();
      const bySeries = values[index]!.keys(rankOf);
      for (let next = 0; next < series.length; next++) keys[at++] = bySeries[series[next]!]!;
    }
    return keys;
  }

  #rows({ files, fileOf, rowOf }: Result, from: number, to: number): FoundRow[] {
    const found: FoundRow[] = new Array(to - from);
    const ranksOf = Map.groupBy(
      Array.from({ length: to - from }, (_, index) => from + index),
      (rank) => fileOf[rank]!,
    );
    for (const [index, ranks] of ranksOf) {
      const ref = files[index]!;
      this.#cache.use(ref, (file) => {
        const rows = ranks.map((rank) => rowOf[rank]!);
        const byRow = readRows(file, ref, rows, file.blocks(), new SeriesReader());
        for (const rank of ranks) found[rank - from] = byRow.get(rowOf[rank]!)!;
      });
    }
    return found;
  }

  /** Rows that match and came after the snapshot. */
  #newer(asked: RankedQuery, snapshot: Snapshot, control: QueryControl): number {
    const { sinceMs, untilMs } = windowOf(asked.query);
    let newer = 0;
    for (const ref of asked.files) {
      if (ref.firstLeaf < snapshot.leaf || ref.resolution !== "record") continue;
      const first = ref.firstLeaf === snapshot.leaf ? snapshot.rows : 0;
      newer += this.#cache.use(ref, (file) => {
        const table = this.#tables.of(file, false, () => control.check());
        if (table.rows <= first) return 0;
        const selection = select(file, asked.query.where, asked.labels);
        const flags = flagsOf(file, table, selection, asked, control);
        let count = 0;
        for (let at = 0; at < table.rows; at++) {
          const row = table.row[at]!;
          if (row < first || selection.series[table.series[at]!] !== 1 || (flags && flags[row] !== 1)) continue;
          const startMs = table.startMs[at]!;
          if (startMs < untilMs && startMs + table.lengthMs[at]! > sinceMs) count++;
        }
        return count;
      });
    }
    return newer;
  }
}

function isOrdered(keys: Float64Array): boolean {
  for (let at = 1; at < keys.length; at++) if (keys[at]! < keys[at - 1]!) return false;
  return true;
}

/** Rows of which a measure says whether they match; `null` when none is asked for. */
function flagsOf(
  file: OpenFile,
  table: RowTable,
  selection: Selection,
  asked: RankedQuery,
  control: QueryControl,
): Uint8Array | null {
  if (!selection.test) return null;
  const flags = new Uint8Array(table.rows);
  const series = new Uint32Array(table.rows);
  for (let at = 0; at < table.rows; at++) series[table.row[at]!] = table.series[at]!;
  const { test, series: members } = selection;
  for (const block of file.blocks()) {
    if (isOutside(block, windowOf(asked.query))) continue;
    control.check();
    const columns = file.readSums(block, selection.sums);
    if (selection.needsRest) file.readRest(block);
    const most = Math.min(block.rows, table.rows - block.firstRow);
    for (let row = 0; row < most; row++) {
      const id = series[block.firstRow + row]!;
      if (members[id] === 1 && test(row, id, columns)) flags[block.firstRow + row] = 1;
    }
  }
  return flags;
}

/** The first row that is not before the moment, in the order of the list. */
function rankAt(times: Float64Array, { order, atMs }: RankedQuery): number {
  const isBefore = (timeMs: number) => (order.isAscending ? timeMs < (atMs ?? 0) : timeMs > (atMs ?? 0));
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(times[middle]!)) low = middle + 1;
    else high = middle;
  }
  return low;
}
