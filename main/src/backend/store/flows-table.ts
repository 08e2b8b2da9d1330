/** Flows of the last while: a ring bounded by rows and bytes. */
import type { FlowFilter } from "@wardline/api/wardline/console/v1/flows";
import { type Flow, FlowEventKind } from "@wardline/api/wardline/v1/flow";
import { type Decision, Verdict } from "@wardline/api/wardline/v1/policy";
import type { RecordedFlow } from "@wardline/domain/policy/simulate";
import { flowCondition } from "./flow-filter.ts";
import { encodeDecision, FLOW_COLUMNS, type FlowOrigin, type FlowRow, flowFromRow, flowValues } from "./flow-row.ts";
import { type RecordedRow, recordedFromRow } from "./recorded-row.ts";
import type { Store } from "./store.ts";
import { UnusedDecisions } from "./unused-decisions.ts";

/** By ids alone: with a host in the filter SQLite would go through all that the host ever had for each few new ones. */
const BY_ID = "flows NOT INDEXED";
const selectFrom = (table: string) => `SELECT flows.*, flow_decisions.wire AS decision_wire FROM ${table}
  LEFT JOIN flow_decisions ON flow_decisions.row = flows.decision_row`;
const SELECT = selectFrom("flows");
const SELECT_BY_ID = selectFrom(BY_ID);
const MAX_COUNTED = 100_000;
const MAX_CACHED_DECISIONS = 10_000;
/** Measured with names, cgroup paths and program paths of usual length, indexes included. */
const ROW_SIZE_BYTES = 490;

export interface FlowRetention {
  readonly maxRows: number;
  readonly maxBytes: number;
}

export const USUAL_RETENTION: FlowRetention = { maxRows: 200_000, maxBytes: 128 * 1024 * 1024 };

/** What one host recorded between a subject and one remote address and port. */
export interface RecordedTraffic {
  readonly hostId: string;
  readonly subjectKey: string;
  /** `wardline.v1.Direction`. */
  readonly direction: number;
  readonly remoteAddress: string;
  readonly protocol: number;
  readonly port: number;
  /** Connections that were allowed. */
  readonly started: number;
  /** Packets that were denied. */
  readonly deniedPackets: number;
}

/** Flows of one second (Unix time), by what became of them. */
export interface CountedSecond {
  readonly second: number;
  readonly count: number;
  readonly allowed: number;
  readonly denied: number;
  /** Denied by a policy that only observes. */
  readonly observed: number;
}

export class FlowsTable {
  readonly #store: Store;
  readonly #maxRows: number;
  readonly #decisionRows = new Map<string, number>();
  readonly #unusedDecisions: UnusedDecisions;
  #rowCount: number | null = null;

  constructor(store: Store, retention: FlowRetention = USUAL_RETENTION) {
    this.#store = store;
    this.#unusedDecisions = new UnusedDecisions(store);
    this.#maxRows = Math.max(1, Math.min(retention.maxRows, Math.floor(retention.maxBytes / ROW_SIZE_BYTES)));
  }

  /** Keeps what is new; a flow that is known already (the agent sends its history again) is left out. Returns the newest id; 0 when nothing was new. */
  insert(origin: FlowOrigin, flows: readonly Flow[]): number {
    if (flows.length === 0) return 0;
    const marks = FLOW_COLUMNS.map(() => "?").join(", ");
    // Not INSERT OR IGNORE: what that ignores uses up an id, and readers would take the gap for flows that they missed.
    const sql = `INSERT INTO flows (${FLOW_COLUMNS.join(", ")}) SELECT ${marks} WHERE NOT EXISTS
      (SELECT 1 FROM flows WHERE host_id = ? AND agent_epoch_ms = ? AND agent_flow_id = ?)`;
    try {
      return this.#store.transaction(() => this.#insertAll(sql, origin, flows));
    } catch (error) {
      // What was remembered may have been rolled back.
      this.forget();
      throw error;
    }
  }

  /** Drops what was remembered of the tables: another process may have changed them. */
  forget(): void {
    this.#decisionRows.clear();
    this.#unusedDecisions.forget();
    this.#rowCount = null;
  }

