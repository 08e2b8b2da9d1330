/**
 * The desired set in memory, made from keys of the store: at first from a snapshot, then from each transaction.
 *
 * A write of many documents does not fit into one transaction. Its documents then lie in pieces under a name of their own,
 * which mean nothing until one transaction moves the head and names them in the overlay. From that moment they are the
 * newest versions, and the leader copies them to their places. So whoever reads overlay and head in one revision sees a set
 * whole or not at all, wherever the leader stopped.
 */
import {
  type DesiredHead,
  DesiredHeadSchema,
  type DocumentVersion,
  DocumentVersionSchema,
} from "@wardline/api/wardline/v1/cluster";
import type { Keys } from "../keys.ts";
import type { KeyValue, Range, WatchBatch } from "../store/clusterStore.ts";
import { decode, decodeOverlay, decodePiece, type Overlay } from "./records.ts";
import type { DesiredState } from "./types.ts";

export const EMPTY_STATE: DesiredState = {
  head: null,
  headRevision: 0n,
  documents: new Map(),
  retired: new Map(),
  revision: 0n,
};

/** The documents of a set have reached their places before their pieces could be read: only a snapshot shows the set whole. */
export class SnapshotNeeded extends Error {}

/** Reads pieces that a watch did not bring, at or after a revision. */
export type ReadPieces = (overlay: Overlay) => Promise<readonly (readonly DocumentVersion[])[]>;

/** The state as it is in the store and what lies beside it. Not to be shared: `state` is, and never changes. */
export class StateModel {
  readonly #keys: Keys;
  /** Pieces of writes that are under way, by attempt and then by key. */
  readonly #staged = new Map<string, Map<string, Uint8Array>>();
  #state: DesiredState = EMPTY_STATE;
  #overlay: Overlay | null = null;
  #overlayRevision = 0n;

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  get state(): DesiredState {
    return this.#state;
  }

  /** What belongs to the head and is not in its places yet. */
  get overlay(): { readonly overlay: Overlay; readonly revision: bigint } | null {
    return this.#overlay && { overlay: this.#overlay, revision: this.#overlayRevision };
  }

  /** Takes everything under `keys.desired`, read at one revision. */
  reset({ items, revision }: Pick<Range, "items" | "revision">): void {
    this.#staged.clear();
    this.#overlay = null;
    const documents = new Map<string, DocumentVersion>();
    const retired = new Map<string, DocumentVersion>();
    let head: KeyValue | null = null;
    for (const item of items) {
      const { key } = item;
      if (key === this.#keys.head) head = item;
      else if (key === this.#keys.overlay) this.#setOverlay(item);
      else if (key.startsWith(this.#keys.staged)) this.#keepPiece(item);
      else if (key.startsWith(this.#keys.documents)) this.#takeDocument(item, documents);
      else if (key.startsWith(this.#keys.retired)) this.#takeRetired(item, retired);
    }
    if (this.#overlay) this.#lay(this.#ownPieces(this.#overlay), documents);
    this.#state = {
      head: head && this.#readHead(head),
      headRevision: head?.modRevision ?? 0n,
      documents,
      retired,
      revision,
    };
  }

  /** Takes one transaction of the watch. True when head or documents changed. */
  async apply({ revision, events }: WatchBatch, readPieces: ReadPieces): Promise<boolean> {
    const before = this.#state;
    let documents: Map<string, DocumentVersion> | null = null;
    let retired: Map<string, DocumentVersion> | null = null;
    let head: KeyValue | null = null;
    const changed = () => {
      documents ??= new Map(before.documents);
      return documents;
    };
    for (const { kind, key, item } of events) {
      if (key === this.#keys.head) head = kind === "put" ? item : null;
      else if (key === this.#keys.overlay) {
        if (kind === "put") this.#setOverlay(item);
        else this.#overlay = null;
        if (this.#overlay) this.#lay(await this.#pieces(this.#overlay, readPieces), changed());
      } else if (key.startsWith(this.#keys.staged)) {
        if (kind === "put") this.#keepPiece(item);
        else this.#dropPiece(key);
      } else if (key.startsWith(this.#keys.documents)) {
        if (kind === "delete") changed().delete(this.#documentKey(key));
        else if (this.#isNews(item, before)) this.#takeDocument(item, changed());
      } else if (key.startsWith(this.#keys.retired) && kind === "put") {
        retired ??= new Map(before.retired);
        this.#takeRetired(item, retired);
      }
    }
    this.#state = {
      head: head ? this.#readHead(head) : before.head,
      headRevision: head?.modRevision ?? before.headRevision,
      documents: documents ?? before.documents,
      retired: retired ?? before.retired,
      revision,
    };
    return head !== null || documents !== null;
  }

  /** Versions that came with an overlay come again at their places. */
  #isNews({ key, value }: KeyValue, { documents }: DesiredState): boolean {
    const known = documents.get(this.#documentKey(key));
    return !known || decode(DocumentVersionSchema, key, value).version > known.version;
  }

  #takeDocument({ key, value }: KeyValue, documents: Map<string, DocumentVersion>): void {
    documents.set(this.#documentKey(key), decode(DocumentVersionSchema, key, value));
  }

  #takeRetired({ key, value }: KeyValue, retired: Map<string, DocumentVersion>): void {
    retired.set(key.slice(this.#keys.retired.length), decode(DocumentVersionSchema, key, value));
  }

  #documentKey(key: string): string {
    return key.slice(this.#keys.documents.length);
  }

  #readHead({ key, value }: KeyValue): DesiredHead {
    return decode(DesiredHeadSchema, key, value);
  }

  #setOverlay({ key, value, modRevision }: KeyValue): void {
    this.#overlay = decodeOverlay(key, value);
    this.#overlayRevision = modRevision;
  }

  #keepPiece({ key, value }: KeyValue): void {
    const attempt = this.#attemptOf(key);
    const pieces = this.#staged.get(attempt) ?? new Map<string, Uint8Array>();
    this.#staged.set(attempt, pieces.set(key, value));
  }

  #dropPiece(key: string): void {
    const attempt = this.#attemptOf(key);
    const pieces = this.#staged.get(attempt);
    pieces?.delete(key);
    if (pieces?.size === 0) this.#staged.delete(attempt);
  }

  #attemptOf(key: string): string {
    const rest = key.slice(this.#keys.staged.length);
    return rest.slice(0, rest.indexOf("/"));
  }

  #ownPieces({ attempt }: Overlay): readonly (readonly DocumentVersion[])[] {
    const pieces = [...(this.#staged.get(attempt) ?? [])];
    // Nobody needs the bytes any more.
    this.#staged.delete(attempt);
    return pieces.map(([key, value]) => decodePiece(key, value));
  }

  async #pieces(overlay: Overlay, readPieces: ReadPieces): Promise<readonly (readonly DocumentVersion[])[]> {
    if (this.#staged.get(overlay.attempt)?.size === overlay.pieces) return this.#ownPieces(overlay);
    const pieces = await readPieces(overlay);
    if (pieces.length !== overlay.pieces) throw new SnapshotNeeded();
    return pieces;
  }

  #lay(pieces: readonly (readonly DocumentVersion[])[], documents: Map<string, DocumentVersion>): void {
    for (const document of pieces.flat()) {
      const known = documents.get(document.key);
      if (!known || document.version > known.version) documents.set(document.key, document);
    }
  }
}
