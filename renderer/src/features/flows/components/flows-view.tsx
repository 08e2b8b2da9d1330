import { ListFilter, Pause, Play } from "lucide-react";
import { lazy, Suspense } from "react";
import { useConsole, useHostsStream } from "../../../data/context.tsx";
import { EMPTY_FLOW_QUERY, FLOW_BUFFER_ROWS } from "../../../data/flow-buffer.ts";
import { isConnected, isObserveOnly } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  EmptyState,
  FailureNotice,
  formatClock,
  formatCount,
  formatQuantity,
  formatRate,
  Skeleton,
  visibleText,
} from "../../../ui/index.ts";
import { useShownFlows } from "../hooks/use-shown-flows.ts";
import { termsOf } from "../model/filter-query.ts";
import { FilterBar } from "./filter-bar.tsx";
import { FlowInspector } from "./flow-inspector.tsx";
import { FlowTable } from "./flow-table.tsx";
import { TimeStrip } from "./time-strip.tsx";
import "./flows-view.css";

const HistoryView = lazy(() => import("./history-view.tsx").then((module) => ({ default: module.HistoryView })));
const MODES = [
  { mode: "live", name: "Live" },
  { mode: "history", name: "History" },
] as const;

/** What is decided now, or what was recorded over months. */
export function FlowsView() {
  const { flowsMode, set } = useWindow();
  return (
    <div className="flows-frame">
      <nav className="view-tabs" aria-label="Time of the flows">
        {MODES.map(({ mode, name }) => (
          <button
            key={mode}
            type="button"
            className="view-tab"
            aria-current={mode === flowsMode ? "page" : undefined}
            onClick={() => set({ flowsMode: mode })}
          >
            {name}
          </button>
        ))}
      </nav>
      {flowsMode === "live" ? (
        <LiveFlows />
      ) : (
        <Suspense fallback={<Skeleton rows={12} label="Opening the history" />}>
          <HistoryView />
        </Suspense>
      )}
    </div>
  );
}

/** Live flows: what was decided, by which rule, and for whom. */
function LiveFlows() {
  const { connection } = useConsole();
  const { stream, buffer, heldBack, frozenAtMs } = useShownFlows();
  const { selectedFlowId, set, isFrozen, flowQuery } = useWindow();
  const rows = buffer?.rows ?? [];
  const selected = selectedFlowId === null ? null : (rows.find((row) => row.id === selectedFlowId) ?? null);
  return (
    <div className="flows" data-inspector={selected ? "" : undefined}>
      <div className="flows-main">
        <FilterBar />
        <TimeStrip buffer={buffer} isFrozen={isFrozen} />
        {buffer && rows.length > 0 ? (
          <FlowTable rows={rows} received={buffer.received} />
        ) : (
          <div className="flows-empty">
            {buffer ? (
              <NoFlows hasFilter={termsOf(flowQuery).length > 0} />
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
        )}
        <footer className="flows-footer">
          <span>
            {formatQuantity(rows.length, "row")}
            {rows.length >= FLOW_BUFFER_ROWS
              ? " · the newest that the window holds; narrow the filter to see older ones"
              : ""}
          </span>
          {buffer ? <span>{formatRate(stream.value?.ratePerSecond ?? 0)} before the filter</span> : null}
          <Losses />
          <span className="flows-space" />
          {frozenAtMs === null ? (
            stream.status === "live" ? (
              <span className="flows-live">live</span>
            ) : (
              <span className="flows-stale">
                {stream.status === "stale" ? "stream interrupted: these rows are old" : "connecting"}
              </span>
            )
          ) : (
            <>
              <span className="flows-frozen">
                frozen at {formatClock(frozenAtMs)}
                {heldBack > 0 ? ` · ${formatCount(heldBack)} newer held back` : ""}
              </span>
              <Button
                size="small"
                icon={<Play size={12} aria-hidden="true" />}
                onPress={() => set({ isFrozen: false })}
              >
                Resume
              </Button>
            </>
          )}
        </footer>
      </div>
      {selected ? (
        <FlowInspector key={String(selected.id)} flow={selected} onClose={() => set({ selectedFlowId: null })} />
      ) : null}
    </div>
  );

  function Losses() {
    const losses = buffer?.losses;
    if (!losses) return null;
    const parts = [
      losses.rateLimited > 0n ? `${formatCount(losses.rateLimited)} not shown (rate limit)` : "",
      losses.ringFull > 0n ? `${formatCount(losses.ringFull)} not shown (kernel buffer full)` : "",
      losses.readerLag > 0n ? `${formatCount(losses.readerLag)} not shown (window too slow)` : "",
      losses.notFollowed > 0n ? `${formatCount(losses.notFollowed)} shown without their end (flow table full)` : "",
    ].filter(Boolean);
    return parts.length === 0 ? (
      <span className="faint">nothing left out</span>
    ) : (
      <span className="flows-losses">{parts.join(" · ")}</span>
    );
  }
}

/** Why there is nothing to see: no agent, a backend that sees nothing, a filter, or simply no traffic yet. */
function NoFlows({ hasFilter }: { hasFilter: boolean }) {
  const { set, openHost } = useWindow();
  const hosts = useHostsStream().value?.hosts ?? [];
  const silent = hosts.find((host) => !isConnected(host));
  const observing = hosts.find(isObserveOnly);
  const picture = <Pause size={36} strokeWidth={1.2} />;
  if (hasFilter) {
    return (
      <EmptyState
        picture={<ListFilter size={36} strokeWidth={1.2} />}
        title="No flow matches the filter"
        action={<Button onPress={() => set({ flowQuery: EMPTY_FLOW_QUERY })}>Clear the filter</Button>}
      >
        New ones appear here as soon as they match.
      </EmptyState>
    );
  }
  if (silent) {
    return (
      <EmptyState
        picture={picture}
        title={`No flows: ${visibleText(silent.name)} is not heard`}
        action={<Button onPress={() => openHost(silent.id)}>See why</Button>}
      >
        {visibleText(silent.problem?.message ?? "The agent does not answer.")}
      </EmptyState>
    );
  }
  if (observing) {
    return (
      <EmptyState
        picture={picture}
        title="This backend cannot see flows"
        action={<Button onPress={() => openHost(observing.id)}>See what is missing</Button>}
      >
        {visibleText(observing.name)} runs the observe backend: without a program in the kernel there is nothing that
        could report a flow.
      </EmptyState>
    );
  }
  return (
    <EmptyState picture={picture} title="No flows yet">
      Every new connection of a host with an applied policy appears here, with the rule that decided. Apply a policy, in
      observe mode if you like, to begin.
    </EmptyState>
  );
}
