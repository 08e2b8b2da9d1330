import type { Migration } from "../../store/migrations.ts";

/** Of `mesh.db`, in the order of their numbers. Published ones are never edited. */
export const MESH_MIGRATIONS: readonly Migration[] = [
  (database) => {
    database.exec(`
      -- When somebody looked: what lies in between is not known.
      CREATE TABLE spans (from_ms INTEGER PRIMARY KEY, to_ms INTEGER NOT NULL) STRICT;

      -- Whole pictures without figures, and what changed since.
      CREATE TABLE keyframes (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        -- Changes up to this one are in it.
        after_delta INTEGER NOT NULL,
        is_complete INTEGER NOT NULL DEFAULT 0
      ) STRICT;
      CREATE INDEX keyframes_by_time ON keyframes (at_ms);
      CREATE TABLE keyframe_parts (
        keyframe INTEGER NOT NULL,
        part INTEGER NOT NULL,
        -- wardline.console.v1.WatchMeshResponse, deflated.
        wire BLOB NOT NULL,
        PRIMARY KEY (keyframe, part)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE deltas (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        wire BLOB NOT NULL
      ) STRICT;
      CREATE INDEX deltas_by_time ON deltas (at_ms);

      -- The same in words, for lists.
      CREATE TABLE changes (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        subject TEXT NOT NULL,
        sentence TEXT NOT NULL
      ) STRICT;
      CREATE INDEX changes_by_time ON changes (at_ms);
      CREATE INDEX changes_by_subject ON changes (subject, at_ms);

      -- Figures: blocks of up to 256 links, by their numbers.
      CREATE TABLE link_names (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        a TEXT NOT NULL,
        b TEXT NOT NULL,
        last_ms INTEGER NOT NULL
      ) STRICT;
      CREATE INDEX link_names_by_a ON link_names (a);
      CREATE INDEX link_names_by_b ON link_names (b);
      CREATE TABLE samples (at_ms INTEGER PRIMARY KEY) STRICT;
      CREATE TABLE figures (
        block INTEGER NOT NULL,
        at_ms INTEGER NOT NULL,
        wire BLOB NOT NULL,
        PRIMARY KEY (block, at_ms)
      ) STRICT, WITHOUT ROWID;
    `);
  },
];
