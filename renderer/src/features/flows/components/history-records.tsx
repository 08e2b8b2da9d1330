import { type HistoryRecord, RecordSort } from "@wardline/api/wardline/console/v1/history";
import { Download, ListFilter } from "lucide-react";
import { memo, useCallback, useEffect, useState } from "react";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  EmptyState,
  FailureNotice,
  formatCount,
  formatQuantity,
  Skeleton,
  visibleText,
} from "../../../ui/index.ts";
import type { FlagOf } from "../hooks/use-flags.ts";
import { type ListOrder, type RankedRows, useRankedRows } from "../hooks/use-ranked-rows.ts";
import type { ShownColumn } from "../model/columns.ts";
import { searchedText } from "../model/history.ts";
import type { HistoryRange } from "../model/history-range.ts";
import { countOf, NOTHING_SELECTED, rankRanges, type Selection } from "../model/selection.ts";
import { ColumnChooser } from "./column-chooser.tsx";
import { ExportSheet } from "./export-sheet.tsx";
import { GapList } from "./gap-list.tsx";
import { JumpToTime } from "./jump-to-time.tsx";
import { RecordGrid } from "./record-grid.tsx";
import { RecordInspector } from "./record-inspector.tsx";
import { SelectionBar } from "./selection-bar.tsx";

interface HistoryRecordsProps {
  readonly text: string;
  readonly range: HistoryRange;
  readonly asked: number;
  readonly columns: readonly ShownColumn[];
  readonly onColumns: (columns: readonly ShownColumn[]) => void;
  readonly order: ListOrder;
  readonly onOrder: (order: ListOrder) => void;
  readonly onCondition: (term: string, isExcluded: boolean) => void;
  readonly onAsk: (text: string) => void;
  readonly onNewer: () => void;
  /** The rows of this question are there, or will not come. */
  readonly onSettled: (text: string, range: HistoryRange) => void;
  readonly flagOf: FlagOf;
}

