/** Opens files of the history, and says when one is damaged. Only threads of the history use it. */
import { closeSync, openSync, readSync } from "node:fs";
import SqliteDatabase, { type Database } from "better-sqlite3";
import { DamagedBlock } from "./columns.ts";
import { FORMAT } from "./layout.ts";

const BUSY_TIMEOUT_MS = 5_000;
const MAGIC = "SQLite format 3\0";

/** The content of a file is not what was written. */
export class DamagedFile extends Error {
  readonly path: string;

  constructor(path: string, reason: string) {
    super(reason);
    this.path = path;
  }
}

/** Runs what reads or writes a file. @throws DamagedFile instead of what SQLite says of a damaged one */
export function guarded<Result>(path: string, body: () => Result): Result {
  try {
    return body();
  } catch (error) {
    throw damageOf(error, path) ?? error;
  }
}

function damageOf(error: unknown, path: string): DamagedFile | null {
  if (error instanceof DamagedBlock) return new DamagedFile(path, error.message);
  const code = errorCode(error);
  const message = error instanceof Error ? error.message : code;
  // A file without its tables was never finished by us; other errors of SQL are defects, and no reason to touch a file.
  const isForeign = code === "SQLITE_ERROR" && /^no such (table|column)/.test(message);
  const isDamage = code === "SQLITE_NOTADB" || code.startsWith("SQLITE_CORRUPT") || isForeign;
  return isDamage ? new DamagedFile(path, message) : null;
}

export function errorCode(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/** @throws DamagedFile; what the file system says when it is not there */
export function openForReading(path: string): Database {
  requireMagic(path);
  return guarded(path, () => {
    // Not `readonly`: the newest file is written meanwhile, and its shared memory may have to be made anew after a crash.
    const database = new SqliteDatabase(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
    database.pragma("query_only = ON");
    database.pragma("cache_size = -8000");
    database.pragma("temp_store = MEMORY");
    requireFormat(database, path);
    return database;
  });
}

/** @throws DamagedFile; what the file system says when it is not there */
export function openForChange(path: string): Database {
  requireMagic(path);
  return guarded(path, () => {
    const database = new SqliteDatabase(path, { fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
    requireFormat(database, path);
    return database;
  });
}

function requireFormat(database: Database, path: string): void {
  const found = Number(database.pragma("user_version", { simple: true }));
  if (found === FORMAT) return;
  database.close();
  throw new DamagedFile(path, `it has format ${found}, not ${FORMAT}`);
}

/** SQLite takes an empty file for a new database. */
function requireMagic(path: string): void {
  const file = openSync(path, "r");
  try {
    const start = Buffer.alloc(MAGIC.length);
    readSync(file, start, 0, start.length, 0);
    if (start.toString("latin1") !== MAGIC) throw new DamagedFile(path, "it does not begin as a database does");
  } finally {
    closeSync(file);
  }
}

export function readMeta(database: Database, name: string): string | number | null {
  const row = database.prepare("SELECT value FROM meta WHERE name = ?").get(name);
  return (row as { readonly value: string | number } | undefined)?.value ?? null;
}

export function writeMeta(database: Database, name: string, value: string | number): void {
  const sql = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
  database.prepare(sql).run(name, value);
}
