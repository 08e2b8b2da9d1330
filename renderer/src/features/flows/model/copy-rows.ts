/** Rows as others read them. Times are UTC and numbers are plain, whatever the window shows. */
import { toJsonString } from "@bufbuild/protobuf";
import { type HistoryRecord, HistoryRecordSchema } from "@wardline/api/wardline/console/v1/history";
import { recordAsCli, recordAsNft, recordAsYaml, recordCsvHeader, recordCsvLine } from "@wardline/domain/flows";
import { fromWireFlowRecord } from "@wardline/domain/wire";
import type { ShownColumn } from "./columns.ts";

export type CopyForm = "csv" | "ndjson" | "cli" | "yaml" | "nft";

/** That many rows are copied at once; an export has no such bound. */
export const MOST_COPIED = 10_000;

export function rowsAs(form: CopyForm, items: readonly HistoryRecord[], columns: readonly ShownColumn[]): string {
  if (form === "csv") {
    const names = columns.map(({ name }) => name);
    return [recordCsvHeader(names), ...items.map((item) => recordCsvLine(item, names))].join("");
  }
  if (form === "ndjson") return items.map((item) => `${toJsonString(HistoryRecordSchema, item)}\n`).join("");
  const texts = items.flatMap(({ record, host }) => {
    if (!record) return [];
    const plain = fromWireFlowRecord(record, host);
    return form === "cli" ? recordAsCli(plain) : form === "yaml" ? recordAsYaml(plain) : recordAsNft(plain);
  });
  // The same question twice asks nothing more.
  if (form === "yaml") return texts.join("---\n");
  return `${[...new Set(texts)].join("\n")}\n`;
}
