/** The agreed state in etcd (3.4 and newer), over gRPC. */
import { randomBytes } from "node:crypto";
import type { PeerCertificate, SecureContextOptions } from "node:tls";
import type { StoreEndpoint } from "@wardline/api/wardline/v1/cluster";
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
  TransactOptions,
  WatchBatch,
  WatchRequest,
} from "./clusterStore.ts";
import { Authentication } from "./etcd/authentication.ts";
import { EtcdCalls, REPEATABLE, STALE_READ, WRITE } from "./etcd/calls.ts";
import { EndpointPool } from "./etcd/endpointPool.ts";
import { found, toBytes, toKeyValue, toTxnRequest } from "./etcd/messages.ts";
import { readPages } from "./etcd/pages.ts";
import { askStatus } from "./etcd/status.ts";
import { watchEtcd } from "./etcd/watch.ts";
import { checkKey, checkLeaseTime, checkTransaction } from "./limits.ts";
import { StoreFailure } from "./storeFailure.ts";

export interface EtcdStoreOptions {
  /** `https://10.0.0.1:2379`; 1 to 16, all of one scheme. */
  readonly endpoints: readonly string[];
  /** Asked for each new connection, so that certificates may change while running. Needed for `https`. PEM. */
  readonly tls?: () => Pick<SecureContextOptions, "ca" | "cert" | "key">;
  /**
   * Says why the server is not who it should be, after its chain was verified against `ca`; `undefined` = it is. Ordinary
   * host name check unless given.
   */
  readonly verifyServer?: (hostName: string, certificate: PeerCertificate) => Error | undefined;
  /** A user of etcd; none = the certificate's common name, or no authentication. */
  readonly credentials?: { readonly userName: string; readonly password: string };
  readonly log: Logger;
  readonly clock?: Clock;
}

export class EtcdStore implements ClusterStore {
  readonly kind = "etcd";
  readonly #calls: EtcdCalls;
  readonly #closed = new AbortController();

  private constructor(options: EtcdStoreOptions) {
    const pool = new EndpointPool({ ...options, clock: options.clock ?? systemClock });
    this.#calls = new EtcdCalls(pool, new Authentication(options.credentials), options.log);
  }

  /** Connects at the first call. @throws StoreFailure INVALID_ARGUMENT for endpoints that are none */
  static open(options: EtcdStoreOptions): EtcdStore {
    return new EtcdStore(options);
  }

  /** The one that calls go to for now. */
  get endpointInUse(): string {
    return this.#calls.pool.current.url;
  }

  async get(key: string, options: ReadOptions = {}): ReturnType<ClusterStore["get"]> {
    checkKey(key);
    const { mayBeStale = false, revision = 0n } = options;
    const request = { key: toBytes(key), serializable: mayBeStale, revision };
    const { header, kvs } = await this.#calls.call(
      mayBeStale ? STALE_READ : REPEATABLE,
      this.#bound(options),
      (endpoint, call) => endpoint.kv.range(request, call),
    );
    const [item] = kvs;
    return { item: item === undefined ? null : toKeyValue(item), revision: header?.revision ?? 0n };
  }

  async range(prefix: string, options: RangeOptions = {}): Promise<Range> {
    return readPages(this.#calls, prefix, this.#bound(options));
  }

  async transact(transaction: Transaction, options: TransactOptions = {}): Promise<TransactionResult> {
    checkTransaction(transaction);
    const request = toTxnRequest(transaction);
    const operations = [...transaction.then, ...(transaction.otherwise ?? [])];
    const kind = options.repeatable || operations.every(({ kind }) => kind === "get") ? REPEATABLE : WRITE;
    const { succeeded, header, responses } = await this.#calls.call(kind, this.#bound(options), (endpoint, call) =>
      endpoint.kv.txn(request, call),
    );
    return { succeeded, revision: header?.revision ?? 0n, found: found(responses) };
  }

  watch(request: WatchRequest): AsyncIterable<WatchBatch> {
    return watchEtcd(this.#calls, { ...request, signal: AbortSignal.any([request.signal, this.#closed.signal]) });
  }

  async grantLease(timeToLiveMs: number, options: CallOptions = {}): Promise<Lease> {
    checkLeaseTime(timeToLiveMs);
    const seconds = BigInt(Math.ceil(timeToLiveMs / 1000));
    // Chosen here, so that asking twice makes one lease.
    const id = (randomBytes(8).readBigUInt64BE() >> 1n) | 1n;
    try {
      const granted = await this.#calls.call(REPEATABLE, this.#bound(options), (endpoint, call) =>
        endpoint.lease.leaseGrant({ TTL: seconds, ID: id }, call),
      );
      return { id, timeToLiveMs: Number(granted.TTL) * 1000 };
    } catch (error) {
      if (!(error instanceof StoreFailure) || error.code !== ErrorCode.ALREADY_EXISTS) throw error;
      return { id, timeToLiveMs: Number(seconds) * 1000 };
    }
  }

  async renewLease(id: bigint, options: CallOptions = {}): Promise<{ readonly timeToLiveMs: number } | null> {
    const seconds = await this.#calls.call(REPEATABLE, this.#bound(options), async (endpoint, call) => {
      for await (const { TTL } of endpoint.lease.leaseKeepAlive(once({ ID: id }), call)) return TTL;
      throw new StoreFailure({ code: ErrorCode.INTERNAL, message: "etcd answered a renewal with nothing." });
    });
    return seconds > 0n ? { timeToLiveMs: Number(seconds) * 1000 } : null;
  }

  async revokeLease(id: bigint, options: CallOptions = {}): Promise<void> {
    try {
      await this.#calls.call(REPEATABLE, this.#bound(options), (endpoint, call) =>
        endpoint.lease.leaseRevoke({ ID: id }, call),
      );
    } catch (error) {
      if (!(error instanceof StoreFailure) || error.code !== ErrorCode.NOT_FOUND) throw error;
    }
  }

  async compact(revision: bigint, options: CallOptions = {}): Promise<void> {
    try {
      await this.#calls.call(REPEATABLE, this.#bound(options), (endpoint, call) =>
        endpoint.kv.compact({ revision }, call),
      );
    } catch (error) {
      if (!(error instanceof StoreFailure) || error.code !== ErrorCode.COMPACTED) throw error;
    }
  }

  endpoints(options: CallOptions = {}): Promise<readonly StoreEndpoint[]> {
    return Promise.all(this.#calls.pool.all.map((endpoint) => askStatus(endpoint, this.#bound(options))));
  }

  async close(): Promise<void> {
    this.#closed.abort();
    this.#calls.pool.close();
  }

  #bound<T extends CallOptions>(options: T): T {
    const { signal } = this.#closed;
    return { ...options, signal: options.signal ? AbortSignal.any([options.signal, signal]) : signal };
  }
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}
