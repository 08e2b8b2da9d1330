/** Records as CSV, wherever they are copied or exported from: RFC 4180, with a header. What a spreadsheet would take for a formula is text. */
import { create } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type HistoryRecord, HistoryRecordSchema } from "@wardline/api/wardline/console/v1/history";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "../errors/index.ts";
import { protocolName } from "./language/protocols.ts";
import { hasPorts } from "./match.ts";

type Column = (
  item: HistoryRecord,
  record: NonNullable<HistoryRecord["record"]>,
) => readonly [header: string, value: string][];

const ends = (item: HistoryRecord, record: NonNullable<HistoryRecord["record"]>) => {
  const source = { name: item.sourceDisplayName || record.sourceName, address: record.sourceAddress };
  const destination = {
    name: item.destinationDisplayName || record.destinationName,
    address: record.destinationAddress,
  };
  return record.direction === Direction.INGRESS
    ? { own: destination, peer: source }
    : { own: source, peer: destination };
};
const VERDICTS: Record<Verdict, string> = {
  [Verdict.UNSPECIFIED]: "",
  [Verdict.ALLOW]: "allow",
  [Verdict.DENY]: "deny",
};
const time = (at: Parameters<typeof timestampDate>[0] | undefined) => (at ? timestampDate(at).toISOString() : "");

/** As the window calls its columns. One of them may be several in a file. */
const COLUMNS: Readonly<Record<string, Column>> = {
  when: (_, record) => [
    ["first_seen", time(record.firstSeen)],
    ["last_seen", time(record.lastSeen)],
  ],
  host: (item) => [["host", item.host]],
  direction: (_, record) => [["direction", record.direction === Direction.INGRESS ? "in" : "out"]],
  subject: (item, record) => [
    ["subject_name", ends(item, record).own.name],
    ["subject_address", ends(item, record).own.address],
  ],
  peer: (item, record) => [
    ["peer_name", ends(item, record).peer.name],
    ["peer_address", ends(item, record).peer.address],
  ],
  port: (_, record) => [["port", hasPorts(record.protocol) ? String(record.destinationPort) : ""]],
  protocol: (_, record) => [["protocol", protocolName(record.protocol)]],
  verdict: (_, record) => [
    ["verdict", VERDICTS[record.verdict]],
    ["enforced", VERDICTS[record.enforced]],
  ],
  policy: (_, record) => [["policies", (record.decision?.policyKeys ?? []).join(" ")]],
  rule: (_, record) => [["rule", record.decision?.rule ?? ""]],
  process: (_, record) => [
    ["process", record.process?.command ?? ""],
    ["executable", record.process?.executable ?? ""],
  ],
  user: (_, record) => [["user", record.process ? record.process.userName || String(record.process.userId) : ""]],
  cgroup: (_, record) => [["cgroup", record.cgroupPath]],
  connections: (_, record) => [["connections", String(record.started)]],
  denied: (_, record) => [["denied_packets", String(record.deniedPackets)]],
  bytes: (_, record) => [
    ["originator_bytes", String(record.originatorBytes)],
    ["responder_bytes", String(record.responderBytes)],
  ],
  packets: (_, record) => [["packets", String(record.packets)]],
  duration: (_, record) => [["duration_ms", record.firstSeen && record.lastSeen ? String(durationMs(record)) : ""]],
  generation: (_, record) => [["generation", String(record.generation)]],
};
export const CSV_COLUMNS: readonly string[] = Object.keys(COLUMNS);

function durationMs({ firstSeen, lastSeen }: NonNullable<HistoryRecord["record"]>): number {
  if (!firstSeen || !lastSeen) return 0;
  return Math.max(0, timestampDate(lastSeen).getTime() - timestampDate(firstSeen).getTime());
}

/** @throws Failure INVALID_ARGUMENT for a column that there is none of */
export function requireCsvColumns(names: readonly string[]): readonly string[] {
  const wanted = names.length === 0 ? CSV_COLUMNS : names;
  const unknown = wanted.find((name) => !Object.hasOwn(COLUMNS, name));
  if (unknown === undefined && wanted.length <= CSV_COLUMNS.length && new Set(wanted).size === wanted.length)
    return wanted;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message:
      unknown === undefined
        ? "A column was asked for twice."
        : `There is no column ${JSON.stringify(unknown.slice(0, 100))} of flows.`,
    hint: `There are ${CSV_COLUMNS.join(", ")}.`,
  });
}

export function recordCsvLine(item: HistoryRecord, columns: readonly string[]): string {
  return lineOf(fieldsOf(item, columns).map(([, value]) => value));
}

const EXAMPLE = create(HistoryRecordSchema, { record: {} });

export function recordCsvHeader(columns: readonly string[]): string {
  return lineOf(fieldsOf(EXAMPLE, columns).map(([header]) => header));
}

function fieldsOf(item: HistoryRecord, columns: readonly string[]): readonly [string, string][] {
  const { record } = item;
  return record ? columns.flatMap((name) => [...(COLUMNS[name]?.(item, record) ?? [])]) : [];
}

function lineOf(values: readonly string[]): string {
  return `${values.map(quoted).join(",")}\r\n`;
}

/** Spreadsheets compute what begins like this, also after blanks. */
const FORMULA = /^[\s]*[=+\-@\t\r]/;

function quoted(value: string): string {
  const safe = FORMULA.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe;
}
