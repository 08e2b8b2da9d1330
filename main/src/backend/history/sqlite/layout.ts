/** What a partition of the history looks like: one SQLite file, and a small description beside it once it is sealed. */
import type { Database } from "better-sqlite3";
import type { HistoryResolution, JournalGap } from "../flow-history.ts";

export const FORMAT = 1;

/** Finest first. Files of the resolution `record` are leaves: numbered by arrival, and what every other file is made of. */
export const RESOLUTIONS = ["record", "minute", "hour", "day"] as const satisfies readonly HistoryResolution[];
export const BUCKET_MS: Record<HistoryResolution, number> = {
  record: 0,
  minute: 60_000,
  hour: 3_600_000,
  day: 86_400_000,
};

/** Rows of a block: some milliseconds of work, after which a query looks whether it was cancelled. */
export const BLOCK_ROWS = 8_192;

/** What says who talked to whom; a column of `series` each. Texts, addresses and decisions are numbers of their tables. */
export const IDENTITY_COLUMNS = [
  ...["host_id", "host", "direction", "protocol", "source", "destination", "port"],
  ...[
    "source_name",
    "destination_name",
    "observed_name",
    "verdict",
    "enforced",
    "decision",
    "subject",
    "cgroup",
    "hook",
  ],
  ...["user_id", "user_name", "command", "executable", "has_process", "is_known_process"],
] as const;
/** Of {@link IDENTITY_COLUMNS}: those that are numbers of texts. */
export const TEXT_COLUMNS = [
  ...["host_id", "host", "source_name", "destination_name", "observed_name", "subject", "cgroup"],
  ...["user_name", "command", "executable"],
] as const;

/** Columns of a block, in the three blobs that are read apart from each other. */
export const KEY_COLUMNS = ["series", "start_ms", "length_ms"] as const;
/** Times are milliseconds after the start of the window. */
export const SUM_COLUMNS = [
  "records",
  "started",
  "denied",
  "packets",
  "out_bytes",
  "in_bytes",
  "first",
  "last",
] as const;
export type SumColumn = (typeof SUM_COLUMNS)[number];
export const REST_COLUMNS = ["ended", "pid", "generation", "folded"] as const;
export const COLUMN_COUNT = KEY_COLUMNS.length + SUM_COLUMNS.length + REST_COLUMNS.length;

/**
 * Of a sealed file, `series_columns` has the identities again, and the totals of each series, as columns by its number: what
 * groups over the whole partition read. The times of totals are Unix milliseconds. Beside them are the blocks that
 * each series is in (`series-blocks.ts`), which files that were sealed earlier do not have.
 */
export const SERIES_COLUMNS = [...IDENTITY_COLUMNS, ...SUM_COLUMNS] as const;
export type SeriesColumn = (typeof SERIES_COLUMNS)[number];

/** Series 0 is nobody: the rows of a host that was forgotten. */
export const NOBODY = 0;

