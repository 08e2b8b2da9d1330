/** What a write would make of the set: which documents change, to which versions, and what stands in the way. No I/O. */
import { create } from "@bufbuild/protobuf";
import type { WriteDocumentsRequest } from "@wardline/api/wardline/agent/v1/cluster";
import { type DocumentVersion, DocumentVersionSchema } from "@wardline/api/wardline/v1/cluster";
import { isDocumentKey, readClusterDocument } from "@wardline/domain/cluster";
import { textDigest } from "./records.ts";
import * as refuse from "./refusals.ts";
import type { DesiredState } from "./types.ts";

export const MAX_WRITES = 2_000;
export const MAX_WRITE_BYTES = 8 * 1024 * 1024;
/** One document, so that it fits into one value of the store whatever has to be escaped in it. */
export const MAX_DOCUMENT_BYTES = 512 * 1024;

/** A document as it shall be. */
export interface Wanted {
  readonly key: string;
  /** `null` = deleted. */
  readonly text: string | null;
  /** `null` = whatever is there. */
  readonly baseVersion: bigint | null;
  /** The version that it has the content of again; 0 = none. */
  readonly rolledBackTo?: bigint;
}

/** A version without what the write as a whole gives it: set number, author, time, term. */
export type PlannedVersion = Pick<DocumentVersion, "key" | "version" | "deleted" | "text" | "digest" | "rolledBackTo">;

export interface SetPlan {
  readonly changed: readonly PlannedVersion[];
  readonly unchangedKeys: readonly string[];
}

/** Throws `Failure` INVALID_ARGUMENT, TOO_LARGE, POLICY_INVALID, VERSION_CONFLICT. */
export function readWrites(request: WriteDocumentsRequest, state: DesiredState): readonly Wanted[] {
  checkSize(request);
  const wanted = new Map<string, Wanted>();
  for (const [index, { text, deleteKey, baseVersion }] of request.writes.entries()) {
    if ((text === "") === (deleteKey === "")) throw refuse.invalid(`Write ${index + 1} has to name a text or a key.`);
    const key = deleteKey === "" ? keyOf(text, index) : deleteKey;
    if (!isDocumentKey(key)) throw refuse.invalid(`${refuse.shown(key)} is not the key of a document.`);
    if (wanted.has(key)) throw refuse.invalid(`${key} is written twice.`, "Write each document once.");
    wanted.set(key, { key, text: deleteKey === "" ? text : null, baseVersion });
  }
  if (!request.replaceAll) return [...wanted.values()];
  for (const { key, deleted } of state.documents.values()) {
    // Who writes the whole set means that everything else goes, whatever version it has.
    if (!deleted && !wanted.has(key)) wanted.set(key, { key, text: null, baseVersion: null });
  }
  return [...wanted.values()];
}

function checkSize({ writes }: WriteDocumentsRequest): void {
  if (writes.length > MAX_WRITES) {
    throw refuse.tooLarge(`${writes.length} documents are written at once; ${MAX_WRITES} are the limit.`);
  }
  let sum = 0;
  for (const [index, { text }] of writes.entries()) {
    const bytes = Buffer.byteLength(text);
    if (bytes > MAX_DOCUMENT_BYTES) {
      throw refuse.tooLarge(`Write ${index + 1} has ${bytes} bytes; a document may have ${MAX_DOCUMENT_BYTES}.`);
    }
    sum += bytes;
  }
  if (sum > MAX_WRITE_BYTES) {
    throw refuse.tooLarge(`The documents have ${sum} bytes together; ${MAX_WRITE_BYTES} are the limit.`);
  }
}

function keyOf(text: string, index: number): string {
  if (!text.isWellFormed()) throw refuse.invalid(`Write ${index + 1} is not proper text.`);
  const path = `document ${index + 1}`;
  const { key, documentCount, diagnostics } = readClusterDocument(text, path);
  if (key !== null) return key;
  if (diagnostics.some(({ severity }) => severity === "error")) throw refuse.policyErrors(diagnostics);
  const what = documentCount === 0 ? "no document" : `${documentCount} documents`;
  throw refuse.invalid(`Write ${index + 1} holds ${what}; each write is one.`, "Split the file into its documents.");
}

/** Throws `Failure` VERSION_CONFLICT, NOT_FOUND. */
export function planSet(wanted: readonly Wanted[], { documents, retired }: DesiredState): SetPlan {
  const changed: PlannedVersion[] = [];
  const unchangedKeys: string[] = [];
  for (const one of wanted) {
    const newest = documents.get(one.key);
    // Whoever wants what is there already has lost nothing, whatever version it was made from.
    if (isSame(one, newest)) {
      unchangedKeys.push(one.key);
      continue;
    }
    checkBase(one, newest);
    if (!newest && one.text === null) throw refuse.notFound(`${one.key} does not exist.`);
    changed.push({
      key: one.key,
      version: (newest?.version ?? retired.get(one.key)?.version ?? 0n) + 1n,
      deleted: one.text === null,
      text: one.text ?? "",
      digest: one.text === null ? "" : textDigest(one.text),
      rolledBackTo: one.rolledBackTo ?? 0n,
    });
  }
  return { changed, unchangedKeys };
}

function isSame({ text }: Wanted, newest: DocumentVersion | undefined): boolean {
  if (text === null) return newest?.deleted ?? false;
  return newest !== undefined && !newest.deleted && newest.text === text;
}

function checkBase({ key, baseVersion }: Wanted, newest: DocumentVersion | undefined): void {
  if (baseVersion === null || (newest?.version ?? 0n) === baseVersion) return;
  // A new document may take the place of one that is deleted.
  if (baseVersion === 0n && newest?.deleted) return;
  throw refuse.versionConflict(key, baseVersion, newest);
}

/** What the whole write gives to each version. */
export type WriteStamp = Pick<DocumentVersion, "setNumber" | "author" | "reason" | "writtenAt" | "term">;

export function stamped(planned: PlannedVersion, stamp: WriteStamp): DocumentVersion {
  return create(DocumentVersionSchema, { ...planned, ...stamp });
}

/** The documents after the write. */
export function withChanges(
  documents: ReadonlyMap<string, DocumentVersion>,
  changes: readonly DocumentVersion[],
): ReadonlyMap<string, DocumentVersion> {
  const next = new Map(documents);
  for (const change of changes) next.set(change.key, change);
  return next;
}
