import { Suspense, useCallback, useMemo, useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { Button, lazyPart, Moment, Select } from "../../../ui/index.ts";
import { useFlags } from "../hooks/use-flags.ts";
import { type ListOrder, NEWEST_FIRST } from "../hooks/use-ranked-rows.ts";
import { narrowed, withCondition } from "../model/chips.ts";
import { keepColumns, keptColumns, type ShownColumn } from "../model/columns.ts";
import { withTerm } from "../model/history.ts";
import type { HistoryRange } from "../model/history-range.ts";
import { FlowsHead } from "./flows-head.tsx";
import { GroupChoice, USUAL_GROUPING } from "./group-choice.tsx";
import { HistoryGroups } from "./history-groups.tsx";
import { HistoryRecords } from "./history-records.tsx";
import { HistoryStatusLine } from "./history-status-line.tsx";
import { MapChanges } from "./map-changes.tsx";
import "./history-view.css";

const HistoryChart = lazyPart(() => import("./history-chart.tsx").then((module) => ({ default: module.HistoryChart })));

type Face = "records" | "groups" | "changes";
const FACES = [
  { value: "records", label: "Records" },
  { value: "groups", label: "Groups" },
  { value: "changes", label: "What changed" },
] as const;

/** Asked anew only when the range moves by this: every second would be another question. */
const STEP_MS = 10_000;

/** What was recorded over months: a question, when it was, and the answer as rows, sums or changes. */
export function HistoryView() {
  const { flowText, scopeHostId, lastMs, markedRange: marked, set } = useWindow();
  const nowMs = useConsoleNow();
  const [face, setFace] = useState<Face>("records");
  const [grouping, setGrouping] = useState(USUAL_GROUPING);
  const [columns, setColumns] = useState(keptColumns);
  const [order, setOrder] = useState<ListOrder>(NEWEST_FIRST);
  const [asked, setAsked] = useState(() => Math.ceil(nowMs / STEP_MS) * STEP_MS);
  // Kept while they are the same: the rows under them are many, and the clock of this view ticks.
  const sinceMs = marked ? marked.fromMs : lastMs === null ? null : asked - lastMs;
  const untilMs = marked ? marked.untilMs : null;
  const range = useMemo((): HistoryRange => ({ sinceMs, untilMs }), [sinceMs, untilMs]);
  const drawn = useMemo((): HistoryRange => ({ sinceMs, untilMs: untilMs ?? asked }), [sinceMs, untilMs, asked]);
  const text = scopeHostId === null ? flowText : withTerm(flowText, `host:${scopeHostId}`);
  const mark = useCallback((fromMs: number, toMs: number) => set({ markedRange: { fromMs, untilMs: toMs } }), [set]);
  const askNow = useCallback(() => setAsked(Math.ceil(Date.now() / STEP_MS) * STEP_MS), []);
  const ask = useCallback(
    (next: string) => {
      askNow();
      set({ flowText: next });
    },
    [askNow, set],
  );
  const addCondition = useCallback((term: string, isExcluded: boolean) => {
    const { flowText: current, set: change } = useWindow.getState();
    change({ flowText: withCondition(current, term, isExcluded) });
  }, []);
  const showAll = useCallback((term: string) => {
    const { flowText: current, set: change } = useWindow.getState();
    change({ flowText: narrowed(current, term) });
    setFace("records");
  }, []);
  // The rows are what somebody waits for: the chart above them asks when they are there.
  const [settled, setSettled] = useState<{ readonly text: string; readonly range: HistoryRange } | null>(null);
  const noteSettled = useCallback((of: string, when: HistoryRange) => setSettled({ text: of, range: when }), []);
  const isHeld = face === "records" && (settled?.text !== text || settled.range !== range);
  const flagOf = useFlags();
  const chooseColumns = useCallback((next: readonly ShownColumn[]) => {
    setColumns(next);
    keepColumns(next);
  }, []);
  return (
    <div className="history">
      <FlowsHead columns={columns} onColumns={chooseColumns} order={order} onOrder={setOrder} onAsk={ask} />
      <Suspense fallback={<div className="history-chart-place" />}>
        <HistoryChart text={text} range={drawn} isHeld={isHeld} onMark={mark} />
      </Suspense>
      <div className="history-bar">
        <Select label="Show" isLabelHidden value={face} onChange={setFace} choices={FACES} />
        {face === "groups" ? <GroupChoice grouping={grouping} onGrouping={setGrouping} /> : null}
        <span className="soft">
          {sinceMs === null ? "everything kept" : <Moment timeMs={sinceMs} form="full" />} to{" "}
          {untilMs === null ? (
            <>
              now (asked <Moment timeMs={asked} form="full" />)
            </>
          ) : (
            <Moment timeMs={untilMs} form="full" />
          )}
        </span>
        {marked ? (
          <Button size="small" onPress={() => set({ markedRange: null })}>
            Back to the window's time range
          </Button>
        ) : (
          <Button size="small" onPress={askNow}>
            Up to now
          </Button>
        )}
      </div>
      <div className="history-face">
        {face === "records" ? (
          <HistoryRecords
            text={text}
            range={range}
            asked={asked}
            columns={columns}
            onColumns={chooseColumns}
            order={order}
            onOrder={setOrder}
            onCondition={addCondition}
            onAsk={ask}
            onNewer={askNow}
            onSettled={noteSettled}
            flagOf={flagOf}
          />
        ) : null}
        {face === "groups" ? (
          <HistoryGroups
            text={text}
            range={drawn}
            grouping={grouping}
            columns={columns}
            flagOf={flagOf}
            onCondition={addCondition}
            onShowAll={showAll}
            onAsk={ask}
          />
        ) : null}
        {face === "changes" ? <MapChanges text={text} range={drawn} /> : null}
      </div>
      <HistoryStatusLine />
    </div>
  );
}
