/**
 * What a node knows of the desired set: a snapshot, then every transaction as it happens. While the store is out of reach
 * the last known set stays, and says that it may be old.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { backOffMs, sentenceOf, waitFor } from "../leadership/waiting.ts";
import { SnapshotNeeded, type StateModel } from "./stateModel.ts";
import { piecesFrom, readModel } from "./stateReader.ts";
import type { DesiredReplicaView, DesiredState, ReplicaPorts } from "./types.ts";

const RETRY = { firstMs: 100, longestMs: 5_000 };
/** A watch over a connection that is cut says nothing: after so long without a word the store is asked. */
const PROBE_MS = 10_000;
const PROBE_AGAIN_MS = 1_000;
const CATCH_UP_LIMIT_MS = 10_000;

export class DesiredReplica implements DesiredReplicaView {
  readonly #ports: ReplicaPorts;
  readonly #stopping = new AbortController();
  readonly #listeners = new Set<() => void>();
  /** Ends the watch alone. */
  #following = new AbortController();
  #model: StateModel | null = null;
  /** The watch cannot go on from it. It is kept until there is a newer one. */
  #isOutdated = false;
  #inTouch = false;
  #readAtMs = 0;
  /** After a time without the store: what comes before this head is not told, or a host would apply each set that it missed. */
  #goal = 0n;
  #running: Promise<unknown> | null = null;

  constructor(ports: ReplicaPorts) {
    this.#ports = ports;
  }

  /** Follows the store from now on. Does not wait for it. */
  start(): void {
    this.#running ??= Promise.all([this.#run(), this.#probe()]);
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    this.#listeners.clear();
    await this.#running;
  }

  get state(): DesiredState | null {
    return this.#model?.state ?? null;
  }

  /** What of the newest set is not in its places yet, for the leader to finish. */
  get overlay(): StateModel["overlay"] {
    return this.#model?.overlay ?? null;
  }

  get inTouch(): boolean {
    return this.#inTouch;
  }

  get readAtMs(): number {
    return this.#readAtMs;
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The state at or after the transaction that wrote this head. Throws `Failure` STORE_UNAVAILABLE when it does not come. */
  async atLeast(headRevision: bigint, signal?: AbortSignal): Promise<DesiredState> {
    const limit = AbortSignal.timeout(CATCH_UP_LIMIT_MS);
    const ended = AbortSignal.any([limit, this.#stopping.signal, ...(signal ? [signal] : [])]);
    while (!ended.aborted) {
      const { state } = this;
      if (state && state.headRevision >= headRevision) return state;
      await this.#nextChange(ended);
    }
    const message = "The newest desired set has not arrived on this host.";
    throw new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message, retryable: true });
  }

  #nextChange(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        forget();
        signal.removeEventListener("abort", finish);
        resolve();
      };
      const forget = this.onChange(finish);
      signal.addEventListener("abort", finish, { once: true });
      if (signal.aborted) finish();
    });
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#ports;
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; ) {
      const before = this.#readAtMs;
      try {
        this.#following = new AbortController();
        await this.#follow(AbortSignal.any([signal, this.#following.signal]));
      } catch (error) {
        if (signal.aborted) return;
        if (asksForSnapshot(error)) this.#isOutdated = true;
        else {
          this.#lostTouch();
          if (failures === 0) log.warn({ problem: sentenceOf(error) }, "the desired set cannot be followed");
        }
      }
      if (this.#readAtMs !== before) failures = 0;
      if (!signal.aborted) await waitFor(clock, backOffMs(RETRY, failures++, Math.random), signal);
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { store, keys } = this.#ports;
    const needsSnapshot = this.#model === null || this.#isOutdated;
    if (this.#model === null || needsSnapshot) {
      this.#model = await readModel(store, keys, { signal });
      this.#isOutdated = false;
    } else if (!this.#inTouch) {
      const { item } = await store.get(keys.head, { signal });
      this.#goal = item?.modRevision ?? 0n;
    }
    const model = this.#model;
    if (needsSnapshot || !this.#inTouch) this.#touched(needsSnapshot);
    const readPieces = piecesFrom(store, keys, signal);
    const fromRevision = model.state.revision + 1n;
    for await (const batch of store.watch({ prefix: keys.desired, fromRevision, signal })) {
      this.#touched(await model.apply(batch, readPieces));
      if (signal.aborted) return;
    }
  }

  async #probe(): Promise<void> {
    const { clock } = this.#ports;
    const { signal } = this.#stopping;
    let behindSince: bigint | null = null;
    while (!signal.aborted) {
      const isFine = this.#inTouch && behindSince === null;
      await waitFor(clock, isFine ? PROBE_MS : PROBE_AGAIN_MS, signal);
      const isQuiet = clock.wallMs() - this.#readAtMs >= PROBE_MS || !isFine;
      if (signal.aborted || this.#model === null || !isQuiet) continue;
      const headRevision = await this.#askHead(signal);
      const own = this.#model.state.headRevision;
      if (headRevision === null) this.#lostTouch();
      // Being answered is not enough: what was answered has to be here.
      else if (headRevision <= own) this.#touched(false);
      // The same gap twice: the watch brings nothing any more.
      else if (behindSince === own) this.#following.abort();
      behindSince = headRevision !== null && headRevision > own ? own : null;
    }
  }

  async #askHead(signal: AbortSignal): Promise<bigint | null> {
    const { store, keys } = this.#ports;
    try {
      return (await store.get(keys.head, { signal })).item?.modRevision ?? 0n;
    } catch {
      return null;
    }
  }

  #touched(isChanged: boolean): void {
    if (this.#stopping.signal.aborted) return;
    if ((this.#model?.state.headRevision ?? 0n) < this.#goal) return;
    const isBack = !this.#inTouch;
    this.#inTouch = true;
    this.#readAtMs = this.#ports.clock.wallMs();
    if (isChanged || isBack) this.#tell();
  }

  #lostTouch(): void {
    if (!this.#inTouch || this.#stopping.signal.aborted) return;
    this.#inTouch = false;
    this.#tell();
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function asksForSnapshot(error: unknown): boolean {
  return error instanceof SnapshotNeeded || (error instanceof Failure && error.code === ErrorCode.COMPACTED);
}
