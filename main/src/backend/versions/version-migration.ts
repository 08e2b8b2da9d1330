import type { Database } from "better-sqlite3";

/** What versions know of themselves besides their content; keys that sign configurations; what a source was last agreed on. */
export function extendVersionTables(database: Database): void {
  database.exec(`
    ALTER TABLE versions ADD COLUMN ticket TEXT NOT NULL DEFAULT '';
    ALTER TABLE versions ADD COLUMN kind TEXT NOT NULL DEFAULT 'applied';
    -- Number of the version before; 0 = it is the first.
    ALTER TABLE versions ADD COLUMN parent INTEGER NOT NULL DEFAULT 0;
    UPDATE versions SET parent = COALESCE((SELECT max(older.number) FROM versions AS older WHERE older.number < versions.number), 0);

    -- Files that a version has otherwise than its parent.
    CREATE TABLE version_changes (
      number INTEGER NOT NULL,
      path TEXT NOT NULL,
      PRIMARY KEY (number, path)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX version_changes_by_path ON version_changes (path);
    INSERT INTO version_changes (number, path)
      SELECT versions.number, file.path FROM versions
        JOIN version_files AS file ON file.version_id = versions.id
        LEFT JOIN versions AS parent ON parent.number = versions.parent
        LEFT JOIN version_files AS old ON old.version_id = parent.id AND old.path = file.path
        WHERE old.digest IS NOT file.digest
      UNION
      SELECT versions.number, old.path FROM versions
        JOIN versions AS parent ON parent.number = versions.parent
        JOIN version_files AS old ON old.version_id = parent.id
        LEFT JOIN version_files AS file ON file.version_id = versions.id AND file.path = old.path
        WHERE file.digest IS NULL;

    CREATE INDEX receipts_by_version ON receipts (version_id) WHERE outcome = 'confirmed';

    -- Ed25519 keys, 32 bytes in base64, whose configurations this console knows.
    CREATE TABLE configuration_keys (
      fingerprint TEXT PRIMARY KEY,
      public_key TEXT NOT NULL,
      name TEXT NOT NULL,
      added_at_ms INTEGER NOT NULL,
      added_by TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Texts that workspace and source last had in common.
    CREATE TABLE source_bases (path TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
  `);
}
