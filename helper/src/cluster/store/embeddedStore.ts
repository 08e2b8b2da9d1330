/** The agreed state of one node alone, in a SQLite file: the semantics of etcd, without anybody to agree with. */
import { randomBytes } from "node:crypto";
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { create } from "@bufbuild/protobuf";
import { type StoreEndpoint, StoreEndpointSchema } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode } from "@wardline/domain/errors";
import type { Logger } from "pino";
import { type Clock, systemClock } from "../../agent/clock.ts";
import type {
  CallOptions,
  ClusterStore,
  Lease,
  Range,
  RangeOptions,
  ReadOptions,
  Transaction,
  TransactionResult,
  WatchBatch,
  WatchRequest,
} from "./clusterStore.ts";
import { openDatabase, toFailure } from "./embedded/database.ts";
import { Leases } from "./embedded/leases.ts";
import { carryOut } from "./embedded/transactions.ts";
import { boundsOf, Versions } from "./embedded/versions.ts";
import { followHistory } from "./embedded/watch.ts";
import { checkKey, checkLeaseTime, checkTransaction } from "./limits.ts";
import { canceled, compacted, invalid, StoreFailure } from "./storeFailure.ts";

const ALL = Number.MAX_SAFE_INTEGER;
/** A lease that could not be ended, because nothing can be written, is tried again after that. */
const EXPIRY_RETRY_MS = 1000;

export interface EmbeddedStoreOptions {
  /** Of the database; made with its directory when missing, 0600. `-wal` beside it is its journal. */
  readonly path: string;
  readonly log: Logger;
  readonly clock?: Clock;
}

export class EmbeddedStore implements ClusterStore {
  readonly kind = "embedded";
  /** Set when the file could not be used: where it was moved to, and why. The store began empty then. */
  readonly replaced: { readonly movedTo: string; readonly problem: string } | null;
  readonly #path: string;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #database: DatabaseSync;
  readonly #versions: Versions;
  readonly #leases: Leases;
  readonly #setNumber: StatementSync;
  readonly #closed = new AbortController();
  readonly #watchers = new Set<() => void>();
  #revision = 0n;
  #compacted = 0n;
  #cancelExpiry: (() => void) | null = null;

  private constructor({ path, log, clock = systemClock }: EmbeddedStoreOptions) {
    this.#path = path;
    this.#log = log;
    this.#clock = clock;
    const { database, replaced } = openDatabase(path, clock.wallMs());
    this.#database = database;
    this.replaced = replaced;
    if (replaced) log.error(replaced, "The cluster's file was damaged: it was moved aside, and an empty one begun.");
    this.#versions = new Versions(database);
    this.#leases = new Leases(database, clock);
    this.#setNumber = database.prepare("UPDATE meta SET number = ? WHERE name = ?");
    this.#readNumbers();
    this.#scheduleExpiry();
  }

  /**
   * Every lease of before lives on for its full time from now.
   * @throws StoreFailure STORE_UNAVAILABLE when another process has it open, or the disk refuses; INVALID_ARGUMENT for the
   *   file of another program; VERSION_MISMATCH for one of a later version
   */
  static open(options: EmbeddedStoreOptions): EmbeddedStore {
    return new EmbeddedStore(options);
  }

  async get(key: string, options: ReadOptions = {}): ReturnType<ClusterStore["get"]> {
    checkKey(key);
    const revision = this.#begin(options);
    return { item: this.#guard(() => this.#versions.get(key, revision)), revision: this.#revision };
  }

  async range(prefix: string, options: RangeOptions = {}): Promise<Range> {
    const { limit = 0, descending = false, keysOnly = false, afterKey } = options;
    const revision = this.#begin(options);
    let { from, to } = boundsOf(prefix);
    if (afterKey !== undefined && descending && isBefore(afterKey, to)) to = afterKey;
    if (afterKey !== undefined && !descending && !isBefore(afterKey, from)) from = `${afterKey}\0`;
    const found = this.#guard(() =>
      this.#versions.range({ from, to }, revision, limit === 0 ? ALL : limit + 1, descending),
    );
    const more = limit > 0 && found.length > limit;
    const items = more ? found.slice(0, limit) : found;
    return { items: keysOnly ? items.map((item) => ({ ...item, value: new Uint8Array() })) : items, revision, more };
  }

  async transact(transaction: Transaction, options: CallOptions = {}): Promise<TransactionResult> {
    checkTransaction(transaction);
    this.#begin(options);
    return this.#change((revision) => carryOut(transaction, this.#versions, this.#leases, revision));
  }

