/** Rows as others read them. Times are UTC and numbers are plain, whatever the window shows. */
import { toJsonString } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type HistoryRecord, HistoryRecordSchema } from "@wardline/api/wardline/console/v1/history";
import { recordAsCli, recordAsNft, recordAsYaml } from "@wardline/domain/flows";
import { csvLine } from "@wardline/domain/text";
import { fromWireFlowRecord } from "@wardline/domain/wire";
import { flowVerdict } from "../../../data/flow-buffer.ts";
import { formatUtc } from "../../../ui/time.ts";
import { COLUMNS, type ColumnName, type ShownColumn } from "./columns.ts";
import { cellOf } from "./record-view.ts";

export type CopyForm = "csv" | "ndjson" | "cli" | "yaml" | "nft";

/** That many rows are copied at once; an export has no such bound. */
export const MOST_COPIED = 10_000;

export function rowsAs(form: CopyForm, items: readonly HistoryRecord[], columns: readonly ShownColumn[]): string {
  if (form === "csv") {
    const names = columns.map(({ name }) => name);
    return [csvLine(names.map((name) => COLUMNS[name].title)), ...items.map((item) => csvRow(item, names))].join("");
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

function csvRow(item: HistoryRecord, columns: readonly ColumnName[]): string {
  return csvLine(columns.map((name) => csvCell(item, name)));
}

function csvCell(item: HistoryRecord, name: ColumnName): string {
  const { record } = item;
  if (!record) return "";
  switch (name) {
    case "when":
      return record.firstSeen ? formatUtc(timestampMs(record.firstSeen)) : "";
    case "verdict":
      return flowVerdict(record);
    case "port":
      return record.protocol === 1 || record.protocol === 58 ? "" : String(record.destinationPort);
    case "connections":
      return String(record.started);
    case "denied":
      return String(record.deniedPackets);
    case "bytes":
      return String(record.originatorBytes + record.responderBytes);
    case "packets":
      return String(record.packets);
    case "duration": {
      const { firstSeen, lastSeen } = record;
      if (!firstSeen || !lastSeen) return "";
      return String(Math.max(0, timestampMs(lastSeen) - timestampMs(firstSeen)));
    }
    case "process":
      return record.process?.command || record.process?.executable || "";
    case "direction":
      return cellOf(item, name).term?.replace("direction:", "") ?? "";
    default: {
      const { text, detail, isFaint } = cellOf(item, name);
      return isFaint ? "" : [text, detail ?? ""].filter((part) => part !== "").join(" ");
    }
  }
}
