// biome-ignore-all lint/a11y/useSemanticElements: see record-grid.tsx.
// biome-ignore-all lint/a11y/useFocusableInteractive: see record-grid.tsx.
import type { FlowDimension, FlowMeasure, HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { ChevronDown, ChevronRight, ListFilter, Minus, Plus } from "lucide-react";
import { type KeyboardEvent, useId, useMemo, useRef, useState } from "react";
import { useSetting } from "../../../data/settings.ts";
import { formatBytes, formatCount, formatQuantity, VerdictMark, visibleText } from "../../../ui/index.ts";
import { useTallScroll } from "../hooks/use-tall-scroll.ts";
import type { ShownColumn } from "../model/columns.ts";
import type { ShownGroup } from "../model/groups.ts";
import { DIMENSION_NAMES, groupText, MEASURE_NAMES, measureOf, measureText } from "../model/history.ts";
import { templateOf } from "./cell-actions.tsx";
import { ROW_HEIGHTS } from "./record-grid.tsx";
import { RecordRow } from "./record-row.tsx";
import "./group-grid.css";

/** Rows of a group that is open, as far as they are there. */
export interface GroupRows {
  readonly rows: readonly HistoryRecord[];
  readonly isRunning: boolean;
  /** Why there are none. */
  readonly problem: string;
}

interface GroupGridProps {
  readonly groups: readonly ShownGroup[];
  readonly by: readonly FlowDimension[];
  readonly measure: FlowMeasure;
  readonly columns: readonly ShownColumn[];
  readonly openIds: ReadonlySet<string>;
  readonly onToggle: (group: ShownGroup) => void;
  readonly rowsOf: (group: ShownGroup) => GroupRows;
  readonly selectedId: string | null;
  readonly onSelect: (item: HistoryRecord | null) => void;
  readonly flagOf: (item: HistoryRecord) => string | undefined;
  readonly onCondition: (term: string, isExcluded: boolean) => void;
  /** All rows of a group, as the list. */
  readonly onShowAll: (term: string) => void;
}

type Line =
  | { readonly kind: "group"; readonly id: string; readonly group: ShownGroup }
  | { readonly kind: "row"; readonly id: string; readonly group: ShownGroup; readonly item: HistoryRecord }
  | { readonly kind: "note"; readonly id: string; readonly group: ShownGroup; readonly text: string };

const HEAD_HEIGHT = 30;

function linesOf({ groups, openIds, rowsOf }: Pick<GroupGridProps, "groups" | "openIds" | "rowsOf">): readonly Line[] {
  return groups.flatMap((group): readonly Line[] => {
    const own: Line = { kind: "group", id: `group ${group.id}`, group };
    if (!openIds.has(group.id)) return [own];
    const { rows, isRunning, problem } = rowsOf(group);
    const items = rows.map((item): Line => ({ kind: "row", id: `row ${group.id} ${item.id}`, group, item }));
    const left = Number(group.sums.records) - rows.length;
    const text =
      problem !== "" ? problem : isRunning && rows.length === 0 ? "Reading its rows" : left > 0 ? moreText(left) : "";
    return text === "" ? [own, ...items] : [own, ...items, { kind: "note", id: `note ${group.id}`, group, text }];
  });
}

function moreText(left: number): string {
  return `${formatQuantity(left, "older row")}: show all of them as a list`;
}

/** Groups, each of which opens to its rows. Arrow keys go through both; to the right opens, to the left closes. */
export function GroupGrid(props: GroupGridProps) {
  const { groups, by, measure, columns, openIds, onToggle, selectedId, onSelect, flagOf, onCondition } = props;
  const rowHeight = ROW_HEIGHTS[useSetting("display.density")];
  const prefix = useId();
  const scroller = useRef<HTMLDivElement>(null);
  const [activeLine, setActiveLine] = useState<{ readonly id: string; readonly groupId: string } | null>(null);
  const lines = linesOf(props);
  const scroll = useTallScroll(scroller, lines.length, rowHeight, HEAD_HEIGHT);
  const template = useMemo(() => templateOf(columns), [columns]);
  const ownLine = lines.findIndex(({ id }) => id === activeLine?.id);
  // A row that newer ones have pushed out of its group leaves whoever was on it at the group.
  const active =
    ownLine >= 0 ? ownLine : lines.findIndex(({ kind, group }) => kind === "group" && group.id === activeLine?.groupId);
  const activate = ({ id, group }: Line) => setActiveLine({ id, groupId: group.id });
  const largest = Math.max(0, ...groups.map(({ sums }) => measureOf(sums, measure)));
  const goTo = (index: number) => {
    const bounded = Math.max(0, Math.min(lines.length - 1, index));
    const line = lines[bounded];
    if (!line) return;
    activate(line);
    scroll.showRow(bounded);
  };
  const press = (line: Line) => {
    if (line.kind === "group") onToggle(line.group);
    else if (line.kind === "row") onSelect(line.item);
    else if (line.group.term !== null) props.onShowAll(line.group.term);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = scroll.rowsInView;
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page };
    const step = steps[event.key];
    const line = lines[active];
    if (step !== undefined) goTo(active < 0 ? 0 : active + step);
    else if (event.key === "Home") goTo(0);
    else if (event.key === "End") goTo(lines.length - 1);
    else if (event.key === "Escape" && selectedId !== null) onSelect(null);
    else if (!line) return;
    else if (event.key === "Enter" || event.key === " ") press(line);
    else if (event.key === "ArrowRight" && line.kind === "group" && !openIds.has(line.group.id)) onToggle(line.group);
    else if (event.key === "ArrowLeft" && openIds.has(line.group.id)) {
      if (line.kind === "group") onToggle(line.group);
      else goTo(lines.findIndex((each) => each.kind === "group" && each.group === line.group));
    } else if ((event.key === "+" || event.key === "-") && line.group.term !== null)
      onCondition(line.group.term, event.key === "-");
    else return;
    event.preventDefault();
  };
  const drawn = lines.slice(scroll.from, scroll.to);
  const isDrawn = active >= scroll.from && active < scroll.to;
  return (
    <div
      className="record-grid"
      role="treegrid"
      aria-label={`Flows by ${by.map((dimension) => DIMENSION_NAMES[dimension]).join(" and ")}`}
      aria-rowcount={lines.length}
      aria-activedescendant={isDrawn ? `${prefix}-line-${active}` : undefined}
      aria-description="Arrow keys move; to the right opens a group, to the left closes it. Plus shows only the group, minus leaves it out."
      tabIndex={0}
      onKeyDown={onKeyDown}
    >
      <div ref={scroller} className="record-scroll scroll" role="presentation">
        <div className="record-head group-line" role="row">
          <span role="columnheader">{by.map((dimension) => DIMENSION_NAMES[dimension]).join(", ")}</span>
          <span role="columnheader">{MEASURE_NAMES[measure]}</span>
          {["Rows", "Denied packets", "Bytes there", "Bytes back"].map((title) => (
            <span key={title} role="columnheader" className="group-number">
              {title}
            </span>
          ))}
        </div>
        <div className="record-rows" role="rowgroup" style={{ height: scroll.space }}>
          {drawn.map((line, at) => {
            const index = scroll.from + at;
            const place = { height: rowHeight, transform: `translateY(${scroll.topOf(index)}px)` };
            if (line.kind === "row") {
              return (
                <div key={line.id} role="presentation" className="group-child">
                  <RecordRow
                    item={line.item}
                    rank={index}
                    top={scroll.topOf(index)}
                    height={rowHeight}
                    template={template}
                    columns={columns}
                    isSelected={line.item.id === selectedId}
                    activeColumn={index === active ? (columns[0]?.name ?? null) : null}
                    cellId={`${prefix}-line-${index}`}
                    flag={flagOf(line.item)}
                    level={2}
                    onPress={() => {
                      activate(line);
                      onSelect(line.item);
                    }}
                  />
                </div>
              );
            }
            const isOpen = openIds.has(line.group.id);
            return (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the grid has the keys.
              <div
                key={line.id}
                id={`${prefix}-line-${index}`}
                className="record-row group-line"
                role="row"
                tabIndex={-1}
                aria-rowindex={index + 1}
                aria-level={line.kind === "group" ? 1 : 2}
                aria-expanded={line.kind === "group" ? isOpen : undefined}
                data-active={index === active ? "" : undefined}
                style={place}
                onClick={() => {
                  activate(line);
                  press(line);
                }}
              >
                {line.kind === "group" ? (
                  <GroupCells
                    group={line.group}
                    by={by}
                    measure={measure}
                    largest={largest}
                    isOpen={isOpen}
                    onCondition={onCondition}
                  />
                ) : (
                  <span role="gridcell" className="group-note truncate">
                    <ListFilter size={12} aria-hidden="true" /> {visibleText(line.text)}
                  </span>
                )}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}

interface GroupCellsProps extends Pick<GroupGridProps, "by" | "measure" | "onCondition"> {
  readonly group: ShownGroup;
  readonly largest: number;
  readonly isOpen: boolean;
}

function GroupCells({ group, by, measure, largest, isOpen, onCondition }: GroupCellsProps) {
  const { values, names, sums, term } = group;
  const amount = measureOf(sums, measure);
  const numbers = [
    formatCount(sums.records),
    formatCount(sums.deniedPackets),
    formatBytes(sums.originatorBytes),
    formatBytes(sums.responderBytes),
  ];
  return (
    <>
      <span role="gridcell" className="group-name truncate">
        {isOpen ? <ChevronDown size={14} aria-hidden="true" /> : <ChevronRight size={14} aria-hidden="true" />}
        {by.map((dimension, index) => (
          <GroupValue key={dimension} dimension={dimension} value={values[index] ?? ""} name={names[index] ?? ""} />
        ))}
        {term === null ? null : (
          <span className="group-actions" aria-hidden="true">
            {[false, true].map((isExcluded) => (
              <button
                key={String(isExcluded)}
                type="button"
                tabIndex={-1}
                title={`${isExcluded ? "Not" : "Only"} ${term}`}
                onClick={(event) => {
                  event.stopPropagation();
                  onCondition(term, isExcluded);
                }}
              >
                {isExcluded ? <Minus size={12} /> : <Plus size={12} />}
              </button>
            ))}
          </span>
        )}
      </span>
      <span role="gridcell" className="history-share">
        <span
          className="history-share-bar"
          aria-hidden="true"
          style={{ width: `${largest > 0 ? (amount / largest) * 100 : 0}%` }}
        />
        <span className="history-share-text">{measureText(amount, measure)}</span>
      </span>
      {numbers.map((text, index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: four numbers in one order.
        <span key={index} role="gridcell" className="group-number">
          {text}
        </span>
      ))}
    </>
  );
}

function GroupValue({ dimension, value, name }: { dimension: FlowDimension; value: string; name: string }) {
  const text = groupText(dimension, value);
  if (value === "allow" || value === "deny") return <VerdictMark verdict={value} />;
  return (
    <span className="truncate">
      {name ? `${visibleText(name)} ` : ""}
      <span className={name || value === "" ? "faint" : undefined}>{visibleText(text)}</span>
    </span>
  );
}
