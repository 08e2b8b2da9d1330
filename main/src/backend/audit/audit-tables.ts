/** The mirror of the hosts' audit logs. Entries are added and never changed; a log that a person has given up stays. */
import { fromBinary } from "@bufbuild/protobuf";
import { AuditEntrySchema } from "@wardline/api/wardline/agent/v1/agent";
import type { AuditEntry } from "@wardline/domain/audit";
import { fromWireAuditEntry } from "@wardline/domain/wire";
import type { Store } from "../store/store.ts";

export type LogState = "verified" | "broken" | "truncated" | "forked";

export interface AuditLogRow {
  readonly hostId: string;
  /** From 1. */
  readonly log: number;
  readonly hostName: string;
  readonly state: LogState;
  /** 0 while it is verified. */
  readonly atSequence: number;
  readonly checkedAtMs: number;
  readonly foundAtMs: number;
  readonly toleratedAtSequence: number;
  readonly acceptedBy: string;
  readonly acceptedReason: string;
}

export interface NewEntry {
  readonly sequence: number;
  readonly timeMs: number;
  readonly actor: string;
  readonly action: string;
  readonly hash: string;
  /** `wardline.agent.v1.AuditEntry`, encoded. */
  readonly wire: Uint8Array;
}

export interface MirroredRow {
  readonly id: number;
  readonly hostId: string;
  readonly hostName: string;
  readonly log: number;
  readonly wire: Uint8Array;
}

export interface EntryFilter {
  /** Empty = every host. */
  readonly hostIds: readonly string[];
  readonly action: string;
  readonly actor: string;
  /** In any text of the entry; letters of both cases (of ASCII) are the same. */
  readonly text?: string;
  readonly outcome?: string;
  readonly sinceMs?: number | null;
  readonly untilMs?: number | null;
  /** The last entry of the page before. */
  readonly before: { readonly timeMs: number; readonly id: number } | null;
  readonly limit: number;
}

interface LogColumns {
  host_id: string;
  log: number;
  host_name: string;
  state: LogState;
  at_sequence: number;
  checked_at_ms: number;
  found_at_ms: number;
  tolerated_at_sequence: number;
  accepted_by: string;
  accepted_reason: string;
}

const fromColumns = (row: LogColumns): AuditLogRow => ({
  hostId: row.host_id,
  log: row.log,
  hostName: row.host_name,
  state: row.state,
  atSequence: row.at_sequence,
  checkedAtMs: row.checked_at_ms,
  foundAtMs: row.found_at_ms,
  toleratedAtSequence: row.tolerated_at_sequence,
  acceptedBy: row.accepted_by,
  acceptedReason: row.accepted_reason,
});

/** Of the entries of a host, at most: what was forgotten meanwhile is not taken off. */
interface CountedBytes {
  readonly bytes: number;
  /** Entries above it are not counted yet: another process may have added some as well. */
  readonly throughId: number;
}

/** As much as an agent keeps itself, unless it is told to keep more. */
const MAX_BYTES_PER_HOST = 256 * 1024 * 1024;

const NOTHING_COUNTED: CountedBytes = { bytes: 0, throughId: 0 };

export class AuditTables {
  readonly #store: Store;
  readonly #maxEntriesPerHost: number;
  readonly #maxBytesPerHost: number;
  readonly #counted = new Map<string, CountedBytes>();

  /** The oldest entries of a host above `maxEntriesPerHost` and above `maxBytesPerHost` are forgotten; its newest stays. */
  constructor(store: Store, maxEntriesPerHost = 200_000, maxBytesPerHost = MAX_BYTES_PER_HOST) {
    this.#store = store;
    this.#maxEntriesPerHost = maxEntriesPerHost;
    this.#maxBytesPerHost = maxBytesPerHost;
  }

