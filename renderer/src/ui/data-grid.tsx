// biome-ignore-all lint/a11y/useSemanticElements: a windowed table of absolutely placed rows cannot be a <table>; the ARIA grid roles say the same.
// biome-ignore-all lint/a11y/useFocusableInteractive: focus stays on the grid, which names its active row (aria-activedescendant).
import { ArrowDown, ArrowUp } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useId, useMemo, useRef, useState } from "react";
import { useSetting } from "../data/settings.ts";
import { nextSort, type Sort, sortRows } from "./sort.ts";
import { useWindowedRows } from "./windowed-rows.ts";
import "./data-grid.css";

export interface GridColumn<Row> {
  readonly key: string;
  readonly name: string;
  /** As in `grid-template-columns`. */
  readonly width: string;
  readonly show: (row: Row) => ReactNode;
  /** `null` = not known: last, whichever way it is sorted. */
  readonly order: (row: Row) => number | string | null;
}

interface DataGridProps<Row> {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly columns: readonly GridColumn<Row>[];
  readonly idOf: (row: Row) => string;
  readonly selectedId: string | null;
  /** The others are faint; `null` = all alike. */
  readonly marked: ReadonlySet<string> | null;
  readonly onSelect: (id: string) => void;
}

const ROW_HEIGHTS = { compact: 28, comfortable: 36 } as const;
const HEAD_HEIGHT = 28;

/** A windowed grid that sorts by its heads: ten thousand rows, some thirty in the page. */
export function DataGrid<Row>({ label, rows, columns, idOf, selectedId, marked, onSelect }: DataGridProps<Row>) {
  const rowHeight = ROW_HEIGHTS[useSetting("display.density")];
  const [sort, setSort] = useState<Sort | null>(null);
  const [activeId, setActiveId] = useState<string | null>(null);
  const prefix = useId();
  const scroller = useRef<HTMLDivElement>(null);
  const sorted = useMemo(() => {
    const column = columns.find(({ key }) => key === sort?.key);
    return column && sort ? sortRows(rows, column.order, sort.isDescending) : rows;
  }, [rows, columns, sort]);
  const { rows: placed, totalHeight } = useWindowedRows({ count: sorted.length, scroller, rowHeight, more: 10 });
  const activeIndex = activeId === null ? -1 : sorted.findIndex((row) => idOf(row) === activeId);
  const goTo = (index: number) => {
    const row = sorted[Math.max(0, Math.min(sorted.length - 1, index))];
    const element = scroller.current;
    if (row === undefined || !element) return;
    setActiveId(idOf(row));
    const top = sorted.indexOf(row) * rowHeight;
    const lowest = top + rowHeight + HEAD_HEIGHT - element.clientHeight;
    element.scrollTop = Math.min(top, Math.max(lowest, element.scrollTop));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget) return;
    const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 400) / rowHeight) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    const step = steps[event.key];
    if (step !== undefined) goTo(activeIndex < 0 ? 0 : activeIndex + step);
    else if (event.key === "Home") goTo(0);
    else if (event.key === "End") goTo(sorted.length - 1);
    else if ((event.key === "Enter" || event.key === " ") && activeId !== null) onSelect(activeId);
    else return;
    event.preventDefault();
  };
  const template = { gridTemplateColumns: columns.map(({ width }) => width).join(" ") };
  const isActiveInPage = placed.some(({ index }) => index === activeIndex);
  return (
    <div
      className="data-grid"
      role="grid"
      aria-label={label}
      aria-rowcount={sorted.length + 1}
      aria-colcount={columns.length}
      aria-activedescendant={isActiveInPage ? `${prefix}-${activeIndex}` : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <div ref={scroller} className="data-grid-scroll scroll" role="presentation">
        <div className="data-grid-head" role="row" aria-rowindex={1} style={template}>
          {columns.map(({ key, name }) => (
            <span
              key={key}
              role="columnheader"
              aria-sort={sort?.key === key ? (sort.isDescending ? "descending" : "ascending") : "none"}
            >
              <button type="button" className="data-grid-sort" onClick={() => setSort(nextSort(sort, key))}>
                {name}
                {sort?.key === key ? <SortArrow isDescending={sort.isDescending} /> : null}
              </button>
            </span>
          ))}
        </div>
        <div className="data-grid-rows" role="rowgroup" style={{ height: totalHeight }}>
          {placed.map(({ index, start }) => {
            const row = sorted[index];
            if (row === undefined) return null;
            const id = idOf(row);
            return (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the grid has the keys (arrows, Home, End, Enter).
              <div
                key={id}
                id={`${prefix}-${index}`}
                className="data-grid-row"
                role="row"
                tabIndex={-1}
                aria-rowindex={index + 2}
                aria-selected={id === selectedId}
                data-active={id === activeId ? "" : undefined}
                data-faded={marked !== null && !marked.has(id) ? "" : undefined}
                style={{ ...template, height: rowHeight, transform: `translateY(${start}px)` }}
                onClick={() => {
                  setActiveId(id);
                  onSelect(id);
                }}
              >
                {columns.map(({ key, show }) => (
                  <span key={key} role="gridcell" className="truncate">
                    {show(row)}
                  </span>
                ))}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

function SortArrow({ isDescending }: { isDescending: boolean }) {
  return isDescending ? <ArrowDown size={12} aria-hidden="true" /> : <ArrowUp size={12} aria-hidden="true" />;
}
