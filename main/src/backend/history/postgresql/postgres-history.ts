/** The history of flows in PostgreSQL: for fleets that outgrow one console, or for several consoles on one history. */

import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { FlowQuery } from "@wardline/domain/flows";
import type { Clock, Logger } from "../../ports.ts";
import { noSums } from "../dimensions.ts";
import type {
  FlowHistory,
  HistoryGroup,
  HistoryState,
  IngestBatch,
  JournalGap,
  JournalPosition,
  LabelResolver,
  RetentionLimits,
  RowsOptions,
  RowsRead,
  SearchProgress,
} from "../flow-history.ts";
import { StatementValues } from "./conditions.ts";
import { Connections } from "./connections.ts";
import { dimensionSql, MEASURE_SQL, SUMS, sumsOfRow } from "./dimensions-sql.ts";
import { Ingester } from "./ingest.ts";
import { isCancelled, postgresFailure } from "./postgres-failure.ts";
import { type Place, Questions, type Window } from "./questions.ts";
import { listParts, type PartInfo, planRetention, removePart } from "./retention.ts";
import { plainRecordOf, type Row, storedRecordOf } from "./rows.ts";
import { resolutionOf } from "./schema.ts";

const RETENTION_INTERVAL_MS = 60_000;
/** Read at a time: so long may nobody be asked whether it is still wanted. */
const PIECE_ROWS = 2_000;
const TOKEN = /^(-?\d{1,16})\.(\d{1,19})$/;

export interface PostgresHistoryPorts {
  /** `postgresql://user@host/database`; a password may be in it or in the environment, as libpq has it. */
  readonly connectionString: string;
  /** Asked before each round. */
  readonly retention: () => RetentionLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the database; default `wardline`. */
  readonly schema?: string;
}

export class PostgresHistory implements FlowHistory {
  readonly #ports: PostgresHistoryPorts;
  readonly #connections: Connections;
  readonly #questions: Questions;
  readonly #ingester: Ingester;
  readonly #schema: string;
  /** Host and database, as a person may read it. */
  readonly #where: string;
  readonly #closing = new AbortController();
  #problem: string | null = null;

