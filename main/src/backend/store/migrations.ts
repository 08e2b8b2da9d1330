import type { Database } from "better-sqlite3";
import { createAlertTables } from "../alerts/alert-migration.ts";
import { createAnomalyTables } from "../anomalies/anomaly-migration.ts";
import { extendVersionTables } from "../versions/version-migration.ts";

/** Position + 1 is the `user_version` that a migration leads to. Published ones are never edited. */
export type Migration = (database: Database) => void;

export const MIGRATIONS: readonly Migration[] = [
  (database) => {
    database.exec(`
      CREATE TABLE settings (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

      -- The workspace: drafts as they stand. Texts of every age live in blobs.
      CREATE TABLE files (
        path TEXT PRIMARY KEY,
        text TEXT NOT NULL,
        revision INTEGER NOT NULL,
        modified_at_ms INTEGER NOT NULL
      ) STRICT;

      CREATE TABLE blobs (digest TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;

      CREATE TABLE versions (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        author TEXT NOT NULL,
        reason TEXT NOT NULL,
        policy_count INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX versions_by_id ON versions (id);

      CREATE TABLE version_files (
        version_id TEXT NOT NULL,
        path TEXT NOT NULL,
        digest TEXT NOT NULL REFERENCES blobs (digest),
        PRIMARY KEY (version_id, path)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE receipts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        host_id TEXT NOT NULL,
        version_id TEXT NOT NULL,
        state_digest TEXT NOT NULL,
        program_digest TEXT NOT NULL,
        generation INTEGER NOT NULL,
        generation_wire BLOB,
        created_at_ms INTEGER NOT NULL,
        deadline_ms INTEGER,
        author TEXT NOT NULL,
        reason TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('sending', 'pending', 'confirmed', 'rolled-back', 'expired', 'failed')),
        ended_at_ms INTEGER,
        error_wire BLOB
      ) STRICT;
      CREATE INDEX receipts_open ON receipts (host_id) WHERE outcome IN ('sending', 'pending');

      -- Decisions repeat in nearly every flow: kept once each.
      CREATE TABLE flow_decisions (
        row INTEGER PRIMARY KEY,
        digest TEXT NOT NULL UNIQUE,
        wire BLOB NOT NULL,
        policy_keys TEXT NOT NULL,
        summary TEXT NOT NULL
      ) STRICT;

      CREATE TABLE flows (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        host_id TEXT NOT NULL,
        -- Start time of the agent that numbered the flow, and its number there: one flow is kept once. NULL = not numbered.
        agent_epoch_ms INTEGER NOT NULL,
        agent_flow_id INTEGER,
        host TEXT NOT NULL,
        time_us INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        direction INTEGER NOT NULL,
        protocol INTEGER NOT NULL,
        source_address TEXT NOT NULL,
        source_key BLOB NOT NULL,
        source_port INTEGER NOT NULL,
        destination_address TEXT NOT NULL,
        destination_key BLOB NOT NULL,
        destination_port INTEGER NOT NULL,
        source_name TEXT NOT NULL,
        destination_name TEXT NOT NULL,
        verdict INTEGER NOT NULL,
        enforced INTEGER NOT NULL,
        decision_row INTEGER,
        generation INTEGER NOT NULL,
        subject_key TEXT NOT NULL,
        cgroup_path TEXT NOT NULL,
        packets INTEGER NOT NULL,
        bytes INTEGER NOT NULL
      ) STRICT;
      CREATE UNIQUE INDEX flows_once ON flows (host_id, agent_epoch_ms, agent_flow_id);
      CREATE INDEX flows_by_time ON flows (time_us);

      CREATE TABLE hosts (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        last_heard_at_ms INTEGER NOT NULL,
        role INTEGER NOT NULL,
        actor TEXT NOT NULL,
        status_wire BLOB NOT NULL
      ) STRICT, WITHOUT ROWID;

      -- Work that only one process may do at a time (collecting flows).
      CREATE TABLE leases (
        name TEXT PRIMARY KEY,
        holder TEXT NOT NULL,
        expires_at_ms INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;
    `);
  },
  (database) => {
    database.exec(`
      -- The process behind a flow; pid 0 = unknown. Flows that were stored before know none.
      ALTER TABLE flows ADD COLUMN hook INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE flows ADD COLUMN process_pid INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE flows ADD COLUMN process_user_id INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE flows ADD COLUMN process_user_name TEXT NOT NULL DEFAULT '';
      ALTER TABLE flows ADD COLUMN process_command TEXT NOT NULL DEFAULT '';
      ALTER TABLE flows ADD COLUMN process_executable TEXT NOT NULL DEFAULT '';
    `);
  },
  (database) => {
    database.exec(`
      -- What the person said of each machine. 'local' is there once something was said of it. No secrets, ever.
      CREATE TABLE managed_hosts (
        id TEXT PRIMARY KEY,
        alias TEXT NOT NULL,
        -- wardline.console.v1.HostAccess, encoded; NULL for the machine of the console.
        access_wire BLOB,
        -- JSON array of text, sorted.
        groups TEXT NOT NULL,
        environment_name TEXT NOT NULL,
        environment_color INTEGER NOT NULL,
        added_at_ms INTEGER NOT NULL,
        -- The name in the Host document that was written when it was added, until its agent says its own; '' = none.
        document_name TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE UNIQUE INDEX managed_hosts_by_alias ON managed_hosts (alias COLLATE NOCASE) WHERE alias <> '';
    `);
  },
  (database) => {
    database.exec(`
      -- The logs that each host has had, from 1; the newest is the one that is followed.
      CREATE TABLE audit_logs (
        host_id TEXT NOT NULL,
        log INTEGER NOT NULL,
        host_name TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('verified', 'broken', 'truncated', 'forked')),
        at_sequence INTEGER NOT NULL,
        -- When the host was last held against the mirror (console clock), and when the state was found.
        checked_at_ms INTEGER NOT NULL,
        found_at_ms INTEGER NOT NULL,
        -- Where the host's own file does not verify, known to the person who accepted it; 0 = nowhere.
        tolerated_at_sequence INTEGER NOT NULL,
        accepted_by TEXT NOT NULL,
        accepted_reason TEXT NOT NULL,
        PRIMARY KEY (host_id, log)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE audit_entries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        host_id TEXT NOT NULL,
        log INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        time_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        hash TEXT NOT NULL,
        wire BLOB NOT NULL
      ) STRICT;
      CREATE UNIQUE INDEX audit_entries_once ON audit_entries (host_id, log, sequence);
      CREATE INDEX audit_entries_by_time ON audit_entries (time_ms, id);
    `);
  },
  (database) => {
    database.exec(`
      -- What each host should enforce is asked for several times a second.
      CREATE INDEX receipts_confirmed ON receipts (host_id, id) WHERE outcome = 'confirmed';
    `);
  },
  (database) => {
    database.exec(`
      -- wardline.console.v1.Job, encoded: what became of long work, for other processes and after a restart.
      CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        -- Of the process that runs or ran it, on this machine.
        process_id INTEGER NOT NULL,
        started_at_ms INTEGER NOT NULL,
        wire BLOB NOT NULL
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX jobs_by_start ON jobs (started_at_ms);
    `);
  },
  (database) => {
    database.exec(`
      CREATE TABLE rollouts (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        created_at_ms INTEGER NOT NULL,
        ended_at_ms INTEGER,
        author TEXT NOT NULL,
        reason TEXT NOT NULL,
        -- What is rolled out: the digest of the state, and its version.
        version_id TEXT NOT NULL,
        mode INTEGER NOT NULL,
        confirm_within_ms INTEGER NOT NULL,
        watch_ms INTEGER NOT NULL,
        denials_above_forecast INTEGER NOT NULL,
        is_automatic INTEGER NOT NULL,
        phase TEXT NOT NULL CHECK (phase IN ('running', 'waiting', 'done', 'halted', 'stopped')),
        stage INTEGER NOT NULL,
        stage_count INTEGER NOT NULL,
        gates_passed INTEGER NOT NULL,
        leaves_confirmed INTEGER NOT NULL,
        explanation TEXT NOT NULL,
        -- What another process asked of the one that drives it; empty = nothing.
        request TEXT NOT NULL DEFAULT ''
      ) STRICT;

      CREATE TABLE rollout_hosts (
        rollout_id TEXT NOT NULL,
        position INTEGER NOT NULL,
        host_id TEXT NOT NULL,
        host_name TEXT NOT NULL,
        stage INTEGER NOT NULL,
        phase TEXT NOT NULL,
        is_lost INTEGER NOT NULL,
        is_aside INTEGER NOT NULL,
        base_generation INTEGER NOT NULL,
        base_state_digest TEXT NOT NULL,
        program_digest TEXT NOT NULL,
        sent_at_ms INTEGER,
        deadline_ms INTEGER,
        -- What the host's counters said at the flip; NULL = not known.
        allowed_before INTEGER,
        denied_before INTEGER,
        awaited_until_ms INTEGER,
        receipt_wire BLOB NOT NULL,
        error_wire BLOB,
        PRIMARY KEY (rollout_id, host_id)
      ) STRICT, WITHOUT ROWID;
      CREATE INDEX rollout_hosts_by_host ON rollout_hosts (host_id, phase);
    `);
  },
  (database) => {
    database.exec(`
      -- What the workspace last agreed on with a cluster, by document; text NULL = it was not there.
      CREATE TABLE cluster_bases (
        cluster TEXT NOT NULL,
        document TEXT NOT NULL,
        -- Counts once this set of the cluster is confirmed; 0 = it counts.
        pending_set INTEGER NOT NULL,
        version INTEGER NOT NULL,
        text TEXT,
        PRIMARY KEY (cluster, document, pending_set)
      ) STRICT, WITHOUT ROWID;

      -- Shared notes: a document that merges by itself, and what of it the cluster has not got yet.
      CREATE TABLE cluster_notes (
        cluster TEXT NOT NULL,
        document TEXT NOT NULL,
        state BLOB NOT NULL,
        unsent BLOB,
        PRIMARY KEY (cluster, document)
      ) STRICT, WITHOUT ROWID;
    `);
  },
  createAlertTables,
  createAnomalyTables,
  (database) => {
    database.exec(`
      -- wardline.console.v1.SavedQuery, encoded: queries of flows that a person keeps by name.
      CREATE TABLE saved_queries (
        name TEXT PRIMARY KEY,
        wire BLOB NOT NULL
      ) STRICT, WITHOUT ROWID;
    `);
  },
  (database) => {
    database.exec(`
      -- When records of a host were lost: what lists of flows show in its place.
      CREATE TABLE flow_gaps (
        id INTEGER PRIMARY KEY,
        host_id TEXT NOT NULL,
        host TEXT NOT NULL,
        since_ms INTEGER NOT NULL,
        until_ms INTEGER NOT NULL,
        events INTEGER NOT NULL,
        batches INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX flow_gaps_by_time ON flow_gaps (until_ms);
    `);
  },
  extendVersionTables,
  (database) => {
    database.exec(`
      -- What the end of a connection counted in each direction.
      ALTER TABLE flows ADD COLUMN originator_bytes INTEGER NOT NULL DEFAULT 0;
      ALTER TABLE flows ADD COLUMN responder_bytes INTEGER NOT NULL DEFAULT 0;
    `);
  },
];
