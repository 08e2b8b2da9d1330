import type { Database } from "better-sqlite3";

/** Alerts: rules, receivers without their secrets, silences, what fires, and what was sent. */
export function createAlertTables(database: Database): void {
  database.exec(`
    CREATE TABLE alert_rules (name TEXT PRIMARY KEY, position INTEGER NOT NULL, json TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE alert_receivers (name TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID;
    -- Sealed by the keyring of the desktop.
    CREATE TABLE alert_secrets (receiver TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE alert_silences (id TEXT PRIMARY KEY, until_ms INTEGER NOT NULL, json TEXT NOT NULL) STRICT, WITHOUT ROWID;
    -- What people said, in the order in which they said it; the process that delivers takes them over.
    CREATE TABLE alert_acknowledgements (
      number INTEGER PRIMARY KEY AUTOINCREMENT,
      alert_id TEXT NOT NULL,
      actor TEXT NOT NULL,
      reason TEXT NOT NULL,
      at_ms INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX alert_acknowledgements_by_alert ON alert_acknowledgements (alert_id);

    -- Open ones are the state of the book; the others are history. Pending ones never fired.
    CREATE TABLE alerts (
      id TEXT PRIMARY KEY,
      rule TEXT NOT NULL,
      is_open INTEGER NOT NULL,
      has_fired INTEGER NOT NULL,
      began_at_ms INTEGER NOT NULL,
      json TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX alerts_open ON alerts (id) WHERE is_open = 1;
    CREATE INDEX alerts_by_time ON alerts (began_at_ms, id) WHERE has_fired = 1;
    CREATE TABLE alert_book (name TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT, WITHOUT ROWID;

    -- Messages, and how they went. next_at_ms NULL = it is settled.
    CREATE TABLE alert_messages (
      id TEXT PRIMARY KEY,
      receiver TEXT NOT NULL,
      made_at_ms INTEGER NOT NULL,
      next_at_ms INTEGER,
      attempts INTEGER NOT NULL,
      result TEXT NOT NULL CHECK (result IN ('waiting', 'accepted', 'handed-over', 'failed', 'retry')),
      tried_at_ms INTEGER NOT NULL,
      detail TEXT NOT NULL,
      error_wire BLOB,
      -- NULL once it is settled: what it said is in the alerts.
      json TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX alert_messages_due ON alert_messages (next_at_ms) WHERE next_at_ms IS NOT NULL;
    CREATE INDEX alert_messages_by_receiver ON alert_messages (receiver, tried_at_ms);
    CREATE TABLE alert_message_alerts (
      alert_id TEXT NOT NULL,
      message_id TEXT NOT NULL,
      PRIMARY KEY (alert_id, message_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX alert_message_alerts_by_message ON alert_message_alerts (message_id);

    -- For windows to show. taken_at_ms NULL = no window has it yet.
    CREATE TABLE alert_notifications (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      message_id TEXT NOT NULL UNIQUE,
      title TEXT NOT NULL,
      body TEXT NOT NULL,
      tag TEXT NOT NULL,
      is_urgent INTEGER NOT NULL,
      made_at_ms INTEGER NOT NULL,
      taken_at_ms INTEGER
    ) STRICT;

    -- When conditions of hosts and clusters began and ended, for backtests.
    CREATE TABLE alert_conditions (
      number INTEGER PRIMARY KEY AUTOINCREMENT,
      time_ms INTEGER NOT NULL,
      kind TEXT NOT NULL,
      key TEXT NOT NULL,
      holds INTEGER NOT NULL,
      json TEXT NOT NULL
    ) STRICT;
    CREATE INDEX alert_conditions_by_time ON alert_conditions (time_ms);
  `);
}
