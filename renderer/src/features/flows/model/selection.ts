/** Which rows of a list are chosen. Rows are named by keys that grow with their rank, so that a stretch is two numbers. */
import { type RowList, rankOf } from "./row-list.ts";

/** First and last key, both in it. */
export type KeyRange = readonly [first: number, last: number];

export interface Selection {
  /** The row that the keys move from, and that the details are of. */
  readonly lead: number | null;
  /** Where a stretch begins. */
  readonly anchor: number | null;
  /** In order, apart from each other. */
  readonly ranges: readonly KeyRange[];
}

export const NOTHING_SELECTED: Selection = { lead: null, anchor: null, ranges: [] };

type Rows = Pick<RowList, "keyAt" | "rankAtOrAfter" | "listed">;

export function only(key: number): Selection {
  return { lead: key, anchor: key, ranges: [[key, key]] };
}

/** From where the stretch began to here, and nothing else. */
export function extendedTo({ anchor }: Selection, key: number): Selection {
  const from = anchor ?? key;
  return { lead: key, anchor: from, ranges: [[Math.min(from, key), Math.max(from, key)]] };
}

/** One row more, or one less. */
export function toggled(selection: Selection, key: number, rows: Rows): Selection {
  if (!has(selection, key)) return { lead: key, anchor: key, ranges: joined([...selection.ranges, [key, key]]) };
  const rank = rankOf(rows, key);
  const ranges = selection.ranges.flatMap(([first, last]): readonly KeyRange[] => {
    if (key < first || key > last) return [[first, last]];
    const before: readonly KeyRange[] = key === first ? [] : [[first, rows.keyAt(rank - 1)]];
    return key === last ? before : [...before, [rows.keyAt(rank + 1), last]];
  });
  return ranges.length === 0 ? NOTHING_SELECTED : { lead: key, anchor: key, ranges };
}

export function everything(rows: Rows): Selection {
  if (rows.listed === 0) return NOTHING_SELECTED;
  const [first, last] = [rows.keyAt(0), rows.keyAt(rows.listed - 1)];
  return { lead: first, anchor: first, ranges: [[first, last]] };
}

export function has({ ranges }: Selection, key: number): boolean {
  return ranges.some(([first, last]) => key >= first && key <= last);
}

/** Ranks of the chosen rows that are still there, in order; stretches, since there may be a million. */
export function rankRanges({ ranges }: Selection, rows: Rows): readonly (readonly [from: number, until: number])[] {
  return ranges
    .map(([first, last]) => [rows.rankAtOrAfter(first), afterKey(rows, last)] as const)
    .filter(([from, until]) => from < until);
}

export function countOf(selection: Selection, rows: Rows): number {
  return rankRanges(selection, rows).reduce((sum, [from, until]) => sum + until - from, 0);
}

/** Keys are whole numbers. */
function afterKey(rows: Rows, key: number): number {
  return rows.rankAtOrAfter(key + 1);
}

function joined(ranges: readonly KeyRange[]): readonly KeyRange[] {
  const sorted = ranges.toSorted(([a], [b]) => a - b);
  const result: KeyRange[] = [];
  for (const [first, last] of sorted) {
    const former = result.at(-1);
    if (former && first <= former[1] + 1) result[result.length - 1] = [former[0], Math.max(former[1], last)];
    else result.push([first, last]);
  }
  return result;
}
