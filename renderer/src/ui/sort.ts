export interface Sort {
  readonly key: string;
  readonly isDescending: boolean;
}

/** Ascending first, then descending, then as it comes. */
export function nextSort(sort: Sort | null, key: string): Sort | null {
  if (sort?.key !== key) return { key, isDescending: false };
  return sort.isDescending ? null : { key, isDescending: true };
}

const COLLATOR = new Intl.Collator("en", { numeric: true });

/** What is not known comes last both ways; equals stay in their order. */
export function sortRows<Row>(
  rows: readonly Row[],
  order: (row: Row) => number | string | null,
  isDescending: boolean,
): Row[] {
  const sign = isDescending ? -1 : 1;
  return rows
    .map((row) => ({ row, value: order(row) }))
    .sort((a, b) => {
      if (a.value === null || b.value === null) return (a.value === null ? 1 : 0) - (b.value === null ? 1 : 0);
      if (typeof a.value === "number" && typeof b.value === "number") return sign * (a.value - b.value);
      return sign * COLLATOR.compare(String(a.value), String(b.value));
    })
    .map(({ row }) => row);
}
