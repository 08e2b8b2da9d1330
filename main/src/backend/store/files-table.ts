/** The workspace: every policy and inventory file as it stands, with its revision. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { SettingsTable } from "./settings-table.ts";
import type { Store } from "./store.ts";

const WORKSPACE_REVISION = "workspace_revision";

export interface StoredFile {
  readonly path: string;
  readonly text: string;
  readonly revision: number;
  readonly modifiedAtMs: number;
}

interface FileRow {
  path: string;
  text: string;
  revision: number;
  modified_at_ms: number;
}

function fromRow(row: FileRow): StoredFile {
  return { path: row.path, text: row.text, revision: row.revision, modifiedAtMs: row.modified_at_ms };
}

export class FilesTable {
  readonly #store: Store;
  readonly #settings: SettingsTable;

  constructor(store: Store, settings: SettingsTable) {
    this.#store = store;
    this.#settings = settings;
  }

  /** Grows with every change of any file, by any process. */
  workspaceRevision(): number {
    return this.#settings.number(WORKSPACE_REVISION);
  }

  /** Sorted by path. */
  all(): StoredFile[] {
    return this.#store.all<FileRow>("SELECT * FROM files ORDER BY path").map(fromRow);
  }

  find(path: string): StoredFile | null {
    const row = this.#store.get<FileRow>("SELECT * FROM files WHERE path = ?", path);
    return row ? fromRow(row) : null;
  }

  /** Count and size of the files other than the given paths, for limits. */
  totals(withoutPaths: readonly string[]): { fileCount: number; sizeBytes: number } {
    const row = this.#store.get<{ count: number; size: number | null }>(
      `SELECT count(*) AS count, sum(length(CAST(text AS BLOB))) AS size FROM files
       WHERE path NOT IN (SELECT value FROM json_each(?))`,
      JSON.stringify(withoutPaths),
    );
    return { fileCount: row?.count ?? 0, sizeBytes: row?.size ?? 0 };
  }

  /** @throws Failure ALREADY_EXISTS, REVISION_CONFLICT, DISK_FULL. Returns the new revision. */
  save(path: string, text: string, baseRevision: number, nowMs: number): number {
    return this.#store.transaction(() => {
      const current = this.find(path);
      if (baseRevision === 0 && current) {
        throw new Failure({
          code: ErrorCode.ALREADY_EXISTS,
          message: `There is already a file ${path}.`,
          hint: "Open that file, or choose another name.",
        });
      }
      if (baseRevision !== 0) this.#requireRevision(path, current, baseRevision);
      return this.put(path, text, nowMs);
    });
  }

  /** Writes without asking for a revision (import, restore). Returns the new revision. */
  put(path: string, text: string, nowMs: number): number {
    return this.#store.transaction(() => {
      const revision = this.#bump();
      this.#store.run(
        `INSERT INTO files (path, text, revision, modified_at_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT (path) DO UPDATE SET
           text = excluded.text, revision = excluded.revision, modified_at_ms = excluded.modified_at_ms`,
        path,
        text,
        revision,
        nowMs,
      );
      return revision;
    });
  }

  /** @throws Failure NOT_FOUND, ALREADY_EXISTS. */
  rename(path: string, newPath: string, nowMs: number): void {
    this.#store.transaction(() => {
      if (!this.find(path)) throw noSuchFile(path);
      if (path === newPath) return;
      if (this.find(newPath)) {
        throw new Failure({
          code: ErrorCode.ALREADY_EXISTS,
          message: `There is already a file ${newPath}.`,
          hint: "Choose another name, or delete that file first.",
        });
      }
      const revision = this.#bump();
      this.#store.run(
        "UPDATE files SET path = ?, revision = ?, modified_at_ms = ? WHERE path = ?",
        newPath,
        revision,
        nowMs,
        path,
      );
    });
  }

  /** @throws Failure NOT_FOUND, REVISION_CONFLICT. A base revision of 0 deletes whatever is there. */
  delete(path: string, baseRevision: number): void {
    this.#store.transaction(() => {
      const current = this.find(path);
      if (!current) throw noSuchFile(path);
      if (baseRevision !== 0) this.#requireRevision(path, current, baseRevision);
      this.#bump();
      this.#store.run("DELETE FROM files WHERE path = ?", path);
    });
  }

  /** Makes the given files the whole workspace; files whose text stays keep their revision. */
  replaceAll(files: readonly { path: string; text: string }[], nowMs: number): void {
    this.#store.transaction(() => {
      const wanted = new Map(files.map((file) => [file.path, file.text]));
      for (const current of this.all()) {
        if (!wanted.has(current.path)) this.delete(current.path, 0);
        else if (wanted.get(current.path) === current.text) wanted.delete(current.path);
      }
      for (const [path, text] of wanted) this.put(path, text, nowMs);
    });
  }

  #requireRevision(path: string, current: StoredFile | null, baseRevision: number): void {
    if (current?.revision === baseRevision) return;
    throw new Failure({
      code: ErrorCode.REVISION_CONFLICT,
      message: current
        ? `${path} was changed elsewhere since you opened it.`
        : `${path} was deleted or renamed elsewhere since you opened it.`,
      hint: "Compare your text with the file as it is now, then save again.",
    });
  }

  #bump(): number {
    const revision = this.workspaceRevision() + 1;
    this.#settings.set(WORKSPACE_REVISION, revision);
    return revision;
  }
}

export function noSuchFile(path: string): Failure {
  return new Failure({
    code: ErrorCode.NOT_FOUND,
    message: `There is no file ${path} in the workspace.`,
    hint: "It may have been renamed or deleted elsewhere.",
  });
}
