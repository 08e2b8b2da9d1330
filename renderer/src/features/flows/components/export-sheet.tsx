import { ExportFormat } from "@wardline/api/wardline/console/v1/history";
import { useEffect, useRef, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import {
  Button,
  ChoiceCards,
  FailureNotice,
  formatBytes,
  formatCount,
  formatQuantity,
  Sheet,
  useAnnounced,
} from "../../../ui/index.ts";
import type { ListOrder } from "../hooks/use-ranked-rows.ts";
import type { ShownColumn } from "../model/columns.ts";
import { openTarget } from "../model/file-target.ts";
import { type HistoryRange, toWireQuery } from "../model/history-range.ts";

interface ExportSheetProps {
  readonly text: string;
  readonly range: HistoryRange;
  readonly order: ListOrder;
  readonly columns: readonly ShownColumn[];
  readonly rowCount: number;
  readonly onClose: () => void;
}

interface Progress {
  readonly rows: number;
  readonly bytes: number;
  readonly state: "writing" | "done" | "cancelled";
}

const FORMATS = {
  csv: { format: ExportFormat.CSV, type: "text/csv" },
  ndjson: { format: ExportFormat.NDJSON, type: "application/x-ndjson" },
} as const;
type FormatName = keyof typeof FORMATS;

/** The rows of the list into a file, piece by piece, with how far it is and a way to stop. */
export function ExportSheet({ text, range, order, columns, rowCount, onClose }: ExportSheetProps) {
  const { connection } = useConsole();
  const [name, setName] = useState<FormatName>("csv");
  const [progress, setProgress] = useState<Progress | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);
  const write = async () => {
    const { format, type } = FORMATS[name];
    const target = await openTarget(`flows.${name}`, type).catch(() => null);
    // The person closed the dialog of the desktop.
    if (!target) return;
    const own = new AbortController();
    running.current = own;
    setFailure(null);
    let bytes = 0;
    let rows = 0;
    setProgress({ rows, bytes, state: "writing" });
    try {
      const request = {
        query: toWireQuery(text, range),
        format,
        columns: columns.map((column) => column.name),
        order: { sort: order.sort, ascending: order.isAscending },
      };
      for await (const piece of connection.history.exportRecords(request, { signal: own.signal })) {
        await target.write(piece.ndjson);
        bytes += piece.ndjson.length;
        rows = Number(piece.rows);
        setProgress({ rows, bytes, state: "writing" });
      }
      await target.close();
      setProgress({ rows, bytes, state: "done" });
    } catch (error) {
      await target.abandon();
      setProgress({ rows, bytes, state: "cancelled" });
      if (!own.signal.aborted) setFailure(shownFailure(error));
    }
  };
  const isWriting = progress?.state === "writing";
  // How far it is changes many times a second: only its end is said aloud.
  useAnnounced(progress?.state === "done" ? `Written: ${formatQuantity(progress.rows, "row")}` : "");
  return (
    <Sheet
      isOpen
      shape="dialog"
      title="Export this list"
      onClose={onClose}
      footer={
        isWriting ? (
          <Button onPress={() => running.current?.abort()}>Cancel the export</Button>
        ) : (
          <>
            <Button onPress={onClose}>Close</Button>
            <Button tone="primary" onPress={() => void write()}>
              Export {formatQuantity(rowCount, "row")}
            </Button>
          </>
        )
      }
    >
      <div className="flow-form" data-sheet="">
        <ChoiceCards<FormatName>
          label="Format"
          value={name}
          onChange={setName}
          choices={[
            {
              value: "csv",
              label: "CSV",
              detail: `${formatQuantity(columns.length, "column")} as shown, with a header`,
            },
            { value: "ndjson", label: "NDJSON", detail: "Every record whole, a line each" },
          ]}
        />
        {failure ? <FailureNotice failure={failure} title="The export ended before its end" /> : null}
        {progress ? (
          <p>
            {progress.state === "done" ? "Written: " : progress.state === "cancelled" ? "Stopped after " : ""}
            {formatCount(progress.rows)} of {formatQuantity(rowCount, "row")} · {formatBytes(progress.bytes)}
          </p>
        ) : null}
      </div>
    </Sheet>
  );
}