  /** The log of a host that is followed; `null` when none was ever seen. */
  current(hostId: string): AuditLogRow | null {
    const row = this.#store.get<LogColumns>(
      "SELECT * FROM audit_logs WHERE host_id = ? ORDER BY log DESC LIMIT 1",
      hostId,
    );
    return row ? fromColumns(row) : null;
  }

  newest(hostId: string, log: number): { readonly sequence: number; readonly hash: string } | null {
    const row = this.#store.get<{ sequence: number; hash: string }>(
      "SELECT sequence, hash FROM audit_entries WHERE host_id = ? AND log = ? ORDER BY sequence DESC LIMIT 1",
      hostId,
      log,
    );
    return row ?? null;
  }

  entryCount(hostId: string, log: number): number {
    const row = this.#store.get<{ count: number }>(
      "SELECT count(*) AS count FROM audit_entries WHERE host_id = ? AND log = ?",
      hostId,
      log,
    );
    return row?.count ?? 0;
  }

  /** Adds entries and says how the log stands, both or neither. */
  write(row: AuditLogRow, entries: readonly NewEntry[]): void {
    this.together(() => {
      this.#put(row);
      for (const { sequence, timeMs, actor, action, hash, wire } of entries) {
        this.#store.run(
          `INSERT INTO audit_entries (host_id, log, sequence, time_ms, actor, action, hash, wire)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
          row.hostId,
          row.log,
          sequence,
          timeMs,
          actor,
          action,
          hash,
          wire,
        );
      }
      if (entries.length === 0) return;
      this.#forgetOldest(row.hostId);
      this.#forgetLargest(row.hostId);
    });
  }

  /** By time, newest first. */
  list({
    hostIds,
    action,
    actor,
    text = "",
    outcome = "",
    sinceMs,
    untilMs,
    before,
    limit,
  }: EntryFilter): MirroredRow[] {
    const conditions: string[] = [];
    const values: unknown[] = [];
    const where = (condition: string, ...more: unknown[]) => {
      conditions.push(condition);
      values.push(...more);
    };
    if (hostIds.length > 0) where("e.host_id IN (SELECT value FROM json_each(?))", JSON.stringify(hostIds));
    if (action !== "") where("e.action = ?", action);
    if (actor !== "") where("e.actor = ?", actor);
    // Texts stand in the encoded entry as they are.
    if (text !== "") where("instr(lower(CAST(e.wire AS TEXT)), lower(?)) > 0", text);
    if (outcome !== "") where("instr(e.wire, ?) > 0", outcomeBytes(outcome));
    if (sinceMs != null) where("e.time_ms >= ?", sinceMs);
    if (untilMs != null) where("e.time_ms < ?", untilMs);
    if (before) where("(e.time_ms, e.id) < (?, ?)", before.timeMs, before.id);
    const condition = conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : "";
    return this.#store.all<MirroredRow>(
      `SELECT e.id AS id, e.host_id AS hostId, l.host_name AS hostName, e.log AS log, e.wire AS wire
       FROM audit_entries e JOIN audit_logs l ON l.host_id = e.host_id AND l.log = e.log
       ${condition} ORDER BY e.time_ms DESC, e.id DESC LIMIT ?`,
      ...values,
      limit,
    );
  }

  /** Every kept entry of one log in its order, in pieces: a log may be large. */
  *chain(hostId: string, log: number): Generator<AuditEntry> {
    for (let after = 0; ; ) {
      const rows = this.#store.all<{ sequence: number; wire: Uint8Array }>(
        "SELECT sequence, wire FROM audit_entries WHERE host_id = ? AND log = ? AND sequence > ? ORDER BY sequence LIMIT 500",
        hostId,
        log,
        after,
      );
      for (const { wire } of rows) yield fromWireAuditEntry(fromBinary(AuditEntrySchema, wire));
      const last = rows.at(-1);
      if (!last) return;
      after = last.sequence;
    }
  }

  /** All of it or nothing. */
  together(body: () => void): void {
    try {
      this.#store.transaction(body);
    } catch (error) {
      // What was counted may be back, or may never have come.
      this.#counted.clear();
      throw error;
    }
  }

  #put(row: AuditLogRow): void {
    this.#store.run(
      `INSERT INTO audit_logs (host_id, log, host_name, state, at_sequence, checked_at_ms, found_at_ms,
         tolerated_at_sequence, accepted_by, accepted_reason)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (host_id, log) DO UPDATE SET host_name = excluded.host_name, state = excluded.state,
         at_sequence = excluded.at_sequence, checked_at_ms = excluded.checked_at_ms, found_at_ms = excluded.found_at_ms`,
      row.hostId,
      row.log,
      row.hostName,
      row.state,
      row.atSequence,
      row.checkedAtMs,
      row.foundAtMs,
      row.toleratedAtSequence,
      row.acceptedBy,
      row.acceptedReason,
    );
  }

  #forgetOldest(hostId: string): void {
    this.#store.run(
      `DELETE FROM audit_entries WHERE host_id = ? AND id <= (
         SELECT id FROM audit_entries WHERE host_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)`,
      hostId,
      hostId,
      this.#maxEntriesPerHost,
    );
  }

  /** Entries of a host that lies may be many times as long as any of an agent. All are added up only when it may be too much. */
  #forgetLargest(hostId: string): void {
    const counted = this.#count(hostId, this.#counted.get(hostId) ?? NOTHING_COUNTED);
    this.#counted.set(hostId, counted);
    if (counted.bytes <= this.#maxBytesPerHost) return;
    this.#store.run(
      `DELETE FROM audit_entries WHERE host_id = ? AND id <= (
         SELECT max(id) FROM (
           SELECT id, sum(length(wire)) OVER (ORDER BY id DESC) AS bytes, max(id) OVER () AS newest
           FROM audit_entries WHERE host_id = ?)
         WHERE bytes > ? AND id < newest)`,
      hostId,
      hostId,
      // Less than there may be, so that not every page adds all up.
      this.#maxBytesPerHost * 0.9,
    );
    this.#counted.set(hostId, this.#count(hostId, NOTHING_COUNTED));
  }

  /** What came after is counted by its ids, all that there is by its host: few of all rows each time. */
  #count(hostId: string, { bytes, throughId }: CountedBytes): CountedBytes {
    const more = this.#store.get<CountedBytes>(
      `SELECT coalesce(sum(length(wire)), 0) AS bytes, coalesce(max(id), 0) AS throughId
       FROM audit_entries ${throughId > 0 ? "NOT INDEXED" : ""} WHERE host_id = ? AND id > ?`,
      hostId,
      throughId,
    );
    if (more === undefined) return { bytes, throughId };
    return { bytes: bytes + more.bytes, throughId: Math.max(throughId, more.throughId) };
  }
}

/** Field 7 of `wardline.agent.v1.AuditEntry` as it is encoded: its tag, its length, its text. */
function outcomeBytes(outcome: string): Uint8Array {
  const text = Buffer.from(outcome.slice(0, 100));
  return Buffer.concat([Buffer.from([0x3a, text.length]), text]);
}
