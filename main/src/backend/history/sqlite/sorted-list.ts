/**
 * The rows of several partitions in another order than that of time. They are not sorted: they are counted by what they sort
 * as, and only those around the ranks that somebody looks at are put in order.
 */
import type { RowOrder } from "../flow-history.ts";
import type { FileCache } from "./file-cache.ts";
import type { QueryControl } from "./query-control.ts";
import { orderOf } from "./radix-order.ts";
import type { RankedPart } from "./ranked-part.ts";
import type { RowTables } from "./row-table.ts";
import { type Buckets, type PartKeys, partKeys } from "./sort-keys.ts";
import { type RowPlace, TimeList } from "./time-list.ts";

export interface SortLimits {
  /** Rows that are put in order at a time: enough to scroll on without counting anew. */
  readonly gathered: number;
  /** More rows of one key are not gathered: they are a list in the order of time. */
  readonly many: number;
}

export const USUAL_SORT_LIMITS: SortLimits = { gathered: 8_000, many: 50_000 };
const MAX_SEGMENTS = 6;

/** A stretch of ranks. */
interface Segment {
  readonly start: number;
  readonly end: number;
  readonly read: (from: number, limit: number, control: QueryControl) => readonly RowPlace[];
}

export class SortedList {
  readonly #parts: readonly RankedPart[];
  readonly #keys: readonly PartKeys[];
  readonly #cache: FileCache;
  readonly #tables: RowTables;
  readonly #limits: SortLimits;
  readonly #buckets: Buckets;
  /** Rank of the first row of each bucket, and the number of all rows at the end. */
  readonly #starts: Float64Array;
  /** Least recently used first. */
  #segments: readonly Segment[] = [];

  /**
   * @param parts newest leaf first
   * @throws StaleList
   */
  constructor(
    parts: readonly RankedPart[],
    order: RowOrder,
    cache: FileCache,
    tables: RowTables,
    control: QueryControl,
    limits: SortLimits = USUAL_SORT_LIMITS,
  ) {
    this.#limits = limits;
    this.#parts = parts;
    this.#cache = cache;
    this.#tables = tables;
    const { keys, buckets } = partKeys(parts, order, cache, tables, control);
    this.#keys = keys;
    this.#buckets = {
      counts: new Float64Array(buckets),
      least: new Float64Array(buckets).fill(Number.POSITIVE_INFINITY),
      most: new Float64Array(buckets).fill(Number.NEGATIVE_INFINITY),
    };
    for (const [index, part] of parts.entries()) {
      control.check();
      keys[index]!.count(part.table(cache, tables, control), this.#buckets);
    }
    this.#starts = new Float64Array(buckets + 1);
    for (const [bucket, count] of this.#buckets.counts.entries()) {
      this.#starts[bucket + 1] = this.#starts[bucket]! + count;
    }
  }

  /** Rows from a rank on; there are as many. @throws StaleList */
  read(from: number, limit: number, control: QueryControl): RowPlace[] {
    const found: RowPlace[] = [];
    while (found.length < limit) {
      const rank = from + found.length;
      const segment = this.#segmentAt(rank, control);
      const count = Math.min(limit - found.length, segment.end - rank);
      found.push(...segment.read(rank - segment.start, count, control));
    }
    return found;
  }

  #segmentAt(rank: number, control: QueryControl): Segment {
    const known = this.#segments.find(({ start, end }) => start <= rank && rank < end);
    const segment = known ?? this.#makeSegment(this.#bucketAt(rank), control);
    this.#segments = [...this.#segments.filter((other) => other !== segment), segment].slice(-MAX_SEGMENTS);
    return segment;
  }

  #makeSegment(bucket: number, control: QueryControl): Segment {
    if (this.#isLong(bucket)) return this.#inTime(bucket, control);
    const starts = this.#starts;
    const buckets = starts.length - 1;
    let [first, last] = [bucket, bucket];
    // As many before as after: a person scrolls on, or back.
    const isRoom = () => starts[last + 1]! - starts[first]! < this.#limits.gathered;
    while (isRoom()) {
      const canGrow = last + 1 < buckets && !this.#isLong(last + 1);
      const canBegin = first > 0 && !this.#isLong(first - 1);
      if (!canGrow && !canBegin) break;
      if (canGrow) last++;
      if (canBegin && isRoom()) first--;
    }
    return this.#gathered(first, last, control);
  }

  /** Many rows of one key. */
  #isLong(bucket: number): boolean {
    const { counts, least, most } = this.#buckets;
    return counts[bucket]! > this.#limits.many && least[bucket] === most[bucket];
  }

  /** Their rows, part by part. */
  #between(first: number, last: number, control: QueryControl): RankedPart[] {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let bucket = first; bucket <= last; bucket++) {
      low = Math.min(low, this.#buckets.least[bucket]!);
      high = Math.max(high, this.#buckets.most[bucket]!);
    }
    return this.#parts.map((part, index) => {
      control.check();
      return this.#keys[index]!.between(part.table(this.#cache, this.#tables, control), low, high, control);
    });
  }

  #inTime(bucket: number, control: QueryControl): Segment {
    const parts = this.#between(bucket, bucket, control);
    const read = (from: number, limit: number, now: QueryControl) =>
      new TimeList(parts, this.#cache, this.#tables, now).read(from, limit);
    return { start: this.#starts[bucket]!, end: this.#starts[bucket + 1]!, read };
  }

  /** All rows of some buckets in a row. */
  #gathered(first: number, last: number, control: QueryControl): Segment {
    const [start, end] = [this.#starts[first]!, this.#starts[last + 1]!];
    const count = end - start;
    const [partOf, rowOf] = [new Uint16Array(count), new Uint32Array(count)];
    const [ages, keys] = [new Float64Array(count), new Float64Array(count)];
    let at = 0;
    for (const [index, part] of this.#between(first, last, control).entries()) {
      const table = part.table(this.#cache, this.#tables, control);
      const keyOf = this.#keys[index]!.keyOf(table);
      for (const place of part.places(table)) {
        partOf[at] = index;
        rowOf[at] = table.row[place]!;
        ages[at] = -table.timeMs(place);
        keys[at++] = keyOf(place);
      }
    }
    const positions = orderOf(keys, count, orderOf(ages, count));
    const read = (from: number, limit: number) =>
      Array.from({ length: limit }, (_, index) => {
        const position = positions[from + index]!;
        return { part: partOf[position]!, row: rowOf[position]! };
      });
    return { start, end, read };
  }

  #bucketAt(rank: number): number {
    let [low, high] = [0, this.#starts.length - 1];
    while (low + 1 < high) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle]! <= rank) low = middle;
      else high = middle;
    }
    return low;
  }
}
