import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

/** Browsers place nothing beyond some thirty million pixels; with some room for what is around it. */
export const MOST_PIXELS = 20_000_000;
const LINE_PIXELS = 40;

export interface TallScroll {
  /** Of the box that scrolls; the rows begin at its top, below the head. */
  readonly space: number;
  /** First and last row (exclusive) to draw. */
  readonly from: number;
  readonly to: number;
  /** Where a row is drawn, in pixels of the box. */
  readonly topOf: (index: number) => number;
  /** First row that is seen whole. */
  readonly first: number;
  readonly rowsInView: number;
  readonly showRow: (index: number) => void;
  readonly scrollToRow: (index: number) => void;
  /** So many rows came above: what is seen stays where it is. */
  readonly follow: (rows: number) => void;
}

const OVERSCAN = 8;

/**
 * Rows of one height in a box that scrolls, any number of them: beyond what a browser can place, the scrollbar stands for the
 * whole list while the wheel still moves by what it says.
 */
export function useTallScroll(
  scroller: RefObject<HTMLElement | null>,
  count: number,
  rowHeight: number,
  headHeight: number,
): TallScroll {
  const [view, setView] = useState({ top: 0, scrollTop: 0, height: 600 });
  /** Where the box was put by this hook: another place is where a person put it. */
  const expected = useRef(0);
  const tall = count * rowHeight;
  const space = Math.min(tall, MOST_PIXELS);
  const inner = Math.max(rowHeight, view.height - headHeight);
  const most = Math.max(0, tall - inner);
  const ratio = tall <= space || most === 0 ? 1 : (space - inner) / most;

  const moveTo = useCallback(
    (wanted: number) => {
      const element = scroller.current;
      if (!element) return;
      const top = Math.max(0, Math.min(most, wanted));
      // A list that begins where it was: asking the browser would have it lay out the new rows at once.
      if (top === 0 && expected.current === 0) {
        setView((former) => (former.top === 0 ? former : { ...former, top }));
        return;
      }
      expected.current = top * ratio;
      element.scrollTop = expected.current;
      setView((former) => ({ ...former, top, scrollTop: element.scrollTop }));
    },
    [scroller, most, ratio],
  );

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const onScroll = () => {
      const { scrollTop } = element;
      const isOwn = Math.abs(scrollTop - expected.current) < 1;
      expected.current = scrollTop;
      setView((former) => ({ ...former, scrollTop, top: isOwn && ratio !== 1 ? former.top : scrollTop / ratio }));
    };
    const onWheel = (event: WheelEvent) => {
      if (ratio === 1 || event.ctrlKey || event.shiftKey || event.deltaY === 0) return;
      event.preventDefault();
      const unit = event.deltaMode === 1 ? LINE_PIXELS : event.deltaMode === 2 ? inner : 1;
      setView((former) => {
        const top = Math.max(0, Math.min(most, former.top + event.deltaY * unit));
        expected.current = top * ratio;
        element.scrollTop = expected.current;
        return { ...former, top, scrollTop: element.scrollTop };
      });
    };
    element.addEventListener("scroll", onScroll, { passive: true });
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => {
      element.removeEventListener("scroll", onScroll);
      element.removeEventListener("wheel", onWheel);
    };
  }, [scroller, ratio, most, inner]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const measure = () => setView((former) => ({ ...former, height: element.clientHeight }));
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [scroller]);

  // Fewer rows than before, or lower ones: the box may have been moved by the browser.
  const top = Math.min(view.top, most);
  const firstDrawn = Math.max(0, Math.floor(top / rowHeight) - OVERSCAN);
  const lastDrawn = Math.min(count, Math.ceil((top + inner) / rowHeight) + OVERSCAN);
  const shift = ratio === 1 ? 0 : view.scrollTop - top;
  const topOf = (index: number) => index * rowHeight + shift;
  const showRow = useCallback(
    (index: number) => {
      const highest = index * rowHeight;
      const lowest = highest + rowHeight - inner;
      if (view.top > highest) moveTo(highest);
      else if (view.top < lowest) moveTo(lowest);
    },
    [view.top, rowHeight, inner, moveTo],
  );
  const scrollToRow = useCallback((index: number) => moveTo(index * rowHeight), [moveTo, rowHeight]);
  const follow = (rows: number) => moveTo(top + rows * rowHeight);
  const first = Math.min(count, Math.ceil(top / rowHeight));
  return {
    ...{ space, from: firstDrawn, to: lastDrawn, topOf, first, showRow, scrollToRow, follow },
    rowsInView: Math.max(1, Math.floor(inner / rowHeight)),
  };
}
