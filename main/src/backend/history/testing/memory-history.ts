/**
 * The history of flows as simply as it can be said: every record in one list, every question asked of all of them. What
 * the stores are compared with, and what other tests use in their place. Nothing is rolled up.
 */
import type { FlowRecord as WireFlowRecord } from "@wardline/api/wardline/v1/flow_record";
import {
  EVERYTHING,
  type FlowDimension,
  type FlowQuery,
  type FlowRecord,
  matchesQuery,
  measureOf,
  NO_LABELS,
} from "@wardline/domain/flows";
import { fromWireFlowRecord } from "@wardline/domain/wire";
import { addSums, dimensionValue, type MutableSums, measureOfSums, noSums, sumsOfRecord } from "../dimensions.ts";
import type {
  FlowHistory,
  HistoryState,
  IngestBatch,
  JournalGap,
  JournalPosition,
  LabelResolver,
  RetentionLimits,
  RowOrder,
  RowSort,
  RowsOptions,
  RowsRead,
  SearchProgress,
  StoredRecord,
} from "../flow-history.ts";
import { addressKey } from "../sqlite/address-range.ts";

const DAY_MS = 86_400_000;
const PIECE = 1_000;
const ABOUT_BYTES = 60;

/** What a record is sorted by; `null` when it is not known. */
function sortValue(sort: Exclude<RowSort, "time">, { plain, wire }: Kept): string | number | null {
  switch (sort) {
    case "bytes":
    case "packets":
    case "connections":
    case "denied":
    case "duration":
      return measureOf(sort, plain);
    case "verdict":
      return wire.verdict === 1 ? 0 : wire.enforced === 1 ? 1 : 2;
    case "source":
    case "destination":
    case "peer":
      return Buffer.from(addressKey(dimensionValue(sort, plain))).toString("hex") || null;
    case "port":
    case "protocol": {
      const value = dimensionValue(sort, plain);
      return value === "" ? null : Number(value);
    }
    default:
      return dimensionValue(sort, plain) || null;
  }
}

function comparing({ sort, isAscending }: RowOrder): (a: Kept, b: Kept) => number {
  return (a, b) => {
    if (sort === "time") return 0;
    const [left, right] = [sortValue(sort, a), sortValue(sort, b)];
    if (left === right) return 0;
    if (left === null || right === null) return left === null ? 1 : -1;
    return (left < right ? -1 : 1) * (isAscending ? 1 : -1);
  };
}

interface Kept {
  readonly ordinal: number;
  readonly hostId: string;
  readonly plain: FlowRecord;
  readonly wire: WireFlowRecord;
}

export class MemoryHistory implements FlowHistory {
  #kept: Kept[] = [];
  #ordinal = 0;
  /** By host, then journal. */
  readonly #positions = new Map<string, Map<string, bigint>>();