  /** Connects when it is first used. @throws Failure INVALID_ARGUMENT for a text that is no connection string */
  constructor(ports: PostgresHistoryPorts) {
    this.#ports = ports;
    this.#where = readableAddress(ports.connectionString);
    this.#schema = `"${(ports.schema ?? "wardline").replaceAll('"', '""')}"`;
    this.#connections = new Connections(ports.connectionString, this.#schema, (error) =>
      ports.logger.warn({ code: "code" in error ? error.code : "" }, "a connection of the history broke"),
    );
    this.#questions = new Questions(this.#connections, this.#schema);
    this.#ingester = new Ingester(this.#schema);
    void this.#retainRegularly(this.#closing.signal);
  }

  async positions(hostId: string): Promise<readonly JournalPosition[]> {
    const sql = `SELECT journal_id, sequence FROM ${this.#schema}.positions WHERE host_id = $1 AND sequence > 0`;
    const rows = await this.#attempt(() => this.#connections.query(sql, [hostId]));
    return rows.map((row) => ({ journalId: String(row.journal_id), sequence: BigInt(String(row.sequence)) }));
  }

  /** The database mends itself or says that it cannot: there are no partitions of ours that could be lost one by one. */
  gaps(_hostId: string): Promise<readonly JournalGap[]> {
    return Promise.resolve([]);
  }

  abandon(_hostId: string, _gap: JournalGap): Promise<void> {
    return Promise.resolve();
  }

  async ingest(batches: readonly IngestBatch[]): Promise<number> {
    try {
      const added = await this.#attempt(() =>
        this.#connections.transaction((client) => this.#ingester.ingest(client, batches, this.#ports.clock.nowMs())),
      );
      this.#problem = null;
      return added;
    } catch (error) {
      // What was remembered may have been rolled back.
      this.#ingester.forget();
      this.#problem = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  async *search(
    query: FlowQuery,
    {
      limit,
      pageToken,
      labels,
    }: { readonly limit: number; readonly pageToken: string; readonly labels: LabelResolver },
    signal: AbortSignal,
  ): ReturnType<FlowHistory["search"]> {
    const after = placeOf(pageToken);
    const window = await this.#attempt(() => this.#questions.windowOf(query));
    let place = after;
    let left = limit;
    let matched = 0;
    while (!signal.aborted) {
      const wanted = Math.min(left, PIECE_ROWS);
      const rows = await this.#rowsOf(query, window, labels, "newest", place, wanted + 1, signal);
      if (rows === null) return;
      const page = rows.slice(0, wanted);
      const isLast = rows.length <= wanted;
      const last = page.at(-1);
      matched += page.length;
      left -= page.length;
      place = last ? { timeMs: Number(last.start_ms), id: String(last.id) } : place;
      const isComplete = isLast && after === null;
      yield {
        records: page.map(storedRecordOf),
        progress: { ...progressOf(window, matched), isComplete, searched: isLast ? window.total : matched },
        nextPageToken: isLast || !place ? "" : `${place.timeMs}.${place.id}`,
      };
      if (isLast || left <= 0) return;
    }
  }

  async rows(query: FlowQuery, options: RowsOptions, signal: AbortSignal): Promise<RowsRead | null> {
    const window = await this.#attempt(() => this.#questions.windowOf(query));
    const read = await this.#attempt(() => this.#questions.ranked(query, window, options, signal));
    if (read === null) return null;
    const { rows, from, rowCount, matched, snapshot, newer } = read;
    const progress = progressOf(window, matched);
    return { rows: rows.map(storedRecordOf), from, rowCount, listed: rowCount, snapshot, newer, progress };
  }

  async *group(
    query: FlowQuery,
    { by, order, limit, labels }: OptionsOf<"group">,
    signal: AbortSignal,
  ): ReturnType<FlowHistory["group"]> {
    const window = await this.#attempt(() => this.#questions.windowOf(query));
    const parameters = new StatementValues();
    const values = by.map((dimension, index) => `${dimensionSql(dimension)} AS value_${index}`);
    const names = by.map((_, index) => `value_${index}`);
    const overall = ["records", "started", "denied", "packets", "out_bytes", "in_bytes"]
      .map((name) => `sum(${name}) OVER () AS all_${name}`)
      .join(", ");
    const sql = `WITH groups AS (
        SELECT ${values.join(", ")}, ${SUMS} FROM ${this.#questions.from(query, window, parameters, labels)} GROUP BY ${names.join(", ")}
      ) SELECT *, count(*) OVER () AS group_count, ${overall}, min(first_ms) OVER () AS all_first_ms,
        max(last_ms) OVER () AS all_last_ms
      FROM groups ORDER BY ${MEASURE_SQL[order]} DESC, json_build_array(${names.join(", ")})::text COLLATE "C"
      LIMIT ${parameters.add(limit, "bigint")}`;
    const rows = await this.#attempt(() => this.#connections.cancellable(sql, parameters.values, signal));
    if (rows === null) return;
    const groups = rows.map(
      (row): HistoryGroup => ({ values: names.map((name) => String(row[name])), sums: sumsOfRow(row) }),
    );
    const total = rows[0] ? sumsOfRow(rows[0], "all_") : noSums();
    const groupCount = Number(rows[0]?.group_count ?? 0);
    yield { groups, total, groupCount, progress: progressOf(window, total.records) };
  }

  async series(
    query: FlowQuery,
    { stepMs, splitBy, labels }: OptionsOf<"series">,
    signal: AbortSignal,
  ): ReturnType<FlowHistory["series"]> {
    const window = await this.#attempt(() => this.#questions.windowOf(query));
    const parameters = new StatementValues();
    const value = splitBy === null ? "''::text" : dimensionSql(splitBy);
    const step = parameters.add(stepMs, "bigint");
    const sql = `SELECT r.start_ms / ${step} * ${step} AS time_ms, ${value} AS value, ${SUMS}
      FROM ${this.#questions.from(query, window, parameters, labels)} GROUP BY time_ms, value ORDER BY time_ms, value`;
    const rows = await this.#attempt(() => this.#connections.cancellable(sql, parameters.values, signal));
    if (rows === null) return { points: [], progress: { ...progressOf(window, 0), isComplete: false, searched: 0 } };
    const points = rows.map((row) => ({
      timeMs: Number(row.time_ms),
      value: String(row.value),
      sums: sumsOfRow(row),
    }));
    const matched = points.reduce((sum, { sums }) => sum + sums.records, 0);
    return { points, progress: progressOf(window, matched) };
  }

  async *replay(
    query: FlowQuery,
    { labels }: { readonly labels: LabelResolver },
    signal: AbortSignal,
  ): ReturnType<FlowHistory["replay"]> {
    const window = await this.#attempt(() => this.#questions.windowOf(query));
    let place: Place | null = null;
    while (!signal.aborted) {
      const rows: Row[] | null = await this.#rowsOf(query, window, labels, "oldest", place, PIECE_ROWS, signal);
      if (rows === null || rows.length === 0) return;
      yield rows.map(plainRecordOf);
      const last: Row | undefined = rows.at(-1);
      if (rows.length < PIECE_ROWS || !last) return;
      place = { timeMs: Number(last.start_ms), id: String(last.id) };
    }
  }

  async state(): Promise<HistoryState> {
    const parts = await this.#attempt(() => this.#connections.transaction((client) => listParts(client, this.#schema)));
    const filled = parts.filter(({ rows }) => rows > 0);
    return {
      backend: "postgresql",
      records: parts.reduce((sum, { rows }) => sum + rows, 0),
      sizeBytes: parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      oldestMs: oldestOf(filled),
      partitions: filled.map(({ part, rows, sizeBytes, minStartMs, maxEndMs }) => ({
        id: `records_${part}`,
        resolution: resolutionOf(part),
        oldestMs: minStartMs,
        newestMs: maxEndMs,
        records: rows,
        sizeBytes,
      })),
      problems: this.#problem === null ? [] : [this.#problem],
    };
  }

  async retain(limits: RetentionLimits, nowMs: number, apply: boolean): ReturnType<FlowHistory["retain"]> {
    return await this.#attempt(() =>
      this.#connections.transaction(async (client) => {
        // One console at a time; the next finds nothing left to do.
        await client.query("SELECT pg_advisory_xact_lock(hashtext($1))", [`${this.#schema}.retention`]);
        const parts = await listParts(client, this.#schema);
        const removals = planRetention(parts, limits, nowMs);
        if (apply) for (const removal of removals) await removePart(client, this.#schema, removal);
        const gone = new Set(removals.map(({ info }) => info.part));
        return {
          removedRecords: removals.reduce((sum, { info }) => sum + info.rows, 0),
          removedBytes: removals.reduce((sum, { info }) => sum + info.sizeBytes, 0),
          oldestMs: oldestOf(parts.filter(({ part, rows }) => !gone.has(part) && rows > 0)),
        };
      }),
    );
  }

  async forgetHost(hostId: string): Promise<void> {
    const schema = this.#schema;
    await this.#attempt(() =>
      this.#connections.transaction(async (client) => {
        await client.query(
          `WITH gone AS (DELETE FROM ${schema}.records r USING ${schema}.series s
             WHERE s.id = r.series AND s.host_id = $1 RETURNING r.part),
           counted AS (SELECT part, count(*) AS rows FROM gone GROUP BY part)
           UPDATE ${schema}.parts p SET row_count = p.row_count - counted.rows FROM counted WHERE counted.part = p.part`,
          [hostId],
        );
        await client.query(`DELETE FROM ${schema}.series WHERE host_id = $1`, [hostId]);
        await client.query(`DELETE FROM ${schema}.positions WHERE host_id = $1`, [hostId]);
      }),
    );
    this.#ingester.forget();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#connections.close();
  }

  async #rowsOf(...asked: Parameters<Questions["rows"]>): Promise<Row[] | null> {
    return await this.#attempt(() => this.#questions.rows(...asked));
  }

  async #retainRegularly(signal: AbortSignal): Promise<void> {
    const { clock, logger, retention } = this.#ports;
    while (!signal.aborted) {
      await clock.sleep(RETENTION_INTERVAL_MS, signal);
      if (signal.aborted) return;
      try {
        await this.retain(retention(), clock.nowMs(), true);
      } catch (error) {
        const code = error instanceof Failure ? error.code : ErrorCode.UNSPECIFIED;
        logger.warn({ code }, "the history of flows is not maintained");
      }
    }
  }

  async #attempt<Result>(body: () => Promise<Result>): Promise<Result> {
    try {
      return await body();
    } catch (error) {
      if (isCancelled(error) && this.#closing.signal.aborted) throw error;
      throw postgresFailure(error, this.#where);
    }
  }
}

