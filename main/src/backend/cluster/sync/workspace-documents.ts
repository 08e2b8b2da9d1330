/** The documents that the files of a workspace hold, and files in which some of them are exchanged. */
import {
  type ClusterDocument,
  type DocumentSide,
  isDocumentKey,
  joinDocuments,
  readClusterDocuments,
} from "@wardline/domain/cluster";
import type { Diagnostic } from "@wardline/domain/policy";

export interface SourceText {
  readonly path: string;
  readonly text: string;
}

export interface PlacedDocument {
  readonly path: string;
  readonly text: string;
}

export interface WorkspaceDocuments {
  readonly documents: ReadonlyMap<string, PlacedDocument>;
  readonly diagnostics: readonly Diagnostic[];
  /** False when something could not be told by a name: then a document might be missing here. */
  readonly ok: boolean;
}

/** Of two files with one document the first counts; the policy engine says so as an error. */
export function readDocuments(files: readonly SourceText[]): WorkspaceDocuments {
  const documents = new Map<string, PlacedDocument>();
  const diagnostics: Diagnostic[] = [];
  let ok = true;
  for (const file of files) {
    const reading = readClusterDocuments(file);
    ok &&= reading.ok;
    diagnostics.push(...reading.diagnostics);
    for (const { key, text } of reading.documents) {
      if (!documents.has(key)) documents.set(key, { path: file.path, text });
    }
  }
  return { documents, diagnostics, ok };
}

export interface ChangedFiles {
  /** All files of the workspace as they shall be. */
  readonly files: readonly SourceText[];
  /** Of those that were changed, made or deleted. */
  readonly paths: readonly string[];
}

/**
 * Puts texts in place of documents, each in the file that it stands in; `null` takes a document out, and an empty file away. New
 * ones get files of their own. Nothing else of a file changes by a byte.
 */
export function withDocuments(files: readonly SourceText[], changes: ReadonlyMap<string, DocumentSide>): ChangedFiles {
  const left = new Map(changes);
  const paths: string[] = [];
  const next: SourceText[] = [];
  for (const file of files) {
    const { documents, ok } = readClusterDocuments(file);
    const isTouched = ok && documents.some(({ key }) => left.has(key));
    if (!isTouched) {
      next.push(file);
      continue;
    }
    const kept = parted(documents.flatMap((document) => changed(document, left)));
    for (const { key } of documents) left.delete(key);
    const text = joinDocuments(kept);
    if (text !== file.text) paths.push(file.path);
    if (kept.length > 0) next.push({ path: file.path, text });
  }
  const taken = new Set(next.map(({ path }) => path));
  for (const [key, text] of left) {
    if (text === null || !isDocumentKey(key)) continue;
    const path = freePath(key, taken);
    taken.add(path);
    next.push({ path, text });
    paths.push(path);
  }
  return { files: next, paths };
}

function changed(document: ClusterDocument, changes: ReadonlyMap<string, DocumentSide>): ClusterDocument[] {
  if (!changes.has(document.key)) return [document];
  const text = changes.get(document.key) ?? null;
  if (text === null) return [];
  return [{ ...document, text }];
}

/** What follows a document begins in a line of its own. */
function parted(documents: readonly ClusterDocument[]): ClusterDocument[] {
  return documents.map((document, index) => {
    const isLast = index === documents.length - 1;
    return isLast || document.text.endsWith("\n") ? document : { ...document, text: `${document.text}\n` };
  });
}

/** `policy/default/web.yaml`, `host/web-1.yaml`. */
function freePath(key: string, taken: ReadonlySet<string>): string {
  const stem = key.replace("/-/", "/");
  for (let number = 1; ; number++) {
    const path = number === 1 ? `${stem}.yaml` : `${stem}-${number}.yaml`;
    if (!taken.has(path)) return path;
  }
}
