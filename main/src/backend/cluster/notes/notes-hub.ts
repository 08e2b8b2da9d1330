/** The shared notes of every cluster: followed while somebody looks, kept here, and told to the cluster when it can be. */
import { create } from "@bufbuild/protobuf";
import { type NoteList, NoteListSchema } from "@wardline/api/wardline/console/v1/activity";
import type { SetNoteRequest } from "@wardline/api/wardline/console/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import * as Y from "yjs";
import { agentFailure } from "../../agent/agent-failure.ts";
import type { ClusterClient } from "../../agent/dialer.ts";
import { ChangeSignal } from "../../async/signal.ts";
import type { Clock, Logger } from "../../ports.ts";
import type { ClusterNotesTable } from "../../store/cluster-notes-table.ts";
import { READ_TIMEOUT_MS, WRITE_TIMEOUT_MS } from "../cluster-calls.ts";
import type { ClusterGateway } from "../cluster-gateway.ts";
import { requireFailure } from "../member-choice.ts";
import { invalid } from "../requests.ts";
import { isSubject, MAX_NOTE_CHARACTERS, MAX_UPDATE_BYTES, type NoteEdit, NotesDocument } from "./notes-document.ts";

/** One document for each kind of subject: an edit of a view does not grow the notes of hosts. */
const DOCUMENTS = { host: "hosts", document: "policies", view: "views" } as const;
const DOCUMENT_NAMES = Object.values(DOCUMENTS);
const MERGE_ABOVE = 100;
const RETRY_MS = 3_000;
const LONGEST_SILENCE_MS = 60_000;
const SHORTEST_INTERVAL_MS = 250;
/** At once; an agent keeps no more. */
const MAX_UPDATES_AT_ONCE = 500;

export interface NotesPorts {
  readonly gateway: ClusterGateway;
  readonly table: ClusterNotesTable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly userName: string;
  /** Nothing is told to a cluster then. */
  readonly isReadOnly: boolean;
}

interface OpenNotes {
  readonly clusterName: string;
  readonly clusterKey: string;
  readonly documentName: string;
  readonly document: NotesDocument;
  /** Where edits are made: they come into the document only once the cluster has taken them, or cannot be asked. */
  draft: NotesDocument;
  /** Edits one after the other: each builds on the one before. */
  editing: Promise<unknown>;
  /** Number up to which everything of the cluster is in the document. */
  upTo: bigint;
}

export class NotesHub {
  readonly changes = new ChangeSignal();
  readonly #ports: NotesPorts;
  readonly #open = new Map<string, OpenNotes>();
  readonly #followers = new Map<string, AbortController>();
  #lookers = 0;
  #leaveGateway: () => void = () => {};

  constructor(ports: NotesPorts) {
    this.#ports = ports;
    for (const { cluster, document } of ports.table.all()) this.#notes(cluster, document);
  }

  /** All notes at once, then after each change, for as long as the signal allows. */
  async *follow(signal: AbortSignal): AsyncGenerator<NoteList> {
    const leave = this.#look();
    signal.addEventListener("abort", leave, { once: true });
    try {
      for (let sent = -1; !signal.aborted; ) {
        const seen = this.changes.version;
        if (seen !== sent) yield this.list();
        sent = seen;
        await this.#ports.clock.sleep(SHORTEST_INTERVAL_MS, signal);
        await this.changes.wait(seen, LONGEST_SILENCE_MS, signal);
      }
    } finally {
      signal.removeEventListener("abort", leave);
      leave();
    }
  }

