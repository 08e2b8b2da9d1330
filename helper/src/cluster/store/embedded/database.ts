/**
 * The file of the embedded store: opened by one process at a time, checked from end to end before it is used, and moved
 * aside when it is damaged. Each commit is on the disk before it is answered.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { ErrorCode } from "@wardline/domain/errors";
import { StoreFailure } from "../storeFailure.ts";

/** "WLst" */
const APPLICATION_ID = 0x574c7374;
const FORMAT = 1;
const PAGE_BYTES = 4096;
export const MAX_DATABASE_BYTES = 512 * 1024 * 1024;
/** Beside the file when it was moved: its journal belongs to it. */
const SUFFIXES = ["", "-wal", "-shm", "-journal"];

const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

const SCHEMA = `
CREATE TABLE meta (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID, STRICT;
INSERT INTO meta VALUES ('revision', 1), ('compacted', 0);
-- Each state that a key ever had and that is still kept. put = 0: a tombstone.
CREATE TABLE versions (
  key TEXT NOT NULL,
  revision INTEGER NOT NULL,
  position INTEGER NOT NULL,
  put INTEGER NOT NULL,
  value BLOB NOT NULL,
  create_revision INTEGER NOT NULL,
  version INTEGER NOT NULL,
  lease_id INTEGER NOT NULL,
  checksum INTEGER NOT NULL,
  PRIMARY KEY (key, revision)
) WITHOUT ROWID, STRICT;
CREATE INDEX versions_by_revision ON versions (revision, position);
CREATE INDEX versions_by_lease ON versions (lease_id) WHERE lease_id <> 0;
CREATE TABLE leases (id INTEGER PRIMARY KEY, time_to_live_ms INTEGER NOT NULL) WITHOUT ROWID, STRICT;
`;

/** The file is not what was written to it. */
export class DamagedError extends Error {}

export interface OpenedDatabase {
  readonly database: DatabaseSync;
  readonly replaced: { readonly movedTo: string; readonly problem: string } | null;
}

/** @throws StoreFailure STORE_UNAVAILABLE, INVALID_ARGUMENT for the file of another program, VERSION_MISMATCH */
export function openDatabase(path: string, wallMs: number): OpenedDatabase {
  try {
    prepareFile(path);
    try {
      return { database: openChecked(path), replaced: null };
    } catch (error) {
      const problem = damage(error);
      if (problem === null) throw error;
      const movedTo = moveAside(path, wallMs);
      prepareFile(path);
      return { database: openChecked(path), replaced: { movedTo, problem } };
    }
  } catch (error) {
    throw toFailure(error, path);
  }
}

export function checksumOf(key: string, value: Uint8Array): number {
  return crc32(value, crc32(key));
}

/** What SQLite or the system said, as one of ours. */
export function toFailure(error: unknown, path: string): unknown {
  const code = primaryCode(error);
  if (error instanceof DamagedError || code === SQLITE_CORRUPT || code === SQLITE_NOTADB) {
    const hint = "Start the agent again: it moves the file aside and begins with an empty one.";
    return unavailable(`The cluster's file ${path} is damaged.`, hint, error);
  }
  if (code === SQLITE_FULL) {
    return unavailable(
      `No space is left for the cluster's file ${path}; nothing was changed.`,
      "Free some space.",
      error,
    );
  }
  if (code === SQLITE_BUSY) {
    return unavailable(
      `The cluster's file ${path} is in use by another process.`,
      "One agent at a time may use it.",
      error,
    );
  }
  const system = error instanceof Error && "syscall" in error;
  if (system || code === SQLITE_IOERR || code === SQLITE_CANTOPEN || code === SQLITE_READONLY) {
    return unavailable(`The cluster's file ${path} cannot be used: ${(error as Error).message}.`, "", error);
  }
  return error;
}

function unavailable(message: string, hint: string, cause: unknown): StoreFailure {
  return new StoreFailure({ code: ErrorCode.STORE_UNAVAILABLE, message, hint, retryable: true }, { cause });
}

function primaryCode(error: unknown): number | null {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return null;
  return error.errcode & 0xff;
}

/** Why the file is of no use, or `null` when something else is wrong. */
function damage(error: unknown): string | null {
  const code = primaryCode(error);
  const damaged = error instanceof DamagedError || code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
  return damaged ? (error as Error).message : null;
}

function prepareFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, "a", 0o600));
}

function openChecked(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  try {
    // Until the end of the process, from the first access on: nobody else can read half of a change.
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    const isNew = recognise(database, path);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304");
    database.exec(`PRAGMA max_page_count = ${MAX_DATABASE_BYTES / PAGE_BYTES}`);
    database.exec("BEGIN IMMEDIATE");
    if (isNew) database.exec(`${SCHEMA} PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT};`);
    database.exec("COMMIT");
    check(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Whether the file is empty. Changes nothing in it: it may be somebody else's. */
function recognise(database: DatabaseSync, path: string): boolean {
  const applicationId = pragma(database, "application_id");
  const format = pragma(database, "user_version");
  const empty = database.prepare("SELECT count(*) AS tables FROM sqlite_schema").get()?.tables === 0;
  if (empty && applicationId === 0) return true;
  if (applicationId !== APPLICATION_ID) {
    const message = `The file ${path} belongs to another program.`;
    throw new StoreFailure({ code: ErrorCode.INVALID_ARGUMENT, message });
  }
  if (format === FORMAT) return false;
  const message = `The file ${path} has format ${format}; this version reads ${FORMAT}.`;
  throw new StoreFailure({ code: ErrorCode.VERSION_MISMATCH, message, hint: "Install the version that wrote it." });
}

/** Structure, then contents: SQLite itself does not notice a changed byte within a value. */
function check(database: DatabaseSync): void {
  const first = database.prepare("PRAGMA quick_check(1)").get()?.quick_check;
  if (first !== "ok") throw new DamagedError(String(first));
  const names = new Set(
    database
      .prepare("SELECT name FROM meta")
      .all()
      .map(({ name }) => name),
  );
  if (!names.has("revision") || !names.has("compacted")) throw new DamagedError("the numbers of the file are missing");
  const newest =
    "SELECT (SELECT max(revision) FROM versions) <= (SELECT number FROM meta WHERE name = 'revision') AS fits";
  if (database.prepare(newest).get()?.fits === 0)
    throw new DamagedError("the file has revisions that it does not know of");
  for (const row of database.prepare("SELECT key, value, checksum FROM versions").iterate()) {
    if (checksumOf(row.key as string, row.value as Uint8Array) === row.checksum) continue;
    throw new DamagedError(`the value of ${row.key} is not what was written`);
  }
}

function pragma(database: DatabaseSync, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name]);
}

function moveAside(path: string, wallMs: number): string {
  const stamp = new Date(wallMs).toISOString().replaceAll(/[:.]/g, "-");
  const movedTo = `${path}.damaged-${stamp}`;
  for (const suffix of SUFFIXES) if (existsSync(path + suffix)) renameSync(path + suffix, movedTo + suffix);
  const directory = openSync(dirname(path), "r");
  fsyncSync(directory);
  closeSync(directory);
  return movedTo;
}
