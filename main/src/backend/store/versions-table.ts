/** Versions of the whole workspace, content-addressed: equal content has one id, and each text is kept once. */
import { createHash } from "node:crypto";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Store } from "./store.ts";

export interface StoredVersion {
  /** Digest of the content, 64 hex digits. */
  readonly id: string;
  readonly number: number;
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
}

interface VersionRow {
  id: string;
  number: number;
  created_at_ms: number;
  author: string;
  reason: string;
  policy_count: number;
  file_count: number;
}

const SELECT = `SELECT versions.*,
  (SELECT count(*) FROM version_files WHERE version_files.version_id = versions.id) AS file_count FROM versions`;

function fromRow(row: VersionRow): StoredVersion {
  return {
    id: row.id,
    number: row.number,
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

  /** Records content that differs from the newest version; the same content again returns the version that is there. */
  record(version: NewVersion, nowMs: number): StoredVersion {
    return this.#store.transaction(() => {
      const newest = this.list(1)[0];
      if (newest?.id === version.id) return newest;
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
        "INSERT INTO versions (id, created_at_ms, author, reason, policy_count) VALUES (?, ?, ?, ?, ?)",
        version.id,
        nowMs,
        version.author,
        version.reason,
        version.policyCount,
      );
      const row = this.#store.get<VersionRow>(`${SELECT} WHERE number = ?`, lastInsertRowid);
      if (!row) throw new Error("the version just written is missing");
      return fromRow(row);
    });
  }

  /** Newest first. */
  list(limit: number): StoredVersion[] {
    return this.#store.all<VersionRow>(`${SELECT} ORDER BY number DESC LIMIT ?`, limit).map(fromRow);
  }

  /** The newest version with that content. */
  find(id: string): StoredVersion | null {
    const row = this.#store.get<VersionRow>(`${SELECT} WHERE id = ? ORDER BY number DESC LIMIT 1`, id);
    return row ? fromRow(row) : null;
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