type OptionsOf<Method extends "group" | "series"> = Parameters<FlowHistory[Method]>[1];

/** `null` for the beginning. @throws Failure INVALID_ARGUMENT */
function placeOf(token: string): Place | null {
  if (token === "") return null;
  const [, timeMs, id] = TOKEN.exec(token) ?? [];
  if (timeMs === undefined || id === undefined) {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "The page that was asked for is none that was given out.",
      hint: "Begin again with the first page.",
    });
  }
  return { timeMs: Number(timeMs), id };
}

function progressOf({ total, coarsest, coarseBeforeMs }: Window, matched: number): SearchProgress {
  return { matched, isComplete: true, searched: total, total, coarsest, coarseBeforeMs, gaps: [] };
}

function oldestOf(parts: readonly PartInfo[]): number | null {
  return parts.length === 0 ? null : parts.reduce((least, { minStartMs }) => Math.min(least, minStartMs), Infinity);
}

function readableAddress(connectionString: string): string {
  try {
    const { protocol, host, pathname, searchParams } = new URL(connectionString);
    if (protocol !== "postgresql:" && protocol !== "postgres:") throw new Error(protocol);
    return `${host || searchParams.get("host") || "this machine"}${pathname}`;
  } catch {
    throw new Failure({
      code: ErrorCode.INVALID_ARGUMENT,
      message: "The history of flows cannot be kept there: that is no connection string.",
      hint: "Give postgresql://user@host/database, or nothing to keep it beside the console's own database.",
    });
  }
}
