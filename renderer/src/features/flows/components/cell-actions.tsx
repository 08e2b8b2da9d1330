import type { HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { Minus, Plus } from "lucide-react";
import { type ColumnName, isColumnName, type ShownColumn } from "../model/columns.ts";
import { cellOf } from "../model/record-view.ts";

export interface CellPlace {
  readonly rank: number;
  readonly column: ColumnName;
}

interface CellActionsProps {
  readonly place: CellPlace;
  readonly item: HistoryRecord | null;
  readonly top: number;
  readonly height: number;
  readonly right: number;
  readonly onCondition: (term: string, isExcluded: boolean) => void;
}

/** Over the one cell that is pointed at: only this, or not this. The grid has the keys + and - for it. */
export function CellActions({ place, item, top, height, right, onCondition }: CellActionsProps) {
  const term = item ? cellOf(item, place.column).term : undefined;
  if (!term) return null;
  return (
    <div
      className="cell-actions"
      data-rank={place.rank}
      data-column={place.column}
      style={{ height, transform: `translate(${right - 44}px, ${top}px)` }}
      aria-hidden="true"
    >
      <button type="button" tabIndex={-1} title={`Only ${term}`} onClick={() => onCondition(term, false)}>
        <Plus size={12} />
      </button>
      <button type="button" tabIndex={-1} title={`Not ${term}`} onClick={() => onCondition(term, true)}>
        <Minus size={12} />
      </button>
    </div>
  );
}

const PADDING = 16;
const GAP = 12;

/** As in `grid-template-columns`. The last column takes what is left. */
export function templateOf(columns: readonly ShownColumn[]): string {
  return columns
    .map(({ width }, index) => (index === columns.length - 1 ? `minmax(${width}px, 1fr)` : `${width}px`))
    .join(" ");
}

/** The right edge of a column, in pixels of the row. */
export function rightOf(columns: readonly ShownColumn[], name: ColumnName): number {
  let right = PADDING;
  for (const column of columns) {
    right += column.width;
    if (column.name === name) return right;
    right += GAP;
  }
  return right;
}

/** The cell that an event was in; `null` = between them. */
export function placeOf(target: EventTarget): CellPlace | null {
  if (!(target instanceof Element)) return null;
  const column = target.closest<HTMLElement>("[data-column]")?.dataset.column ?? "";
  const rank = Number(target.closest<HTMLElement>("[data-rank]")?.dataset.rank);
  return Number.isSafeInteger(rank) && isColumnName(column) ? { rank, column } : null;
}