  positions(hostId: string): Promise<readonly JournalPosition[]> {
    const journals = [...(this.#positions.get(hostId) ?? [])];
    return Promise.resolve(journals.map(([journalId, sequence]) => ({ journalId, sequence })));
  }

  gaps(_hostId: string): Promise<readonly JournalGap[]> {
    return Promise.resolve([]);
  }

  abandon(_hostId: string, _gap: JournalGap): Promise<void> {
    return Promise.resolve();
  }

  ingest(batches: readonly IngestBatch[]): Promise<number> {
    let added = 0;
    for (const { hostId, hostName, journalId, batches: wireBatches } of batches) {
      const journals = this.#positions.get(hostId) ?? new Map<string, bigint>();
      this.#positions.set(hostId, journals);
      for (const { sequence, records } of wireBatches) {
        if (sequence <= (journals.get(journalId) ?? 0n)) continue;
        journals.set(journalId, sequence);
        for (const wire of records) {
          this.#kept.push({ ordinal: this.#ordinal++, hostId, plain: fromWireFlowRecord(wire, hostName), wire });
        }
        added += records.length;
      }
    }
    return Promise.resolve(added);
  }

  async *search(
    query: FlowQuery,
    options: { readonly limit: number; readonly pageToken: string; readonly labels: LabelResolver },
    signal: AbortSignal,
  ): ReturnType<FlowHistory["search"]> {
    const after = options.pageToken === "" ? null : options.pageToken.split(":").map(Number);
    const newestFirst = this.#matching(query, options.labels).sort(
      (a, b) => b.plain.windowStartMs - a.plain.windowStartMs || a.ordinal - b.ordinal,
    );
    const [afterMs = Number.POSITIVE_INFINITY, afterOrdinal = -1] = after ?? [];
    const older = newestFirst.filter(
      ({ plain, ordinal }) =>
        plain.windowStartMs < afterMs || (plain.windowStartMs === afterMs && ordinal > afterOrdinal),
    );
    const page = older.slice(0, options.limit);
    const last = page.at(-1);
    const isComplete = page.length === older.length;
    if (signal.aborted) return;
    yield {
      records: page.map(({ ordinal, hostId, plain, wire }) => ({
        id: String(ordinal),
        hostId,
        host: plain.host,
        record: wire,
        resolution: "record",
      })),
      progress: { ...this.#progress(query, page.length), isComplete },
      nextPageToken: isComplete || !last ? "" : `${last.plain.windowStartMs}:${last.ordinal}`,
    };
  }

  rows(query: FlowQuery, options: RowsOptions, _signal: AbortSignal): Promise<RowsRead | null> {
    const { order, atMs, limit, labels } = options;
    const all = this.#matching(query, labels);
    const end = options.snapshot === "" ? this.#ordinal : Number(options.snapshot);
    if (!Number.isSafeInteger(end)) return Promise.reject(new TypeError("no such list"));
    const known = all.filter(({ ordinal }) => ordinal < end);
    const sorted = known.sort((a, b) => b.plain.firstSeenMs - a.plain.firstSeenMs || a.ordinal - b.ordinal);
    if (order.sort !== "time") sorted.sort(comparing(order));
    else if (order.isAscending) sorted.reverse();
    const isBefore = ({ plain }: Kept) =>
      order.isAscending ? plain.firstSeenMs < (atMs ?? 0) : plain.firstSeenMs > (atMs ?? 0);
    const wanted = atMs === null || order.sort !== "time" ? options.from : sorted.filter(isBefore).length;
    const from = Math.min(wanted, sorted.length);
    const rows = sorted.slice(from, from + limit).map(
      ({ ordinal, hostId, plain, wire }): StoredRecord => ({
        id: String(ordinal),
        hostId,
        host: plain.host,
        record: wire,
        resolution: "record",
      }),
    );
    const newer = all.length - known.length;
    const [rowCount, listed] = [sorted.length, sorted.length];
    return Promise.resolve({
      rows,
      from,
      rowCount,
      listed,
      snapshot: String(end),
      newer,
      progress: this.#progress(query, rowCount),
    });
  }

  async *group(
    query: FlowQuery,
    { by, order, limit, labels }: Parameters<FlowHistory["group"]>[1],
    signal: AbortSignal,
  ): ReturnType<FlowHistory["group"]> {
    const groups = new Map<string, { readonly values: readonly string[]; readonly sums: MutableSums }>();
    const total = noSums();
    for (const { plain } of this.#matching(query, labels)) {
      const values = by.map((dimension) => dimensionValue(dimension, plain));
      const key = JSON.stringify(values);
      const group = groups.get(key) ?? { values, sums: noSums() };
      groups.set(key, group);
      addSums(group.sums, sumsOfRecord(plain));
      addSums(total, sumsOfRecord(plain));
    }
    const largest = [...groups.entries()].sort(
      ([keyA, a], [keyB, b]) =>
        measureOfSums(order, b.sums) - measureOfSums(order, a.sums) || (keyA < keyB ? -1 : keyA > keyB ? 1 : 0),
    );
    if (signal.aborted) return;
    yield {
      groups: largest.slice(0, limit).map(([, group]) => group),
      total,
      groupCount: groups.size,
      progress: this.#progress(query, total.records),
    };
  }

  series(
    query: FlowQuery,
    {
      stepMs,
      splitBy,
      labels,
    }: { readonly stepMs: number; readonly splitBy: FlowDimension | null; readonly labels: LabelResolver },
    _signal: AbortSignal,
  ): ReturnType<FlowHistory["series"]> {
    const points = new Map<string, { readonly timeMs: number; readonly value: string; readonly sums: MutableSums }>();
    let matched = 0;
    for (const { plain } of this.#matching(query, labels)) {
      const timeMs = Math.floor(plain.windowStartMs / stepMs) * stepMs;
      const value = splitBy === null ? "" : dimensionValue(splitBy, plain);
      const key = `${timeMs} ${value}`;
      const point = points.get(key) ?? { timeMs, value, sums: noSums() };
      points.set(key, point);
      addSums(point.sums, sumsOfRecord(plain));
      matched++;
    }
    const sorted = [...points.values()].sort(
      (a, b) => a.timeMs - b.timeMs || (a.value < b.value ? -1 : a.value > b.value ? 1 : 0),
    );
    return Promise.resolve({ points: sorted, progress: this.#progress(query, matched) });
  }

  async *replay(
    query: FlowQuery,
    { labels }: { readonly labels: LabelResolver },
    signal: AbortSignal,
  ): ReturnType<FlowHistory["replay"]> {
    const oldestFirst = this.#matching(query, labels).sort(
      (a, b) => a.plain.windowStartMs - b.plain.windowStartMs || a.ordinal - b.ordinal,
    );
    for (let start = 0; start < oldestFirst.length && !signal.aborted; start += PIECE) {
      yield oldestFirst.slice(start, start + PIECE).map(({ plain, hostId }) => ({ ...plain, hostId }));
    }
  }

  state(): Promise<HistoryState> {
    const times = this.#kept.map(({ plain }) => plain.windowStartMs);
    return Promise.resolve({
      backend: "sqlite",
      records: this.#kept.length,
      sizeBytes: this.#kept.length * ABOUT_BYTES,
      oldestMs: times.length === 0 ? null : times.reduce((a, b) => Math.min(a, b)),
      partitions: [],
      problems: [],
    });
  }

  /** Record by record, where a store removes whole partitions. */
  retain(limits: RetentionLimits, nowMs: number, apply: boolean): ReturnType<FlowHistory["retain"]> {
    const oldestMs = nowMs - limits.recordDays * DAY_MS;
    const most = Math.min(limits.maxRecords, Math.floor(limits.maxBytes / ABOUT_BYTES));
    const young = this.#kept.filter(({ plain }) => plain.windowStartMs >= oldestMs);
    const kept = young.slice(Math.max(0, young.length - most));
    const removedRecords = this.#kept.length - kept.length;
    if (apply) this.#kept = kept;
    return Promise.resolve({
      removedRecords,
      removedBytes: removedRecords * ABOUT_BYTES,
      oldestMs: kept[0]?.plain.windowStartMs ?? null,
    });
  }

  forgetHost(hostId: string): Promise<void> {
    this.#kept = this.#kept.filter((kept) => kept.hostId !== hostId);
    this.#positions.delete(hostId);
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #matching(query: FlowQuery, labels: LabelResolver): Kept[] {
    return this.#kept.filter(({ plain }) => matchesQuery(query, plain, labels));
  }

  #progress(query: FlowQuery, matched: number): SearchProgress {
    const { sinceMs, untilMs } = query;
    const isInWindow = ({ plain }: Kept) => matchesQuery({ ...EVERYTHING, sinceMs, untilMs }, plain, NO_LABELS);
    const total = this.#kept.filter(isInWindow);
    return {
      matched,
      isComplete: true,
      searched: total.length,
      total: total.length,
      coarsest: "record",
      coarseBeforeMs: null,
      gaps: [],
    };
  }
}