const SCHEMA = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE addresses (id INTEGER PRIMARY KEY, key BLOB NOT NULL, text TEXT NOT NULL);
CREATE TABLE decisions (id INTEGER PRIMARY KEY, wire BLOB NOT NULL, policy_keys TEXT NOT NULL, summary TEXT NOT NULL);
CREATE TABLE series (
  id INTEGER PRIMARY KEY, ${IDENTITY_COLUMNS.map((name) => `${name} INTEGER NOT NULL`).join(", ")}
);
CREATE TABLE series_columns (name TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (
  id INTEGER PRIMARY KEY, row_count INTEGER NOT NULL,
  min_start_ms INTEGER NOT NULL, max_start_ms INTEGER NOT NULL, min_end_ms INTEGER NOT NULL, max_end_ms INTEGER NOT NULL
);
CREATE TABLE block_keys (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE block_sums (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE block_rest (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE ingested (
  leaf INTEGER NOT NULL, host_id TEXT NOT NULL, journal_id TEXT NOT NULL,
  first_sequence INTEGER NOT NULL, last_sequence INTEGER NOT NULL
);
CREATE TABLE positions (
  host_id TEXT NOT NULL, journal_id TEXT NOT NULL, sequence INTEGER NOT NULL, touched INTEGER NOT NULL,
  PRIMARY KEY (host_id, journal_id)
) WITHOUT ROWID;
CREATE TABLE gaps (
  host_id TEXT NOT NULL, journal_id TEXT NOT NULL, first_sequence INTEGER NOT NULL, last_sequence INTEGER NOT NULL
);
`;

/** Built once nothing is added any more. What has few values (ports, programs, policies) is found as fast without one. */
const INDEXES = `
CREATE INDEX IF NOT EXISTS texts_text ON texts (text COLLATE NOCASE);
CREATE INDEX IF NOT EXISTS addresses_key ON addresses (key);
${["host", "source", "destination", "source_name", "destination_name"]
  .map((column) => `CREATE INDEX IF NOT EXISTS series_${column} ON series (${column});`)
  .join("\n")}
`;

export function createSchema(database: Database): void {
  database.exec(SCHEMA);
  database.pragma(`user_version = ${FORMAT}`);
}

export function createIndexes(database: Database): void {
  database.exec(INDEXES);
}

/** Sequences of one journal that a leaf has. */
export interface IngestedRange {
  readonly leaf: number;
  readonly hostId: string;
  readonly journalId: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
}

export interface HostPosition {
  readonly hostId: string;
  readonly journalId: string;
  readonly sequence: number;
}

/** The description beside a sealed file. What it says can be read from the file again, as long as that is whole. */
export interface Description {
  readonly format: typeof FORMAT;
  readonly resolution: HistoryResolution;
  readonly firstLeaf: number;
  readonly lastLeaf: number;
  /** When the last of its leaves was sealed. */
  readonly sealedAtMs: number;
  /** Rows of blocks, and how many records of hosts they stand for. */
  readonly rows: number;
  readonly records: number;
  readonly series: number;
  /** Of the windows; 0 when there are none. */
  readonly minStartMs: number;
  readonly maxStartMs: number;
  readonly minEndMs: number;
  readonly maxEndMs: number;
  /** A window of a record reaches over the bucket that it was put into: bounds on bucket borders are not exact. */
  readonly straddles: boolean;
  /** Of the file as it was sealed, and its checksum: the series have none of their own. */
  readonly sizeBytes: number;
  readonly checksum: number;
  readonly ingested: readonly IngestedRange[];
  readonly positions: readonly HostPosition[];
  readonly gaps: readonly HostGap[];
}

export type HostGap = Omit<IngestedRange, "leaf">;

export function toGap({ journalId, firstSequence, lastSequence }: HostGap): JournalGap {
  return { journalId, firstSequence: BigInt(firstSequence), lastSequence: BigInt(lastSequence) };
}

/** `leaf-0000000012`, `hour-0000000012-0000000030`; `.db` and `.json` belong to it. */
export function fileStem(resolution: HistoryResolution, firstLeaf: number, lastLeaf: number): string {
  const [first, last] = [firstLeaf, lastLeaf].map((leaf) => String(leaf).padStart(10, "0"));
  return resolution === "record" ? `leaf-${first}` : `${resolution}-${first}-${last}`;
}

const STEM = /^(leaf|minute|hour|day)-(\d{10})(?:-(\d{10}))?$/;

/** `null` for a name that none of ours has. */
export function parseStem(
  stem: string,
): { readonly resolution: HistoryResolution; readonly firstLeaf: number; readonly lastLeaf: number } | null {
  const [, word, first, last] = STEM.exec(stem) ?? [];
  if (word === undefined || first === undefined || (word === "leaf") !== (last === undefined)) return null;
  const resolution = word === "leaf" ? "record" : (word as HistoryResolution);
  return { resolution, firstLeaf: Number(first), lastLeaf: Number(last ?? first) };
}
