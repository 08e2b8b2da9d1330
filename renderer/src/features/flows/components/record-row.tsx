// biome-ignore-all lint/a11y/useSemanticElements: see record-grid.tsx.
// biome-ignore-all lint/a11y/useFocusableInteractive: see record-grid.tsx.
import type { HistoryGap, HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { memo } from "react";
import { VerdictMark, visibleText } from "../../../ui/index.ts";
import { COLUMNS, type ColumnName, type ShownColumn } from "../model/columns.ts";
import { gapText } from "../model/gaps.ts";
import { type CellView, cellOf } from "../model/record-view.ts";

interface RecordRowProps {
  /** `null` while it is read. */
  readonly item: HistoryRecord | null;
  readonly rank: number;
  readonly top: number;
  readonly height: number;
  readonly template: string;
  readonly columns: readonly ShownColumn[];
  readonly isSelected: boolean;
  readonly activeColumn: ColumnName | null;
  /** What is missing between this row and the one above. */
  readonly gap: HistoryGap | null;
  readonly onSelect: (rank: number) => void;
}

export const RecordRow = memo(function RecordRow(props: RecordRowProps) {
  const { item, rank, top, height, template, columns, isSelected, activeColumn, gap, onSelect } = props;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid has the keys.
    <div
      className="record-row"
      role="row"
      tabIndex={-1}
      aria-rowindex={rank + 2}
      aria-selected={isSelected}
      aria-busy={item === null}
      aria-description={gap ? `After something that is missing: ${gapText(gap)}` : undefined}
      style={{ height, gridTemplateColumns: template, transform: `translateY(${top}px)` }}
      onClick={() => onSelect(rank)}
    >
      {columns.map(({ name }) => (
        <span
          key={name}
          id={activeColumn === name ? `record-${rank}-${name}` : undefined}
          role="gridcell"
          className="record-cell truncate"
          data-number={COLUMNS[name].isNumber ? "" : undefined}
          data-active={activeColumn === name ? "" : undefined}
          data-rank={rank}
          data-column={name}
        >
          {item === null ? <span className="record-waiting" /> : <Cell cell={cellOf(item, name)} />}
        </span>
      ))}
      {gap ? (
        <span aria-hidden="true" className="record-gap truncate">
          {visibleText(gapText(gap))}
        </span>
      ) : null}
    </div>
  );
});

function Cell({ cell: { text, detail, isCode, isFaint, verdict } }: { cell: CellView }) {
  if (verdict) return <VerdictMark verdict={verdict} words={text} />;
  return (
    <>
      <span className={isFaint ? "faint" : isCode ? "code" : undefined}>{visibleText(text)}</span>
      {detail ? <span className="code faint"> {visibleText(detail)}</span> : null}
    </>
  );
}
