/** Orders of rows that are all in the window: of the live list while it stands still. The store has its own. */
import { FlowDimension, type HistoryRecord, RecordSort } from "@wardline/api/wardline/console/v1/history";
import { hasPorts } from "@wardline/domain/flows";
import { parseAddress } from "@wardline/domain/policy/addresses";
import { flowVerdict, type VerdictKind } from "../../../data/flow-buffer.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import type { ListOrder } from "../hooks/use-ranked-rows.ts";
import { COLUMNS, type ColumnName } from "./columns.ts";
import { dimensionOf } from "./groups.ts";
import { cellOf, timeOf } from "./record-view.ts";

type Key = number | string | null;

const COLUMN_OF = new Map(Object.entries(COLUMNS).map(([name, { sort }]) => [sort, name as ColumnName]));

const VERDICTS: readonly VerdictKind[] = ["allow", "observed", "deny", "unknown"];

/** A text that sorts as the number does: IPv4 where its mapped form is. */
function addressKey(address: string): string | null {
  const parsed = parseAddress(address);
  if (!parsed.ok) return null;
  const digits = [...parsed.bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return parsed.family === 4 ? `${"0".repeat(20)}ffff${digits}` : digits;
}

function keyOf(item: HistoryRecord, sort: RecordSort): Key {
  const { record } = item;
  if (!record) return null;
  switch (sort) {
    case RecordSort.TIME:
      return timeOf(record);
    case RecordSort.PORT:
      return hasPorts(record.protocol) ? record.destinationPort : null;
    case RecordSort.SOURCE:
      return addressKey(dimensionOf(item, FlowDimension.SOURCE).value);
    case RecordSort.DESTINATION:
      return addressKey(dimensionOf(item, FlowDimension.DESTINATION).value);
    case RecordSort.PEER:
      return addressKey(dimensionOf(item, FlowDimension.PEER).value);
    case RecordSort.PROTOCOL:
      return record.protocol;
    case RecordSort.VERDICT:
      return VERDICTS.indexOf(flowVerdict(record));
    case RecordSort.CONNECTIONS:
      return Number(record.started);
    case RecordSort.DENIED:
      return Number(record.deniedPackets);
    case RecordSort.BYTES:
      return Number(record.originatorBytes + record.responderBytes);
    case RecordSort.PACKETS:
      return Number(record.packets);
    case RecordSort.DURATION: {
      const [first, last] = [optionalMs(record.firstSeen), optionalMs(record.lastSeen)];
      return first === null || last === null ? null : last - first;
    }
    default: {
      const column = COLUMN_OF.get(sort);
      const cell = column ? cellOf(item, column) : null;
      return !cell || cell.isFaint ? null : cell.text;
    }
  }
}

/** What is not known comes last, whichever way; rows that are equal stay as they are. @param rows as they arrived */
export function sortedItems<Row>(
  rows: readonly Row[],
  itemOf: (row: Row) => HistoryRecord,
  { sort, isAscending }: ListOrder,
): readonly Row[] {
  if (sort === RecordSort.UNSPECIFIED) return rows;
  const sign = isAscending ? 1 : -1;
  return rows
    .map((row) => ({ row, key: keyOf(itemOf(row), sort) }))
    .sort((a, b) => {
      if (a.key === null || b.key === null) return a.key === b.key ? 0 : a.key === null ? 1 : -1;
      return a.key < b.key ? -sign : a.key > b.key ? sign : 0;
    })
    .map(({ row }) => row);
}
