/**
 * Puts a planned set into the store, whole or not at all.
 *
 * A small set is one transaction: documents, their history, the set, the head. A large one would not fit, so its documents go
 * into pieces first, which nobody reads; then one transaction moves the head and names the pieces (see stateModel.ts), and
 * the documents are copied to their places afterwards. Every transaction carries the fence of the leader's term, and the ones
 * that move the head also the revision of the head that the set was planned on.
 */
import { randomBytes } from "node:crypto";
import {
  type DesiredHead,
  DesiredHeadSchema,
  type DocumentVersion,
  DocumentVersionSchema,
} from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Keys } from "../keys.ts";
import type { HeldTerm } from "../ports.ts";
import type { ClusterStore, Compare, Operation, Transaction, TransactionResult } from "../store/clusterStore.ts";
import { StoreFailure } from "../store/storeFailure.ts";
import { encode, encodeOverlay, encodePiece, type Overlay } from "./records.ts";
import type { WriteCheckpoint } from "./types.ts";

/** Below etcd's own limits of 128 operations and 1.5 MiB. */
const MAX_OPERATIONS = 100;
const MAX_BYTES = 1_200_000;
const PIECE_BYTES = 1_000_000;
/** How long is looked for a write whose answer was lost. */
const LOOK_TIMEOUT_MS = 3_000;

export interface CommitterPorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
  readonly checkpoint?: ((step: WriteCheckpoint) => void | Promise<void>) | undefined;
}

export interface Commit {
  readonly head: DesiredHead;
  /** Of the head that it was planned on; 0 = there was none. */
  readonly baseRevision: bigint;
  readonly changes: readonly DocumentVersion[];
  /** Written in the same transaction: the set that this one ends, the answer for a repetition of the request. */
  readonly more: readonly { readonly key: string; readonly value: Uint8Array }[];
}

/** `unknown` carries what the store said: the write may be there or come yet. */
export type CommitResult =
  | { readonly kind: "written"; readonly headRevision: bigint }
  /** Somebody else moved the head first. */
  | { readonly kind: "overtaken" }
  /** The term is over. */
  | { readonly kind: "deposed" }
  | { readonly kind: "unknown"; readonly cause: Failure };

interface Put {
  readonly kind: "put";
  readonly key: string;
  readonly value: Uint8Array;
}

export class SetCommitter {
  readonly #ports: CommitterPorts;

  constructor(ports: CommitterPorts) {
    this.#ports = ports;
  }

  /** Nothing of the head before may be waiting for its place: see {@link settle}. Throws `Failure` of the store; then surely nothing was written. */
  async commit(term: HeldTerm, commit: Commit): Promise<CommitResult> {
    const { keys } = this.#ports;
    const places = commit.changes.flatMap((change) => this.#places(change));
    const heads = this.#headPuts(commit);
    const isSmall = places.length + heads.length <= MAX_OPERATIONS && bytesOf([...places, ...heads]) <= MAX_BYTES;
    if (isSmall) return this.#moveHead(term, commit, [...places, ...heads]);
    const overlay = await this.#stage(term, commit);
    if (overlay === null) return { kind: "deposed" };
    await this.#ports.checkpoint?.("staged");
    const value = encodeOverlay(overlay);
    const result = await this.#moveHead(term, commit, [...heads, { kind: "put", key: keys.overlay, value }]);
    if (result.kind === "written") await this.#ports.checkpoint?.("committed");
    return result;
  }

  /** Copies what belongs to the head to its places. False when the term is over. Any number of times, also after a crash. */
  async settle(
    term: HeldTerm,
    overlay: Overlay,
    revision: bigint,
    documents: readonly DocumentVersion[],
  ): Promise<boolean> {
    const { store, keys, checkpoint } = this.#ports;
    const isStillThere: Compare = { key: keys.overlay, target: "mod", operator: "=", number: revision };
    const compare = [...term.fence, isStillThere];
    for (const then of chunks(documents.flatMap((document) => this.#places(document)))) {
      if (!(await store.transact({ compare, then })).succeeded) return false;
      await checkpoint?.("part-settled");
    }
    const end: Operation[] = [
      { kind: "delete", key: keys.overlay },
      { kind: "delete-prefix", prefix: keys.stagedPieces(overlay.attempt) },
    ];
    const { succeeded } = await store.transact({ compare, then: end });
    await checkpoint?.("settled");
    return succeeded;
  }

  /** Removes pieces of writes that never came to their end. Only between writes. */
  async sweep(term: HeldTerm, used: Overlay | null): Promise<void> {
    const { store, keys } = this.#ports;
    const { items } = await store.range(keys.staged, { keysOnly: true });
    const attempts = new Set(items.map(({ key }) => key.slice(keys.staged.length).split("/", 1)[0] ?? ""));
    for (const attempt of attempts) {
      if (attempt === used?.attempt) continue;
      const then: Operation[] = [{ kind: "delete-prefix", prefix: keys.stagedPieces(attempt) }];
      await store.transact({ compare: term.fence, then });
    }
  }

  #places(document: DocumentVersion): Put[] {
    const { keys } = this.#ports;
    const value = encode(DocumentVersionSchema, document);
    return [
      { kind: "put", key: keys.document(document.key), value },
      { kind: "put", key: keys.historyVersion(document.key, document.version), value },
    ];
  }

  #headPuts({ head, more }: Commit): Put[] {
    const { keys } = this.#ports;
    const value = encode(DesiredHeadSchema, head);
    return [
      { kind: "put", key: keys.head, value },
      { kind: "put", key: keys.set(head.setNumber), value },
      ...more.map((item): Put => ({ kind: "put", ...item })),
    ];
  }

  async #stage(term: HeldTerm, { changes }: Commit): Promise<Overlay | null> {
    const { store, keys, checkpoint } = this.#ports;
    const attempt = `${term.number}-${randomBytes(6).toString("hex")}`;
    const pieces = toPieces(changes);
    for (const [index, piece] of pieces.entries()) {
      const put: Operation = { kind: "put", key: keys.stagedPiece(attempt, index), value: encodePiece(piece) };
      if (!(await store.transact({ compare: term.fence, then: [put] })).succeeded) return null;
      await checkpoint?.("piece-staged");
    }
    return { setNumber: changes[0]?.setNumber ?? 0n, attempt, pieces: pieces.length };
  }

