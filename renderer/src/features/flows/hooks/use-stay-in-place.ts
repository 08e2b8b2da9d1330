import { useLayoutEffect, useMemo, useRef } from "react";
import type { TallScroll } from "./use-tall-scroll.ts";

interface StayInPlace {
  /** Somebody points at a row: it must not move away. */
  readonly hold: () => void;
  readonly release: () => void;
}

/**
 * New rows come in at the top. Whoever is at the top sees them come; a view that is scrolled, or pointed at, moves with the
 * rows that it shows. Once nobody points any more, a view that was at the top is there again.
 *
 * @param added rows that came above the first since the list began
 */
export function useStayInPlace(added: number, serial: number, scroll: TallScroll): StayInPlace {
  const former = useRef({ added, serial });
  const isHeld = useRef(false);
  /** Rows that came while it was held at the top. */
  const heldRows = useRef(0);
  const latest = useRef(scroll);
  latest.current = scroll;
  useLayoutEffect(() => {
    const isSame = former.current.serial === serial;
    const rows = added - former.current.added;
    former.current = { added, serial };
    if (!isSame || rows <= 0) return;
    const { first, follow } = latest.current;
    if (first === 0 && !isHeld.current) return;
    if (isHeld.current && first === heldRows.current) heldRows.current += rows;
    follow(rows);
  }, [added, serial]);
  return useMemo(
    () => ({
      hold: () => {
        if (isHeld.current) return;
        isHeld.current = true;
        heldRows.current = 0;
      },
      release: () => {
        const { first, scrollToRow } = latest.current;
        if (isHeld.current && heldRows.current > 0 && first === heldRows.current) scrollToRow(0);
        isHeld.current = false;
        heldRows.current = 0;
      },
    }),
    [],
  );
}
