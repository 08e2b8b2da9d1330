import { timestampMs } from "@bufbuild/protobuf/wkt";
import { ShownVerdict, type VerdictCell, type VerdictRow } from "@wardline/api/wardline/console/v1/verdicts";
import { useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import {
  Button,
  formatCount,
  Moment,
  ScrollRegion,
  VERDICT_WORDS,
  VerdictMark,
  visibleText,
} from "../../../ui/index.ts";
import { COLUMNS, type ColumnKey, detailOf, formatPorts, NOTHING_WORDS, shapesOf } from "../model/verdicts.ts";
import type { VerdictPlace } from "./verdict-detail.tsx";

/** Rows in the page before somebody asks for more; they come in the order of importance. */
const ROWS_AT_ONCE = 100;

interface VerdictTableProps {
  readonly rows: readonly VerdictRow[];
  readonly place: VerdictPlace | null;
  readonly onOpen: (place: VerdictPlace) => void;
}

/** One row a group of connections, one cell a column; each cell opens what stands behind it. */
export function VerdictTable({ rows, place, onOpen }: VerdictTableProps) {
  const nowMs = useConsoleNow();
  const [limit, setLimit] = useState(ROWS_AT_ONCE);
  const left = rows.length - limit;
  return (
    <ScrollRegion label="Verdicts" className="verdict-table">
      <table>
        <thead>
          <tr>
            <th scope="col">Connections</th>
            {COLUMNS.map(({ key, name, means }) => (
              <th key={key} scope="col" title={means}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, limit).map((row) => (
            <tr key={row.id}>
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
          ))}
        </tbody>
      </table>
      {left > 0 ? (
        <div className="verdict-more">
          <Button size="small" onPress={() => setLimit(limit + ROWS_AT_ONCE)}>
            Show {formatCount(Math.min(left, ROWS_AT_ONCE))} more of {formatCount(left)}
          </Button>
        </div>
      ) : null}
    </ScrollRegion>
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
