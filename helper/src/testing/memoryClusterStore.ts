/**
 * A store in memory with the semantics of the real ones: one order of revisions, transactions that compare first, leases
 * that end on the clock that is passed in, watches that leave nothing out, compaction. `MemoryLink` stands for the way to
 * it, where calls are late, lost on the way there, or lost on the way back.
 */

import type { StoreEndpoint } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { bootMs, type Clock } from "../agent/clock.ts";
import type {
  CallOptions,
  ClusterStore,
  Compare,
  KeyValue,
  Lease,
  Operation,
  Range,
  RangeOptions,
  ReadOptions,
  StoreEvent,
  Transaction,
  TransactionResult,
  WatchBatch,
  WatchRequest,
} from "../cluster/store/clusterStore.ts";

interface MemoryLease {
  readonly timeToLiveMs: number;
  endsAtMs: number;
}

export class MemoryStoreState {
  readonly #clock: Clock;
  #items = new Map<string, KeyValue>();
  #log: WatchBatch[] = [];
  #leases = new Map<bigint, MemoryLease>();
  #nextLease = 1n;
  #waiting = new Set<() => void>();
  revision = 1n;
  compactedRevision = 0n;
  /** Calls by name, for tests that count them. */
  readonly calls = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: string): KeyValue | null {
    return this.#items.get(key) ?? null;
  }

  under(prefix: string): KeyValue[] {
    return [...this.#items.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  transact({ compare, then, otherwise = [] }: Transaction): TransactionResult {
    this.expire();
    const succeeded = compare.every((one) => this.#holds(one));
    const found: (KeyValue | null)[] = [];
    const revision = this.revision + 1n;
    const events: StoreEvent[] = [];
    const operations = succeeded ? then : otherwise;
    for (const operation of operations) this.#checkLease(operation);
    for (const operation of operations) this.#run(operation, revision, events, found);
    this.#commit(revision, events);
    return { succeeded, revision: this.revision, found };
  }

  grant(timeToLiveMs: number): Lease {
    this.expire();
    const id = this.#nextLease++;
    this.#leases.set(id, { timeToLiveMs, endsAtMs: bootMs(this.#clock) + timeToLiveMs });
    this.#clock.schedule(timeToLiveMs, () => this.expire());
    return { id, timeToLiveMs };
  }

  renew(id: bigint): { timeToLiveMs: number } | null {
    this.expire();
    const lease = this.#leases.get(id);
    if (!lease) return null;
    lease.endsAtMs = bootMs(this.#clock) + lease.timeToLiveMs;
    this.#clock.schedule(lease.timeToLiveMs, () => this.expire());
    return { timeToLiveMs: lease.timeToLiveMs };
  }

  revoke(id: bigint): void {
    if (!this.#leases.delete(id)) return;
    const revision = this.revision + 1n;
    const events: StoreEvent[] = [];
    for (const { key, leaseId } of [...this.#items.values()]) {
      if (leaseId === id) this.#delete(key, revision, events);
    }
    this.#commit(revision, events);
  }

  /** Ends what is due, as of now. */
  expire(): void {
    const nowMs = bootMs(this.#clock);
    for (const [id, { endsAtMs }] of [...this.#leases]) {
      if (endsAtMs <= nowMs) this.revoke(id);
    }
  }

  /** What a store does that had no majority for a while: every lease gets its whole time again. */
  extendLeases(): void {
    for (const id of [...this.#leases.keys()]) {
      const lease = this.#leases.get(id)!;
      lease.endsAtMs = bootMs(this.#clock) + lease.timeToLiveMs;
      this.#clock.schedule(lease.timeToLiveMs, () => this.expire());
    }
  }

  compact(revision: bigint): void {
    if (revision > this.revision) throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message: "a future revision" });
    if (revision <= this.compactedRevision) throw compacted();
    this.compactedRevision = revision;
    this.#log = this.#log.filter((batch) => batch.revision > revision);
  }

  /** @throws COMPACTED */
  after(revision: bigint, prefix: string): WatchBatch[] {
    if (revision < this.compactedRevision) throw compacted();
    return this.#log
      .filter((batch) => batch.revision > revision)
      .map((batch) => ({ ...batch, events: batch.events.filter(({ key }) => key.startsWith(prefix)) }))
      .filter(({ events }) => events.length > 0);
  }

  /** Called once after the next change. */
  whenChanged(run: () => void): () => void {
    this.#waiting.add(run);
    return () => this.#waiting.delete(run);
  }

  #holds(compare: Compare): boolean {
    const item = this.#items.get(compare.key);
    if (compare.target === "value") {
      // A key that is not there has no value to be compared.
      if (!item) return false;
      return (compare.operator === "=") === (Buffer.compare(item.value, compare.value) === 0);
    }
    const numbers = { create: item?.createRevision, mod: item?.modRevision, version: item?.version };
    const left = numbers[compare.target] ?? 0n;
    const outcomes = { "=": left === compare.number, "!=": left !== compare.number };
    if (compare.operator === "=" || compare.operator === "!=") return outcomes[compare.operator];
    return compare.operator === ">" ? left > compare.number : left < compare.number;
  }

  #run(operation: Operation, revision: bigint, events: StoreEvent[], found: (KeyValue | null)[]): void {
    if (operation.kind === "get") found.push(this.get(operation.key));
    else if (operation.kind === "delete") this.#delete(operation.key, revision, events);
    else if (operation.kind === "delete-prefix") {
      for (const { key } of this.under(operation.prefix)) this.#delete(key, revision, events);
    } else this.#put(operation, revision, events);
  }

  /** Before anything is done: a transaction happens whole or not at all. */
  #checkLease(operation: Operation): void {
    if (operation.kind === "put" && operation.leaseId && !this.#leases.has(operation.leaseId)) {
      throw new Failure({ code: ErrorCode.NOT_FOUND, message: "There is no such lease." });
    }
  }

  #put(
    { key, value, leaseId = 0n }: Extract<Operation, { kind: "put" }>,
    revision: bigint,
    events: StoreEvent[],
  ): void {
    const before = this.#items.get(key);
    const createRevision = before?.createRevision ?? revision;
    const version = (before?.version ?? 0n) + 1n;
    const item = { key, value, createRevision, modRevision: revision, version, leaseId };
    this.#items.set(key, item);
    events.push({ kind: "put", key, item });
  }

  #delete(key: string, revision: bigint, events: StoreEvent[]): void {
    const before = this.#items.get(key);
    if (!before) return;
    this.#items.delete(key);
    events.push({ kind: "delete", key, item: { ...before, value: new Uint8Array(), modRevision: revision } });
  }

  #commit(revision: bigint, events: StoreEvent[]): void {
    if (events.length === 0) return;
    this.revision = revision;
    this.#log.push({ revision, events });
    const waiting = this.#waiting;
    this.#waiting = new Set();
    for (const run of waiting) run();
  }
}

