/** What fires, what was sent, and what windows have still to show. */
import type { Alert, AlertMessage, BookChanges, SavedBook } from "@wardline/domain/alerts";
import type { Store } from "../store/store.ts";

const MOST_HISTORY = 50_000;
const MOST_MESSAGES = 50_000;
const MOST_CONDITIONS = 100_000;
const MOST_WAITING_PER_RECEIVER = 2_000;
const KEPT_MS = 90 * 86_400_000;
/** A window shows no news of yesterday. */
const NOTIFICATIONS_KEPT_MS = 3_600_000;

export interface WaitingMessage {
  readonly message: AlertMessage;
  readonly attempts: number;
}

export interface DeliveryRecord {
  readonly messageId: string;
  readonly receiver: string;
  readonly triedAtMs: number;
  readonly result: "waiting" | "accepted" | "handed-over" | "failed" | "retry";
  readonly detail: string;
  readonly attempts: number;
  readonly errorWire: Uint8Array | null;
}

export interface StoredNotification {
  readonly id: number;
  readonly title: string;
  readonly body: string;
  readonly tag: string;
  readonly isUrgent: number;
  readonly madeAtMs: number;
  readonly takenAtMs: number | null;
}

export type ConditionKind = "host" | "cluster" | "mesh";

export interface ConditionChange {
  readonly timeMs: number;
  readonly kind: ConditionKind;
  readonly key: string;
  readonly holds: boolean;
  readonly json: string;
}

const RECORD = `id AS messageId, receiver, tried_at_ms AS triedAtMs, result, detail, attempts, error_wire AS errorWire`;

export class AlertTables {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  loadBook(): SavedBook {
    const alerts = this.open();
    const pieces = this.#store.all<{ name: string; json: string }>("SELECT name, json FROM alert_book");
    return { alerts, pieces: pieces.map(({ name, json }) => [name, json] as const) };
  }

  open(): Alert[] {
    return this.#alerts("SELECT json FROM alerts WHERE is_open = 1");
  }

  find(id: string): Alert | null {
    return this.#alerts("SELECT json FROM alerts WHERE id = ?", id)[0] ?? null;
  }

