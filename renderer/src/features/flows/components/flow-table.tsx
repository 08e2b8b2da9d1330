// biome-ignore-all lint/a11y/useSemanticElements: a windowed table of absolutely placed rows cannot be a <table>; the ARIA grid roles say the same.
// biome-ignore-all lint/a11y/useFocusableInteractive: focus stays on the grid, which names its active row (aria-activedescendant).
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type Flow, FlowHook } from "@wardline/api/wardline/v1/flow";
import { Direction } from "@wardline/api/wardline/v1/policy";
import { type KeyboardEvent, type MouseEvent, memo, useLayoutEffect, useRef } from "react";
import { flowVerdict } from "../../../data/flow-buffer.ts";
import { useSetting } from "../../../data/settings.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  formatClockMs,
  formatProtocolPort,
  shortKey,
  VERDICT_WORDS,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { addTerm, type FilterTerm, type FlowEndText, flowPeer, verdictTerm } from "../model/filter-query.ts";

/** The head scrolls with the rows width and stays at the top. */
const HEAD_HEIGHT = 28;
const ROW_HEIGHTS = { compact: 28, comfortable: 36 } as const;

interface FlowTableProps {
  readonly rows: readonly Flow[];
  /** Rows that ever came; tells how many are new above the first one. */
  readonly received: number;
}

const COLUMNS = ["Time", "Host", "Way", "Subject", "Peer", "Port", "Process", "Verdict", "Decided by"] as const;

/** A windowed grid: ten thousand rows, some thirty in the page. What is looked at stays where it is when rows arrive. */
export function FlowTable({ rows, received }: FlowTableProps) {
  const { selectedFlowId, set } = useWindow();
  const rowHeight = ROW_HEIGHTS[useSetting("display.density")];
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
    scrollMargin: HEAD_HEIGHT,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: another row height is another layout.
  useLayoutEffect(() => virtualizer.measure(), [virtualizer, rowHeight]);
  useKeepPlace(scroller, received, rowHeight);

  const selectedIndex = selectedFlowId === null ? -1 : rows.findIndex((row) => row.id === selectedFlowId);
  const select = (index: number) => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
    if (!row) return;
    set({ selectedFlowId: row.id });
    const element = scroller.current;
    if (!element) return;
    const top = rows.indexOf(row) * rowHeight;
    const lowest = top + rowHeight + HEAD_HEIGHT - element.clientHeight;
    element.scrollTop = Math.min(top, Math.max(lowest, element.scrollTop));
  };
  const pageRows = Math.max(1, Math.floor((scroller.current?.clientHeight ?? 400) / rowHeight) - 1);
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: pageRows, PageUp: -pageRows };
    const step = steps[event.key];
    if (step !== undefined) select(selectedIndex < 0 ? 0 : selectedIndex + step);
    else if (event.key === "Home") select(0);
    else if (event.key === "End") select(rows.length - 1);
    else if (event.key === "Enter" && selectedIndex < 0) select(0);
    else if (event.key === "Escape" && selectedFlowId !== null) set({ selectedFlowId: null });
    else return;
    event.preventDefault();
  };
  const visibleRows = virtualizer.getVirtualItems();
  // A row that has scrolled out of the window is not in the page, and nothing may point at it.
  const isInPage = visibleRows.some(({ index }) => index === selectedIndex);
  const activeId = isInPage ? `flow-${selectedFlowId}` : undefined;
  return (
    <div
      className="flow-table"
      role="grid"
      aria-label="Flows, newest first"
      aria-rowcount={rows.length + 1}
      aria-colcount={COLUMNS.length}
      aria-activedescendant={activeId}
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <div ref={scroller} className="flow-scroll scroll" role="presentation">
        <div className="flow-head" role="row" aria-rowindex={1}>
          {COLUMNS.map((column) => (
            <span key={column} role="columnheader" className={column === "Process" ? "flow-process" : undefined}>
              {column}
            </span>
          ))}
        </div>
        <div className="flow-rows" role="rowgroup" style={{ height: virtualizer.getTotalSize() }}>
          {visibleRows.map((item) => {
            const flow = rows[item.index];
            return flow ? (
              <FlowRow
                key={String(flow.id)}
                flow={flow}
                index={item.index}
                top={item.start - HEAD_HEIGHT}
                height={rowHeight}
                isSelected={flow.id === selectedFlowId}
              />
            ) : null;
          })}
        </div>
      </div>
    </div>
  );
}