  async #moveHead(term: HeldTerm, commit: Commit, then: readonly Operation[]): Promise<CommitResult> {
    const { keys } = this.#ports;
    const compare: Compare[] = [
      ...term.fence,
      { key: keys.head, target: "mod", operator: "=", number: commit.baseRevision },
      { key: keys.overlay, target: "create", operator: "=", number: 0n },
    ];
    const otherwise: Operation[] = [
      { kind: "get", key: keys.head },
      { kind: "get", key: keys.set(commit.head.setNumber) },
    ];
    let result: TransactionResult;
    try {
      result = await this.#ports.store.transact({ compare, then, otherwise } satisfies Transaction);
    } catch (error) {
      if (!(error instanceof Failure) || !mayHaveHappened(error)) throw error;
      return this.#look(commit, error);
    }
    if (result.succeeded) return { kind: "written", headRevision: result.revision };
    const [head, set] = result.found;
    // A store that tries again by itself meets its own first attempt.
    if (set && this.#isOurs(commit, set.value)) return { kind: "written", headRevision: set.modRevision };
    return { kind: (head?.modRevision ?? 0n) === commit.baseRevision ? "deposed" : "overtaken" };
  }

  async #look(commit: Commit, cause: Failure): Promise<CommitResult> {
    const { store, keys } = this.#ports;
    try {
      const { item } = await store.get(keys.set(commit.head.setNumber), { timeoutMs: LOOK_TIMEOUT_MS });
      if (item && this.#isOurs(commit, item.value)) return { kind: "written", headRevision: item.modRevision };
    } catch {
      // Then it stays open.
    }
    return { kind: "unknown", cause };
  }

  #isOurs({ head }: Commit, value: Uint8Array): boolean {
    return Buffer.compare(value, encode(DesiredHeadSchema, head)) === 0;
  }
}

function mayHaveHappened(failure: Failure): boolean {
  if (failure instanceof StoreFailure) return failure.mayHaveHappened;
  return [ErrorCode.STORE_UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED, ErrorCode.CANCELED].includes(failure.code);
}

function bytesOf(puts: readonly Put[]): number {
  return puts.reduce((sum, put) => sum + sizeOf(put), 0);
}

function sizeOf({ key, value }: Put): number {
  return key.length + value.length + 64;
}

/** Cut so that each fits into one transaction. */
function* chunks(puts: readonly Put[]): Generator<readonly Put[]> {
  let chunk: Put[] = [];
  let bytes = 0;
  for (const put of puts) {
    const size = sizeOf(put);
    if (chunk.length > 0 && (chunk.length >= MAX_OPERATIONS || bytes + size > MAX_BYTES)) {
      yield chunk;
      [chunk, bytes] = [[], 0];
    }
    chunk.push(put);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}

function toPieces(documents: readonly DocumentVersion[]): readonly (readonly DocumentVersion[])[] {
  const pieces: DocumentVersion[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const document of documents) {
    const size = encode(DocumentVersionSchema, document).length;
    if (bytes + size > PIECE_BYTES) {
      pieces.push([]);
      bytes = 0;
    }
    pieces.at(-1)?.push(document);
    bytes += size;
  }
  return pieces;
}
