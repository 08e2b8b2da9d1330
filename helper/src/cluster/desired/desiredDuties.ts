/** What the leader does for the desired set besides writing it: deadlines of pending sets, what a crash left, pruning. */
import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { type DesiredHead, DocumentVersionSchema } from "@wardline/api/wardline/v1/cluster";
import { bootMs } from "../../agent/clock.ts";
import { waitFor } from "../leadership/waiting.ts";
import type { HeldTerm, LeaderDuty } from "../ports.ts";
import type { Compare, Operation } from "../store/clusterStore.ts";
import { decode, encode, isPending, withoutText } from "./records.ts";
import type { SetWriter } from "./setWriter.ts";
import type { DesiredSetPorts, DesiredState } from "./types.ts";

export const KEPT_VERSIONS = 100n;
export const KEPT_SETS = 1_000n;
export const KEPT_TOMBSTONE_MS = 30 * 86_400_000;
const KEPT_REQUEST_MS = 3_600_000;
const PRUNE_EVERY_MS = 10 * 60_000;
const RETRY_MS = 1_000;
const MAX_OPERATIONS = 100;

export class DesiredDuties {
  readonly #ports: DesiredSetPorts;
  readonly #writer: SetWriter;

  constructor(ports: DesiredSetPorts, writer: SetWriter) {
    this.#ports = ports;
    this.#writer = writer;
  }

  list(): readonly LeaderDuty[] {
    return [
      { name: "desired: deadlines of pending sets", run: (term) => this.#watchDeadlines(term) },
      { name: "desired: pruning", run: (term) => this.#prune(term) },
    ];
  }

  /** Also after a change of the leader: the deadline is in the head. */
  async #watchDeadlines({ signal }: HeldTerm): Promise<void> {
    const { replica, clock } = this.#ports;
    await this.#writer.tidy();
    let watched = 0n;
    let untilBootMs = 0;
    while (!signal.aborted) {
      const head = replica.state?.head ?? null;
      if (!isPending(head)) {
        await changeOf(replica, signal);
        continue;
      }
      // Measured from now on by a clock that does not jump.
      if (watched !== head.setNumber) untilBootMs = bootMs(clock) + leftMs(head, clock.wallMs());
      watched = head.setNumber;
      const remainingMs = untilBootMs - bootMs(clock);
      if (remainingMs > 0) await this.#changeWithin(remainingMs, signal);
      else {
        await this.#writer.expire(head.setNumber);
        await waitFor(clock, RETRY_MS, signal);
      }
    }
  }

  async #changeWithin(delayMs: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    await Promise.race([waitFor(this.#ports.clock, delayMs, either), changeOf(this.#ports.replica, either)]);
    over.abort();
  }

  async #prune(term: HeldTerm): Promise<void> {
    const { clock, replica } = this.#ports;
    while (!term.signal.aborted) {
      const { state } = replica;
      if (state?.head && !replica.overlay) {
        await this.#pruneTombstones(term, state);
        await this.#pruneHistory(term, state);
        await this.#pruneSets(term, state.head);
        await this.#pruneRequests(term);
      }
      await waitFor(clock, PRUNE_EVERY_MS, term.signal);
    }
  }

  async #pruneTombstones(term: HeldTerm, { documents }: DesiredState): Promise<void> {
    const { keys, store, clock } = this.#ports;
    const before = clock.wallMs() - KEPT_TOMBSTONE_MS;
    for (const document of documents.values()) {
      const { key, deleted, writtenAt } = document;
      if (!deleted || !writtenAt || timestampMs(writtenAt) >= before) continue;
      const { item } = await store.get(keys.document(key));
      if (!item || decode(DocumentVersionSchema, item.key, item.value).version !== document.version) continue;
      const isSame: Compare = { key: item.key, target: "mod", operator: "=", number: item.modRevision };
      const value = encode(DocumentVersionSchema, withoutText(document));
      const then: Operation[] = [
        { kind: "delete", key: item.key },
        { kind: "put", key: keys.retiredDocument(key), value },
        { kind: "delete-prefix", prefix: keys.historyOf(key) },
      ];
      await store.transact({ compare: [...term.fence, isSame], then });
    }
  }

  async #pruneHistory(term: HeldTerm, { documents }: DesiredState): Promise<void> {
    const { keys, store } = this.#ports;
    const over: string[] = [];
    for (const { key, version } of documents.values()) {
      if (version <= KEPT_VERSIONS) continue;
      const oldest = keys.historyVersion(key, version - KEPT_VERSIONS + 1n);
      const { items } = await store.range(keys.historyOf(key), { keysOnly: true });
      over.push(...items.map((item) => item.key).filter((one) => one < oldest));
    }
    await this.#delete(term, over);
  }

  async #pruneSets(term: HeldTerm, { setNumber, confirmedSetNumber }: DesiredHead): Promise<void> {
    if (setNumber <= KEPT_SETS) return;
    const { keys, store } = this.#ports;
    const oldest = keys.set(setNumber - KEPT_SETS + 1n);
    const { items } = await store.range(keys.sets, { keysOnly: true });
    const over = items.map(({ key }) => key).filter((key) => key < oldest && key !== keys.set(confirmedSetNumber));
    await this.#delete(term, over);
  }

  async #pruneRequests(term: HeldTerm): Promise<void> {
    const { keys, store, clock } = this.#ports;
    const { items } = await store.range(keys.requests);
    const before = clock.wallMs() - KEPT_REQUEST_MS;
    await this.#delete(
      term,
      items.filter(({ value }) => writtenMs(value) < before).map(({ key }) => key),
    );
  }

  async #delete(term: HeldTerm, all: readonly string[]): Promise<void> {
    for (let at = 0; at < all.length && !term.signal.aborted; at += MAX_OPERATIONS) {
      const then = all.slice(at, at + MAX_OPERATIONS).map((key): Operation => ({ kind: "delete", key }));
      await this.#ports.store.transact({ compare: term.fence, then });
    }
  }
}

/** Never more than the whole time, whatever this node's clock says. */
function leftMs({ confirmBy, confirmWithin }: DesiredHead, wallMs: number): number {
  const wholeMs = confirmWithin ? durationMs(confirmWithin) : 0;
  const untilMs = confirmBy ? timestampMs(confirmBy) : 0;
  return Math.min(Math.max(untilMs - wallMs, 0), wholeMs);
}

function writtenMs(value: Uint8Array): number {
  try {
    const kept = JSON.parse(Buffer.from(value).toString("utf8")) as { response?: { head?: { writtenAt?: string } } };
    return Date.parse(kept.response?.head?.writtenAt ?? "") || 0;
  } catch {
    return 0;
  }
}

/** Resolves at the next change of the replica, or when the signal is aborted. */
export function changeOf(replica: { onChange(listener: () => void): () => void }, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      forget();
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const forget = replica.onChange(finish);
    signal.addEventListener("abort", finish, { once: true });
    if (signal.aborted) finish();
  });
}
