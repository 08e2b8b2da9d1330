/** What a record counts under in each dimension, as SQL: as `dimensionValue` says. */
import type { FlowDimension, FlowMeasure } from "@wardline/domain/flows";
import type { FlowSums, RowOrder, RowSort } from "../flow-history.ts";

const DIMENSIONS: Record<FlowDimension, string> = {
  host: "s.host",
  source: "s.source",
  destination: "s.destination",
  peer: "(CASE s.direction WHEN 1 THEN s.source ELSE s.destination END)",
  port: "(CASE WHEN s.protocol IN (1, 58) THEN '' ELSE s.port::text END)",
  protocol: "s.protocol::text",
  process: "(CASE WHEN s.executable <> '' THEN s.executable ELSE s.command END)",
  user: "s.user_name",
  verdict: "(CASE s.verdict WHEN 1 THEN 'allow' ELSE 'deny' END)",
  policy: "array_to_string(s.policy_keys, ', ')",
  rule: "s.summary",
  direction: "(CASE s.direction WHEN 1 THEN 'ingress' ELSE 'egress' END)",
  subject: "s.subject",
  cgroup: "s.cgroup",
  "source-name":
    "(CASE WHEN s.source_name <> '' THEN s.source_name WHEN s.direction = 1 THEN s.observed_name ELSE '' END)",
  "destination-name":
    "(CASE WHEN s.destination_name <> '' THEN s.destination_name WHEN s.direction = 2 THEN s.observed_name ELSE '' END)",
};

export function dimensionSql(dimension: FlowDimension): string {
  return `(${DIMENSIONS[dimension]}) COLLATE "C"`;
}

const DURATION = "(r.last_ms - r.first_ms)";
/** Unknown values are NULL, which is last in either direction. */
const SORTS: Partial<Record<RowSort, string>> = {
  time: "r.first_ms",
  source: "nullif(s.source_key, ''::bytea)",
  destination: "nullif(s.destination_key, ''::bytea)",
  peer: "nullif(CASE s.direction WHEN 1 THEN s.source_key ELSE s.destination_key END, ''::bytea)",
  port: "(CASE WHEN s.protocol IN (1, 58) THEN NULL ELSE s.port END)",
  protocol: "s.protocol",
  verdict: "(CASE WHEN s.verdict = 1 THEN 0 WHEN s.enforced = 1 THEN 1 ELSE 2 END)",
  bytes: "(r.out_bytes + r.in_bytes)",
  packets: "r.packets",
  connections: "r.started",
  denied: "r.denied",
  duration: DURATION,
};

/** What rows are sorted by; those that are equal are newest first. */
export function orderSql({ sort, isAscending }: RowOrder): string {
  const direction = isAscending ? "ASC" : "DESC";
  const value = SORTS[sort] ?? `nullif((${DIMENSIONS[sort as FlowDimension]}), '') COLLATE "C"`;
  const rest = sort === "time" ? "" : ", r.first_ms DESC";
  // The exact reverse of newest first.
  const last = sort === "time" && isAscending ? "DESC" : "ASC";
  return `${value} ${direction} NULLS LAST${rest}, r.id ${last}`;
}

/** Columns of sums, named as {@link sumsOfRow} reads them. */
export const SUMS = `sum(r.records) AS records, sum(r.started) AS started, sum(r.denied) AS denied, sum(r.packets) AS packets,
  sum(r.out_bytes) AS out_bytes, sum(r.in_bytes) AS in_bytes, min(r.first_ms) AS first_ms, max(r.last_ms) AS last_ms`;

/** Of the columns of {@link SUMS}. */
export const MEASURE_SQL: Record<FlowMeasure, string> = {
  connections: "started",
  bytes: "(out_bytes + in_bytes)",
  denied: "denied",
  records: "records",
  packets: "packets",
};

/** The driver gives large numbers as texts; absent ones are 0. */
export function sumsOfRow(row: Readonly<Record<string, unknown>>, prefix = ""): FlowSums {
  const number = (name: string) => Number(row[`${prefix}${name}`] ?? 0);
  return {
    records: number("records"),
    connections: number("started"),
    deniedPackets: number("denied"),
    packets: number("packets"),
    originatorBytes: number("out_bytes"),
    responderBytes: number("in_bytes"),
    firstSeenMs: number("first_ms"),
    lastSeenMs: number("last_ms"),
  };
}
