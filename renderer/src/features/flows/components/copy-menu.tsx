import type { HistoryRecord } from "@wardline/api/wardline/console/v1/history";
import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { ActionMenu, Button } from "../../../ui/index.ts";
import type { ShownColumn } from "../model/columns.ts";
import { USUAL_COLUMNS } from "../model/columns.ts";
import { type CopyForm, rowsAs } from "../model/copy-rows.ts";

interface CopyMenuProps {
  readonly columns?: readonly ShownColumn[];
  readonly read: () => Promise<readonly HistoryRecord[]>;
  /** What went wrong is said by whoever reads. */
  readonly onProblem?: (error: unknown) => void;
}

const FORMS: readonly (readonly [form: CopyForm, label: string])[] = [
  ["csv", "CSV"],
  ["ndjson", "NDJSON"],
  ["cli", "Command line"],
  ["yaml", "YAML"],
  ["nft", "nft match"],
];

/** Rows into the clipboard, as what comes next wants them. */
export function CopyMenu({ columns = USUAL_COLUMNS, read, onProblem }: CopyMenuProps) {
  const [copied, setCopied] = useState("");
  const copy = async (form: CopyForm, label: string) => {
    try {
      await navigator.clipboard.writeText(rowsAs(form, await read(), columns));
      setCopied(label);
    } catch (error) {
      setCopied("");
      onProblem?.(error);
    }
  };
  return (
    <>
      <ActionMenu
        label="Copy as"
        actions={FORMS.map(([form, label]) => ({ id: form, label, run: () => void copy(form, label) }))}
      >
        <Button
          size="small"
          icon={copied ? <Check size={12} aria-hidden="true" /> : <Copy size={12} aria-hidden="true" />}
        >
          {copied ? `Copied as ${copied}` : "Copy as"}
        </Button>
      </ActionMenu>
      <span className="visually-hidden" role="status">
        {copied ? `Copied as ${copied}` : ""}
      </span>
    </>
  );
}
