/**
 * Shared notes: updates of documents that merge by themselves, under their numbers. This side never looks into them; it
 * keeps them in order and in bounds. Whoever has applied all that is kept has everything, in whatever order and however often.
 */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Keys } from "../keys.ts";
import type { HeldTerm } from "../ports.ts";
import type { ClusterStore, Compare, KeyValue, Operation } from "../store/clusterStore.ts";

export const MAX_KEPT_UPDATES = 500;
export const MAX_DOCUMENT_BYTES = 1024 * 1024;
export const MAX_DOCUMENTS = 16;
/** etcd takes 128 operations in one transaction unless it is told otherwise. */
const MAX_REMOVED_AT_ONCE = 100;
const MAX_ATTEMPTS = 10;

export interface PushedNote {
  readonly number: bigint;
  /** How many updates are kept now. */
  readonly kept: number;
}

export interface NotesUpdate {
  readonly updates: readonly Uint8Array[];
  /** Number of the newest one seen so far; 0 = there is none. */
  readonly upTo: bigint;
}

export interface NoteStorePorts {
  readonly store: ClusterStore;
  readonly keys: Keys;
}

export class NoteStore {
  readonly #ports: NoteStorePorts;

  constructor(ports: NoteStorePorts) {
    this.#ports = ports;
  }

  /**
   * Keeps one more update, under the leader's fence. With `replacesUpTo` the update holds the merged content of all up to
   * that number, and they go: in the same transaction up to 100 of them, the rest at once afterwards, which loses nothing
   * because the merged one is kept already. Throws `Failure` TOO_LARGE, VERSION_CONFLICT (that number was never given),
   * NOT_LEADER, STORE_UNAVAILABLE.
   */
  async push(document: string, update: Uint8Array, replacesUpTo: bigint, term: HeldTerm): Promise<PushedNote> {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
      if (term.signal.aborted) throw notLeading();
      const pushed = await this.#tryPush(document, update, replacesUpTo, term);
      if (pushed !== null) return pushed;
    }
    throw new Failure({
      code: ErrorCode.VERSION_CONFLICT,
      message: "Others write to these notes all the time: the update was not kept.",
      retryable: true,
    });
  }

  /** Everything at once, then what is new, and everything again when the store no longer keeps what came between. */
  async *watch(document: string, signal: AbortSignal): AsyncGenerator<NotesUpdate> {
    const { store, keys } = this.#ports;
    const prefix = keys.notesOf(document);
    while (!signal.aborted) {
      const { items, revision } = await store.range(prefix, { signal });
      let upTo = newestOf(items);
      yield { updates: items.map(({ value }) => value), upTo };
      try {
        for await (const { events } of store.watch({ prefix, fromRevision: revision + 1n, signal })) {
          const added = events.filter(({ kind }) => kind === "put").map(({ item }) => item);
          if (added.length === 0) continue;
          const newest = newestOf(added);
          upTo = newest > upTo ? newest : upTo;
          yield { updates: added.map(({ value }) => value), upTo };
        }
      } catch (error) {
        if (!(error instanceof Failure && error.code === ErrorCode.COMPACTED)) throw error;
      }
    }
  }

  /** `null` = somebody else was faster. */
  async #tryPush(
    document: string,
    update: Uint8Array,
    replacesUpTo: bigint,
    term: HeldTerm,
  ): Promise<PushedNote | null> {
    const { store, keys } = this.#ports;
    const { items } = await store.range(keys.notesOf(document));
    if (items.length === 0) await this.#refuseTooManyDocuments();
    const newest = newestOf(items);
    if (replacesUpTo > newest) throw neverGiven(replacesUpTo, newest);
    const isReplaced = ({ key }: KeyValue) => numberOf(key) <= replacesUpTo;
    const replaced = items.filter(isReplaced).map(({ key }) => key);
    const rest = items.filter((item) => !isReplaced(item));
    refuseBeyondBounds(document, rest, update);
    const number = newest + 1n;
    const key = keys.note(document, number);
    const { succeeded } = await store.transact({
      compare: [...term.fence, { key, target: "create", operator: "=", number: 0n }, ...unchanged(items.at(-1))],
      then: [{ kind: "put", key, value: update }, ...replaced.slice(0, MAX_REMOVED_AT_ONCE).map(removal)],
    });
    if (!succeeded) return null;
    await this.#remove(replaced.slice(MAX_REMOVED_AT_ONCE), term);
    return { number, kept: rest.length + 1 };
  }

  async #remove(keys: readonly string[], term: HeldTerm): Promise<void> {
    for (let from = 0; from < keys.length; from += MAX_REMOVED_AT_ONCE) {
      const then = keys.slice(from, from + MAX_REMOVED_AT_ONCE).map(removal);
      await this.#ports.store.transact({ compare: term.fence, then });
    }
  }

  async #refuseTooManyDocuments(): Promise<void> {
    const { store, keys } = this.#ports;
    const { items } = await store.range(keys.notes, { keysOnly: true });
    const documents = new Set(items.map(({ key }) => key.slice(keys.notes.length).split("/")[0]));
    if (documents.size < MAX_DOCUMENTS) return;
    throw new Failure({
      code: ErrorCode.TOO_LARGE,
      message: `There are ${documents.size} documents of notes already; ${MAX_DOCUMENTS} are the limit.`,
    });
  }
}

const removal = (key: string): Operation => ({ kind: "delete", key });

function numberOf(key: string): bigint {
  const digits = key.slice(key.lastIndexOf("/") + 1);
  return /^\d{1,20}$/.test(digits) ? BigInt(digits) : 0n;
}

function newestOf(items: readonly Pick<KeyValue, "key">[]): bigint {
  return items.reduce((newest, { key }) => (numberOf(key) > newest ? numberOf(key) : newest), 0n);
}

/** Without this a number could come again: the next one may have been given and replaced since it was looked for. */
function unchanged(item: KeyValue | undefined): Compare[] {
  return item === undefined ? [] : [{ key: item.key, target: "mod", operator: "=", number: item.modRevision }];
}

function refuseBeyondBounds(document: string, rest: readonly KeyValue[], update: Uint8Array): void {
  const sizeBytes = rest.reduce((sum, { value }) => sum + value.length, update.length);
  const isTooMany = rest.length + 1 > MAX_KEPT_UPDATES;
  if (!isTooMany && sizeBytes <= MAX_DOCUMENT_BYTES) return;
  throw new Failure({
    code: ErrorCode.TOO_LARGE,
    message: isTooMany
      ? `${MAX_KEPT_UPDATES} updates of the notes "${document}" are kept; that is the limit.`
      : `The notes "${document}" would have ${sizeBytes} bytes; ${MAX_DOCUMENT_BYTES} are the limit.`,
    hint: "Merge the updates that are kept into one and push that in their place.",
  });
}

function neverGiven(asked: bigint, newest: bigint): Failure {
  return new Failure({
    code: ErrorCode.VERSION_CONFLICT,
    message: `The newest update of these notes has the number ${newest}; up to ${asked} was to be replaced.`,
    hint: "Read the notes again.",
  });
}

function notLeading(): Failure {
  return new Failure({
    code: ErrorCode.NOT_LEADER,
    message: "This node no longer leads: the update was not kept.",
    retryable: true,
  });
}
