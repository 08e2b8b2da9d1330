import { timestampMs } from "@bufbuild/protobuf/wkt";
import { ShownVerdict, type VerdictCell, type VerdictRow } from "@wardline/api/wardline/console/v1/verdicts";
import { useCallback, useRef } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { Moment, ScrollRegion, VERDICT_WORDS, VerdictMark, visibleText } from "../../../ui/index.ts";
import { useWindowedRows } from "../../../ui/windowed-rows.ts";
import { COLUMNS, type ColumnKey, detailOf, formatPorts, NOTHING_WORDS, shapesOf } from "../model/verdicts.ts";
import type { VerdictPlace } from "./verdict-detail.tsx";

/** Of a row with two lines; each is measured when it comes into the page. */
const USUAL_ROW_HEIGHT = 62;

interface VerdictTableProps {
  readonly rows: readonly VerdictRow[];
  readonly place: VerdictPlace | null;
  readonly onOpen: (place: VerdictPlace) => void;
}

/** One row a group of connections, one cell a column; each cell opens what stands behind it. Only rows in sight are in the page. */
export function VerdictTable({ rows, place, onOpen }: VerdictTableProps) {
  const nowMs = useConsoleNow();
  const scroller = useRef<HTMLElement>(null);
  const keyOf = useCallback((index: number) => rows[index]?.id ?? "", [rows]);
  const {
    rows: placed,
    totalHeight,
    measureRow,
  } = useWindowedRows({ count: rows.length, scroller, rowHeight: USUAL_ROW_HEIGHT, more: 8, keyOf });
  const above = placed[0]?.start ?? 0;
  const below = totalHeight - (placed.at(-1)?.end ?? 0);
  return (
    <ScrollRegion label="Verdicts" className="verdict-table" scroller={scroller}>
      <table aria-rowcount={rows.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            <th scope="col">Connections</th>
            {COLUMNS.map(({ key, name, means }) => (
              <th key={key} scope="col" title={means}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {above > 0 ? <Gap height={above} /> : null}
          {placed.map(({ index }) => {
            const row = rows[index];
            if (!row) return null;
            return (
              <tr key={row.id} data-index={index} ref={measureRow} aria-rowindex={index + 2}>
                <th scope="row">
                  <span className="verdict-ends wrap-anywhere">
                    {visibleText(row.from)} <span aria-hidden="true">→</span>
                    <span className="visually-hidden"> to </span> {visibleText(row.to)}
                  </span>
                  <span className="verdict-ports">{formatPorts(row.ports)}</span>
                </th>
                {COLUMNS.map(({ key }) => (
                  <td key={key}>
                    <Cell
                      column={key}
                      row={row}
                      nowMs={nowMs}
                      isOpen={place?.row.id === row.id && place.column === key}
                      onOpen={() => onOpen({ row, column: key })}
                    />
                  </td>
                ))}
              </tr>
            );
          })}
          {below > 0 ? <Gap height={below} /> : null}
        </tbody>
      </table>
    </ScrollRegion>
  );
}

/** The place of rows that are not in the page. */
function Gap({ height }: { readonly height: number }) {
  return (
    // biome-ignore lint/a11y/noAriaHiddenOnFocusable: nothing in it takes the focus.
    <tr className="verdict-gap" aria-hidden="true">
      <td colSpan={COLUMNS.length + 1} style={{ height }} />
    </tr>
  );
}

interface CellProps {
  readonly column: ColumnKey;
  readonly row: VerdictRow;
  readonly nowMs: number;
  readonly isOpen: boolean;
  readonly onOpen: () => void;
}

function Cell({ column, row, nowMs, isOpen, onOpen }: CellProps) {
  const cell = row[column];
  if (!cell || cell.verdict === ShownVerdict.NOTHING) return <span className="faint">{NOTHING_WORDS[column]}</span>;
  const seen = column === "reported" ? lastSeen(cell) : null;
  return (
    <button type="button" className="verdict-cell" aria-expanded={isOpen} onClick={onOpen}>
      <span className="verdict-cell-marks">
        {shapesOf(cell).map((shape) => (
          <VerdictMark
            key={shape}
            verdict={shape}
            words={column === "draft" ? draftWords(shape) : VERDICT_WORDS[shape]}
          />
        ))}
      </span>
      <span className="verdict-cell-detail truncate">
        {detailOf(column, cell)}
        {seen === null ? null : (
          <>
            {" "}
            · <Moment timeMs={seen} nowMs={nowMs} form="short" />
          </>
        )}
      </span>
    </button>
  );
}

function draftWords(shape: keyof typeof VERDICT_WORDS): string {
  return { allow: "would pass", deny: "would be denied", observed: "observed only", unknown: "unknown" }[shape];
}

function lastSeen({ parts }: VerdictCell): number | null {
  const times = parts.flatMap(({ lastSeen: seen }) => (seen ? [timestampMs(seen)] : []));
  return times.length === 0 ? null : Math.max(...times);
}
