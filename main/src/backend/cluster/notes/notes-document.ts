/**
 * Notes that merge by themselves: a text for each subject, into which concurrent edits go letter by letter, and beside it who
 * edited it last. What comes from others is looked through before it is let in.
 */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Note, NoteSchema } from "@wardline/api/wardline/console/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { hasInvisible, replaceInvisible } from "@wardline/domain/text";
import * as Y from "yjs";
import { editBetween, rebasedEdit } from "./text-edit.ts";

/** Of the merged content of many updates; a single edit is far smaller, and agents take 64 KiB of one. */
export const MAX_UPDATE_BYTES = 512 * 1024;
export const MAX_NOTE_CHARACTERS = 4_000;
/** Of what is kept here, unsorted parts included: twice what the agents keep of one document. */
const MAX_STATE_BYTES = 2 * 1024 * 1024;
const MAX_STRUCTS = 50_000;
const MAX_SUBJECTS = 5_000;
const MAX_AUTHOR_CHARACTERS = 200;
const TEXT_PREFIX = "t:";
const META = "meta";
const SUBJECT = /^(host|document|view)\/[^/].{0,299}$/su;
/** 9999-12-31T23:59:59Z (timestamp.proto). */
const LAST_MS = 253_402_300_799_000;

export function isSubject(text: string): boolean {
  return SUBJECT.test(text) && !hasInvisible(text);
}

export interface NoteEdit {
  readonly subject: string;
  readonly text: string;
  /** What the edit began from; absent = whatever is there is replaced. */
  readonly baseText?: string | undefined;
  readonly author: string;
  readonly nowMs: number;
}

export class NotesDocument {
  #document = new Y.Doc();

  /** From what was stored, which this class has written. */
  constructor(state: Uint8Array | null = null) {
    if (state) Y.applyUpdate(this.#document, state);
  }

  /** The whole as one update. */
  encode(): Uint8Array {
    return Y.encodeStateAsUpdate(this.#document);
  }

  /** What this console has written itself. */
  absorb(own: Uint8Array): void {
    Y.applyUpdate(this.#document, own);
  }

  /** Lets updates of others in. Returns how many were refused because they are none, or not of notes. Never throws. */
  apply(updates: readonly Uint8Array[]): number {
    const good: Uint8Array[] = [];
    for (const update of updates) {
      try {
        requireNotes(update);
        good.push(update);
      } catch {
        // Whatever a decoder says of bytes that mean harm.
      }
    }
    let refused = updates.length - good.length;
    for (const update of good) refused += this.#applyOne(update) ? 0 : 1;
    return refused;
  }

  /** Returns what others have to be told; `null` when nothing changed. */
  edit({ subject, text, baseText, author, nowMs }: NoteEdit): Uint8Array | null {
    const shared = this.#document.getText(TEXT_PREFIX + subject);
    const now = shared.toString();
    const edit = baseText === undefined ? editBetween(now, text) : rebasedEdit(baseText, text, now);
    if (edit === null) return null;
    const before = Y.encodeStateVector(this.#document);
    this.#document.transact(() => {
      shared.delete(edit.from, edit.removed);
      shared.insert(edit.from, edit.inserted);
      this.#document.getMap(META).set(subject, { author: author.slice(0, MAX_AUTHOR_CHARACTERS), at: nowMs });
    });
    return Y.encodeStateAsUpdate(this.#document, before);
  }

  textOf(subject: string): string {
    return this.#document.getText(TEXT_PREFIX + subject).toString();
  }

  /** By subject. Removed ones are left out. */
  list(): Note[] {
    const subjects = [...this.#document.share.keys()]
      .filter((name) => name.startsWith(TEXT_PREFIX))
      .map((name) => name.slice(TEXT_PREFIX.length))
      .filter(isSubject)
      .sort()
      .slice(0, MAX_SUBJECTS);
    return subjects.flatMap((subject) => {
      const text = harmless(this.textOf(subject)).slice(0, MAX_NOTE_CHARACTERS);
      return text === "" ? [] : [this.#note(subject, text)];
    });
  }

  #note(subject: string, text: string): Note {
    const meta: unknown = this.#document.getMap(META).get(subject);
    const { author, at } = (typeof meta === "object" && meta !== null ? meta : {}) as Record<string, unknown>;
    const note = create(NoteSchema, { subject, text });
    if (typeof author === "string") note.author = harmless(author.slice(0, MAX_AUTHOR_CHARACTERS));
    if (typeof at === "number" && at > 0 && at < LAST_MS) note.editedAt = timestampFromMs(Math.trunc(at));
    return note;
  }

  /** A failure half-way leaves a document that nobody can trust: then it is as it was before. */
  #applyOne(update: Uint8Array): boolean {
    const before = this.encode();
    try {
      Y.applyUpdate(this.#document, update);
      if (this.encode().length <= MAX_STATE_BYTES) return true;
    } catch {
      // As above.
    }
    this.#document = new Y.Doc();
    Y.applyUpdate(this.#document, before);
    return false;
  }
}

/** Line breaks are part of a note; nothing else in it acts. */
function harmless(text: string): string {
  if (!hasInvisible(text)) return text;
  return text
    .split("\n")
    .map((line) => replaceInvisible(line, (codePoint) => `\\u{${codePoint.toString(16)}}`))
    .join("\n");
}

/** The bytes are an update, and one of texts and their authors. @throws Failure TOO_LARGE, INVALID_ARGUMENT, and of the decoder */
export function requireNotes(update: Uint8Array): void {
  if (update.length > MAX_UPDATE_BYTES) throw refused(ErrorCode.TOO_LARGE, "it is larger than 512 KiB");
  const { structs } = Y.decodeUpdate(update);
  if (structs.length > MAX_STRUCTS) throw refused(ErrorCode.TOO_LARGE, "it has too many parts");
  for (const struct of structs) {
    if (!Number.isSafeInteger(struct.id.clock + struct.length)) throw refused(ErrorCode.INVALID_ARGUMENT, "its clock");
    if (!(struct instanceof Y.Item)) continue;
    const { content } = struct;
    // Undecided while it is only decoded: a name, another item, or nothing.
    const parent: unknown = struct.parent;
    const isText = content instanceof Y.ContentString || content instanceof Y.ContentDeleted;
    if (!isText && !(content instanceof Y.ContentAny)) throw refused(ErrorCode.INVALID_ARGUMENT, "its content");
    // A name is there where the item has no neighbour; the others belong where their neighbours do.
    if (typeof parent !== "string") continue;
    const isKnown = parent === META || (parent.startsWith(TEXT_PREFIX) && isSubject(parent.slice(TEXT_PREFIX.length)));
    if (!isKnown) throw refused(ErrorCode.INVALID_ARGUMENT, "its subject");
  }
}

function refused(code: ErrorCode, why: string): Failure {
  return new Failure({ code, message: `An update of the notes was refused: ${why}.` });
}
