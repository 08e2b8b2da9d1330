// biome-ignore-all lint/a11y/useSemanticElements: a windowed list of absolutely placed rows cannot be a <table>; the ARIA grid roles say the same.
// biome-ignore-all lint/a11y/useFocusableInteractive: focus stays on the grid, which names its active cell (aria-activedescendant).
import type { HistoryGap, HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { type KeyboardEvent, type MouseEvent, useCallback, useEffect, useId, useMemo, useRef, useState } from "react";
import { useSetting } from "../../../data/settings.ts";
import type { ListOrder } from "../hooks/use-ranked-rows.ts";
import { useStayInPlace } from "../hooks/use-stay-in-place.ts";
import { useTallScroll } from "../hooks/use-tall-scroll.ts";
import type { ColumnName, ShownColumn } from "../model/columns.ts";
import { gapBetween } from "../model/gaps.ts";
import { cellOf, timeOf } from "../model/record-view.ts";
import { type RowList, rankOf } from "../model/row-list.ts";
import { everything, extendedTo, has, NOTHING_SELECTED, only, type Selection, toggled } from "../model/selection.ts";
import { CellActions, type CellPlace, placeOf, rightOf, templateOf } from "./cell-actions.tsx";
import { RecordHead } from "./record-head.tsx";
import { RecordRow } from "./record-row.tsx";
import "./record-grid.css";

export const HEAD_HEIGHT = 30;
export const ROW_HEIGHTS = { compact: 28, comfortable: 36 } as const;

interface RecordGridProps {
  readonly label: string;
  readonly list: RowList;
  readonly columns: readonly ShownColumn[];
  readonly onColumns: (columns: readonly ShownColumn[]) => void;
  readonly order: ListOrder;
  readonly onOrder: (order: ListOrder) => void;
  readonly selection: Selection;
  readonly onSelection: (selection: Selection) => void;
  readonly onCondition: (term: string, isExcluded: boolean) => void;
  /** The finding that a row is evidence of, in words. */
  readonly flagOf: (item: HistoryRecord) => string | undefined;
  /** A rank to go to; the serial makes two jumps to one place two jumps. */
  readonly jump: { readonly rank: number; readonly serial: number } | null;
  readonly onFirst: (rank: number, rowsInView: number) => void;
}

/** A list of any length: the bar stands for all of it, the page has some forty rows. */
export function RecordGrid(props: RecordGridProps) {
  const { label, list, columns, onColumns, order, onOrder, selection, onSelection, onCondition, jump, onFirst } = props;
  const density = useSetting("display.density");
  const rowHeight = ROW_HEIGHTS[density];
  const prefix = useId();
  const scroller = useRef<HTMLDivElement>(null);
  const { listed, serial, want, rowAt, keyAt, gaps } = list;
  const scroll = useTallScroll(scroller, listed, rowHeight, HEAD_HEIGHT);
  const { from, to, first, rowsInView, scrollToRow } = scroll;
  const [activeColumn, setActiveColumn] = useState(0);
  /** By its key: rows that come above it move its rank. */
  const [pointed, setPointed] = useState<{ readonly key: number; readonly column: ColumnName } | null>(null);
  const stay = useStayInPlace(list.added, serial, scroll);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another list has other rows at the same ranks.
  useEffect(() => want(from, to), [want, from, to, serial]);
  useEffect(() => onFirst(first, rowsInView), [onFirst, first, rowsInView]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another list begins at its beginning.
  useEffect(() => scrollToRow(0), [serial]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: one jump is one movement.
  useEffect(() => {
    if (jump) scrollToRow(jump.rank);
  }, [jump]);
  const template = useMemo(() => templateOf(columns), [columns]);
  const active = columns[Math.min(activeColumn, columns.length - 1)]?.name ?? "when";
  const lead = selection.lead === null ? -1 : rankOf(list, selection.lead);

  const goTo = (rank: number, isExtending: boolean) => {
    if (listed === 0) return;
    const bounded = Math.max(0, Math.min(listed - 1, rank));
    const key = keyAt(bounded);
    onSelection(isExtending ? extendedTo(selection, key) : only(key));
    scroll.showRow(bounded);
  };
  const condition = (place: CellPlace, isExcluded: boolean) => {
    const item = rowAt(place.rank);
    const term = item ? cellOf(item, place.column).term : undefined;
    if (term) onCondition(term, isExcluded);
  };
  const latest = useRef({ list, selection, onSelection, condition });
  latest.current = { list, selection, onSelection, condition };
  const press = useCallback((rank: number, event: MouseEvent) => {
    const now = latest.current;
    const key = now.list.keyAt(rank);
    const place = event.altKey ? placeOf(event.target) : null;
    if (place) now.condition(place, true);
    else if (event.shiftKey) now.onSelection(extendedTo(now.selection, key));
    else if (event.ctrlKey || event.metaKey) now.onSelection(toggled(now.selection, key, now.list));
    else now.onSelection(only(key));
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || event.altKey) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "a") {
      onSelection(everything(list));
      event.preventDefault();
      return;
    }
    if (event.ctrlKey || event.metaKey) return;
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: rowsInView, PageUp: -rowsInView };
    const step = steps[event.key];
    if (step !== undefined) goTo(lead < 0 ? first : lead + step, event.shiftKey);
    else if (event.key === "Home") goTo(0, event.shiftKey);
    else if (event.key === "End") goTo(listed - 1, event.shiftKey);
    else if (event.key === "Enter") goTo(lead < 0 ? first : lead, false);
    else if (event.key === "ArrowRight") setActiveColumn(Math.min(columns.length - 1, activeColumn + 1));
    else if (event.key === "ArrowLeft") setActiveColumn(Math.max(0, activeColumn - 1));
    else if ((event.key === "+" || event.key === "-") && lead >= 0)
      condition({ rank: lead, column: active }, event.key === "-");
    else if (event.key === "Escape" && selection.lead !== null) onSelection(NOTHING_SELECTED);
    else return;
    event.preventDefault();
  };
  const onMouseMove = (event: MouseEvent) => {
    stay.hold();
    const place = placeOf(event.target);
    const next = place ? { key: keyAt(place.rank), column: place.column } : null;
    if (next?.key !== pointed?.key || next?.column !== pointed?.column) setPointed(next);
  };
  const onMouseLeave = () => {
    stay.release();
    setPointed(null);
  };
  const drawn = Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
  const isDrawn = lead >= from && lead < to;
  const pointedRank = pointed === null ? -1 : rankOf(list, pointed.key);
  const isPointed = pointed !== null && pointedRank >= from && pointedRank < to;
  const shown = isPointed
    ? { rank: pointedRank, column: pointed.column }
    : isDrawn
      ? { rank: lead, column: active }
      : null;
  return (
    <div
      className="record-grid"
      role="grid"
      aria-label={label}
      aria-rowcount={listed + 1}
      aria-colcount={columns.length}
      aria-multiselectable="true"
      aria-busy={list.isRunning}
      aria-activedescendant={isDrawn ? `${prefix}-${active}` : undefined}
      aria-description="Arrow keys move between rows and cells, with Shift they choose several rows; plus shows only what the cell says, minus leaves it out."
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <div ref={scroller} className="record-scroll scroll" role="presentation">
        <RecordHead columns={columns} onColumns={onColumns} order={order} onOrder={onOrder} template={template} />
        <div
          className="record-rows"
          role="rowgroup"
          style={{ height: scroll.space }}
          onMouseMove={onMouseMove}
          onMouseLeave={onMouseLeave}
        >
          {drawn.map((rank) => {
            const item = rowAt(rank);
            return (
              <RecordRow
                key={keyAt(rank)}
                item={item}
                rank={rank}
                top={scroll.topOf(rank)}
                height={rowHeight}
                template={template}
                columns={columns}
                isSelected={has(selection, keyAt(rank))}
                activeColumn={rank === lead ? active : null}
                cellId={`${prefix}-${active}`}
                gap={gapAt(gaps, rowAt, rank, order)}
                flag={item ? props.flagOf(item) : undefined}
                onPress={press}
              />
            );
          })}
          {shown ? (
            <CellActions
              place={shown}
              item={rowAt(shown.rank)}
              top={scroll.topOf(shown.rank)}
              height={rowHeight}
              right={rightOf(columns, shown.column)}
              onCondition={onCondition}
            />
          ) : null}
        </div>
      </div>
    </div>
  );
}

function gapAt(
  gaps: readonly HistoryGap[],
  rowAt: RowList["rowAt"],
  rank: number,
  { sort, isAscending }: ListOrder,
): HistoryGap | null {
  if (gaps.length === 0 || sort > 1) return null;
  const own = timeOf(rowAt(rank)?.record);
  const former = rank === 0 ? null : timeOf(rowAt(rank - 1)?.record);
  if (own === null || (rank > 0 && former === null)) return null;
  return gapBetween(gaps, own, rank === 0 ? (isAscending ? 0 : Number.POSITIVE_INFINITY) : (former ?? own));
}