  watch(request: WatchRequest): AsyncIterable<WatchBatch> {
    const signal = AbortSignal.any([request.signal, this.#closed.signal]);
    return followHistory(
      {
        revision: () => this.#revision,
        compacted: () => this.#compacted,
        changes: (bounds, first, last, limit) => this.#guard(() => this.#versions.changes(bounds, first, last, limit)),
        onChange: (listener) => {
          this.#watchers.add(listener);
          return () => this.#watchers.delete(listener);
        },
      },
      { ...request, signal },
    );
  }

  async grantLease(timeToLiveMs: number, options: CallOptions = {}): Promise<Lease> {
    checkLeaseTime(timeToLiveMs);
    this.#begin(options);
    const id = (randomBytes(8).readBigUInt64BE() >> 1n) | 1n;
    this.#write(() => this.#leases.insert(id, timeToLiveMs));
    this.#leases.added(id, timeToLiveMs);
    this.#scheduleExpiry();
    return { id, timeToLiveMs };
  }

  async renewLease(id: bigint, options: CallOptions = {}): Promise<{ readonly timeToLiveMs: number } | null> {
    this.#begin(options);
    const timeToLiveMs = this.#leases.renew(id);
    this.#scheduleExpiry();
    return timeToLiveMs === null ? null : { timeToLiveMs };
  }

  async revokeLease(id: bigint, options: CallOptions = {}): Promise<void> {
    this.#begin(options);
    if (this.#leases.has(id)) this.#endLease(id);
    this.#scheduleExpiry();
  }

  async compact(revision: bigint, options: CallOptions = {}): Promise<void> {
    this.#begin(options);
    if (revision > this.#revision) throw invalid(`Revision ${revision} is still to come.`);
    if (revision <= this.#compacted) return;
    this.#write(() => {
      this.#versions.compact(revision);
      this.#setNumber.run(revision, "compacted");
    });
    this.#readNumbers();
  }

  async endpoints(): Promise<readonly StoreEndpoint[]> {
    const endpoint = { endpoint: `file:${this.#path}` };
    if (this.#closed.signal.aborted) return [create(StoreEndpointSchema, { ...endpoint, problem: "closed" })];
    const size =
      "SELECT page_count * page_size AS bytes, sqlite_version() AS version FROM pragma_page_count, pragma_page_size";
    const row = this.#guard(() => this.#database.prepare(size).get());
    return [
      create(StoreEndpointSchema, {
        ...endpoint,
        reachable: true,
        serverVersion: `SQLite ${row?.version}`,
        databaseBytes: BigInt(Number(row?.bytes ?? 0)),
      }),
    ];
  }

  async close(): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort();
    this.#cancelExpiry?.();
    this.#database.close();
  }

  /** Revision to read at. */
  #begin({ signal, revision }: ReadOptions): bigint {
    if (signal?.aborted) throw canceled();
    if (this.#closed.signal.aborted) throw canceled();
    this.#expire();
    if (revision === undefined) return this.#revision;
    if (revision > this.#revision) throw invalid(`Revision ${revision} is still to come.`);
    if (revision < this.#compacted) throw compacted(`The history up to revision ${this.#compacted} is gone.`);
    return revision;
  }

  #change(work: (revision: bigint) => Omit<TransactionResult, "revision"> & { readonly changed: boolean }) {
    const next = this.#revision + 1n;
    const { changed, ...result } = this.#write(() => {
      const done = work(next);
      if (done.changed) this.#setNumber.run(next, "revision");
      return done;
    });
    if (changed) {
      this.#revision = next;
      for (const wake of [...this.#watchers]) wake();
    }
    return { ...result, revision: this.#revision };
  }

  /** All of it on the disk, or nothing. */
  #write<T>(work: () => T): T {
    return this.#guard(() => {
      this.#database.exec("BEGIN IMMEDIATE");
      try {
        const result = work();
        this.#database.exec("COMMIT");
        return result;
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
        throw error;
      }
    });
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw toFailure(error, this.#path);
    }
  }

  #readNumbers(): void {
    const statement = this.#database.prepare("SELECT name, number FROM meta");
    statement.setReadBigInts(true);
    for (const { name, number } of statement.all()) {
      if (name === "revision") this.#revision = number as bigint;
      if (name === "compacted") this.#compacted = number as bigint;
    }
  }

  #endLease(id: bigint): void {
    this.#change((revision) => {
      const keys = this.#versions.keysOfLease(id, this.#revision);
      for (const [position, key] of keys.entries()) this.#versions.remove(key, revision, position);
      this.#leases.delete(id);
      return { succeeded: true, found: [], changed: keys.length > 0 };
    });
    this.#leases.removed(id);
  }

  #expire(): void {
    for (const id of this.#leases.over()) {
      try {
        this.#endLease(id);
      } catch (error) {
        if (!(error instanceof StoreFailure) || error.code !== ErrorCode.STORE_UNAVAILABLE) throw error;
        this.#log.warn({ problem: error.message }, "A lease is over, and its keys cannot be removed yet.");
        return;
      }
    }
  }

  #scheduleExpiry(): void {
    this.#cancelExpiry?.();
    const delayMs = this.#leases.nextInMs();
    if (delayMs === null || this.#closed.signal.aborted) return;
    this.#cancelExpiry = this.#clock.schedule(Math.ceil(delayMs), () => {
      this.#expire();
      const stuck = this.#leases.over().length > 0;
      if (!stuck) this.#scheduleExpiry();
      else this.#cancelExpiry = this.#clock.schedule(EXPIRY_RETRY_MS, () => this.#scheduleExpiry());
    });
  }
}

/** In the order of the database, which is that of bytes. */
function isBefore(one: string, other: string): boolean {
  return Buffer.compare(Buffer.from(one), Buffer.from(other)) < 0;
}
