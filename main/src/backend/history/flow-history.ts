/**
 * The history of flows behind one interface: partitions of SQLite beside the console's database, or PostgreSQL for fleets
 * that outgrow one console. Both pass the same contract (`testing/history-contract.ts`).
 */
import type { FlowRecordBatch, FlowRecord as WireFlowRecord } from "@wardline/api/wardline/v1/flow_record";
import type { FlowDimension, FlowMeasure, FlowQuery, FlowRecord, FlowSums } from "@wardline/domain/flows";

/** How far one host's journal was read. Kept in the same transaction as the records: nothing is lost or stored twice. */
export interface JournalPosition {
  readonly journalId: string;
  readonly sequence: bigint;
}

/** Sequences that are not stored although later ones are (a damaged partition): read again while the host has them. */
export interface JournalGap {
  readonly journalId: string;
  readonly firstSequence: bigint;
  readonly lastSequence: bigint;
}

export interface IngestBatch {
  readonly hostId: string;
  readonly hostName: string;
  readonly journalId: string;
  /** Bounded and judged already. In order, of one journal. */
  readonly batches: readonly FlowRecordBatch[];
}

export type HistoryResolution = "record" | "minute" | "hour" | "day";

export interface StoredRecord {
  /** Opaque; for pages. */
  readonly id: string;
  readonly hostId: string;
  readonly host: string;
  readonly record: WireFlowRecord;
  readonly resolution: HistoryResolution;
}

/** As `wardline.console.v1.Searched`. */
export interface SearchProgress {
  readonly matched: number;
  readonly isComplete: boolean;
  readonly searched: number;
  readonly total: number;
  readonly coarsest: HistoryResolution;
  /** `null` = nothing coarser than records was used. */
  readonly coarseBeforeMs: number | null;
  readonly gaps: readonly string[];
}

export type { FlowSums };

export interface HistoryGroup {
  readonly values: readonly string[];
  readonly sums: FlowSums;
}

export const ROW_SORTS: readonly RowSort[] = [
  ...(["time", "host", "direction", "subject", "source", "destination", "peer", "port", "protocol"] as const),
  ...(["verdict", "policy", "process", "user", "cgroup"] as const),
  ...(["bytes", "packets", "connections", "denied", "duration"] as const),
];
export type RowSort =
  | "time"
  | "verdict"
  | "bytes"
  | "packets"
  | "connections"
  | "denied"
  | "duration"
  | Exclude<FlowDimension, "source-name" | "destination-name" | "verdict">;

/** Rows that are equal in it are newest first; values that are not known come last. */
export interface RowOrder {
  readonly sort: RowSort;
  readonly isAscending: boolean;
}

/** A stretch of a result that is a list in some order. */
export interface RowsRead {
  readonly rows: readonly StoredRecord[];
  /** Rank of the first. */
  readonly from: number;
  readonly rowCount: number;
  /** Rows that have a rank: fewer than all when there are millions more than any list shows. */
  readonly listed: number;
  /** Opaque: what was there, for the next stretch of the same list. */
  readonly snapshot: string;
  /** Rows that match and came since. */
  readonly newer: number;
  readonly progress: SearchProgress;
}

export interface RowsOptions {
  readonly order: RowOrder;
  readonly from: number;
  /** Instead of `from`, in the order of time. */
  readonly atMs: number | null;
  readonly limit: number;
  /** Empty = as it is now. */
  readonly snapshot: string;
  readonly labels: LabelResolver;
}

export interface RetentionLimits {
  readonly recordDays: number;
  readonly minuteDays: number;
  readonly hourDays: number;
  readonly dayDays: number;
  readonly maxRecords: number;
  readonly maxBytes: number;
}

export const USUAL_RETENTION_LIMITS: RetentionLimits = {
  recordDays: 7,
  minuteDays: 30,
  hourDays: 180,
  dayDays: 730,
  maxRecords: 50_000_000,
  maxBytes: 8 * 1024 ** 3,
};

export interface PartitionInfo {
  readonly id: string;
  readonly resolution: HistoryResolution;
  readonly oldestMs: number;
  readonly newestMs: number;
  readonly records: number;
  readonly sizeBytes: number;
}

export interface HistoryState {
  readonly backend: "sqlite" | "postgresql";
  readonly records: number;
  readonly sizeBytes: number;
  readonly oldestMs: number | null;
  readonly partitions: readonly PartitionInfo[];
  readonly problems: readonly string[];
}

/** Labels are not in records: who asks by label gives the endpoint keys and addresses that have it now. */
export type LabelResolver = (label: string) => {
  readonly subjectKeys: readonly string[];
  readonly addresses: readonly string[];
};

/** Every method may reject with `Failure` (STORE_UNAVAILABLE, DISK_FULL, HISTORY_DAMAGED, INVALID_ARGUMENT). */
export interface FlowHistory {
  positions(hostId: string): Promise<readonly JournalPosition[]>;
  gaps(hostId: string): Promise<readonly JournalGap[]>;
  /** The host has these no longer: they are lost, and not asked for again. */
  abandon(hostId: string, gap: JournalGap): Promise<void>;
  /** All of it or nothing. Batches that are stored already are left out. Returns how many records are new. */
  ingest(batches: readonly IngestBatch[]): Promise<number>;
  /** Newest first. Ends when the limit is reached, everything was searched, or the signal aborts. */
  search(
    query: FlowQuery,
    options: { readonly limit: number; readonly pageToken: string; readonly labels: LabelResolver },
    signal: AbortSignal,
  ): AsyncIterable<{
    readonly records: readonly StoredRecord[];
    readonly progress: SearchProgress;
    readonly nextPageToken: string;
  }>;
  /** Any stretch of a result by rank; `null` when the signal aborted. May reject with INVALID_ARGUMENT for a snapshot that is none. */
  rows(query: FlowQuery, options: RowsOptions, signal: AbortSignal): Promise<RowsRead | null>;
  /** Largest first; each answer replaces the one before, the last is complete. */
  group(
    query: FlowQuery,
    options: {
      readonly by: readonly FlowDimension[];
      readonly order: FlowMeasure;
      readonly limit: number;
      readonly labels: LabelResolver;
    },
    signal: AbortSignal,
  ): AsyncIterable<{
    readonly groups: readonly HistoryGroup[];
    readonly total: FlowSums;
    readonly groupCount: number;
    readonly progress: SearchProgress;
  }>;
  /** Sums per step of time, for one dimension's values if asked. `stepMs` as given, starts are multiples of it. */
  series(
    query: FlowQuery,
    options: { readonly stepMs: number; readonly splitBy: FlowDimension | null; readonly labels: LabelResolver },
    signal: AbortSignal,
  ): Promise<{
    readonly points: readonly { readonly timeMs: number; readonly value: string; readonly sums: FlowSums }[];
    readonly progress: SearchProgress;
  }>;
  /** Oldest first in pieces, as detectors and simulation look at them: at the finest resolution there is. */
  replay(
    query: FlowQuery,
    options: { readonly labels: LabelResolver },
    signal: AbortSignal,
  ): AsyncIterable<readonly (FlowRecord & { readonly hostId: string })[]>;
  state(): Promise<HistoryState>;
  /** What goes with these limits now; with `apply` it does. Runs by itself too. */
  retain(
    limits: RetentionLimits,
    nowMs: number,
    apply: boolean,
  ): Promise<{ readonly removedRecords: number; readonly removedBytes: number; readonly oldestMs: number | null }>;
  /** Removes everything of one host (it was forgotten). */
  forgetHost(hostId: string): Promise<void>;
  close(): Promise<void>;
}
