// biome-ignore-all lint/a11y/useSemanticElements: a windowed list of absolutely placed rows cannot be a <table>; the ARIA grid roles say the same.
// biome-ignore-all lint/a11y/useFocusableInteractive: focus stays on the grid, which names its active cell (aria-activedescendant).
import type { HistoryGap } from "@wardline/api/wardline/console/v1/history";
import { type KeyboardEvent, type MouseEvent, useEffect, useMemo, useRef, useState } from "react";
import { useSetting } from "../../../data/settings.ts";
import type { ListOrder, RankedRows } from "../hooks/use-ranked-rows.ts";
import { useTallScroll } from "../hooks/use-tall-scroll.ts";
import { COLUMNS, type ColumnName, type ShownColumn } from "../model/columns.ts";
import { gapBetween } from "../model/gaps.ts";
import { cellOf, timeOf } from "../model/record-view.ts";
import { CellActions, type CellPlace } from "./cell-actions.tsx";
import { RecordHead } from "./record-head.tsx";
import { RecordRow } from "./record-row.tsx";
import "./record-grid.css";

export const HEAD_HEIGHT = 30;
const ROW_HEIGHTS = { compact: 28, comfortable: 36 } as const;
const PADDING = 16;
const GAP = 12;

interface RecordGridProps {
  readonly list: RankedRows;
  readonly columns: readonly ShownColumn[];
  readonly onColumns: (columns: readonly ShownColumn[]) => void;
  readonly order: ListOrder;
  readonly onOrder: (order: ListOrder) => void;
  readonly selected: number | null;
  readonly onSelect: (rank: number | null) => void;
  readonly onCondition: (term: string, isExcluded: boolean) => void;
  /** A rank to go to; the serial makes two jumps to one place two jumps. */
  readonly jump: { readonly rank: number; readonly serial: number } | null;
  readonly onFirst: (rank: number, rowsInView: number) => void;
}

/** A list of any length: the bar stands for all of it, the page has some forty rows. */
export function RecordGrid(props: RecordGridProps) {
  const { list, columns, onColumns, order, onOrder, selected, onSelect, onCondition, jump, onFirst } = props;
  const density = useSetting("display.density");
  const rowHeight = ROW_HEIGHTS[density];
  const scroller = useRef<HTMLDivElement>(null);
  const { listed, serial, want, rowAt, gaps } = list;
  const scroll = useTallScroll(scroller, listed, rowHeight, HEAD_HEIGHT);
  const { from, to, first, rowsInView, scrollToRow } = scroll;
  const [activeColumn, setActiveColumn] = useState(0);
  const [pointed, setPointed] = useState<CellPlace | null>(null);
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

  const select = (rank: number) => {
    if (listed === 0) return;
    const bounded = Math.max(0, Math.min(listed - 1, rank));
    onSelect(bounded);
    scroll.showRow(bounded);
  };
  const condition = (place: CellPlace, isExcluded: boolean) => {
    const item = rowAt(place.rank);
    const term = item ? cellOf(item, place.column).term : undefined;
    if (term) onCondition(term, isExcluded);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: rowsInView, PageUp: -rowsInView };
    const step = steps[event.key];
    if (step !== undefined) select(selected === null ? first : selected + step);
    else if (event.key === "Home") select(0);
    else if (event.key === "End") select(listed - 1);
    else if (event.key === "Enter" && selected === null) select(first);
    else if (event.key === "ArrowRight") setActiveColumn(Math.min(columns.length - 1, activeColumn + 1));
    else if (event.key === "ArrowLeft") setActiveColumn(Math.max(0, activeColumn - 1));
    else if ((event.key === "+" || event.key === "-") && selected !== null)
      condition({ rank: selected, column: active }, event.key === "-");
    else if (event.key === "Escape" && selected !== null) onSelect(null);
    else return;
    event.preventDefault();
  };
  const onMouseMove = (event: MouseEvent) => {
    const place = placeOf(event.target);
    if (place?.rank !== pointed?.rank || place?.column !== pointed?.column) setPointed(place);
  };
  const drawn = Array.from({ length: Math.max(0, to - from) }, (_, index) => from + index);
  const isDrawn = selected !== null && selected >= from && selected < to;
  const shown = pointed ?? (isDrawn && selected !== null ? { rank: selected, column: active } : null);
  return (
    <div
      className="record-grid"
      role="grid"
      aria-label="Records"
      aria-rowcount={listed + 1}
      aria-colcount={columns.length}
      aria-busy={list.isRunning}
      aria-activedescendant={isDrawn ? `record-${selected}-${active}` : undefined}
      aria-description="Arrow keys move between rows and cells; plus shows only what the cell says, minus leaves it out."
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
          onMouseLeave={() => setPointed(null)}
        >
          {drawn.map((rank) => (
            <RecordRow
              key={rank}
              item={rowAt(rank)}
              rank={rank}
              top={scroll.topOf(rank)}
              height={rowHeight}
              template={template}
              columns={columns}
              isSelected={rank === selected}
              activeColumn={rank === selected ? active : null}
              gap={gapAt(gaps, rowAt, rank, order)}
              onSelect={onSelect}
            />
          ))}
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
  rowAt: RankedRows["rowAt"],
  rank: number,
  { sort, isAscending }: ListOrder,
): HistoryGap | null {
  if (gaps.length === 0 || sort > 1) return null;
  const own = timeOf(rowAt(rank)?.record);
  const former = rank === 0 ? null : timeOf(rowAt(rank - 1)?.record);
  if (own === null || (rank > 0 && former === null)) return null;
  return gapBetween(gaps, own, rank === 0 ? (isAscending ? 0 : Number.POSITIVE_INFINITY) : (former ?? own));
}

/** The last column takes what is left. */
function templateOf(columns: readonly ShownColumn[]): string {
  return columns
    .map(({ width }, index) => (index === columns.length - 1 ? `minmax(${width}px, 1fr)` : `${width}px`))
    .join(" ");
}

function rightOf(columns: readonly ShownColumn[], name: ColumnName): number {
  let right = PADDING;
  for (const column of columns) {
    right += column.width;
    if (column.name === name) return right;
    right += GAP;
  }
  return right;
}

function placeOf(target: EventTarget): CellPlace | null {
  if (!(target instanceof Element)) return null;
  const cell = target.closest<HTMLElement>("[data-column]");
  const rank = Number(cell?.dataset.rank);
  const column = cell?.dataset.column ?? "";
  return cell && Number.isSafeInteger(rank) && column in COLUMNS ? { rank, column: column as ColumnName } : null;
}