  /** Together with what follows from it, in one transaction of the caller. */
  saveBook({ alerts, closed, dropped, pieces }: BookChanges): void {
    for (const alert of alerts) this.#putAlert(alert, true);
    for (const alert of closed) this.#putAlert(alert, false);
    for (const id of dropped) this.#store.run("DELETE FROM alerts WHERE id = ?", id);
    for (const [name, json] of pieces) {
      if (json === null) this.#store.run("DELETE FROM alert_book WHERE name = ?", name);
      else {
        this.#store.run(
          "INSERT INTO alert_book (name, json) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET json = excluded.json",
          name,
          json,
        );
      }
    }
  }

  /** Waits to be delivered. What there is no room for fails at once, and is told as such. */
  addMessage(message: AlertMessage, nowMs: number): void {
    const waiting = this.#store.get<{ count: number }>(
      "SELECT COUNT(*) AS count FROM alert_messages WHERE receiver = ? AND next_at_ms IS NOT NULL",
      message.receiver,
    );
    const hasRoom = (waiting?.count ?? 0) < MOST_WAITING_PER_RECEIVER;
    this.#store.run(
      `INSERT INTO alert_messages (id, receiver, made_at_ms, next_at_ms, attempts, result, tried_at_ms, detail, json)
       VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
      ...[
        message.id,
        message.receiver,
        message.madeAtMs,
        hasRoom ? nowMs : null,
        hasRoom ? "waiting" : "failed",
        nowMs,
      ],
      hasRoom
        ? ""
        : `Not sent: ${MOST_WAITING_PER_RECEIVER.toLocaleString("en")} messages wait for this receiver already.`,
      hasRoom ? JSON.stringify(message) : null,
    );
    for (const { id } of [...message.firing, ...message.resolved]) {
      this.#store.run(
        "INSERT INTO alert_message_alerts (alert_id, message_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
        id,
        message.id,
      );
    }
  }

  /** One for each receiver that has something due. */
  dueMessages(nowMs: number): WaitingMessage[] {
    return this.#messages(
      "SELECT json, attempts, MIN(next_at_ms) FROM alert_messages WHERE next_at_ms <= ? GROUP BY receiver",
      nowMs,
    );
  }

  /** The oldest that waits, due or not: for receivers to which the order matters. */
  oldestWaiting(receiver: string, nowMs: number): WaitingMessage | null {
    const sql = `SELECT json, attempts, next_at_ms AS nextAtMs FROM alert_messages
      WHERE receiver = ? AND next_at_ms IS NOT NULL ORDER BY made_at_ms, id LIMIT 1`;
    const row = this.#store.get<{ json: string; attempts: number; nextAtMs: number }>(sql, receiver);
    if (!row || row.nextAtMs > nowMs) return null;
    return { message: JSON.parse(row.json) as AlertMessage, attempts: row.attempts };
  }

  /** The clock was set back: nothing waits for a day long gone. */
  clampWaiting(nowMs: number, longestMs: number): void {
    this.#store.run("UPDATE alert_messages SET next_at_ms = ? WHERE next_at_ms > ?", nowMs, nowMs + longestMs);
  }

  /** @param nextAtMs `null` = that was the last attempt */
  noteAttempt(record: DeliveryRecord, nextAtMs: number | null): void {
    const { messageId, triedAtMs, result, detail, attempts, errorWire } = record;
    this.#store.run(
      `UPDATE alert_messages SET next_at_ms = ?, attempts = ?, result = ?, tried_at_ms = ?, detail = ?, error_wire = ?,
         json = CASE WHEN ? IS NULL THEN NULL ELSE json END WHERE id = ?`,
      ...[nextAtMs, attempts, result, triedAtMs, detail, errorWire, nextAtMs, messageId],
    );
  }

  /** Messages to a receiver that is gone are not sent any more. */
  failAll(receiver: string, detail: string, nowMs: number): void {
    this.#store.run(
      `UPDATE alert_messages SET next_at_ms = NULL, result = 'failed', detail = ?, tried_at_ms = ?, json = NULL
       WHERE receiver = ? AND next_at_ms IS NOT NULL`,
      ...[detail, nowMs, receiver],
    );
  }

  lastDelivery(receiver: string): DeliveryRecord | null {
    return (
      this.#store.get<DeliveryRecord>(
        `SELECT ${RECORD} FROM alert_messages WHERE receiver = ? AND attempts > 0 ORDER BY tried_at_ms DESC LIMIT 1`,
        receiver,
      ) ?? null
    );
  }

  deliveriesOf(alertId: string): DeliveryRecord[] {
    return this.#store.all<DeliveryRecord>(
      `SELECT ${RECORD} FROM alert_message_alerts JOIN alert_messages ON id = message_id
       WHERE alert_id = ? ORDER BY made_at_ms DESC LIMIT 20`,
      alertId,
    );
  }

  /** Alerts that fired, newest first, older than a place in the list. */
  history(limit: number, before: { readonly beganAtMs: number; readonly id: string } | null): Alert[] {
    const { beganAtMs, id } = before ?? { beganAtMs: Number.MAX_SAFE_INTEGER, id: "" };
    return this.#alerts(
      `SELECT json FROM alerts WHERE has_fired = 1 AND (began_at_ms, id) < (?, ?)
       ORDER BY began_at_ms DESC, id DESC LIMIT ?`,
      ...[beganAtMs, id, limit],
    );
  }

  historyCount(): number {
    return this.#store.get<{ count: number }>("SELECT COUNT(*) AS count FROM alerts WHERE has_fired = 1")?.count ?? 0;
  }

  historySince(sinceMs: number, limit: number): Alert[] {
    return this.#alerts(
      "SELECT json FROM alerts WHERE has_fired = 1 AND began_at_ms >= ? ORDER BY began_at_ms DESC LIMIT ?",
      ...[sinceMs, limit],
    );
  }

  /** One for each message, however often it is tried. When a window took it; `null` = none has yet. */
  offerNotification(
    messageId: string,
    { title, body, tag, isUrgent }: Pick<StoredNotification, "title" | "body" | "tag"> & { readonly isUrgent: boolean },
    nowMs: number,
  ): number | null {
    this.#store.run(
      `INSERT INTO alert_notifications (message_id, title, body, tag, is_urgent, made_at_ms) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (message_id) DO NOTHING`,
      ...[messageId, title, body, tag, isUrgent ? 1 : 0, nowMs],
    );
    const sql = "SELECT taken_at_ms AS takenAtMs FROM alert_notifications WHERE message_id = ?";
    return this.#store.get<{ takenAtMs: number | null }>(sql, messageId)?.takenAtMs ?? null;
  }

  /** Newest first. */
  notifications(nowMs: number, limit: number): StoredNotification[] {
    return this.#store.all<StoredNotification>(
      `SELECT id, title, body, tag, is_urgent AS isUrgent, made_at_ms AS madeAtMs, taken_at_ms AS takenAtMs
       FROM alert_notifications WHERE made_at_ms >= ? ORDER BY id DESC LIMIT ?`,
      ...[nowMs - NOTIFICATIONS_KEPT_MS, limit],
    );
  }

  /** True for the one process that took it. */
  takeNotification(id: number, nowMs: number): boolean {
    const sql = "UPDATE alert_notifications SET taken_at_ms = ? WHERE id = ? AND taken_at_ms IS NULL";
    return this.#store.run(sql, nowMs, id).changes > 0;
  }

  addCondition({ timeMs, kind, key, holds, json }: ConditionChange): void {
    this.#store.run(
      "INSERT INTO alert_conditions (time_ms, kind, key, holds, json) VALUES (?, ?, ?, ?, ?)",
      ...[timeMs, kind, key, holds ? 1 : 0, json],
    );
  }

  conditions(kind: ConditionKind, untilMs: number): ConditionChange[] {
    return this.#store
      .all<{ timeMs: number; key: string; holds: number; json: string }>(
        "SELECT time_ms AS timeMs, key, holds, json FROM alert_conditions WHERE kind = ? AND time_ms < ? ORDER BY number",
        ...[kind, untilMs],
      )
      .map((row) => ({ ...row, kind, holds: row.holds === 1 }));
  }

  /** Hosts that took back the last change that was sent to them, in the last day. */
  rolledBackHosts(nowMs: number): ReadonlySet<string> {
    const rows = this.#store.all<{ hostId: string }>(
      `SELECT host_id AS hostId FROM receipts WHERE id IN (SELECT max(id) FROM receipts GROUP BY host_id)
       AND outcome IN ('rolled-back', 'expired') AND ended_at_ms >= ?`,
      nowMs - 86_400_000,
    );
    return new Set(rows.map(({ hostId }) => hostId));
  }

  /** Removes what is too old or too much. Open alerts and messages that wait are never removed. */
  prune(nowMs: number): void {
    const oldestMs = nowMs - KEPT_MS;
    this.#store.run("DELETE FROM alerts WHERE is_open = 0 AND began_at_ms < ?", oldestMs);
    this.#store.run(
      `DELETE FROM alerts WHERE is_open = 0 AND began_at_ms < COALESCE(
         (SELECT began_at_ms FROM alerts WHERE has_fired = 1 ORDER BY began_at_ms DESC LIMIT 1 OFFSET ?), 0)`,
      MOST_HISTORY,
    );
    this.#store.run(
      `DELETE FROM alert_messages WHERE next_at_ms IS NULL AND (made_at_ms < ? OR made_at_ms < COALESCE(
         (SELECT made_at_ms FROM alert_messages ORDER BY made_at_ms DESC LIMIT 1 OFFSET ?), 0))`,
      ...[oldestMs, MOST_MESSAGES],
    );
    this.#store.run("DELETE FROM alert_message_alerts WHERE message_id NOT IN (SELECT id FROM alert_messages)");
    this.#store.run("DELETE FROM alert_notifications WHERE made_at_ms < ?", nowMs - NOTIFICATIONS_KEPT_MS);
    this.#store.run("DELETE FROM alert_acknowledgements WHERE at_ms < ?", oldestMs);
    this.#store.run(
      "DELETE FROM alert_conditions WHERE time_ms < ? OR number <= (SELECT COALESCE(MAX(number), 0) - ? FROM alert_conditions)",
      ...[oldestMs, MOST_CONDITIONS],
    );
  }

  #putAlert(alert: Alert, isOpen: boolean): void {
    this.#store.run(
      `INSERT INTO alerts (id, rule, is_open, has_fired, began_at_ms, json) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET is_open = excluded.is_open, has_fired = excluded.has_fired,
         began_at_ms = excluded.began_at_ms, json = excluded.json`,
      ...[
        alert.id,
        alert.rule,
        isOpen ? 1 : 0,
        alert.firedAtMs === null ? 0 : 1,
        alert.beganAtMs,
        JSON.stringify(alert),
      ],
    );
  }

  #messages(sql: string, ...values: unknown[]): WaitingMessage[] {
    const rows = this.#store.all<{ json: string; attempts: number }>(sql, ...values);
    return rows.map(({ json, attempts }) => ({ message: JSON.parse(json) as AlertMessage, attempts }));
  }

  #alerts(sql: string, ...values: unknown[]): Alert[] {
    return this.#store.all<{ json: string }>(sql, ...values).map(({ json }) => JSON.parse(json) as Alert);
  }
}
