/** Which rows of a long list are in sight: only those are in the page. */
import { type RefObject, useCallback, useLayoutEffect, useMemo, useRef, useState } from "react";
import { flushSync } from "react-dom";

export interface PlacedRow {
  readonly index: number;
  /** Pixels from the first row's top. */
  readonly start: number;
  readonly end: number;
}

/** Where rows begin: `count + 1` places, the last one is where they end. */
export function placesOf(count: number, heightOf: (index: number) => number): Float64Array {
  const places = new Float64Array(count + 1);
  for (let index = 0; index < count; index++) places[index + 1] = (places[index] ?? 0) + heightOf(index);
  return places;
}

/** The rows that touch the pixels from `top` to `bottom`, and `more` of them at either side. */
export function rowsBetween(places: Float64Array, top: number, bottom: number, more: number): PlacedRow[] {
  const count = places.length - 1;
  const first = Math.max(0, lastAtOrBefore(places, top) - more);
  const last = Math.min(count - 1, lastAtOrBefore(places, bottom) + more);
  const rows: PlacedRow[] = [];
  for (let index = first; index <= last; index++)
    rows.push({ index, start: places[index] ?? 0, end: places[index + 1] ?? 0 });
  return rows;
}

function lastAtOrBefore(places: Float64Array, pixel: number): number {
  let [low, high] = [0, places.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((places[middle] ?? 0) <= pixel) low = middle;
    else high = middle - 1;
  }
  return low;
}

interface WindowedRowsInput {
  readonly count: number;
  /** What scrolls. */
  readonly scroller: RefObject<HTMLElement | null>;
  /** Of a row that was not measured, in pixels. */
  readonly rowHeight: number;
  /** Rows beyond the edges, so that a fast scroll shows none that is missing. */
  readonly more: number;
  /** By which a measured height is kept, where rows are measured. */
  readonly keyOf?: (index: number) => string;
}

interface WindowedRows {
  readonly rows: readonly PlacedRow[];
  readonly totalHeight: number;
  /** As the `ref` of a row with `data-index`, where rows are not all of one height. */
  readonly measureRow: (element: HTMLElement | null) => (() => void) | undefined;
}

export function useWindowedRows({ count, scroller, rowHeight, more, keyOf }: WindowedRowsInput): WindowedRows {
  const [view, setView] = useState({ top: 0, height: 0 });
  const [heights, setHeights] = useState<ReadonlyMap<string, number>>(new Map());
  const latestKeyOf = useRef(keyOf);
  latestKeyOf.current = keyOf;

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const look = (): void => {
      const { scrollTop: top, clientHeight: height } = element;
      setView((before) => (before.top === top && before.height === height ? before : { top, height }));
    };
    // Before the browser draws what was scrolled to.
    const follow = (): void => flushSync(look);
    const observer = new ResizeObserver(look);
    look();
    observer.observe(element);
    element.addEventListener("scroll", follow, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", follow);
    };
  }, [scroller]);

  const measured = useRef<ResizeObserver | null>(null);
  const measureRow = useCallback((element: HTMLElement | null) => {
    if (!element) return undefined;
    const keep = (rows: readonly HTMLElement[]): void =>
      setHeights((before) => {
        const changed = rows.flatMap((row): [string, number][] => {
          const key = latestKeyOf.current?.(Number(row.getAttribute("data-index")));
          const { height } = row.getBoundingClientRect();
          return key === undefined || height === 0 || before.get(key) === height ? [] : [[key, height]];
        });
        return changed.length === 0 ? before : new Map([...before, ...changed]);
      });
    measured.current ??= new ResizeObserver((entries) => keep(entries.map(({ target }) => target as HTMLElement)));
    measured.current.observe(element);
    keep([element]);
    return () => measured.current?.unobserve(element);
  }, []);

  const places = useMemo(
    () => placesOf(count, (index) => (keyOf && heights.get(keyOf(index))) ?? rowHeight),
    [count, heights, keyOf, rowHeight],
  );
  return {
    rows: rowsBetween(places, view.top, view.top + view.height, more),
    totalHeight: places[count] ?? 0,
    measureRow,
  };
}
