import { Download } from "lucide-react";
import { useState } from "react";
import type { LiveFlow } from "../../../data/flow-buffer.ts";
import { ActionMenu, Button, formatCount } from "../../../ui/index.ts";
import type { ShownColumn } from "../model/columns.ts";
import { rowsAs } from "../model/copy-rows.ts";
import { openTarget } from "../model/file-target.ts";
import { recordOfFlow } from "../model/live-record.ts";

interface LiveExportProps {
  readonly rows: readonly LiveFlow[];
  readonly columns: readonly ShownColumn[];
}

const FORMS = [
  { id: "csv", label: "CSV", type: "text/csv", detail: "the columns as shown" },
  { id: "ndjson", label: "NDJSON", type: "application/x-ndjson", detail: "every row whole" },
] as const;

/** The rows that the window holds now, in their order, into a file. The history exports everything that matches. */
export function LiveExport({ rows, columns }: LiveExportProps) {
  const [said, setSaid] = useState("");
  const write = async ({ id, type }: (typeof FORMS)[number]) => {
    // What comes while the person chooses a file is not among them.
    const text = rowsAs(id, rows.map(recordOfFlow), columns);
    try {
      const target = await openTarget(`flows.${id}`, type);
      await target.write(new TextEncoder().encode(text));
      await target.close();
      setSaid(`${formatCount(rows.length)} rows written`);
    } catch (error) {
      // Closing the dialog of the desktop is no failure.
      const isClosed = error instanceof DOMException && error.name === "AbortError";
      setSaid(isClosed ? "" : `Not written: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  return (
    <>
      <span className="soft" role="status">
        {said}
      </span>
      <ActionMenu
        label="Export the rows of the window"
        actions={FORMS.map((form) => ({
          id: form.id,
          label: form.label,
          detail: form.detail,
          run: () => void write(form),
        }))}
      >
        <Button size="small" icon={<Download size={12} aria-hidden="true" />} isDisabled={rows.length === 0}>
          Export…
        </Button>
      </ActionMenu>
    </>
  );
}
