/** Every kept state of every key, in SQLite. Nothing here begins or ends a transaction. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { KeyValue, StoreEvent } from "../clusterStore.ts";
import { checksumOf, DamagedError } from "./database.ts";

/** Above every text that begins with a prefix: no key has this character. */
const AFTER_ALL = "\u{10ffff}";
const COLUMNS = "key, revision, put, value, create_revision, version, lease_id, checksum";
/** Newest state of each key up to a revision, unless that is a tombstone. */
const AS_OF = `revision = (SELECT max(revision) FROM versions AS newer WHERE newer.key = versions.key AND newer.revision <= ?) AND put = 1`;
const BETWEEN = "key >= ? AND key < ?";

export interface Bounds {
  /** Inclusive. */
  readonly from: string;
  /** Exclusive. */
  readonly to: string;
}

export function boundsOf(prefix: string): Bounds {
  return { from: prefix, to: `${prefix}${AFTER_ALL}` };
}

export class Versions {
  readonly #get: StatementSync;
  readonly #ascending: StatementSync;
  readonly #descending: StatementSync;
  readonly #since: StatementSync;
  readonly #ofLease: StatementSync;
  readonly #insert: StatementSync;
  readonly #compact: StatementSync;
  readonly #dropTombstones: StatementSync;

  constructor(database: DatabaseSync) {
    const prepare = (sql: string) => {
      const statement = database.prepare(sql);
      statement.setReadBigInts(true);
      return statement;
    };
    this.#get = prepare(`SELECT ${COLUMNS} FROM versions WHERE key = ? AND ${AS_OF}`);
    this.#ascending = prepare(`SELECT ${COLUMNS} FROM versions WHERE ${BETWEEN} AND ${AS_OF} ORDER BY key LIMIT ?`);
    this.#descending = prepare(
      `SELECT ${COLUMNS} FROM versions WHERE ${BETWEEN} AND ${AS_OF} ORDER BY key DESC LIMIT ?`,
    );
    this.#since = prepare(
      `SELECT ${COLUMNS} FROM versions WHERE revision >= ? AND revision <= ? AND ${BETWEEN} ORDER BY revision, position LIMIT ?`,
    );
    this.#ofLease = prepare(`SELECT ${COLUMNS} FROM versions WHERE lease_id = ? AND ${AS_OF} ORDER BY key`);
    this.#insert = prepare(
      "INSERT INTO versions (key, revision, position, put, value, create_revision, version, lease_id, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#compact = prepare(
      "DELETE FROM versions WHERE revision < ?1 AND EXISTS (SELECT 1 FROM versions AS newer WHERE newer.key = versions.key AND newer.revision > versions.revision AND newer.revision <= ?1)",
    );
    this.#dropTombstones = prepare("DELETE FROM versions WHERE revision <= ? AND put = 0");
  }

  get(key: string, revision: bigint): KeyValue | null {
    const row = this.#get.get(key, revision);
    return row === undefined ? null : toKeyValue(row);
  }

  range({ from, to }: Bounds, revision: bigint, limit: number, descending: boolean): KeyValue[] {
    const statement = descending ? this.#descending : this.#ascending;
    return statement.all(from, to, revision, limit).map(toKeyValue);
  }

  /** Changes from one revision to another, both inclusive, in order; the last revision may be cut off by the limit. */
  changes({ from, to }: Bounds, first: bigint, last: bigint, limit: number): StoreEvent[] {
    return this.#since.all(first, last, from, to, limit).map((row) => {
      const item = toKeyValue(row);
      return { kind: row.put === 1n ? "put" : "delete", key: item.key, item };
    });
  }

  keysOfLease(id: bigint, revision: bigint): string[] {
    return this.#ofLease.all(id, revision).map(({ key }) => key as string);
  }

  put(
    key: string,
    value: Uint8Array,
    leaseId: bigint,
    before: KeyValue | null,
    revision: bigint,
    position: number,
  ): void {
    const createRevision = before?.createRevision ?? revision;
    const version = (before?.version ?? 0n) + 1n;
    this.#insert.run(key, revision, position, 1, value, createRevision, version, leaseId, checksumOf(key, value));
  }

  remove(key: string, revision: bigint, position: number): void {
    const nothing = new Uint8Array();
    this.#insert.run(key, revision, position, 0, nothing, 0, 0, 0, checksumOf(key, nothing));
  }

  compact(revision: bigint): void {
    this.#compact.run(revision);
    this.#dropTombstones.run(revision);
  }
}

function toKeyValue(row: Record<string, unknown>): KeyValue {
  const key = row.key as string;
  const value = row.value as Uint8Array;
  if (BigInt(checksumOf(key, value)) !== row.checksum)
    throw new DamagedError(`the value of ${key} is not what was written`);
  return {
    key,
    value,
    createRevision: row.create_revision as bigint,
    modRevision: row.revision as bigint,
    version: row.version as bigint,
    leaseId: row.lease_id as bigint,
  };
}