  /** Newest first, below an id (0 = from the newest). */
  query(filter: FlowFilter | undefined, limit: number, beforeId: number): { flows: Flow[]; total: number } {
    const condition = flowCondition(filter);
    const below = beforeId > 0 ? "AND flows.id < ?" : "";
    const rows = this.#store.all<FlowRow>(
      `${SELECT} WHERE ${condition.sql} ${below} ORDER BY flows.id DESC LIMIT ?`,
      ...condition.values,
      ...(beforeId > 0 ? [beforeId] : []),
      limit,
    );
    const counted = this.#store.get<{ count: number }>(
      `SELECT count(*) AS count FROM (SELECT 1 FROM flows WHERE ${condition.sql} LIMIT ${MAX_COUNTED})`,
      ...condition.values,
    );
    return { flows: rows.map(flowFromRow), total: counted?.count ?? 0 };
  }

  /** Newest first, below an id. */
  before(filter: FlowFilter | undefined, beforeId: number, limit: number): Flow[] {
    const condition = flowCondition(filter);
    return this.#store
      .all<FlowRow>(
        `${SELECT} WHERE ${condition.sql} AND flows.id < ? ORDER BY flows.id DESC LIMIT ?`,
        ...condition.values,
        beforeId,
        limit,
      )
      .map(flowFromRow);
  }

  /** Oldest first, above one id and up to another. */
  between(filter: FlowFilter | undefined, afterId: number, untilId: number, limit: number): Flow[] {
    const condition = flowCondition(filter);
    return this.#store
      .all<FlowRow>(
        `${SELECT_BY_ID} WHERE flows.id > ? AND flows.id <= ? AND ${condition.sql} ORDER BY flows.id LIMIT ?`,
        afterId,
        untilId,
        ...condition.values,
        limit,
      )
      .map(flowFromRow);
  }

  /** Id of the newest flow; 0 when there is none. */
  newestId(): number {
    return this.#store.get<{ id: number | null }>("SELECT max(id) AS id FROM flows")?.id ?? 0;
  }

  /** 0 when there is none. */
  oldestId(): number {
    return this.#store.get<{ id: number | null }>("SELECT min(id) AS id FROM flows")?.id ?? 0;
  }

  count(): number {
    return this.#store.get<{ count: number }>("SELECT count(*) AS count FROM flows")?.count ?? 0;
  }

  countSince(timeUs: number): number {
    return (
      this.#store.get<{ count: number }>("SELECT count(*) AS count FROM flows WHERE time_us >= ?", timeUs)?.count ?? 0
    );
  }

  /** What simulation needs of the matching flows, oldest first, above one id and up to another. */
  recordedBetween(
    filter: FlowFilter | undefined,
    afterId: number,
    untilId: number,
    limit: number,
  ): (RecordedFlow & { readonly id: number })[] {
    const condition = flowCondition(filter);
    return this.#store
      .all<RecordedRow>(
        `SELECT id, host, time_us, kind, direction, protocol, source_address, destination_address, destination_port,
           verdict, enforced, subject_key
         FROM ${BY_ID} WHERE id > ? AND id <= ? AND ${condition.sql} ORDER BY id LIMIT ?`,
        afterId,
        untilId,
        ...condition.values,
        limit,
      )
      .map(recordedFromRow);
  }

  /** How many match, above one id and up to another. */
  countBetween(filter: FlowFilter | undefined, afterId: number, untilId: number): number {
    const condition = flowCondition(filter);
    return (
      this.#store.get<{ count: number }>(
        `SELECT count(*) AS count FROM ${BY_ID} WHERE id > ? AND id <= ? AND ${condition.sql}`,
        afterId,
        untilId,
        ...condition.values,
      )?.count ?? 0
    );
  }

  /** What was seen since a time above one id and up to another, grouped. */
  trafficBetween(sinceUs: number, afterId: number, untilId: number): RecordedTraffic[] {
    return this.#store.all<RecordedTraffic>(
      `SELECT host_id AS hostId, subject_key AS subjectKey, direction, protocol, destination_port AS port,
         sum(kind = 1) AS started, sum(kind = 3) AS deniedPackets,
         CASE direction WHEN 1 THEN source_address ELSE destination_address END AS remoteAddress
       FROM flows WHERE id > ? AND id <= ? AND time_us >= ? AND kind <> 2
       GROUP BY hostId, subjectKey, direction, protocol, port, remoteAddress`,
      afterId,
      untilId,
      sinceUs,
    );
  }

  /** When the matching flows above one id and up to another were, ends of connections left out. */
  secondsBetween(filter: FlowFilter | undefined, afterId: number, untilId: number): CountedSecond[] {
    const condition = flowCondition(filter);
    return this.#store.all<CountedSecond>(
      `SELECT time_us / 1000000 AS second, count(*) AS count,
         sum(verdict = ${Verdict.ALLOW} AND enforced <> ${Verdict.DENY}) AS allowed,
         sum(verdict = ${Verdict.DENY} AND enforced = ${Verdict.ALLOW}) AS observed,
         sum((verdict = ${Verdict.DENY} AND enforced <> ${Verdict.ALLOW}) OR enforced = ${Verdict.DENY}) AS denied
       FROM ${BY_ID} WHERE id > ? AND id <= ? AND kind <> ${FlowEventKind.END} AND ${condition.sql}
       GROUP BY second ORDER BY second`,
      afterId,
      untilId,
      ...condition.values,
    );
  }

  /** Of the matching flows above one id and up to another the newest but `count`; `null` when there are no more than those. */
  newestBut(count: number, filter: FlowFilter | undefined, afterId: number, untilId: number): number | null {
    if (untilId - afterId <= count) return null;
    const condition = flowCondition(filter);
    // Ids are given one by one.
    if (condition.sql === "1") return untilId - count;
    const row = this.#store.get<{ id: number }>(
      `SELECT flows.id AS id FROM ${BY_ID} WHERE flows.id > ? AND flows.id <= ? AND ${condition.sql}
       ORDER BY flows.id DESC LIMIT 1 OFFSET ?`,
      ...[afterId, untilId, ...condition.values, count],
    );
    return row?.id ?? null;
  }

  /** Id and time (µs) of the first flow since a time; `null` when there is none. */
  firstSince(timeUs: number): { id: number; timeUs: number } | null {
    const sql = "SELECT min(id) AS id, min(time_us) AS timeUs FROM flows WHERE time_us >= ?";
    const row = this.#store.get<{ id: number | null; timeUs: number | null }>(sql, timeUs);
    return row && row.id !== null && row.timeUs !== null ? { id: row.id, timeUs: row.timeUs } : null;
  }

  #insertAll(sql: string, origin: FlowOrigin, flows: readonly Flow[]): number {
    let lastId = 0;
    let inserted = 0;
    for (const flow of flows) {
      const decisionRow = flow.decision ? this.#decisionRow(flow.decision) : null;
      const values = flowValues(origin, flow, decisionRow);
      // The first three columns say which flow of the agent it is.
      const result = this.#store.run(sql, ...values, values[0], values[1], values[2]);
      if (result.changes === 0) continue;
      lastId = result.lastInsertRowid;
      inserted++;
    }
    this.#rowCount = (this.#rowCount ?? this.count() - inserted) + inserted;
    // In steps, so that not every batch pays for it.
    // A batch with nothing new has no id: without the newest one the count would come out below nothing.
    if (this.#rowCount > this.#maxRows * 1.01) this.#prune(lastId || this.newestId());
    return lastId;
  }

  #decisionRow(decision: Decision): number {
    const { digest, wire } = encodeDecision(decision);
    const known = this.#decisionRows.get(digest);
    if (known !== undefined) return known;
    const policyKeys = decision.policyKeys.length > 0 ? `\n${decision.policyKeys.join("\n")}\n` : "";
    const row =
      this.#store.get<{ row: number }>("SELECT row FROM flow_decisions WHERE digest = ?", digest)?.row ??
      this.#store.run(
        "INSERT INTO flow_decisions (digest, wire, policy_keys, summary) VALUES (?, ?, ?, ?)",
        digest,
        wire,
        policyKeys,
        decision.summary,
      ).lastInsertRowid;
    if (this.#decisionRows.size >= MAX_CACHED_DECISIONS) this.#decisionRows.clear();
    this.#decisionRows.set(digest, row);
    return row;
  }

  /** Ids have no gaps: how many there are is known without counting them, also when another process has written meanwhile. */
  #prune(newestId: number): void {
    const keptFromId = newestId - this.#maxRows + 1;
    this.#store.run("DELETE FROM flows WHERE id < ?", keptFromId);
    this.#rowCount = newestId - Math.max(keptFromId, this.oldestId()) + 1;
    const removed = new Set(this.#unusedDecisions.step(newestId));
    if (removed.size === 0) return;
    for (const [digest, row] of this.#decisionRows) if (removed.has(row)) this.#decisionRows.delete(digest);
  }
}
