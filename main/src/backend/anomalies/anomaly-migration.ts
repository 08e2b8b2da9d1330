import type { Database } from "better-sqlite3";

/** Findings of all hosts and how their detectors stand. */
export function createAnomalyTables(database: Database): void {
  database.exec(`
    CREATE TABLE anomalies (
      host_id TEXT NOT NULL,
      finding_id TEXT NOT NULL,
      -- Of the last change on this console; see anomaly_revision.
      revision INTEGER NOT NULL,
      detector INTEGER NOT NULL,
      severity INTEGER NOT NULL,
      state INTEGER NOT NULL,
      began_at_ms INTEGER NOT NULL,
      last_at_ms INTEGER NOT NULL,
      detected_at_ms INTEGER NOT NULL,
      -- What was said of it last; 0 = nothing, or it was taken back.
      feedback INTEGER NOT NULL,
      -- Lower case.
      search_text TEXT NOT NULL,
      -- wardline.v1.Finding without evidence and series.
      head_wire BLOB NOT NULL,
      -- With them; NULL = the host is asked.
      whole_wire BLOB,
      PRIMARY KEY (host_id, finding_id)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX anomalies_by_revision ON anomalies (revision);
    CREATE INDEX anomalies_by_time ON anomalies (detected_at_ms, host_id, finding_id);

    -- One row: the newest revision that was ever given.
    CREATE TABLE anomaly_revision (newest INTEGER NOT NULL) STRICT;
    INSERT INTO anomaly_revision (newest) VALUES (0);

    CREATE TABLE anomaly_models (
      host_id TEXT PRIMARY KEY,
      -- wardline.console.v1.HostModel.
      wire BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
  `);
}
