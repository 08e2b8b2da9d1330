/** Versions of the whole workspace, content-addressed: equal content has one id, and each text is kept once. */
import { createHash } from "node:crypto";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Store } from "./store.ts";

/** What made a version. */
export type VersionKind =
  | "kept"
  | "applied"
  | "rolled-out"
  | "imported"
  | "restored"
  | "cluster"
  | "source"
  | "merged"
  /** What was there before something else took its place. */
  | "before";

export interface StoredVersion {
  /** Digest of the content, 64 hex digits. */
  readonly id: string;
  readonly number: number;
  /** Number of the version before it; 0 = it is the first. */
  readonly parent: number;
  readonly kind: VersionKind;
  readonly ticket: string;
  readonly createdAtMs: number;
  readonly author: string;
  readonly reason: string;
  readonly fileCount: number;
  readonly policyCount: number;
}

export interface NewVersion {
  readonly id: string;
  readonly files: readonly { readonly path: string; readonly text: string }[];
  readonly author: string;
  readonly reason: string;
  readonly policyCount: number;
  /** Applied unless given. */
  readonly kind?: VersionKind;
  readonly ticket?: string;
}

export interface VersionRow {
  id: string;
  number: number;
  parent: number;
  kind: VersionKind;
  ticket: string;
  created_at_ms: number;
  author: string;
  reason: string;
  policy_count: number;
  file_count: number;
}

/** Rows for {@link versionFromRow}. */
export const SELECT_VERSIONS = `SELECT versions.*,
  (SELECT count(*) FROM version_files WHERE version_files.version_id = versions.id) AS file_count FROM versions`;

export function versionFromRow(row: VersionRow): StoredVersion {
  return {
    id: row.id,
    number: row.number,
    parent: row.parent,
    kind: row.kind,
    ticket: row.ticket,
    createdAtMs: row.created_at_ms,
    author: row.author,
    reason: row.reason,
    fileCount: row.file_count,
    policyCount: row.policy_count,
  };
}

export class VersionsTable {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Records content that differs from the newest version. The same content is recorded again only when something else was
   * done with it: what is there is not kept or put aside once more.
   */
  record(version: NewVersion, nowMs: number): StoredVersion {
    return this.#store.transaction(() => {
      const newest = this.list(1)[0];
      const kind = version.kind ?? "applied";
      const isAside = kind === "kept" || kind === "before";
      if (newest?.id === version.id && (isAside || newest.kind === kind)) return newest;
      for (const file of version.files) {
        const digest = createHash("sha256").update(file.text).digest("hex");
        this.#store.run("INSERT OR IGNORE INTO blobs (digest, text) VALUES (?, ?)", digest, file.text);
        this.#store.run(
          "INSERT OR IGNORE INTO version_files (version_id, path, digest) VALUES (?, ?, ?)",
          version.id,
          file.path,
          digest,
        );
      }
      const { lastInsertRowid } = this.#store.run(
        `INSERT INTO versions (id, created_at_ms, author, reason, policy_count, ticket, kind, parent)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        version.id,
        nowMs,
        version.author,
        version.reason,
        version.policyCount,
        version.ticket ?? "",
        kind,
        newest?.number ?? 0,
      );
      this.#recordChanges(lastInsertRowid, version.id, newest?.id ?? "");
      const row = this.#store.get<VersionRow>(`${SELECT_VERSIONS} WHERE number = ?`, lastInsertRowid);
      if (!row) throw new Error("the version just written is missing");
      return versionFromRow(row);
    });
  }

  #recordChanges(number: number, id: string, parentId: string): void {
    this.#store.run(
      `INSERT INTO version_changes (number, path)
       SELECT ?, path FROM (
         SELECT file.path FROM version_files AS file
           LEFT JOIN version_files AS old ON old.version_id = ? AND old.path = file.path
           WHERE file.version_id = ? AND old.digest IS NOT file.digest
         UNION
         SELECT old.path FROM version_files AS old
           LEFT JOIN version_files AS file ON file.version_id = ? AND file.path = old.path
           WHERE old.version_id = ? AND file.digest IS NULL
       )`,
      ...[number, parentId, id, id, parentId],
    );
  }

  /** Newest first. */
  list(limit: number): StoredVersion[] {
    return this.#store.all<VersionRow>(`${SELECT_VERSIONS} ORDER BY number DESC LIMIT ?`, limit).map(versionFromRow);
  }

  /** The newest version with that content. */
  find(id: string): StoredVersion | null {
    const row = this.#store.get<VersionRow>(`${SELECT_VERSIONS} WHERE id = ? ORDER BY number DESC LIMIT 1`, id);
    return row ? versionFromRow(row) : null;
  }

  /** @throws Failure NOT_FOUND */
  get(id: string): StoredVersion {
    const version = this.find(id);
    if (version) return version;
    throw new Failure({
      code: ErrorCode.NOT_FOUND,
      message: `There is no version ${JSON.stringify(id.slice(0, 12))} on this console.`,
      hint: "List the versions to see which there are.",
    });
  }

  files(id: string): { path: string; text: string }[] {
    return this.#store.all<{ path: string; text: string }>(
      `SELECT path, text FROM version_files JOIN blobs USING (digest) WHERE version_id = ? ORDER BY path`,
      id,
    );
  }
}
