/**
 * Changes one value of a policy file and leaves every other byte as it is: comments, order, quotes, indentation, line ends.
 * Each change is proved before it is given: the new text is read again and must say the old value with just that change.
 */
import type { DiagnosticFix } from "../diagnostic.ts";
import type { SourceFile } from "../model.ts";
import { DEFAULT_READ_LIMITS } from "../yaml/limits.ts";
import { LineIndex } from "../yaml/line-index.ts";
import type { YamlNode } from "../yaml/node.ts";
import { type DocumentText, splitDocuments } from "../yaml/split.ts";
import { addEntry, insertItem, type Page, removeEntry, removeItem, replaceValue } from "./changes.ts";
import { applySpanEdits, lineEndOf, type SpanEdit } from "./lines.ts";
import {
  areOthersKept,
  describePath,
  type Found,
  findValue,
  HAS_DIRECTIVES,
  isJson,
  readOneDocument,
  TOO_LARGE,
} from "./opened.ts";
import { isList, isSameValue, mappingOf, readValue, type ValuePath, withValueAt, type YamlValue } from "./value.ts";

/** Replacements in the text that was given, as those of a fix. */
export type TextEdits = DiagnosticFix["edits"];

export type EditResult =
  | { readonly ok: true; readonly edits: TextEdits; readonly text: string }
  /** Why nothing was changed, as a sentence. */
  | { readonly ok: false; readonly reason: string };

/**
 * Sets the value at the path. A key that the last mapping on the way does not have is added behind its others.
 * `documentIndex` counts the documents of the file that have a value, from 0. Never throws.
 */
export function editDocument(file: SourceFile, documentIndex: number, path: ValuePath, value: YamlValue): EditResult {
  return change(file, documentIndex, path, (page, found) => {
    const { node, parent, step, holder } = found;
    if (node) return { edit: replaceValue(page, node, holder, value), change: () => value };
    if (parent?.kind !== "map" || typeof step !== "string") return null;
    const edit =
      parent.entries.length > 0 || page.text[parent.start] === "{" ? addEntry(page, parent, step, value) : null;
    return edit && { edit, change: () => value };
  });
}

/** Puts a value into the list at the path, before the item `index`; the length of the list means behind the last. */
export function insertIntoList(
  file: SourceFile,
  documentIndex: number,
  path: ValuePath,
  index: number,
  value: YamlValue,
): EditResult {
  return change(file, documentIndex, path, (page, { node, holder }) => {
    if (node?.kind !== "list" || index < 0 || index > node.items.length) return null;
    const edit =
      node.items.length === 0 ? replaceValue(page, node, holder, [value]) : insertItem(page, node, index, value);
    return (
      edit && {
        edit,
        change: (old) => (isList(old ?? null) ? (old as readonly YamlValue[]).toSpliced(index, 0, value) : null),
      }
    );
  });
}

/** Removes the entry or the list item at the path. What it leaves empty stays, as `[]` or `{}`. */
export function deleteFromDocument(file: SourceFile, documentIndex: number, path: ValuePath): EditResult {
  const last = path.at(-1);
  if (last === undefined) return { ok: false, reason: "The root of a document cannot be deleted." };
  return change(file, documentIndex, path.slice(0, -1), (page, { node, holder }) => {
    if (node?.kind === "list" && typeof last === "number" && node.items[last]) {
      const edit = removeItem(page, node, last) ?? replaceValue(page, node, holder, []);
      return { edit, change: (old) => (old as readonly YamlValue[]).toSpliced(last, 1) };
    }
    const index = node?.kind === "map" ? node.entries.findIndex((entry) => entry.key === last) : -1;
    if (node?.kind !== "map" || index < 0) return null;
    const edit = removeEntry(page, node, index) ?? replaceValue(page, node, holder, {});
    return { edit, change: (old) => mappingOf(Object.entries(old as object).filter(([key]) => key !== last)) };
  });
}

interface Planned {
  readonly edit: SpanEdit;
  /** What becomes of the value at the path; `undefined` stands for none. */
  readonly change: (old: YamlValue | undefined) => YamlValue;
}

type Plan = (page: Page, found: Found) => Planned | null;

function change(file: SourceFile, documentIndex: number, path: ValuePath, plan: Plan): EditResult {
  const opened = openDocument(file, documentIndex);
  if ("reason" in opened) return { ok: false, reason: opened.reason };
  const { document, root } = opened;
  const style = { isJson: isJson(document.text, root), lineEnd: lineEndOf(file.text) };
  const page: Page = { text: document.text, style };
  const found = findValue(page, root, path);
  const planned = found && plan(page, found);
  if (!planned) return { ok: false, reason: `There is nothing at ${describePath(path)} that this change fits.` };
  const { start, end, newText } = planned.edit;
  const span = { start: start + document.offset, end: end + document.offset };
  const text = applySpanEdits(file.text, [{ ...span, newText }]);
  const expected = withValueAt(readValue(root), path, planned.change);
  if (!saysOnly(text, opened, expected)) {
    return { ok: false, reason: `The value at ${describePath(path)} cannot be changed without changing more than it.` };
  }
  const range = new LineIndex(file.path, file.text).range(span);
  return {
    ok: true,
    edits: [{ range, newText }],
    text,
  };
}

interface Opened {
  readonly documents: readonly DocumentText[];
  readonly document: DocumentText;
  readonly root: YamlNode;
}

/** Whether the text has the documents that it had, and the one that was opened now has the value. */
function saysOnly(text: string, { documents, document }: Opened, value: YamlValue): boolean {
  const after = splitDocuments(text);
  const changed = documents.indexOf(document);
  if (!after || !areOthersKept(documents, after, changed)) return false;
  const { root } = readOneDocument(after[changed]!.text);
  return root ? isSameValue(readValue(root), value) : false;
}

function openDocument(file: SourceFile, documentIndex: number): Opened | { readonly reason: string } {
  if (file.text.length > DEFAULT_READ_LIMITS.maxFileLength) return { reason: TOO_LARGE };
  const documents = splitDocuments(file.text);
  if (!documents) return { reason: HAS_DIRECTIVES };
  let index = -1;
  for (const document of documents) {
    const { root, mistake } = readOneDocument(document.text);
    if (mistake) return { reason: "The file has mistakes in its syntax; correct them first." };
    if (root) index += 1;
    if (root && index === documentIndex) return { documents, document, root };
  }
  return { reason: `The file has no document ${documentIndex}.` };
}
