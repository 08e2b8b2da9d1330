import { Suspense } from "react";
import type { FlowsMode } from "../../../data/window-store.ts";
import { useWindow } from "../../../data/window-store.ts";
import { lazyPart, Skeleton, Tabs } from "../../../ui/index.ts";
import "./flows-view.css";

// Both read the query language, which the rest of the window does without.
const LiveView = lazyPart(() => import("./live-view.tsx").then((module) => ({ default: module.LiveView })));
const HistoryView = lazyPart(() => import("./history-view.tsx").then((module) => ({ default: module.HistoryView })));
const MODES = [
  { value: "live", label: "Live" },
  { value: "history", label: "History" },
] as const;

/** What is decided now, or what was recorded over months: one question, asked of either. */
export function FlowsView() {
  const { flowsMode, set } = useWindow();
  return (
    <div className="flows-frame">
      <Tabs<FlowsMode>
        label="Time of the flows"
        value={flowsMode}
        tabs={MODES}
        onChange={(mode) => set({ flowsMode: mode })}
      >
        <Suspense
          fallback={
            <Skeleton rows={14} label={flowsMode === "live" ? "Opening the live flows" : "Opening the history"} />
          }
        >
          {flowsMode === "live" ? <LiveView /> : <HistoryView />}
        </Suspense>
      </Tabs>
    </div>
  );
}