/** New rows come in at the top. When the view is scrolled, it moves with the rows that it shows. */
function useKeepPlace(scroller: React.RefObject<HTMLDivElement | null>, received: number, rowHeight: number): void {
  const former = useRef(received);
  useLayoutEffect(() => {
    const added = received - former.current;
    former.current = received;
    const element = scroller.current;
    if (element && added > 0 && element.scrollTop > rowHeight / 2) element.scrollTop += added * rowHeight;
  }, [scroller, received, rowHeight]);
}

interface FlowRowProps {
  readonly flow: Flow;
  readonly index: number;
  readonly top: number;
  readonly height: number;
  readonly isSelected: boolean;
}

const FlowRow = memo(function FlowRow({ flow, index, top, height, isSelected }: FlowRowProps) {
  const verdict = flowVerdict(flow);
  const { own, peer } = flowPeer(flow);
  const policyKey = flow.decision?.policyKeys[0] ?? "";
  const isIngress = flow.direction === Direction.INGRESS;
  const select = () => useWindow.getState().set({ selectedFlowId: flow.id });
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid has the keys (arrows, Home, End, Enter).
    <div
      id={`flow-${flow.id}`}
      className="flow-row"
      role="row"
      tabIndex={-1}
      aria-rowindex={index + 2}
      aria-selected={isSelected}
      style={{ height, transform: `translateY(${top}px)` }}
      onClick={select}
    >
      <span role="gridcell" className="code">
        {flow.time ? formatClockMs(timestampMs(flow.time)) : "–"}
      </span>
      <span role="gridcell" className="truncate soft">
        {visibleText(flow.host)}
      </span>
      <Cell term={{ part: "direction", value: isIngress ? "ingress" : "egress" }}>{isIngress ? "in ←" : "out →"}</Cell>
      <EndCell end={own} />
      <EndCell end={peer} />
      <Cell term={{ part: "port", value: flow.destinationPort, isExcluded: false }}>
        {formatProtocolPort(flow.protocol, flow.destinationPort)}
      </Cell>
      <ProcessCell flow={flow} />
      <Cell term={verdictTerm(flow)}>
        <VerdictMark verdict={verdict} words={VERDICT_WORDS[verdict]} />
      </Cell>
      {policyKey === "" ? (
        <span role="gridcell" className="truncate faint">
          {visibleText(flow.decision?.summary ?? "unknown")}
        </span>
      ) : (
        <Cell term={{ part: "policy", value: policyKey, isExcluded: false }}>
          {visibleText(shortKey(policyKey))}{" "}
          <span className="faint">{flow.decision?.rule ? visibleText(flow.decision.rule) : "no rule allows it"}</span>
        </Cell>
      )}
    </div>
  );
});

/** Without a process there may still be something to say: that there was no socket which could have one. */
function ProcessCell({ flow }: { flow: Flow }) {
  const { process, hook } = flow;
  if (!process) {
    return (
      <span role="gridcell" className="flow-process truncate faint">
        {hook === FlowHook.EDGE ? "no socket here" : "–"}
      </span>
    );
  }
  const name = process.command || String(process.pid);
  return (
    <Cell className="flow-process" term={{ part: "process", value: name, isExcluded: false }}>
      {visibleText(name)} <span className="code faint">{process.command ? process.pid : ""}</span>
    </Cell>
  );
}

function EndCell({ end }: { end: FlowEndText }) {
  if (end.address === "") {
    return (
      <span role="gridcell" className="truncate">
        {visibleText(end.name || "this host")}
      </span>
    );
  }
  return (
    <Cell term={{ part: "address", value: end.address, isExcluded: false }}>
      {end.name ? <>{visibleText(end.name)} </> : null}
      <span className={end.name ? "code faint" : "code"}>{visibleText(end.address)}</span>
    </Cell>
  );
}

/** A value that filters: click shows only it, Alt+click hides it. The inspector offers the same by keyboard. */
function Cell({ term, className, children }: { term: FilterTerm; className?: string; children: React.ReactNode }) {
  const filter = (event: MouseEvent) => {
    event.stopPropagation();
    const { flowQuery, set } = useWindow.getState();
    set({ flowQuery: addTerm(flowQuery, "isExcluded" in term ? { ...term, isExcluded: event.altKey } : term) });
  };
  const hint = "isExcluded" in term ? "Click: only this. Alt+click: hide this." : "Click: only this.";
  return (
    <span role="gridcell" className={`flow-cell truncate${className ? ` ${className}` : ""}`}>
      {/* biome-ignore lint/a11y/useKeyWithClickEvents: the inspector has these as buttons. */}
      {/* biome-ignore lint/a11y/noStaticElementInteractions: as above. */}
      <span className="flow-value truncate" title={hint} onClick={filter}>
        {children}
      </span>
    </span>
  );
}
