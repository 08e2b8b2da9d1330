/**
 * The console's one database: SQLite in WAL mode, shared by the console and the command line.
 *
 * Opening migrates forward with a backup file before each step; a database of a newer console is refused and not touched.
 */

import { chmodSync, closeSync, existsSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import SqliteDatabase, { type Database } from "better-sqlite3";
import { makeDirectory } from "../files/directory.ts";
import type { Logger } from "../ports.ts";
import { MIGRATIONS, type Migration } from "./migrations.ts";

const BUSY_TIMEOUT_MS = 5000;

export interface OpenDatabaseOptions {
  readonly path: string;
  readonly logger: Logger;
  readonly migrations?: readonly Migration[];
}

/** @throws Failure INTERNAL (newer or damaged database, no access), DISK_FULL. */
export function openDatabase(options: OpenDatabaseOptions): Database {
  const { path, logger, migrations = MIGRATIONS } = options;
  let database: Database | undefined;
  try {
    makeDirectory(dirname(path), 0o700);
    const existing = existsSync(path) && statSync(path).size > 0;
    if (existing) refuseNewer(path, migrations.length);
    else createPrivately(path);
    database = new SqliteDatabase(path, { timeout: BUSY_TIMEOUT_MS });
    database.pragma("journal_mode = WAL");
    // A draft that was saved survives a power cut; flow batches are few enough to pay for it.
    database.pragma("synchronous = FULL");
    database.pragma("foreign_keys = ON");
    database.pragma("journal_size_limit = 16777216");
    migrate(database, path, migrations, logger, existing);
    return database;
  } catch (error) {
    database?.close();
    throw databaseFailure(error, path);
  }
}

function createPrivately(path: string): void {
  // The -wal and -shm files take the mode of the database.
  closeSync(openSync(path, "a", 0o600));
  chmodSync(path, 0o600);
}

/** A read-only connection never checkpoints, so that looking at a newer database leaves its file as it is. */
function refuseNewer(path: string, known: number): void {
  const probe = new SqliteDatabase(path, { readonly: true, fileMustExist: true, timeout: BUSY_TIMEOUT_MS });
  try {
    const found = versionOf(probe);
    if (found > known) throw newerDatabase(path, found, known);
  } finally {
    probe.close();
  }
}

function newerDatabase(path: string, found: number, known: number): Failure {
  return new Failure({
    code: ErrorCode.VERSION_MISMATCH,
    message: `The console's database ${path} was written by a newer Wardline (format ${found}; this one knows up to ${known}). It was not changed.`,
    hint: "Start the newer version, or give another directory with --state-dir.",
  });
}

function versionOf(database: Database): number {
  return Number(database.pragma("user_version", { simple: true }));
}

/** @param isOld whether there can be anything in it to keep */
function migrate(
  database: Database,
  path: string,
  migrations: readonly Migration[],
  logger: Logger,
  isOld: boolean,
): void {
  for (let version = versionOf(database); version < migrations.length; version = versionOf(database)) {
    if (isOld && version > 0) backUp(database, path, version);
    const applied = database.transaction(() => {
      // Another process may have migrated while this one waited for the lock.
      if (versionOf(database) !== version) return false;
      migrations[version]?.(database);
      database.pragma(`user_version = ${version + 1}`);
      return true;
    });
    if (applied.immediate()) logger.info({ from: version, to: version + 1 }, "database migrated");
  }
}

function backUp(database: Database, path: string, version: number): void {
  const backupPath = `${path}.format-${version}.backup`;
  const partialPath = `${backupPath}.partial-${process.pid}`;
  rmSync(partialPath, { force: true });
  try {
    database.prepare("VACUUM INTO ?").run(partialPath);
    chmodSync(partialPath, 0o600);
    renameSync(partialPath, backupPath);
  } finally {
    rmSync(partialPath, { force: true });
  }
}

function errorCodeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return typeof code === "string" ? code : "";
}

/** Maps what SQLite and the file system say to a Failure; anything unknown is returned as it came. */
export function databaseFailure(error: unknown, path: string): unknown {
  if (error instanceof Failure) return error;
  const code = errorCodeOf(error);
  const cause = { cause: error };
  if (code === "SQLITE_FULL" || code === "ENOSPC" || code === "EDQUOT" || code === "SQLITE_IOERR_SHMSIZE") {
    return new Failure(
      {
        code: ErrorCode.DISK_FULL,
        message: `The disk that holds ${path} is full; nothing was saved. What hosts enforce is unchanged.`,
        hint: "Free some space and save again; the text in the editor is still there.",
        retryable: true,
      },
      cause,
    );
  }
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return new Failure(
      {
        code: ErrorCode.DEADLINE_EXCEEDED,
        message: `Another Wardline process kept ${path} locked for more than ${BUSY_TIMEOUT_MS / 1000} s.`,
        hint: "Try again; if it stays, end the other process.",
        retryable: true,
      },
      cause,
    );
  }
  if (code === "SQLITE_NOTADB" || code.startsWith("SQLITE_CORRUPT")) {
    return new Failure(
      {
        code: ErrorCode.INTERNAL,
        message: `${path} is damaged or not a Wardline database. It was not changed.`,
        hint: "Move it away, or put back one of the .backup files beside it.",
      },
      cause,
    );
  }
  if (
    code.startsWith("SQLITE_READONLY") ||
    code.startsWith("SQLITE_CANTOPEN") ||
    code === "EACCES" ||
    code === "EROFS"
  ) {
    return new Failure(
      {
        code: ErrorCode.PERMISSION_DENIED,
        message: `The console may not write ${path}.`,
        hint: "Give yourself access to that directory, or choose another one with --state-dir.",
      },
      cause,
    );
  }
  return error;
}
