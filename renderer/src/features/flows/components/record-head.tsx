// biome-ignore-all lint/a11y/useSemanticElements: see record-grid.tsx.
// biome-ignore-all lint/a11y/useFocusableInteractive: see record-grid.tsx.
import { ArrowDown, ArrowUp } from "lucide-react";
import type { PointerEvent } from "react";
import type { ListOrder } from "../hooks/use-ranked-rows.ts";
import { COLUMNS, resized, type ShownColumn } from "../model/columns.ts";

interface RecordHeadProps {
  readonly columns: readonly ShownColumn[];
  readonly onColumns: (columns: readonly ShownColumn[]) => void;
  readonly order: ListOrder;
  readonly onOrder: (order: ListOrder) => void;
  readonly template: string;
}

/** Names of the columns: press one to sort by it, drag its edge to make it wider. */
export function RecordHead({ columns, onColumns, order, onOrder, template }: RecordHeadProps) {
  return (
    <div className="record-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
      {columns.map((column) => {
        const { title, sort, whyNot, isNumber } = COLUMNS[column.name];
        const isSorted = sort !== null && sort === order.sort;
        return (
          <span
            key={column.name}
            role="columnheader"
            className="record-title"
            data-number={isNumber ? "" : undefined}
            aria-sort={isSorted ? (order.isAscending ? "ascending" : "descending") : undefined}
          >
            {sort === null ? (
              <span className="truncate" title={whyNot}>
                {title}
              </span>
            ) : (
              <button
                type="button"
                className="record-sort truncate"
                onClick={() => onOrder({ sort, isAscending: isSorted ? !order.isAscending : isText(column.name) })}
              >
                {title}
                {isSorted ? order.isAscending ? <ArrowUp size={11} /> : <ArrowDown size={11} /> : null}
              </button>
            )}
            <Edge column={column} columns={columns} onColumns={onColumns} />
          </span>
        );
      })}
    </div>
  );
}

/** Times and numbers are wanted from the newest and largest; names from A. */
export function isText(name: ShownColumn["name"]): boolean {
  return name !== "when" && !COLUMNS[name].isNumber;
}

function Edge({
  column,
  columns,
  onColumns,
}: Pick<RecordHeadProps, "columns" | "onColumns"> & { column: ShownColumn }) {
  const onPointerDown = (event: PointerEvent<HTMLSpanElement>) => {
    const target = event.currentTarget;
    const startX = event.clientX;
    target.setPointerCapture(event.pointerId);
    const move = (moved: globalThis.PointerEvent) =>
      onColumns(resized(columns, column.name, column.width + moved.clientX - startX));
    const end = () => target.removeEventListener("pointermove", move);
    target.addEventListener("pointermove", move);
    target.addEventListener("lostpointercapture", end, { once: true });
    event.preventDefault();
  };
  return <span className="record-edge" aria-hidden="true" onPointerDown={onPointerDown} />;
}