/** All records that match as one list, with what stands behind it and what can be made of it. */
export const HistoryRecords = memo(function HistoryRecords(props: HistoryRecordsProps) {
  const { text, range, asked, columns, onColumns, order, onOrder, onCondition, onAsk, onNewer, onSettled, flagOf } =
    props;
  const list = useRankedRows(text, range, order, asked);
  const { rowCount, listed, isRunning, isSettled, failure, serial, rowAt, readRanks } = list;
  useEffect(() => {
    if (isSettled) onSettled(text, range);
  }, [isSettled, text, range, onSettled]);
  const [chosen, setChosen] = useState<{ readonly serial: number; readonly selection: Selection } | null>(null);
  const [jump, setJump] = useState<{ readonly rank: number; readonly serial: number } | null>(null);
  const [view, setView] = useState({ first: 0, rows: 0 });
  const [isExporting, setExporting] = useState(false);
  // Of another list the same ranks are other rows.
  const selection = chosen?.serial === serial ? chosen.selection : NOTHING_SELECTED;
  const count = countOf(selection, list);
  const item = count === 1 && selection.lead !== null ? rowAt(selection.lead) : null;
  const select = useCallback((next: Selection) => setChosen({ serial, selection: next }), [serial]);
  const readSelected = useCallback(
    async (limit: number, signal: AbortSignal) => {
      const found: HistoryRecord[] = [];
      for (const [from, until] of rankRanges(selection, list)) {
        const left = limit - found.length;
        if (left > 0) found.push(...(await readRanks(from, Math.min(until, from + left), signal)));
      }
      return found;
    },
    [selection, list, readRanks],
  );
  const noteView = useCallback((first: number, rows: number) => setView({ first, rows }), []);
  const goTo = useCallback((rank: number) => setJump((former) => ({ rank, serial: (former?.serial ?? 0) + 1 })), []);
  const goToTime = async (timeMs: number) => {
    const rank = await list.rankAt(timeMs).catch(() => null);
    if (rank !== null) goTo(rank);
  };
  return (
    <div className="history-main" data-inspector={item ? "" : undefined}>
      <div className="history-list">
        <div className="history-place">
          <Place list={list} view={view} />
          <span className="flows-space" />
          <Newer count={list.newer} onNewer={onNewer} />
          <JumpToTime isDisabled={order.sort !== RecordSort.TIME} onGo={(timeMs) => void goToTime(timeMs)} />
          <ColumnChooser columns={columns} onColumns={onColumns} />
          <Button
            size="small"
            icon={<Download size={12} aria-hidden="true" />}
            isDisabled={rowCount === 0}
            onPress={() => setExporting(true)}
          >
            Export…
          </Button>
        </div>
        {failure ? <FailureNotice failure={failure} title="The history cannot answer that" onRetry={onNewer} /> : null}
        {serial === 0 && isRunning ? <Skeleton rows={8} label="Searching the history" /> : null}
        {listed === 0 && !isRunning && !failure ? (
          <EmptyState
            picture={<ListFilter size={36} strokeWidth={1.2} />}
            title="No record matches in this time range"
            action={<Button onPress={() => onAsk("")}>Show every record</Button>}
          >
            Take away a condition, or choose a longer time range in the top bar.
          </EmptyState>
        ) : null}
        {listed > 0 ? (
          <RecordGrid
            label="Records"
            list={list}
            columns={columns}
            onColumns={onColumns}
            order={order}
            onOrder={onOrder}
            selection={selection}
            onSelection={select}
            onCondition={onCondition}
            flagOf={flagOf}
            jump={jump}
            onFirst={noteView}
          />
        ) : null}
        {count > 1 ? (
          <SelectionBar count={count} columns={columns} read={readSelected} onClear={() => select(NOTHING_SELECTED)} />
        ) : null}
        <p className="history-searched">
          {list.searched ? searchedText(list.searched) : ""}
          {(list.searched?.gaps ?? []).map((gap) => (
            <span key={gap} className="history-gap">
              {" "}
              · {visibleText(gap)}
            </span>
          ))}{" "}
          <GapList gaps={list.gaps} onGo={(timeMs) => void goToTime(timeMs)} />
        </p>
      </div>
      {item ? (
        <RecordInspector
          key={item.id}
          item={item}
          flagOf={flagOf}
          onClose={() => select(NOTHING_SELECTED)}
          onAsk={onAsk}
        />
      ) : null}
      {isExporting ? (
        <ExportSheet
          text={text}
          range={range}
          order={order}
          columns={columns}
          rowCount={rowCount}
          onClose={() => setExporting(false)}
        />
      ) : null}
    </div>
  );
});

/** Which rows are seen, of how many. Said aloud once for a list, not for each step of scrolling. */
function Place({ list, view }: { list: RankedRows; view: { readonly first: number; readonly rows: number } }) {
  const { rowCount, listed, serial } = list;
  if (serial === 0) return null;
  const last = Math.min(listed, view.first + view.rows);
  return (
    <>
      <span className="visually-hidden" aria-live="polite">
        {formatQuantity(rowCount, "row")}
      </span>
      <span>
        {listed === 0 ? "0" : `${formatCount(view.first + 1)}–${formatCount(last)}`} of{" "}
        {formatQuantity(rowCount, "row")}
        {listed < rowCount ? `, of which the newest ${formatCount(listed)} are in the list` : ""}
      </span>
    </>
  );
}

/** The list stays as it is until somebody asks for what waits. */
function Newer({ count, onNewer }: { count: number; onNewer: () => void }) {
  const isFrozen = useWindow((state) => state.isFrozen);
  if (count === 0) return isFrozen ? <span className="flows-frozen">frozen</span> : null;
  return (
    <Button size="small" onPress={onNewer}>
      {isFrozen ? "Frozen: " : ""}
      {formatCount(count)} newer {count === 1 ? "waits" : "wait"}
    </Button>
  );
}
