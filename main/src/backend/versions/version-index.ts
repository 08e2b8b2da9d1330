/** Questions about versions that only the database answers well: search, what changed, the past of one file, who enforces. */

import type { Store } from "../store/store.ts";
import {
  SELECT_VERSIONS,
  type StoredVersion,
  type VersionKind,
  type VersionRow,
  versionFromRow,
} from "../store/versions-table.ts";

export interface VersionQuery {
  readonly author: string;
  readonly ticket: string;
  readonly path: string;
  readonly text: string;
  readonly kinds: readonly VersionKind[];
  readonly sinceMs: number | null;
  readonly untilMs: number | null;
  /** 0 = from the newest. */
  readonly beforeNumber: number;
  readonly limit: number;
}

/** One state of a file, from a version on. */
export interface FileRevision {
  readonly number: number;
  readonly versionId: string;
  /** `null` = the version has no such file. */
  readonly digest: string | null;
}

/** A host took this content, and kept it until the next one. */
export interface Enforcement {
  readonly hostId: string;
  readonly versionId: string;
  readonly sinceMs: number;
}

const MAX_ENFORCEMENTS = 20_000;

export class VersionIndex {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Newest first. */
  search(query: VersionQuery): StoredVersion[] {
    const conditions: string[] = [];
    const values: unknown[] = [];
    const add = (condition: string, ...given: unknown[]) => {
      conditions.push(condition);
      values.push(...given);
    };
    const contains = (column: string) => `instr(lower(${column}), lower(?)) > 0`;
    if (query.author !== "") add(contains("author"), query.author);
    if (query.ticket !== "") add(contains("ticket"), query.ticket);
    if (query.path !== "") {
      add(
        `EXISTS (SELECT 1 FROM version_changes AS change WHERE change.number = versions.number AND ${contains("change.path")})`,
        query.path,
      );
    }
    if (query.text !== "") {
      add(
        `(${contains("reason")} OR ${contains("ticket")} OR ${contains("author")} OR instr(id, lower(?)) = 1 OR EXISTS (
          SELECT 1 FROM version_changes AS change
            JOIN version_files AS file ON file.version_id = versions.id AND file.path = change.path
            JOIN blobs USING (digest)
            WHERE change.number = versions.number AND ${contains("blobs.text")}))`,
        ...[query.text, query.text, query.text, query.text, query.text],
      );
    }
    if (query.kinds.length > 0) add("kind IN (SELECT value FROM json_each(?))", JSON.stringify(query.kinds));
    if (query.sinceMs !== null) add("created_at_ms >= ?", query.sinceMs);
    if (query.untilMs !== null) add("created_at_ms < ?", query.untilMs);
    if (query.beforeNumber > 0) add("versions.number < ?", query.beforeNumber);
    const where = conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : "";
    return this.#store
      .all<VersionRow>(`${SELECT_VERSIONS} ${where} ORDER BY number DESC LIMIT ?`, ...values, query.limit)
      .map(versionFromRow);
  }

  byNumber(number: number): StoredVersion | null {
    const row = this.#store.get<VersionRow>(`${SELECT_VERSIONS} WHERE number = ?`, number);
    return row ? versionFromRow(row) : null;
  }

  /** The newest version whose id begins so; `undefined` = several contents do. */
  byPrefix(prefix: string): StoredVersion | null | undefined {
    const ids = this.#store.all<{ id: string }>(
      "SELECT DISTINCT id FROM versions WHERE substr(id, 1, ?) = ? LIMIT 2",
      ...[prefix.length, prefix],
    );
    if (ids.length > 1) return undefined;
    const row = this.#store.get<VersionRow>(
      `${SELECT_VERSIONS} WHERE id = ? ORDER BY number DESC LIMIT 1`,
      ids[0]?.id ?? "",
    );
    return row ? versionFromRow(row) : null;
  }

  /** Paths that a version has otherwise than its parent, in order. */
  changedPaths(number: number, limit: number): { readonly paths: readonly string[]; readonly count: number } {
    const rows = this.#store.all<{ path: string }>(
      "SELECT path FROM version_changes WHERE number = ? ORDER BY path LIMIT ?",
      ...[number, limit],
    );
    const count = this.#store.get<{ count: number }>(
      "SELECT count(*) AS count FROM version_changes WHERE number = ?",
      number,
    );
    return { paths: rows.map(({ path }) => path), count: count?.count ?? 0 };
  }

  /** Oldest first, up to a version; one for each version, whether it has the file or not. */
  revisions(path: string, upToNumber: number): FileRevision[] {
    return this.#store.all<FileRevision>(
      `SELECT versions.number AS number, versions.id AS versionId, file.digest AS digest FROM versions
         LEFT JOIN version_files AS file ON file.version_id = versions.id AND file.path = ?
       WHERE versions.number <= ? ORDER BY versions.number`,
      ...[path, upToNumber],
    );
  }

  /** The name that a file had in a version before, told by its content; `null` = it is new in this one. */
  formerPath(number: number, digest: string): string | null {
    const row = this.#store.get<{ path: string }>(
      `SELECT old.path AS path FROM versions
         JOIN versions AS parent ON parent.number = versions.parent
         JOIN version_files AS old ON old.version_id = parent.id AND old.digest = ?
         LEFT JOIN version_files AS file ON file.version_id = versions.id AND file.path = old.path
       WHERE versions.number = ? AND file.path IS NULL ORDER BY old.path LIMIT 1`,
      ...[digest, number],
    );
    return row?.path ?? null;
  }

  blob(digest: string): string {
    return this.#store.get<{ text: string }>("SELECT text FROM blobs WHERE digest = ?", digest)?.text ?? "";
  }

  /** What hosts took and confirmed, oldest first. */
  enforcements(): Enforcement[] {
    const rows = this.#store.all<Enforcement>(
      `SELECT host_id AS hostId, version_id AS versionId, created_at_ms AS sinceMs FROM receipts
       WHERE outcome = 'confirmed' ORDER BY id DESC LIMIT ?`,
      MAX_ENFORCEMENTS,
    );
    return rows.reverse();
  }
}
