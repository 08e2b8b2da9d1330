/** Tables of the history in PostgreSQL. Texts stand in `series` once for all records of the same ends; records are numbers. */
import type { HistoryResolution } from "../flow-history.ts";

export const SCHEMA_VERSION = 1;

/** Finest first; the number of a resolution is its place. */
export const RESOLUTIONS = ["record", "minute", "hour", "day"] as const satisfies readonly HistoryResolution[];
export const BUCKET_MS: Record<HistoryResolution, number> = {
  record: 0,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
};
export const DAY_MS = 86_400_000;

/** What says who talked to whom, with its type. Texts compare by bytes, as the reference does. */
export const IDENTITY = {
  host_id: "text",
  host: "text",
  direction: "smallint",
  protocol: "smallint",
  source: "text",
  source_key: "bytea",
  destination: "text",
  destination_key: "bytea",
  port: "integer",
  source_name: "text",
  destination_name: "text",
  observed_name: "text",
  verdict: "smallint",
  enforced: "smallint",
  decision: "bytea",
  policy_keys: "text[]",
  summary: "text",
  subject: "text",
  cgroup: "text",
  hook: "smallint",
  user_id: "bigint",
  user_name: "text",
  command: "text",
  executable: "text",
  has_process: "boolean",
} as const;
export type IdentityColumn = keyof typeof IDENTITY;

/** Numbers of one record. Times are Unix milliseconds. */
export const NUMBERS = [
  ...["part", "series", "start_ms", "length_ms", "first_ms", "last_ms", "records", "started", "ended", "denied"],
  ...["packets", "out_bytes", "in_bytes", "pid", "generation", "folded"],
] as const;

/**
 * A part is a table of its own: what arrived on one day at one resolution. Records go by whole parts, so that what is old
 * costs nothing to remove.
 */
export function partOf(arrivedAtMs: number, resolution: HistoryResolution): number {
  return Math.floor(arrivedAtMs / DAY_MS) * RESOLUTIONS.length + RESOLUTIONS.indexOf(resolution);
}

export function resolutionOf(part: number): HistoryResolution {
  return RESOLUTIONS[part % RESOLUTIONS.length]!;
}

/** First moment of the day on which the records of a part arrived. */
export function dayOf(part: number): number {
  return Math.floor(part / RESOLUTIONS.length) * DAY_MS;
}

const identityColumns = Object.entries(IDENTITY)
  .map(([name, type]) => `${name} ${type}${type.startsWith("text") ? ' COLLATE "C"' : ""} NOT NULL`)
  .join(",\n  ");

/** Idempotent; run under a lock of the database. @param schema a quoted identifier */
export function schemaStatements(schema: string): string {
  return `
CREATE SCHEMA IF NOT EXISTS ${schema};
CREATE TABLE IF NOT EXISTS ${schema}.meta (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS ${schema}.series (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  digest bytea NOT NULL UNIQUE,
  ${identityColumns}
);
CREATE INDEX IF NOT EXISTS series_host ON ${schema}.series (host_id);
CREATE INDEX IF NOT EXISTS series_source ON ${schema}.series (source_key);
CREATE INDEX IF NOT EXISTS series_destination ON ${schema}.series (destination_key);
CREATE INDEX IF NOT EXISTS series_port ON ${schema}.series (port);
CREATE INDEX IF NOT EXISTS series_command ON ${schema}.series (command);
CREATE SEQUENCE IF NOT EXISTS ${schema}.record_ids;
CREATE TABLE IF NOT EXISTS ${schema}.records (
  id bigint NOT NULL DEFAULT nextval('${schema}.record_ids'),
  ${NUMBERS.map((name) => `${name} ${name === "part" ? "integer" : "bigint"} NOT NULL`).join(", ")}
) PARTITION BY LIST (part);
CREATE INDEX IF NOT EXISTS records_time ON ${schema}.records (start_ms, id);
CREATE INDEX IF NOT EXISTS records_series ON ${schema}.records (series, start_ms);
CREATE TABLE IF NOT EXISTS ${schema}.parts (
  part integer PRIMARY KEY, row_count bigint NOT NULL,
  min_start_ms bigint NOT NULL, max_start_ms bigint NOT NULL, min_end_ms bigint NOT NULL, max_end_ms bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS ${schema}.positions (
  host_id text NOT NULL, journal_id text NOT NULL, sequence bigint NOT NULL, PRIMARY KEY (host_id, journal_id)
);
INSERT INTO ${schema}.meta VALUES ('version', '${SCHEMA_VERSION}') ON CONFLICT DO NOTHING;
`;
}
