/** What rows are sorted by, as numbers: the smaller one comes first. */
import type { FlowDimension } from "@wardline/domain/flows";
import type { RowOrder, RowSort } from "../flow-history.ts";
import { rankAddresses, seriesAddresses } from "./address-ranks.ts";
import type { FileCache } from "./file-cache.ts";
import { fileDimension } from "./group-tables.ts";
import type { OpenFile } from "./open-file.ts";
import type { QueryControl } from "./query-control.ts";
import type { RankedPart } from "./ranked-part.ts";
import type { RowTable, RowTables } from "./row-table.ts";
import { measureReader, SUMS_OF } from "./selection.ts";
import { type SumColumns, sumColumnsOf } from "./whole-sums.ts";

export const MEASURE_SORTS = ["bytes", "packets", "connections", "denied", "duration"] as const;
export type MeasureSort = (typeof MEASURE_SORTS)[number];
const NUMBERS: ReadonlySet<RowSort> = new Set(["port", "protocol"]);

export function isMeasureSort(sort: RowSort): sort is MeasureSort {
  return (MEASURE_SORTS as readonly string[]).includes(sort);
}

/** How many rows sort as what: those of a lower bucket come first; within one, those of a lower key. */
export interface Buckets {
  readonly counts: Float64Array;
  /** Smallest and largest key of each bucket. */
  readonly least: Float64Array;
  readonly most: Float64Array;
}

/** What the rows of one part sort as. */
export interface PartKeys {
  /** Adds its rows. */
  readonly count: (table: RowTable, into: Buckets) => void;
  /** Of its rows, those with keys between two. */
  readonly between: (table: RowTable, least: number, most: number, control: QueryControl) => RankedPart;
  readonly keyOf: (table: RowTable) => (place: number) => number;
}

/** @param parts of one list */
export function partKeys(
  parts: readonly RankedPart[],
  { sort, isAscending }: RowOrder,
  cache: FileCache,
  tables: RowTables,
  control: QueryControl,
): { readonly keys: readonly PartKeys[]; readonly buckets: number } {
  if (sort === "time") throw new TypeError("Rows in the order of time have no other keys.");
  if (isMeasureSort(sort)) {
    const keys = parts.map((part) => new MeasureKeys(part, sort, isAscending, cache, tables, control));
    return { keys, buckets: MEASURE_BUCKETS };
  }
  if (sort === "source" || sort === "destination" || sort === "peer") {
    const files = parts.map(({ ref }) => cache.use(ref, (file) => seriesAddresses(file, sort)));
    control.check();
    const { ranks, count } = rankAddresses(files, isAscending);
    return { keys: parts.map((part, index) => seriesKeys(part, ranks[index]!)), buckets: count };
  }
  const values = parts.map(({ ref, members }) => {
    control.check();
    return cache.use(ref, (file) => new SeriesValues(file, sort, members));
  });
  const { rankOf, count } = rankValues(values, isAscending);
  const keys = parts.map((part, index) => seriesKeys(part, values[index]!.ranks(rankOf)));
  return { keys, buckets: count + 1 };
}

/** Each value is a bucket. */
function seriesKeys(part: RankedPart, ranks: Uint32Array): PartKeys {
  return {
    count: (table, { counts, least, most }) => {
      const bySeries = part.countBySeries(table, ranks.length);
      for (let id = 1; id < ranks.length; id++) {
        if (bySeries[id] === 0) continue;
        const rank = ranks[id]!;
        counts[rank]! += bySeries[id]!;
        least[rank] = rank;
        most[rank] = rank;
      }
    },
    between: (table, least, most, control) => {
      const members = part.members.slice();
      for (let id = 0; id < members.length; id++) if (ranks[id]! < least || ranks[id]! > most) members[id] = 0;
      return part.ofSeries(table, members, control);
    },
    keyOf:
      ({ series }) =>
      (place) =>
        ranks[series[place]!]!,
  };
}

/** Eleven bits of exponent less those that no measure has, and ten of what follows: small numbers have a bucket of their own. */
const MEASURE_BUCKETS = 65_536;
/** Larger ones are put in order as if they were the same: numbers further apart than 64 bits are not put in order. */
const MOST_APART = 2 ** 63;
const SCRATCH = new Float64Array(1);
const SCRATCH_WORDS = new Uint32Array(SCRATCH.buffer);
const BITS_OF_ONE = 1_023 << 10;

/** Sorts as the measure, or as minus the measure. */
class MeasureKeys implements PartKeys {
  readonly #part: RankedPart;
  readonly #isAscending: boolean;
  readonly #columns: () => SumColumns;

