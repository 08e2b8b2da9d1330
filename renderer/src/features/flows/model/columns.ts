/** Columns of the list of records: what they are called, what they sort by, and how the window keeps them. */
import { RecordSort } from "@wardline/api/wardline/console/v1/history";

export const COLUMN_NAMES = [
  ...["when", "host", "direction", "subject", "peer", "port", "protocol", "verdict", "policy", "rule"],
  ...["process", "user", "cgroup", "connections", "denied", "bytes", "packets", "duration", "generation"],
] as const satisfies readonly string[];
export type ColumnName =
  | "when"
  | "host"
  | "direction"
  | "subject"
  | "peer"
  | "port"
  | "protocol"
  | "verdict"
  | "policy"
  | "rule"
  | "process"
  | "user"
  | "cgroup"
  | "connections"
  | "denied"
  | "bytes"
  | "packets"
  | "duration"
  | "generation";

export interface ColumnInfo {
  readonly title: string;
  readonly width: number;
  /** `null` = the store cannot sort by it; {@link whyNot} says why. */
  readonly sort: RecordSort | null;
  readonly whyNot?: string;
  readonly isNumber?: boolean;
}

const OF_TEXT = "A rule is known by its policy: sort by policy.";

export const COLUMNS: Readonly<Record<ColumnName, ColumnInfo>> = {
  when: { title: "When", width: 160, sort: RecordSort.TIME },
  host: { title: "Host", width: 90, sort: RecordSort.HOST },
  direction: { title: "Way", width: 58, sort: RecordSort.DIRECTION },
  subject: { title: "Subject", width: 190, sort: RecordSort.SUBJECT },
  peer: { title: "Peer", width: 230, sort: RecordSort.PEER },
  port: { title: "Port", width: 92, sort: RecordSort.PORT, isNumber: false },
  protocol: { title: "Protocol", width: 74, sort: RecordSort.PROTOCOL },
  verdict: { title: "Verdict", width: 128, sort: RecordSort.VERDICT },
  policy: { title: "Decided by", width: 200, sort: RecordSort.POLICY },
  rule: { title: "Rule", width: 110, sort: null, whyNot: OF_TEXT },
  process: { title: "Process", width: 150, sort: RecordSort.PROCESS },
  user: { title: "User", width: 90, sort: RecordSort.USER },
  cgroup: { title: "Process group", width: 170, sort: RecordSort.CGROUP },
  connections: { title: "Times", width: 70, sort: RecordSort.CONNECTIONS, isNumber: true },
  denied: { title: "Denied packets", width: 108, sort: RecordSort.DENIED, isNumber: true },
  bytes: { title: "Bytes", width: 84, sort: RecordSort.BYTES, isNumber: true },
  packets: { title: "Packets", width: 78, sort: RecordSort.PACKETS, isNumber: true },
  duration: { title: "Duration", width: 80, sort: RecordSort.DURATION, isNumber: true },
  generation: {
    title: "Generation",
    width: 86,
    sort: null,
    whyNot: "The store has no order of generations: sort by time, which they follow.",
    isNumber: true,
  },
};

export interface ShownColumn {
  readonly name: ColumnName;
  readonly width: number;
}

const USUAL: readonly ColumnName[] = [
  ...(["when", "verdict", "host", "direction", "subject", "peer", "port", "policy", "process"] as const),
  ...(["connections", "bytes"] as const),
];
export const USUAL_COLUMNS: readonly ShownColumn[] = USUAL.map((name) => ({ name, width: COLUMNS[name].width }));

const MIN_WIDTH = 40;
const MAX_WIDTH = 900;
const KEY = "wardline.flows.columns";

export function isColumnName(name: string): name is ColumnName {
  return Object.hasOwn(COLUMNS, name);
}

/** What was kept or saved, as far as it can be understood: known columns, each once, of a width that can be seen. */
export function readColumns(given: unknown): readonly ShownColumn[] {
  if (!Array.isArray(given)) return USUAL_COLUMNS;
  const columns = new Map<ColumnName, ShownColumn>();
  for (const each of given.slice(0, 100)) {
    const { name, width } = (typeof each === "object" && each !== null ? each : {}) as Record<string, unknown>;
    if (typeof name !== "string" || !isColumnName(name)) continue;
    const isWidth = typeof width === "number" && width >= MIN_WIDTH && width <= MAX_WIDTH;
    columns.set(name, { name, width: isWidth ? width : COLUMNS[name].width });
  }
  return columns.size === 0 ? USUAL_COLUMNS : [...columns.values()];
}

export function keptColumns(): readonly ShownColumn[] {
  try {
    return readColumns(JSON.parse(localStorage.getItem(KEY) ?? "null"));
  } catch {
    return USUAL_COLUMNS;
  }
}

export function keepColumns(columns: readonly ShownColumn[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(columns));
  } catch {
    // Without storage the choice lasts as long as the window.
  }
}

export function resized(columns: readonly ShownColumn[], name: ColumnName, width: number): readonly ShownColumn[] {
  const bounded = Math.round(Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, width)));
  return columns.map((column) => (column.name === name ? { name, width: bounded } : column));
}

/** @param by -1 = to the left */
export function moved(columns: readonly ShownColumn[], name: ColumnName, by: -1 | 1): readonly ShownColumn[] {
  const from = columns.findIndex((column) => column.name === name);
  const to = from + by;
  const [left, right] = [columns[from], columns[to]];
  if (!left || !right) return columns;
  return columns.map((column, index) => (index === from ? right : index === to ? left : column));
}

export function toggled(columns: readonly ShownColumn[], name: ColumnName): readonly ShownColumn[] {
  const without = columns.filter((column) => column.name !== name);
  // The last one stays: a list of nothing says nothing.
  if (without.length < columns.length) return without.length === 0 ? columns : without;
  return [...columns, { name, width: COLUMNS[name].width }];
}
