// biome-ignore-all lint/a11y/useSemanticElements: see record-grid.tsx.
// biome-ignore-all lint/a11y/useFocusableInteractive: see record-grid.tsx.
import type { HistoryGap, HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { Flag } from "lucide-react";
import { type MouseEvent, memo } from "react";
import { flowVerdict } from "../../../data/flow-buffer.ts";
import { VerdictMark, visibleText } from "../../../ui/index.ts";
import { COLUMNS, type ColumnName, type ShownColumn } from "../model/columns.ts";
import { gapText } from "../model/gaps.ts";
import { type CellView, cellOf } from "../model/record-view.ts";

export interface RecordRowProps {
  /** `null` while it is read. */
  readonly item: HistoryRecord | null;
  readonly rank: number;
  readonly top: number;
  readonly height: number;
  readonly template: string;
  readonly columns: readonly ShownColumn[];
  readonly isSelected: boolean;
  readonly activeColumn: ColumnName | null;
  /** Of the cell that the grid points at. */
  readonly cellId: string;
  /** What is missing between this row and the one above. */
  readonly gap?: HistoryGap | null;
  /** The finding that the row is evidence of, in words. */
  readonly flag?: string | undefined;
  /** In a list of groups: below one of them. */
  readonly level?: number;
  readonly onPress: (rank: number, event: MouseEvent) => void;
}

export const RecordRow = memo(function RecordRow(props: RecordRowProps) {
  const { item, rank, top, height, template, columns, isSelected, activeColumn, cellId, gap, flag, level } = props;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid has the keys.
    <div
      className="record-row"
      role="row"
      tabIndex={-1}
      aria-rowindex={rank + 2}
      aria-selected={isSelected}
      aria-level={level}
      aria-busy={item === null}
      aria-description={gap ? `After something that is missing: ${gapText(gap)}` : undefined}
      data-rank={rank}
      data-verdict={item?.record ? flowVerdict(item.record) : undefined}
      style={{ height, gridTemplateColumns: template, transform: `translateY(${top}px)` }}
      onClick={(event) => props.onPress(rank, event)}
    >
      <Cells item={item} columns={columns} activeColumn={activeColumn} cellId={cellId} />
      {flag === undefined ? null : (
        <span className="record-flag" title={`Part of a finding: ${visibleText(flag)}`}>
          <Flag size={11} aria-hidden="true" />
          <span className="visually-hidden">part of a finding</span>
        </span>
      )}
      {gap ? (
        <span aria-hidden="true" className="record-gap truncate">
          {visibleText(gapText(gap))}
        </span>
      ) : null}
    </div>
  );
});

type CellsProps = Pick<RecordRowProps, "item" | "columns" | "activeColumn" | "cellId">;

/** A row that only moves keeps its cells. */
const Cells = memo(function Cells({ item, columns, activeColumn, cellId }: CellsProps) {
  return columns.map(({ name }) => (
    <span
      key={name}
      id={activeColumn === name ? cellId : undefined}
      role="gridcell"
      className="record-cell truncate"
      data-number={COLUMNS[name].isNumber ? "" : undefined}
      data-active={activeColumn === name ? "" : undefined}
      data-column={name}
    >
      {item === null ? <span className="record-waiting" /> : <Cell cell={cellOf(item, name)} />}
    </span>
  ));
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
