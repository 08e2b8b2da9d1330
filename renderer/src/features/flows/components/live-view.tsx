import type { HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import type { LiveFlow } from "../../../data/flow-buffer.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, FailureNotice, formatCount, formatQuantity, Select, Skeleton } from "../../../ui/index.ts";
import { useFlags } from "../hooks/use-flags.ts";
import { useLiveRows } from "../hooks/use-live-rows.ts";
import { AS_THEY_ARRIVE, type ListOrder, NEWEST_FIRST } from "../hooks/use-ranked-rows.ts";
import { liveObstacle, narrowed, withCondition } from "../model/chips.ts";
import { keepColumns, keptColumns, type ShownColumn } from "../model/columns.ts";
import { rankOf } from "../model/row-list.ts";
import { countOf, NOTHING_SELECTED, only, rankRanges, type Selection } from "../model/selection.ts";
import { ColumnChooser } from "./column-chooser.tsx";
import { FlowInspector } from "./flow-inspector.tsx";
import { FlowsHead } from "./flows-head.tsx";
import { GroupChoice, USUAL_GROUPING } from "./group-choice.tsx";
import { LiveExport } from "./live-export.tsx";
import { LiveFooter } from "./live-footer.tsx";
import { LiveGroups } from "./live-groups.tsx";
import { NoFlows } from "./no-flows.tsx";
import { RecordGrid } from "./record-grid.tsx";
import { SelectionBar } from "./selection-bar.tsx";
import { TimeStrip } from "./time-strip.tsx";
import "./history-view.css";

type Face = "rows" | "groups";
const FACES = [
  { value: "rows", label: "Rows" },
  { value: "groups", label: "Groups" },
] as const;

/** Live flows: what was decided, by which rule, and for whom. The newest rows, as bounded as the window. */
export function LiveView() {
  const { connection } = useConsole();
  const { selectedFlowId, set, isFrozen, flowText, markedRange } = useWindow();
  const [columns, setColumns] = useState(keptColumns);
  const [asked, setAsked] = useState<ListOrder>(AS_THEY_ARRIVE);
  // Only a list that stands still can be sorted.
  const order = isFrozen ? asked : AS_THEY_ARRIVE;
  useEffect(() => {
    // The next time that it stands still it begins as it was.
    if (!isFrozen) setAsked(AS_THEY_ARRIVE);
  }, [isFrozen]);
  const [face, setFace] = useState<Face>("rows");
  const [grouping, setGrouping] = useState(USUAL_GROUPING);
  const [selection, setSelection] = useState<Selection>(NOTHING_SELECTED);
  /** Kept as it was chosen: its group may have grown beyond it. */
  const [inGroups, setInGroups] = useState<LiveFlow | null>(null);
  const [view, setView] = useState({ first: 0, rows: 0 });
  const [jump, setJump] = useState<{ readonly rank: number; readonly serial: number } | null>(null);
  const list = useLiveRows(order);
  const { buffer, rows, stream, serial } = list;
  const flagOf = useFlags();
  const obstacle = useMemo(() => liveObstacle(flowText), [flowText]);
  useEffect(() => {
    if (obstacle === null) connection.askLive({ text: flowText });
  }, [connection, flowText, obstacle]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: keys mean the rows of one list.
  useEffect(() => setSelection(NOTHING_SELECTED), [serial]);
  // Whoever points here from elsewhere names a flow.
  useEffect(() => {
    const rank = selectedFlowId === null ? -1 : rows.findIndex((row) => row.id === selectedFlowId);
    if (rank < 0) {
      // It is not, or no longer, among the newest: nobody is to be taken there later.
      if (selectedFlowId !== null && rows.length > 0) set({ selectedFlowId: null });
      return;
    }
    setSelection(only(list.keyAt(rank)));
    setJump((former) => ({ rank, serial: (former?.serial ?? 0) + 1 }));
    set({ selectedFlowId: null });
  }, [selectedFlowId, rows, list.keyAt, set]);

  const choose = useCallback((next: readonly ShownColumn[]) => {
    setColumns(next);
    keepColumns(next);
  }, []);
  const ask = useCallback((text: string) => set({ flowText: text }), [set]);
  const addCondition = useCallback((term: string, isExcluded: boolean) => {
    const { flowText: current, set: change } = useWindow.getState();
    change({ flowText: withCondition(current, term, isExcluded) });
  }, []);
  const sortBy = (next: ListOrder) => {
    setAsked(next);
    set({ isFrozen: true });
  };
  /** Views that are kept say "newest first" where nobody sorted: that holds nothing still. */
  const orderOfView = (next: ListOrder) => {
    if (next.sort !== NEWEST_FIRST.sort || next.isAscending) sortBy(next);
  };
  const showAll = useCallback((term: string) => {
    const { flowText: current, set: change } = useWindow.getState();
    change({ flowText: narrowed(current, term) });
    setFace("rows");
  }, []);
  const latestRows = useRef(rows);
  latestRows.current = rows;
  const selectInGroups = useCallback((item: HistoryRecord | null) => {
    setInGroups(item === null ? null : (latestRows.current.find((row) => String(row.id) === item.id) ?? null));
  }, []);
  const mark = useCallback(
    (fromMs: number, untilMs: number) => set({ flowsMode: "history", markedRange: { fromMs, untilMs } }),
    [set],
  );
  const noteView = useCallback((first: number, inView: number) => setView({ first, rows: inView }), []);
  const readSelected = useCallback(
    async (limit: number): Promise<readonly HistoryRecord[]> => {
      const found: HistoryRecord[] = [];
      for (const [from, until] of rankRanges(selection, list)) {
        for (let rank = from; rank < until && found.length < limit; rank++) {
          const item = list.rowAt(rank);
          if (item) found.push(item);
        }
      }
      return found;
    },
    [selection, list],
  );
  const count = countOf(selection, list);
  const leadRank = count === 1 && selection.lead !== null ? rankOf(list, selection.lead) : -1;
  const selected = face === "rows" ? (rows[leadRank] ?? null) : inGroups;
  const isEmpty = obstacle !== null || !buffer || rows.length === 0;
  return (
    <div className="flows" data-inspector={selected ? "" : undefined}>
      <div className="flows-main">
        <FlowsHead columns={columns} onColumns={choose} order={NEWEST_FIRST} onOrder={orderOfView} onAsk={ask} />
        {obstacle === null ? <TimeStrip buffer={buffer} isFrozen={isFrozen} onMark={mark} /> : null}
        <div className="history-place">
          <Select label="Show" isLabelHidden value={face} onChange={setFace} choices={FACES} />
          {face === "groups" ? <GroupChoice grouping={grouping} onGrouping={setGrouping} /> : null}
          {face === "rows" && !isEmpty ? (
            <span>
              {formatCount(view.first + 1)}–{formatCount(Math.min(rows.length, view.first + view.rows))} of{" "}
              {formatQuantity(rows.length, "row")}
              {order === AS_THEY_ARRIVE ? ", last to arrive first" : ""}
            </span>
          ) : null}
          {face === "rows" && view.first > 0 ? (
            <Button size="small" onPress={() => setJump((former) => ({ rank: 0, serial: (former?.serial ?? 0) + 1 }))}>
              To the top
            </Button>
          ) : null}
          <span className="flows-space" />
          {markedRange ? (
            <Button size="small" onPress={() => set({ flowsMode: "history" })}>
              The marked time is in the history
            </Button>
          ) : null}
          <ColumnChooser columns={columns} onColumns={choose} />
          <LiveExport rows={isEmpty ? [] : rows} columns={columns} />
        </div>
        {obstacle !== null ? (
          <div className="flows-failure">
            <FailureNotice failure={obstacle} title="The query cannot be read" />
          </div>
        ) : isEmpty ? (
          <div className="flows-empty">
            {buffer ? (
              <NoFlows hasFilter={flowText !== ""} />
            ) : stream.failure ? (
              <div className="flows-failure">
                <FailureNotice
                  failure={stream.failure}
                  title="No flows from the backend"
                  onRetry={() => connection.flows.restart({ forget: false })}
                />
              </div>
            ) : (
              <Skeleton rows={14} label="Asking for the newest flows" />
            )}
          </div>
        ) : face === "rows" ? (
          <RecordGrid
            label={order === AS_THEY_ARRIVE ? "Flows, last to arrive first" : "Flows"}
            list={list}
            columns={columns}
            onColumns={choose}
            order={order}
            onOrder={sortBy}
            selection={selection}
            onSelection={setSelection}
            onCondition={addCondition}
            flagOf={flagOf}
            jump={jump}
            onFirst={noteView}
          />
        ) : (
          <LiveGroups
            key={`${grouping.by.join()} ${grouping.measure}`}
            rows={rows}
            grouping={grouping}
            columns={columns}
            flagOf={flagOf}
            onCondition={addCondition}
            selectedId={inGroups === null ? null : String(inGroups.id)}
            onSelect={selectInGroups}
            onShowAll={showAll}
          />
        )}
        {face === "rows" && count > 1 ? (
          <SelectionBar
            count={count}
            columns={columns}
            read={readSelected}
            onClear={() => setSelection(NOTHING_SELECTED)}
          />
        ) : null}
        {obstacle === null ? <LiveFooter list={list} /> : null}
      </div>
      {selected ? (
        <FlowInspector
          key={String(selected.id)}
          flow={selected}
          flagOf={flagOf}
          onCondition={addCondition}
          onClose={() => {
            setSelection(NOTHING_SELECTED);
            setInGroups(null);
          }}
        />
      ) : null}
    </div>
  );
}
