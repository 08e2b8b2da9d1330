/** The rows of several partitions as one list in the order of time, of which any stretch is found without making the list. */
import type { FileCache } from "./file-cache.ts";
import type { QueryControl } from "./query-control.ts";
import type { RankedPart } from "./ranked-part.ts";
import type { RowTable, RowTables } from "./row-table.ts";

/** A row by its part (an index), and its number in the file. */
export interface RowPlace {
  readonly part: number;
  readonly row: number;
}

export class TimeList {
  readonly #parts: readonly RankedPart[];
  readonly #cache: FileCache;
  readonly #tables: RowTables;
  readonly #control: QueryControl;
  readonly #open = new Map<number, RowTable>();

  /** @param parts newest leaf first: of one moment, what arrived last is first */
  constructor(parts: readonly RankedPart[], cache: FileCache, tables: RowTables, control: QueryControl) {
    this.#parts = parts;
    this.#cache = cache;
    this.#tables = tables;
    this.#control = control;
  }

  /** How many rows are newer than a moment. @throws StaleList */
  newerThan(timeMs: number): number {
    let sum = 0;
    for (const [index, part] of this.#parts.entries()) {
      const [least, most] = part.boundsAt(timeMs);
      sum += least === most ? least : part.newerThan(this.#table(index), timeMs);
    }
    return sum;
  }

  /** Rows from a rank on, newest first; there are as many. @throws StaleList */
  read(from: number, limit: number): RowPlace[] {
    const found: RowPlace[] = [];
    if (limit === 0) return found;
    const timeMs = this.#timeAt(from);
    let skip = from - this.newerThan(timeMs);
    const cursors = this.#parts.map((part, index) => {
      const [least] = part.boundsAt(timeMs);
      if (least === part.count) return null;
      const table = this.#table(index);
      return { part, index, table, at: part.nextFrom(table, table.newerThan(timeMs)) };
    });
    while (found.length < limit) {
      let best: (typeof cursors)[number] = null;
      let bestMs = Number.NEGATIVE_INFINITY;
      for (const cursor of cursors) {
        if (!cursor || cursor.at >= cursor.table.rows) continue;
        const headMs = cursor.table.timeMs(cursor.at);
        if (headMs > bestMs) [best, bestMs] = [cursor, headMs];
      }
      if (!best) return found;
      if (skip > 0) skip--;
      else found.push({ part: best.index, row: best.table.row[best.at]! });
      best.at = best.part.nextFrom(best.table, best.at + 1);
    }
    return found;
  }

  /** When the row at a rank was first seen. */
  #timeAt(rank: number): number {
    const { oldestMs, newestMs } = this.#extent();
    // Roughly first, so that only the partitions of that moment are needed.
    const least = (timeMs: number) => this.#sum((part) => part.boundsAt(timeMs)[0]);
    const most = (timeMs: number) => this.#sum((part) => part.boundsAt(timeMs)[1]);
    const low = firstWith(oldestMs, newestMs, (timeMs) => least(timeMs) <= rank);
    const high = firstWith(low, newestMs, (timeMs) => most(timeMs) <= rank);
    return firstWith(low, high, (timeMs) => this.newerThan(timeMs) <= rank);
  }

  #extent(): { readonly oldestMs: number; readonly newestMs: number } {
    let [oldestMs, newestMs] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const part of this.#parts) {
      oldestMs = Math.min(oldestMs, part.oldestMs);
      newestMs = Math.max(newestMs, part.newestMs);
    }
    return { oldestMs, newestMs };
  }

  #sum(of: (part: RankedPart) => number): number {
    let sum = 0;
    for (const part of this.#parts) sum += of(part);
    return sum;
  }

  #table(index: number): RowTable {
    const known = this.#open.get(index);
    if (known) return known;
    const table = this.#parts[index]!.table(this.#cache, this.#tables, this.#control);
    this.#open.set(index, table);
    return table;
  }
}

/** The smallest whole number between two for which something holds that holds for all above it; the larger one at last. */
function firstWith(from: number, to: number, holds: (value: number) => boolean): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return high;
}