/** The way from one node to the store. */
export interface MemoryLink {
  /** Runs the operation there and brings the answer back, or fails. */
  call<T>(run: () => T, options: CallOptions | undefined): Promise<T>;
  /** Resolves when a message of a watch may go through; rejects when the link is given up. */
  pass(signal: AbortSignal): Promise<void>;
}

const PERFECT_LINK: MemoryLink = {
  call: async (run) => run(),
  pass: async () => {},
};

export class MemoryClusterStore implements ClusterStore {
  readonly kind = "embedded";
  readonly state: MemoryStoreState;
  readonly #link: MemoryLink;

  constructor(state: MemoryStoreState, link: MemoryLink = PERFECT_LINK) {
    this.state = state;
    this.#link = link;
  }

  get(key: string, options?: ReadOptions): ReturnType<ClusterStore["get"]> {
    return this.#call("get", () => ({ item: this.state.get(key), revision: this.state.revision }), options);
  }

  range(prefix: string, options: RangeOptions = {}): Promise<Range> {
    return this.#call("range", () => this.#range(prefix, options), options);
  }

  transact(transaction: Transaction, options?: CallOptions): Promise<TransactionResult> {
    return this.#call("transact", () => this.state.transact(transaction), options);
  }

  async *watch({ prefix, fromRevision, signal }: WatchRequest): AsyncGenerator<WatchBatch> {
    this.#count("watch");
    let revision = fromRevision - 1n;
    while (!signal.aborted) {
      await this.#link.pass(signal);
      const batches = this.state.after(revision, prefix);
      const upTo = this.state.revision;
      for (const batch of batches) {
        await this.#link.pass(signal);
        if (signal.aborted) return;
        yield batch;
        revision = batch.revision;
      }
      if (upTo > revision) revision = upTo;
      if (this.state.revision === revision && !signal.aborted) await this.#nextChange(signal);
    }
  }

  grantLease(timeToLiveMs: number, options?: CallOptions): Promise<Lease> {
    return this.#call("grantLease", () => this.state.grant(timeToLiveMs), options);
  }

  renewLease(id: bigint, options?: CallOptions): Promise<{ readonly timeToLiveMs: number } | null> {
    return this.#call("renewLease", () => this.state.renew(id), options);
  }

  revokeLease(id: bigint, options?: CallOptions): Promise<void> {
    return this.#call("revokeLease", () => this.state.revoke(id), options);
  }

  compact(revision: bigint, options?: CallOptions): Promise<void> {
    return this.#call("compact", () => this.state.compact(revision), options);
  }

  async endpoints(): Promise<readonly StoreEndpoint[]> {
    return [];
  }

  async close(): Promise<void> {}

  #range(prefix: string, { afterKey = "", limit = 0, descending = false, keysOnly = false }: RangeOptions): Range {
    this.state.expire();
    const all = this.state.under(prefix).filter(({ key }) => key > afterKey);
    if (descending) all.reverse();
    const items = (limit === 0 ? all : all.slice(0, limit)).map((item) =>
      keysOnly ? { ...item, value: new Uint8Array() } : item,
    );
    return { items, revision: this.state.revision, more: items.length < all.length };
  }

  #call<T>(name: string, run: () => T, options?: CallOptions): Promise<T> {
    this.#count(name);
    return this.#link.call(run, options);
  }

  #count(name: string): void {
    this.state.calls.set(name, (this.state.calls.get(name) ?? 0) + 1);
  }

  #nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        forget();
        signal.removeEventListener("abort", finish);
        resolve();
      };
      const forget = this.state.whenChanged(finish);
      signal.addEventListener("abort", finish, { once: true });
      if (signal.aborted) finish();
    });
  }
}

function compacted(): Failure {
  return new Failure({ code: ErrorCode.COMPACTED, message: "That revision is no longer kept." });
}
