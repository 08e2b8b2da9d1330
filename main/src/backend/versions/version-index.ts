/** Questions about versions that only the database answers well: search, what changed, the past of one file, who enforces. */

import { nextTurn } from "../async/next-turn.ts";
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
/** Versions that are looked at before others have a turn, */
const VERSIONS_AT_ONCE = 50;
/** and characters of their texts: a few milliseconds. */
const CHARACTERS_AT_ONCE = 1024 * 1024;

export class VersionIndex {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Newest first. Texts are searched in pieces, so that nobody waits for all of them. @throws the reason of the signal */
  async search(query: VersionQuery, signal: AbortSignal): Promise<StoredVersion[]> {
    if (query.text === "") return this.#select(query, query.beforeNumber, query.limit).map(versionFromRow);
    const found: StoredVersion[] = [];
    const texts = new TextSearch(this.#store, query.text, signal);
    for (let beforeNumber = query.beforeNumber; ; ) {
      const rows = this.#select(query, beforeNumber, VERSIONS_AT_ONCE);
      for (const { says_text, ...row } of rows) {
        if (says_text !== 1 && !(await texts.isIn(row))) continue;
        if (found.push(versionFromRow(row)) === query.limit) return found;
      }
      const last = rows.at(-1);
      if (!last || rows.length < VERSIONS_AT_ONCE) return found;
      beforeNumber = last.number;
      await nextTurn();
      signal.throwIfAborted();
    }
  }

  /** Newest first, below a number (0 = from the newest); texts are not looked at. */
  #select(query: VersionQuery, beforeNumber: number, limit: number): (VersionRow & { readonly says_text: number })[] {
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
    if (query.kinds.length > 0) add("kind IN (SELECT value FROM json_each(?))", JSON.stringify(query.kinds));
    if (query.sinceMs !== null) add("created_at_ms >= ?", query.sinceMs);
    if (query.untilMs !== null) add("created_at_ms < ?", query.untilMs);
    if (beforeNumber > 0) add("versions.number < ?", beforeNumber);
    const where = conditions.length > 0 ? `WHERE ${conditions.join(" AND ")}` : "";
    const says = `${["reason", "ticket", "author"].map(contains).join(" OR ")} OR instr(id, lower(?)) = 1`;
    return this.#store.all(
      `SELECT own.*, (${says}) AS says_text
       FROM (${SELECT_VERSIONS} ${where} ORDER BY number DESC LIMIT ?) AS own ORDER BY number DESC`,
      ...[query.text, query.text, query.text, query.text, ...values, limit],
    );
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

/** Looks for words in the texts that versions changed: in each text once, and in a few at a time. */
class TextSearch {
  readonly #store: Store;
  readonly #words: string;
  readonly #signal: AbortSignal;
  readonly #known = new Map<string, boolean>();
  #characters = 0;

  constructor(store: Store, words: string, signal: AbortSignal) {
    this.#store = store;
    this.#words = words;
    this.#signal = signal;
  }

  async isIn({ id, number }: Pick<VersionRow, "id" | "number">): Promise<boolean> {
    const files = this.#store.all<{ digest: string }>(
      `SELECT DISTINCT file.digest AS digest FROM version_changes AS change
         JOIN version_files AS file ON file.version_id = ? AND file.path = change.path
       WHERE change.number = ? ORDER BY change.path`,
      ...[id, number],
    );
    for (const { digest } of files) {
      const isFound = this.#known.get(digest) ?? (await this.#look(digest));
      if (isFound) return true;
    }
    return false;
  }

  async #look(digest: string): Promise<boolean> {
    if (this.#characters >= CHARACTERS_AT_ONCE) {
      this.#characters = 0;
      await nextTurn();
      this.#signal.throwIfAborted();
    }
    const row = this.#store.get<{ found: number; characters: number }>(
      "SELECT instr(lower(text), lower(?)) > 0 AS found, length(text) AS characters FROM blobs WHERE digest = ?",
      ...[this.#words, digest],
    );
    const isFound = row?.found === 1;
    this.#known.set(digest, isFound);
    this.#characters += row?.characters ?? 0;
    return isFound;
  }
}