  constructor(
    part: RankedPart,
    sort: MeasureSort,
    isAscending: boolean,
    cache: FileCache,
    tables: RowTables,
    control: QueryControl,
  ) {
    const { ref } = part;
    const check = () => control.check();
    this.#part = part;
    this.#isAscending = isAscending;
    if (ref.isSealed) {
      this.#columns = () =>
        cache.use(ref, (file) =>
          sumColumnsOf(sort, tables.sums(file, ref.resolution !== "record", SUMS_OF[sort], check)),
        );
      return;
    }
    // Of a file that grows, they are read once.
    const first = cache.use(ref, (file) => measureValues(file, sort, check));
    this.#columns = () => ({ first, second: null, isDifference: false });
  }

  count(table: RowTable, { counts, least, most }: Buckets): void {
    const { first, second, isDifference } = this.#columns();
    const places = this.#part.places(table);
    const { row } = table;
    const [sign, secondSign] = [this.#isAscending ? 1 : -1, isDifference ? -1 : 1];
    const base = this.#isAscending ? 0 : MEASURE_BUCKETS - 1;
    for (let next = 0; next < places.length; next++) {
      const number = row[places[next]!]!;
      const value = second === null ? first[number]! : second[number]! + secondSign * first[number]!;
      SCRATCH[0] = value;
      const magnitude = value < 1 ? 0 : (SCRATCH_WORDS[1]! >>> 10) - BITS_OF_ONE + 1;
      // Sums of a host that lies have no bound.
      const bucket = base + sign * Math.min(magnitude, MEASURE_BUCKETS - 1);
      const key = sign * value;
      counts[bucket]!++;
      if (key < least[bucket]!) least[bucket] = key;
      if (key > most[bucket]!) most[bucket] = key;
    }
  }

  between(table: RowTable, least: number, most: number, control: QueryControl): RankedPart {
    const bounds = this.#isAscending ? { least, most } : { least: -most, most: -least };
    return this.#part.withSum(table, { ...this.#columns(), ...bounds }, control);
  }

  keyOf({ row }: RowTable): (place: number) => number {
    const { first, second, isDifference } = this.#columns();
    const [sign, secondSign] = [this.#isAscending ? 1 : -1, isDifference ? -1 : 1];
    if (second === null) return (place) => sign * Math.min(first[row[place]!]!, MOST_APART);
    return (place) => sign * Math.min(second[row[place]!]! + secondSign * first[row[place]!]!, MOST_APART);
  }
}

/** By number of the row, read block by block. */
function measureValues(file: OpenFile, sort: MeasureSort, check: () => void): Float64Array {
  const blocks = file.blocks();
  const last = blocks.at(-1);
  const values = new Float64Array(last ? last.firstRow + last.rows : 0);
  const measure = measureReader(file, sort);
  for (const block of blocks) {
    check();
    // None of these looks at the series.
    const columns = file.readSums(block, SUMS_OF[sort]);
    for (let row = 0; row < block.rows; row++) values[block.firstRow + row] = measure(row, 0, columns);
  }
  return values;
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
      this.#values.set(numbers[id]!, sortable(sort, text(numbers[id]!)));
    }
  }

  get values(): Iterable<string | number | null> {
    return this.#values.values();
  }

  /** By number of the series; of those that were chosen. */
  ranks(rankOf: (value: string | number | null) => number): Uint32Array {
    const ranks = new Map([...this.#values].map(([number, value]) => [number, rankOf(value)]));
    const bySeries = new Uint32Array(this.#numbers.length);
    for (let id = 0; id < bySeries.length; id++) bySeries[id] = ranks.get(this.#numbers[id]!) ?? 0;
    return bySeries;
  }
}

/** Allowed, let through though denied, denied. */
function shapes(file: OpenFile): Float64Array {
  const enforced = file.column("enforced");
  return file.column("verdict").map((verdict, id) => (verdict === 1 ? 0 : enforced[id] === 1 ? 1 : 2));
}

function sortable(sort: RowSort, value: string): string | number | null {
  if (value === "") return null;
  return NUMBERS.has(sort) ? Number(value) : value;
}

/** One order for the values of all files; those that are not known come last. */
export function rankValues(
  files: readonly SeriesValues[],
  isAscending: boolean,
): { readonly rankOf: (value: string | number | null) => number; readonly count: number } {
  const all = new Set<string | number>();
  for (const { values } of files) for (const value of values) if (value !== null) all.add(value);
  const ordered = [...all].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const ranks = new Map(ordered.map((value, index) => [value, isAscending ? index : ordered.length - 1 - index]));
  const rankOf = (value: string | number | null) =>
    value === null ? ordered.length : (ranks.get(value) ?? ordered.length);
  return { rankOf, count: ordered.length };
}
