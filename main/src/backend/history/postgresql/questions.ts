/** Questions as statements: which parts have an answer, and rows of records with their series. */

import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { FlowQuery } from "@wardline/domain/flows";
import type { LabelResolver, RowsOptions, SearchProgress } from "../flow-history.ts";
import { nodeCondition, StatementValues, windowCondition } from "./conditions.ts";
import type { Connections } from "./connections.ts";
import { orderSql } from "./dimensions-sql.ts";
import { listParts, type PartInfo } from "./retention.ts";
import type { Row } from "./rows.ts";
import { RESOLUTIONS, resolutionOf } from "./schema.ts";

/** What there is of the time window of a query. */
export interface Window {
  readonly parts: readonly PartInfo[];
  readonly total: number;
  readonly coarsest: SearchProgress["coarsest"];
  readonly coarseBeforeMs: number | null;
}

export interface Place {
  readonly timeMs: number;
  readonly id: string;
}

export interface Ranked {
  readonly rows: readonly Row[];
  readonly from: number;
  readonly rowCount: number;
  readonly matched: number;
  readonly snapshot: string;
  readonly newer: number;
}

function requireSnapshot(token: string): string {
  if (/^\d{1,18}$/.test(token)) return token;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: "The list that was asked for is none that was given out.",
    hint: "Begin again with the list as it is now.",
  });
}

export class Questions {
  readonly #connections: Connections;
  readonly #schema: string;

  /** @param schema a quoted identifier */
  constructor(connections: Connections, schema: string) {
    this.#connections = connections;
    this.#schema = schema;
  }

  /** Records with their series, in the window and under the conditions of the query. */
  from(query: FlowQuery, { parts }: Window, parameters: StatementValues, labels: LabelResolver): string {
    const conditions = [
      // Only parts that can have such records are looked at.
      `r.part = ANY(${parameters.add(
        parts.map(({ part }) => part),
        "integer[]",
      )})`,
      windowCondition(query, parameters),
      nodeCondition(query.where, parameters, labels),
    ];
    return `${this.#schema}.records r JOIN ${this.#schema}.series s ON s.id = r.series WHERE ${conditions.join(" AND ")}`;
  }

  async rows(
    query: FlowQuery,
    window: Window,
    labels: LabelResolver,
    order: "newest" | "oldest",
    after: Place | null,
    limit: number,
    signal: AbortSignal,
  ): Promise<Row[] | null> {
    const parameters = new StatementValues();
    const from = this.from(query, window, parameters, labels);
    const isNewest = order === "newest";
    let beyond = "true";
    if (after) {
      const time = parameters.add(after.timeMs, "bigint");
      const id = parameters.add(after.id, "bigint");
      beyond = `(r.start_ms ${isNewest ? "<" : ">"} ${time} OR (r.start_ms = ${time} AND r.id > ${id}))`;
    }
    const sql = `SELECT r.*, s.*, r.id AS id FROM ${from} AND ${beyond}
      ORDER BY r.start_ms ${isNewest ? "DESC" : "ASC"}, r.id LIMIT ${parameters.add(limit, "bigint")}`;
    return await this.#connections.cancellable(sql, parameters.values, signal);
  }

  /** A stretch of the result by rank: the database counts its way there, so that far ranks take longer. */
  async ranked(query: FlowQuery, window: Window, options: RowsOptions, signal: AbortSignal): Promise<Ranked | null> {
    const { order, atMs, limit, labels } = options;
    const snapshot = options.snapshot === "" ? await this.#newestId() : requireSnapshot(options.snapshot);
    const counting = new StatementValues();
    const known = counting.add(snapshot, "bigint");
    const before = counting.add(atMs ?? 0, "bigint");
    const countSql = `SELECT count(*) FILTER (WHERE r.id <= ${known}) AS rows,
        coalesce(sum(r.records) FILTER (WHERE r.id <= ${known}), 0) AS matched,
        count(*) FILTER (WHERE r.id > ${known}) AS newer,
        count(*) FILTER (WHERE r.id <= ${known} AND r.first_ms ${order.isAscending ? "<" : ">"} ${before}) AS before
      FROM ${this.from(query, window, counting, labels)}`;
    const [counts] = (await this.#connections.cancellable(countSql, counting.values, signal)) ?? [];
    if (!counts) return null;
    const rowCount = Number(counts.rows);
    const wanted = atMs === null || order.sort !== "time" ? options.from : Number(counts.before);
    const from = Math.max(0, Math.min(wanted, rowCount));
    const parameters = new StatementValues();
    const sql = `SELECT r.*, s.*, r.id AS id FROM ${this.from(query, window, parameters, labels)}
        AND r.id <= ${parameters.add(snapshot, "bigint")}
      ORDER BY ${orderSql(order)} OFFSET ${parameters.add(from, "bigint")} LIMIT ${parameters.add(limit, "bigint")}`;
    const rows = await this.#connections.cancellable(sql, parameters.values, signal);
    const newer = options.snapshot === "" ? 0 : Number(counts.newer);
    return rows && { rows, from, rowCount, matched: Number(counts.matched), snapshot, newer };
  }

  async #newestId(): Promise<string> {
    const [row] = await this.#connections.query(`SELECT coalesce(max(id), 0) AS id FROM ${this.#schema}.records`, []);
    return String(row?.id ?? 0);
  }

  /** Which parts have records of the time window, and how many: exact, counted only where a part is in it partly. */
  async windowOf(query: FlowQuery): Promise<Window> {
    const { sinceMs, untilMs } = query;
    const all = await this.#connections.transaction((client) => listParts(client, this.#schema));
    const parts = all.filter(
      ({ rows, maxEndMs, minStartMs }) =>
        rows > 0 && (sinceMs === null || maxEndMs > sinceMs) && (untilMs === null || minStartMs < untilMs),
    );
    const isWhole = ({ minEndMs, maxStartMs }: PartInfo) =>
      (sinceMs === null || minEndMs > sinceMs) && (untilMs === null || maxStartMs < untilMs);
    let total = parts.filter(isWhole).reduce((sum, { rows }) => sum + rows, 0);
    const partial = parts.filter((info) => !isWhole(info));
    if (partial.length > 0) {
      const parameters = new StatementValues();
      const numbers = parameters.add(
        partial.map(({ part }) => part),
        "integer[]",
      );
      const sql = `SELECT count(*) AS count FROM ${this.#schema}.records r
        WHERE r.part = ANY(${numbers}) AND ${windowCondition(query, parameters)}`;
      total += Number((await this.#connections.query(sql, parameters.values))[0]?.count ?? 0);
    }
    const coarse = parts.filter(({ part }) => resolutionOf(part) !== "record");
    const rank = coarse.reduce((most, { part }) => Math.max(most, RESOLUTIONS.indexOf(resolutionOf(part))), 0);
    return {
      parts,
      total,
      coarsest: RESOLUTIONS[rank]!,
      coarseBeforeMs: coarse.length === 0 ? null : coarse.reduce((most, { maxEndMs }) => Math.max(most, maxEndMs), 0),
    };
  }
}
