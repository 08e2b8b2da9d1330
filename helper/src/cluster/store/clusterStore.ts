/**
 * The agreed state, behind one interface: etcd's model of keys with revisions, transactions that compare first, leases and
 * watches. Whatever keeps it, every write is one transaction with a place in one order of revisions; reads see the newest
 * committed revision unless they say that they may be stale.
 *
 * Failures are `Failure`s: STORE_UNAVAILABLE (out of reach, no majority, disk full there; `retryable`), COMPACTED (a revision
 * that is no longer kept), DEADLINE_EXCEEDED, PERMISSION_DENIED. A write that ended with STORE_UNAVAILABLE or
 * DEADLINE_EXCEEDED may or may not have happened: the caller has to look, unless the failure is a `StoreFailure` that says
 * otherwise (`mayHaveHappened`).
 */
import type { StoreEndpoint } from "@wardline/api/wardline/v1/cluster";

export interface KeyValue {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** Of this key since it was created, from 1. */
  readonly version: bigint;
  /** 0 = none. */
  readonly leaseId: bigint;
}

export type Compare =
  | {
      readonly key: string;
      readonly target: "create" | "mod" | "version";
      readonly operator: Operator;
      readonly number: bigint;
    }
  | { readonly key: string; readonly target: "value"; readonly operator: "=" | "!="; readonly value: Uint8Array };

export type Operator = "=" | "!=" | ">" | "<";

export type Operation =
  | { readonly kind: "put"; readonly key: string; readonly value: Uint8Array; readonly leaseId?: bigint }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "delete-prefix"; readonly prefix: string }
  | { readonly kind: "get"; readonly key: string };

export interface Transaction {
  /** All must hold; none = always. */
  readonly compare: readonly Compare[];
  readonly then: readonly Operation[];
  readonly otherwise?: readonly Operation[];
}

export interface TransactionResult {
  readonly succeeded: boolean;
  /** Of the store after the transaction. */
  readonly revision: bigint;
  /** For each `get` of the branch that ran, in order; `null` = there is no such key. */
  readonly found: readonly (KeyValue | null)[];
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** 5 s unless given. */
  readonly timeoutMs?: number;
}

export interface TransactOptions extends CallOptions {
  /**
   * Carrying it out twice does no harm: it is tried again when it is not known whether it happened, for example because the
   * store was just changing its leader. Such a transaction may find what it has written itself.
   */
  readonly repeatable?: boolean;
}

export interface ReadOptions extends CallOptions {
  /** May be answered by a member that has lost its majority. */
  readonly mayBeStale?: boolean;
  /** As things stood at this revision. */
  readonly revision?: bigint;
}

export interface RangeOptions extends ReadOptions {
  /** Keys after this one, in the order asked for. */
  readonly afterKey?: string;
  /** 0 = all: the store pages by itself. */
  readonly limit?: number;
  readonly keysOnly?: boolean;
  readonly descending?: boolean;
}

export interface Range {
  /** By key. */
  readonly items: readonly KeyValue[];
  /** Everything was read at this one revision. */
  readonly revision: bigint;
  readonly more: boolean;
}

export interface StoreEvent {
  readonly kind: "put" | "delete";
  readonly key: string;
  /** Of a deletion: only key and modRevision mean something. */
  readonly item: KeyValue;
}

/** What one transaction changed; never a part of it. An empty batch says that everything up to `revision` was seen. */
export interface WatchBatch {
  readonly revision: bigint;
  readonly events: readonly StoreEvent[];
}

export interface WatchRequest {
  readonly prefix: string;
  /** First revision to be told about: one more than that of the snapshot. */
  readonly fromRevision: bigint;
  readonly signal: AbortSignal;
}

export interface Lease {
  readonly id: bigint;
  /** What was granted; a store may grant more than was asked for. */
  readonly timeToLiveMs: number;
}

export interface ClusterStore {
  readonly kind: "embedded" | "etcd";
  get(key: string, options?: ReadOptions): Promise<{ readonly item: KeyValue | null; readonly revision: bigint }>;
  range(prefix: string, options?: RangeOptions): Promise<Range>;
  transact(transaction: Transaction, options?: TransactOptions): Promise<TransactionResult>;
  /**
   * Every change in the order of revisions, none twice, none left out. Goes on by itself when an endpoint fails. Ends when the
   * signal is aborted; throws COMPACTED when what comes next is no longer kept, STORE_UNAVAILABLE when no endpoint answers
   * for 30 s.
   */
  watch(request: WatchRequest): AsyncIterable<WatchBatch>;
  grantLease(timeToLiveMs: number, options?: CallOptions): Promise<Lease>;
  /** One renewal. `null` = the lease is over. */
  renewLease(id: bigint, options?: CallOptions): Promise<{ readonly timeToLiveMs: number } | null>;
  revokeLease(id: bigint, options?: CallOptions): Promise<void>;
  /** Drops history up to the revision. */
  compact(revision: bigint, options?: CallOptions): Promise<void>;
  /** Each endpoint asked now; never throws. */
  endpoints(options?: CallOptions): Promise<readonly StoreEndpoint[]>;
  close(): Promise<void>;
}
