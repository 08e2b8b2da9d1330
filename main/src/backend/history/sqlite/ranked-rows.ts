/**
 * Results as lists: every matching row has a rank, in any order, and any stretch of ranks can be read. A result is made once
 * and kept for a while. It only knows how many rows there are up to where, never the rows.
 */
import type { FlowQuery } from "@wardline/domain/flows";
import type { RowOrder } from "../flow-history.ts";
import type { FileCache } from "./file-cache.ts";
import type { FileRef } from "./open-file.ts";
import type { QueryControl } from "./query-control.ts";
import { RankedPart, StaleList } from "./ranked-part.ts";
import { type FoundRow, readRows } from "./read-rows.ts";
import { RowTables } from "./row-table.ts";
import { select } from "./selection.ts";
import { SeriesReader } from "./series-info.ts";
import type { ResolvedLabels } from "./series-members.ts";
import { SortedList, type SortLimits, USUAL_SORT_LIMITS } from "./sorted-list.ts";
import { windowOf } from "./sum-queries.ts";
import { type RowPlace, TimeList } from "./time-list.ts";

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
  readonly matched: number;
  readonly searched: number;
  readonly newer: number;
  readonly snapshot: Snapshot;
}

const MAX_RESULTS = 6;
/** Ten million rows, and what measures look at. */
const TABLES_BYTES = 288 * 1024 * 1024;

interface Result {
  readonly parts: readonly RankedPart[];
  /** `null` = in the order of time. */
  readonly sorted: SortedList | null;
  readonly isOldestFirst: boolean;
  readonly rowCount: number;
  readonly matched: number;
  readonly searched: number;
}

export class RankedRows {
  readonly #cache: FileCache;
  readonly #limits: SortLimits;
  readonly #tables = new RowTables(TABLES_BYTES);
  /** Least recently used first. */
  readonly #results = new Map<string, Result>();

  constructor(cache: FileCache, limits: SortLimits = USUAL_SORT_LIMITS) {
    this.#cache = cache;
    this.#limits = limits;
  }

  /** The file changed as a whole, or went. */
  forget(path: string): void {
    this.#tables.forget(path);
    this.#results.clear();
  }

  read(asked: RankedQuery, control: QueryControl): RankedAnswer {
    try {
      return this.#read(asked, control);
    } catch (error) {
      if (!(error instanceof StaleList)) throw error;
      this.#results.clear();
      return this.#read(asked, control);
    }
  }

  #read(asked: RankedQuery, control: QueryControl): RankedAnswer {
    const now = this.#now(asked.files, control);
    const snapshot = asked.snapshot ?? now.snapshot;
    const result = this.#result(asked, snapshot, now.stamp, control);
    const { rowCount, matched, searched, sorted } = result;
    const list = new TimeList(result.parts, this.#cache, this.#tables, control);
    const wanted = asked.atMs === null || sorted ? asked.from : rankAt(list, result, asked.atMs);
    const from = Math.max(0, Math.min(wanted, rowCount));
    const limit = Math.min(asked.limit, rowCount - from);
    const places = sorted ? sorted.read(from, limit, control) : inTime(list, result, from, limit);
    const rows = this.#rows(result, places);
    const newer = asked.snapshot === null ? 0 : this.#newer(asked, snapshot, control);
    return { rows, from, rowCount, matched, searched, newer, snapshot };
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
    const parts: RankedPart[] = [];
    let [searched, matched, rowCount] = [0, 0, 0];
    // Newest leaf first: of one moment, what arrived last is first.
    for (const ref of [...asked.files].sort((a, b) => b.firstLeaf - a.firstLeaf)) {
      const part = this.#part(ref, asked, snapshot, control);
      searched += part.searched;
      matched += part.matched;
      rowCount += part.count;
      if (part.count > 0) parts.push(part);
    }
    const { order } = asked;
    const isSorted = order.sort !== "time";
    const sorted = isSorted ? new SortedList(parts, order, this.#cache, this.#tables, control, this.#limits) : null;
    return { parts, sorted, isOldestFirst: order.isAscending, rowCount, matched, searched };
  }

  #part(ref: FileRef, asked: RankedQuery, snapshot: Snapshot, control: QueryControl): RankedPart {
    return this.#cache.use(ref, (file) => {
      const selection = select(file, asked.query.where, asked.labels);
      const isCut = ref.resolution === "record" && ref.firstLeaf === snapshot.leaf;
      const most = isCut ? snapshot.rows : Number.POSITIVE_INFINITY;
      const window = windowOf(asked.query);
      return RankedPart.find(file, ref, this.#tables, { selection, window, most, control });
    });
  }

  #rows({ parts }: Result, places: readonly RowPlace[]): FoundRow[] {
    const found: FoundRow[] = new Array(places.length);
    for (const [index, own] of Map.groupBy(places.keys(), (at) => places[at]!.part)) {
      const { ref } = parts[index]!;
      this.#cache.use(ref, (file) => {
        const rows = own.map((at) => places[at]!.row);
        const byRow = readRows(file, ref, rows, file.blocks(), new SeriesReader());
        for (const at of own) found[at] = byRow.get(places[at]!.row)!;
      });
    }
    return found;
  }

  /** Rows that match and came after the snapshot. */
  #newer(asked: RankedQuery, snapshot: Snapshot, control: QueryControl): number {
    let newer = 0;
    for (const ref of asked.files) {
      if (ref.firstLeaf < snapshot.leaf || ref.resolution !== "record") continue;
      const now = { leaf: ref.firstLeaf, rows: Number.MAX_SAFE_INTEGER };
      newer += this.#part(ref, asked, now, control).count;
      if (ref.firstLeaf === snapshot.leaf) newer -= this.#part(ref, asked, snapshot, control).count;
    }
    return newer;
  }
}

function inTime(list: TimeList, result: Result, from: number, limit: number): readonly RowPlace[] {
  const { isOldestFirst, rowCount } = result;
  return isOldestFirst ? list.read(rowCount - from - limit, limit).reverse() : list.read(from, limit);
}

/** The first row that is not before the moment, in the order of the list. */
function rankAt(list: TimeList, { isOldestFirst, rowCount }: Result, atMs: number): number {
  return isOldestFirst ? rowCount - list.newerThan(Math.ceil(atMs) - 1) : list.newerThan(atMs);
}