  /** By the name of the cluster, then by subject. Of clusters that cannot be reached what was last known. */
  list(): NoteList {
    const byCluster = new Map<string, OpenNotes[]>();
    for (const notes of this.#open.values()) {
      byCluster.set(notes.clusterName, [...(byCluster.get(notes.clusterName) ?? []), notes]);
    }
    const clusters = [...byCluster]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([clusterName, all]) => ({ clusterName, notes: all.flatMap(({ document }) => document.list()) }));
    return create(NoteListSchema, { clusters });
  }

  /** What the cluster has now, without following it. @throws Failure */
  async fetch(clusterName: string): Promise<NoteList> {
    const { key, name } = await this.#ports.gateway.require(clusterName);
    for (const documentName of DOCUMENT_NAMES) await this.#fetchOne(this.#notes(key, documentName), name);
    return this.list();
  }

  /**
   * Kept here at once, and told to the cluster; when that cannot be reached, as soon as it can be.
   * @throws Failure INVALID_ARGUMENT, TOO_LARGE, NOT_FOUND, PERMISSION_DENIED: then nothing was kept
   */
  async set({ clusterName, subject, text, baseText }: SetNoteRequest): Promise<void> {
    if (!isSubject(subject)) {
      throw invalid("This is nothing that has notes.", "Subjects are host/NAME, document/KEY and view/NAME.");
    }
    if (text.length > MAX_NOTE_CHARACTERS) {
      throw new Failure({
        code: ErrorCode.TOO_LARGE,
        message: `The note has ${text.length.toLocaleString("en")} characters; up to 4,000 are kept.`,
      });
    }
    const notes = this.#notes(await this.#keyOf(clusterName), documentOf(subject));
    // Else the whole text would be written beside what others have written already.
    if (notes.upTo === 0n) await this.#fetchOne(notes, clusterName).catch(requireReachable);
    const { userName: author, clock } = this.#ports;
    const edited = notes.editing.then(() =>
      this.#edit(notes, { subject, text, baseText, author, nowMs: clock.nowMs() }),
    );
    notes.editing = edited.catch(() => {});
    await edited;
  }

  async #edit(notes: OpenNotes, edit: NoteEdit): Promise<void> {
    notes.draft.absorb(notes.document.encode());
    const update = notes.draft.edit(edit);
    if (update === null) return;
    const outcome = await this.#send(notes, update).catch((error: unknown) => requireFailure(error));
    if (outcome instanceof Failure && !isForLater(outcome)) {
      // The cluster will never take it, and the next edit must not build on it.
      notes.draft = new NotesDocument(notes.document.encode());
      throw outcome;
    }
    notes.document.absorb(update);
    this.#store(notes, outcome instanceof Failure ? update : null);
    this.changes.notify();
    if (!(outcome instanceof Failure)) await this.#afterSending(notes, outcome);
  }

  #notes(clusterKey: string, documentName: string): OpenNotes {
    const id = `${clusterKey} ${documentName}`;
    const known = this.#open.get(id);
    if (known) return known;
    const stored = this.#ports.table.find(clusterKey, documentName);
    const clusterName = clusterKey.slice(0, clusterKey.indexOf(" "));
    const document = new NotesDocument(stored?.state ?? null);
    const draft = new NotesDocument();
    const editing = Promise.resolve();
    const notes: OpenNotes = { clusterName, clusterKey, documentName, document, draft, editing, upTo: 0n };
    this.#open.set(id, notes);
    return notes;
  }

  /** Also of a cluster that no host can be asked about now. */
  async #keyOf(clusterName: string): Promise<string> {
    try {
      return (await this.#ports.gateway.require(clusterName)).key;
    } catch (error) {
      const keys = new Set([...this.#open.values()].map(({ clusterKey }) => clusterKey));
      const [only, second] = [...keys].filter((key) => key.startsWith(`${clusterName} `));
      if (only !== undefined && second === undefined) return only;
      throw error;
    }
  }

  #look(): () => void {
    const { gateway } = this.#ports;
    if (this.#lookers++ === 0) {
      const leaveGateway = gateway.look();
      const unsubscribe = gateway.changes.subscribe(() => this.#reconcile());
      this.#leaveGateway = () => {
        unsubscribe();
        leaveGateway();
      };
      this.#reconcile();
    }
    let isLooking = true;
    return () => {
      if (!isLooking) return;
      isLooking = false;
      if (--this.#lookers > 0) return;
      this.#leaveGateway();
      for (const follower of this.#followers.values()) follower.abort();
      this.#followers.clear();
    };
  }

  #reconcile(): void {
    const keys = new Map(this.#ports.gateway.list().map(({ key, name }) => [key, name]));
    for (const [key, follower] of this.#followers) {
      if (keys.has(key)) continue;
      follower.abort();
      this.#followers.delete(key);
    }
    for (const [key, name] of keys) {
      if (this.#followers.has(key)) continue;
      const controller = new AbortController();
      this.#followers.set(key, controller);
      for (const documentName of DOCUMENT_NAMES) {
        this.#followOne(this.#notes(key, documentName), name, controller.signal).catch((error: unknown) =>
          this.#ports.logger.error({ cluster: name, err: error }, "following notes ended by a defect"),
        );
      }
    }
  }

  async #followOne(notes: OpenNotes, clusterName: string, signal: AbortSignal): Promise<void> {
    const { gateway, clock, logger } = this.#ports;
    for (let attempt = 0; !signal.aborted; attempt++) {
      const members = gateway.connectedMembers(notes.clusterKey);
      const client = members[attempt % Math.max(1, members.length)]?.connection.cluster;
      try {
        if (client) await this.#readStream(notes, client, signal);
      } catch (error) {
        if (signal.aborted) return;
        const { code, message } = agentFailure(error, clusterName);
        const level = code === ErrorCode.INTERNAL ? "warn" : "debug";
        logger[level]({ cluster: clusterName, code, problem: message }, "notes not followed");
      }
      await clock.sleep(RETRY_MS, signal);
    }
  }

  /** A gap means that updates were lost: the next stream begins with all of them. */
  async #readStream(notes: OpenNotes, client: ClusterClient, signal: AbortSignal): Promise<void> {
    let expected = 1n;
    for await (const message of client.watchNotes({ document: notes.documentName }, { signal })) {
      if (message.sequence !== expected++) return;
      await this.#takeIn(notes, message.updates, message.upTo);
      if (message.sequence === 1n) {
        await this.#sendUnsent(notes).catch((error: unknown) => void requireFailure(error));
      }
    }
  }

  async #fetchOne(notes: OpenNotes, clusterName: string): Promise<void> {
    await this.#ports.gateway.read(clusterName, async (client) => {
      const stop = AbortSignal.timeout(READ_TIMEOUT_MS);
      const ending = new AbortController();
      try {
        const signal = AbortSignal.any([stop, ending.signal]);
        for await (const message of client.watchNotes({ document: notes.documentName }, { signal })) {
          await this.#takeIn(notes, message.updates, message.upTo);
          return;
        }
      } finally {
        ending.abort();
      }
    });
  }

  /** In pieces, so that a hostile pile of updates keeps nobody else waiting. */
  async #takeIn(notes: OpenNotes, updates: readonly Uint8Array[], upTo: bigint): Promise<void> {
    let refused = Math.max(0, updates.length - MAX_UPDATES_AT_ONCE);
    for (const update of updates.slice(0, MAX_UPDATES_AT_ONCE)) {
      refused += notes.document.apply([update]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    notes.upTo = upTo > notes.upTo ? upTo : notes.upTo;
    if (refused > 0) {
      this.#ports.logger.warn({ cluster: notes.clusterName, refused }, "updates of notes refused");
    }
    if (updates.length === 0) return;
    this.#store(notes, null);
    this.changes.notify();
  }

  /** What is stored may hold what another process has written: it stays, and comes in. */
  #store(notes: OpenNotes, unsent: Uint8Array | null): void {
    this.#ports.table.update(notes.clusterKey, notes.documentName, (before) => {
      if (before) notes.document.absorb(before.state);
      return { state: notes.document.encode(), unsent: merged(before?.unsent ?? null, unsent) };
    });
  }

  /** What could not be told before goes first. Applying an update twice changes nothing. @throws Failure */
  async #sendUnsent(notes: OpenNotes): Promise<void> {
    const { table, isReadOnly } = this.#ports;
    if (isReadOnly) return;
    const { unsent = null } = table.find(notes.clusterKey, notes.documentName) ?? {};
    if (unsent === null) return;
    const kept = await this.#send(notes, unsent);
    table.update(notes.clusterKey, notes.documentName, (before) => {
      const left = before?.unsent ?? null;
      const isAll = left !== null && isSame(left, unsent);
      return { state: before?.state ?? notes.document.encode(), unsent: isAll ? null : left };
    });
    await this.#afterSending(notes, kept);
  }

  /** Returns how many updates the cluster keeps now. @throws Failure */
  async #send(notes: OpenNotes, update: Uint8Array): Promise<number> {
    const request = { document: notes.documentName, update };
    const { kept } = await this.#ports.gateway.write(
      notes.clusterName,
      (client) => client.pushNotes(request, { timeoutMs: WRITE_TIMEOUT_MS }),
      { isRepeatable: true },
    );
    return kept;
  }

  async #afterSending(notes: OpenNotes, kept: number): Promise<void> {
    if (kept > MERGE_ABOVE) await this.#replace(notes);
  }

  /** One update in place of all that this console has seen. A failure costs nothing: the next writer tries again. */
  async #replace(notes: OpenNotes): Promise<void> {
    const update = notes.document.encode();
    if (notes.upTo === 0n || update.length > MAX_UPDATE_BYTES) return;
    const request = { document: notes.documentName, update, replacesUpTo: notes.upTo };
    try {
      await this.#ports.gateway.write(notes.clusterName, (client) =>
        client.pushNotes(request, { timeoutMs: WRITE_TIMEOUT_MS }),
      );
    } catch (error) {
      const { code, message } = requireFailure(error);
      this.#ports.logger.warn({ cluster: notes.clusterName, code, problem: message }, "notes not merged");
    }
  }
}

function documentOf(subject: string): string {
  const kind = subject.slice(0, subject.indexOf("/")) as keyof typeof DOCUMENTS;
  return DOCUMENTS[kind];
}

function merged(before: Uint8Array | null, more: Uint8Array | null): Uint8Array | null {
  if (before === null || more === null) return more ?? before;
  return Y.mergeUpdates([before, more]);
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}

/** The cluster was not asked, or could not answer now. */
function isForLater({ code }: Failure): boolean {
  return [
    ErrorCode.AGENT_UNREACHABLE,
    ErrorCode.AGENT_MISSING,
    ErrorCode.HOST_UNREACHABLE,
    ErrorCode.DEADLINE_EXCEEDED,
    ErrorCode.STORE_UNAVAILABLE,
    ErrorCode.NOT_LEADER,
    ErrorCode.NOT_FOUND,
  ].includes(code);
}

function requireReachable(error: unknown): void {
  const failure = requireFailure(error);
  if (!isForLater(failure)) throw failure;
}
