/**
 * The streams of the cluster. Each is pulled: while a reader is slow nothing is queued here, and what it gets next is what
 * holds then. On a host where nothing was ever written they say so and wait for the first write. A stream ends with STORE_UNAVAILABLE (retryable) when the host joins, leaves or changes its store: whoever
 * reads it asks again and gets a snapshot.
 */
import { create } from "@bufbuild/protobuf";
import * as wire from "@wardline/api/wardline/agent/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { StreamSlots } from "../../server/streamSlots.ts";
import type { Resolution } from "../discovery/resolver.ts";
import type { NotesUpdate } from "../notes/noteStore.ts";
import type { ClusterAccess, ClusterReads } from "./clusterAccess.ts";
import * as check from "./requests.ts";

/** Four times a second at most. */
const SHORTEST_STATUS_PAUSE_MS = 250;
/** Ages and latencies change without an event. */
const LONGEST_STATUS_PAUSE_MS = 2_000;

export class ClusterStreams {
  readonly #cluster: ClusterAccess;
  readonly #slots: StreamSlots;

  constructor(cluster: ClusterAccess, slots: StreamSlots) {
    this.#cluster = cluster;
    this.#slots = slots;
  }

  async *watchCluster(signal: AbortSignal): AsyncGenerator<wire.WatchClusterResponse> {
    const leave = this.#slots.enter();
    const changes = new Changes((listener) => this.#cluster.onChange(listener));
    try {
      for (let sequence = 1n; !signal.aborted; sequence += 1n) {
        changes.forget();
        yield create(wire.WatchClusterResponseSchema, { sequence, status: await this.#cluster.status() });
        await changes.next(signal, SHORTEST_STATUS_PAUSE_MS, LONGEST_STATUS_PAUSE_MS);
      }
    } finally {
      changes.close();
      leave();
    }
  }

  watchDocuments(request: wire.WatchDocumentsRequest, signal: AbortSignal) {
    check.checkWatchDocuments(request);
    const head = { sequence: 1n, snapshot: true, snapshotComplete: true };
    const nothing = create(wire.WatchDocumentsResponseSchema, head);
    return this.#follow(signal, nothing, ({ desired }, ended) => desired.watch(request, ended));
  }

  async *watchEndpoints(request: wire.WatchEndpointsRequest, signal: AbortSignal) {
    const query = check.readQuery(request);
    let sequence = 0n;
    const nothing: Resolution = { endpoints: [], stale: false };
    const found = this.#follow(signal, nothing, ({ resolver }, ended) => resolver.watch(query, ended));
    for await (const { endpoints } of found) {
      sequence += 1n;
      yield create(wire.WatchEndpointsResponseSchema, { sequence, endpoints: [...endpoints] });
    }
  }

  async *watchNotes(request: wire.WatchNotesRequest, signal: AbortSignal) {
    check.checkNotesName(request);
    let sequence = 0n;
    const nothing: NotesUpdate = { updates: [], upTo: 0n };
    const { document } = request;
    for await (const { updates, upTo } of this.#follow(signal, nothing, ({ notes }, ended) =>
      notes.watch(document, ended),
    )) {
      sequence += 1n;
      yield create(wire.WatchNotesResponseSchema, { sequence, updates: [...updates], upTo });
    }
  }

  async *#follow<T>(
    signal: AbortSignal,
    nothing: T,
    open: (reads: ClusterReads, ended: AbortSignal) => AsyncIterable<T>,
  ): AsyncGenerator<T> {
    const leave = this.#slots.enter();
    try {
      let reads = await this.#cluster.reads();
      if (reads === null) yield nothing;
      for (; reads === null && !signal.aborted; reads = await this.#cluster.reads()) await this.#changed(signal);
      if (reads === null) return;
      yield* open(reads, AbortSignal.any([signal, reads.signal]));
      if (!signal.aborted) throw reopened();
    } finally {
      leave();
    }
  }

  async #changed(signal: AbortSignal): Promise<void> {
    const changes = new Changes((listener) => this.#cluster.onChange(listener));
    await changes.next(signal, SHORTEST_STATUS_PAUSE_MS, LONGEST_STATUS_PAUSE_MS);
    changes.close();
  }
}

/** Wakes once for any number of changes. */
class Changes {
  #happened = false;
  #wake: () => void = () => {};
  readonly #unsubscribe: () => void;

  constructor(subscribe: (listener: () => void) => () => void) {
    this.#unsubscribe = subscribe(() => {
      this.#happened = true;
      this.#wake();
    });
  }

  forget(): void {
    this.#happened = false;
  }

  /** Resolves after a change, but never before the shortest pause, and at the latest after the longest. */
  async next(signal: AbortSignal, shortestMs: number, longestMs: number): Promise<void> {
    await this.#sleep(signal, shortestMs);
    if (!this.#happened) await this.#sleep(signal, longestMs - shortestMs, true);
  }

  close(): void {
    this.#unsubscribe();
  }

  #sleep(signal: AbortSignal, ms: number, untilChange = false): Promise<void> {
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", finish);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(finish, ms);
      signal.addEventListener("abort", finish, { once: true });
      if (untilChange) this.#wake = finish;
      if (signal.aborted) finish();
    });
  }
}

function reopened(): Failure {
  return new Failure({
    code: ErrorCode.STORE_UNAVAILABLE,
    message: "This host has joined or left a cluster, or changed its store.",
    hint: "Ask again.",
    retryable: true,
  });
}
