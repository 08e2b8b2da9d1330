/**
 * What lies under one prefix of the store, followed: a snapshot, then each change, resumed where it stopped. History that is
 * compacted away costs a new snapshot. While the store is out of reach the last known state stays.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import { backOffMs, sentenceOf, waitFor } from "../leadership/waiting.ts";
import type { ClusterStore, KeyValue, StoreEvent } from "../store/clusterStore.ts";

export interface MirrorPorts {
  readonly store: Pick<ClusterStore, "range" | "watch">;
  readonly prefix: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
}

/** The keys that changed; `null` = a snapshot, anything may have changed. */
export type MirrorListener = (events: readonly StoreEvent[] | null) => void;

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;

export class PrefixMirror {
  readonly #ports: MirrorPorts;
  readonly #listener: MirrorListener;
  readonly #stopping = new AbortController();
  #items = new Map<string, KeyValue>();
  /** Everything up to here is in `#items`; `null` = a snapshot is needed. */
  #revision: bigint | null = null;
  #running: Promise<void> | null = null;
  #readAtMs: number | null = null;
  #isFollowing = false;
  #problem: string | null = null;

  constructor(ports: MirrorPorts, listener: MirrorListener) {
    this.#ports = ports;
    this.#listener = listener;
  }

  items(): ReadonlyMap<string, KeyValue> {
    return this.#items;
  }

  /** Of what is known; `null` = nothing was read yet. */
  get revision(): bigint | null {
    return this.#revision;
  }

  /** Wall time of the last word from the store about this prefix. */
  get readAtMs(): number | null {
    return this.#readAtMs;
  }

  /** A watch is open and has not failed: no word from it means that nothing changed, if the store is in reach. */
  get isFollowing(): boolean {
    return this.#isFollowing;
  }

  get problem(): string | null {
    return this.#problem;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#ports;
    const { signal } = this.#stopping;
    const backOff = { firstMs: FIRST_RETRY_MS, longestMs: LONGEST_RETRY_MS };
    for (let failures = 0; !signal.aborted; ) {
      const before = this.#revision;
      await this.#follow().catch((error: unknown) => this.#failed(error));
      this.#isFollowing = false;
      if (this.#revision !== before) failures = 0;
      if (!signal.aborted) await waitFor(clock, backOffMs(backOff, failures++, random), signal);
    }
  }

  async #follow(): Promise<void> {
    const { store, prefix } = this.#ports;
    const { signal } = this.#stopping;
    if (this.#revision === null) {
      const { items, revision } = await store.range(prefix, { signal });
      this.#items = new Map(items.map((item) => [item.key, item]));
      this.#reached(revision, null);
    }
    this.#isFollowing = true;
    const fromRevision = (this.#revision ?? 0n) + 1n;
    for await (const { events, revision } of store.watch({ prefix, fromRevision, signal })) {
      for (const { kind, key, item } of events) {
        if (kind === "put") this.#items.set(key, item);
        else this.#items.delete(key);
      }
      this.#reached(revision, events);
    }
  }

  #reached(revision: bigint, events: readonly StoreEvent[] | null): void {
    if (this.#stopping.signal.aborted) return;
    this.#revision = revision;
    this.#readAtMs = this.#ports.clock.wallMs();
    this.#problem = null;
    if (events === null || events.length > 0) this.#listener(events);
  }

  #failed(error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    const isCompacted = error instanceof Failure && error.code === ErrorCode.COMPACTED;
    if (isCompacted) this.#revision = null;
    else if (this.#problem === null) {
      this.#ports.log.warn({ prefix: this.#ports.prefix, problem: sentenceOf(error) }, "changes cannot be followed");
    }
    this.#problem = sentenceOf(error);
  }
}
