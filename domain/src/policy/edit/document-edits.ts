/** Adds, removes, copies and switches off whole documents of a file. The bytes of all others stay. */
import { type DocumentText, splitDocuments } from "../yaml/split.ts";
import { OFF_MARK, switchedOff, switchedOn } from "./blocks.ts";
import { editForm } from "./form-edit.ts";
import { type DocumentEdit, type FormEditResult, IN_THE_TEXT } from "./form-edits.ts";
import { applySpanEdits, lineEndOf, type SpanEdit } from "./lines.ts";
import { areOthersKept, HAS_DIRECTIVES, readOneDocument } from "./opened.ts";

export function planDocumentEdit(text: string, edit: DocumentEdit): FormEditResult {
  const documents = splitDocuments(text);
  if (!documents) return { ok: false, reason: `${HAS_DIRECTIVES} ${IN_THE_TEXT}` };
  if (edit.kind === "add-document") return addition(text, documents, edit.after, edit.text);
  const document = documents[edit.part];
  if (!document) return { ok: false, reason: `The file has no document ${edit.part + 1}.` };
  switch (edit.kind) {
    case "remove-document":
      return made(text, [{ start: document.offset, end: document.offset + document.text.length, newText: "" }]);
    case "duplicate-document":
      return duplication(text, documents, edit.part, edit.name);
    case "disable-document":
      return switching(text, documents, edit.part, switchOff(document.text));
    case "enable-document":
      return switching(text, documents, edit.part, switchOn(document.text));
  }
}

function made(text: string, spans: readonly SpanEdit[]): FormEditResult {
  return { ok: true, text: applySpanEdits(text, spans), spans };
}

/** Whether nothing in the part is more than a comment. */
function isBlank(text: string): boolean {
  return /^\uFEFF?(?:---)?\s*$/.test(text);
}

function addition(text: string, documents: readonly DocumentText[], after: number, added: string): FormEditResult {
  const lineEnd = lineEndOf(text);
  const body = added.replace(/^---\r?\n/, "").replace(/\r?\n/g, lineEnd);
  const closed = body.endsWith("\n") || body === "" ? body : body + lineEnd;
  const count = splitDocuments(closed)?.length ?? 0;
  if (isBlank(text) && !text.includes("---")) return checked(text, text.length, closed, documents, 0, count);
  if (after < 0) {
    const bom = text.startsWith("\uFEFF") ? 1 : 0;
    const separator = text.startsWith("---", bom) ? "" : `---${lineEnd}`;
    return checked(text, bom, closed + separator, documents, 0, count);
  }
  const document = documents[Math.min(after, documents.length - 1)]!;
  const at = document.offset + document.text.length;
  const open = at > 0 && text[at - 1] !== "\n" ? lineEnd : "";
  return checked(
    text,
    at,
    `${open}---${lineEnd}${closed}`,
    documents,
    Math.min(after, documents.length - 1) + 1,
    count,
  );
}

/** The text is put in; every document must be there as before, apart from line ends and marks between them. */
function checked(
  text: string,
  at: number,
  newText: string,
  documents: readonly DocumentText[],
  index: number,
  count: number,
): FormEditResult {
  const result = made(text, [{ start: at, end: at, newText }]);
  const after = result.ok ? splitDocuments(result.text) : null;
  const bare = (part: DocumentText | undefined) =>
    part?.text.replace(/^\uFEFF?(?:---\r?\n)?/, "").replace(/\r?\n$/, "");
  const kept = documents.filter((part) => documents.length > 1 || !isBlank(part.text));
  const others = after?.filter((_part, place) => place < index || place >= index + count) ?? [];
  const isWhole = others.length === kept.length && kept.every((part, place) => bare(part) === bare(others[place]));
  if (!isWhole) return { ok: false, reason: `The document cannot be put here. ${IN_THE_TEXT}` };
  return result;
}

function duplication(text: string, documents: readonly DocumentText[], part: number, name: string): FormEditResult {
  const copy = documents[part]!.text.replace(/^\uFEFF?/, "");
  if (/^---[^\r\n]*[^\s]/.test(copy.replace(/^---\s*#/, ""))) {
    return { ok: false, reason: `The document begins behind its ---. ${IN_THE_TEXT}` };
  }
  const added = editForm(text, { kind: "add-document", after: part, text: copy.replace(/^---[^\n]*\n/, "") });
  if (!added.ok) return added;
  const named = editForm(added.text, { kind: "set", part: part + 1, path: ["metadata", "name"], value: name });
  if (!named.ok) return named;
  const at = documents[part]!.offset + documents[part]!.text.length;
  const inserted = named.text.slice(at, named.text.length - (text.length - at));
  return made(text, [{ start: at, end: at, newText: inserted }]);
}

function switchOff(text: string): string | null {
  const head = /^\uFEFF?(?:---[ \t]*(?:#[^\n]*)?(?:\r?\n|$))?/.exec(text)?.[0] ?? "";
  const rest = text.slice(head.length);
  return rest.startsWith("---") || rest.trim() === "" ? null : head + switchedOff(rest, 0);
}

/** `null` when nothing of the document is switched off. */
export function switchOn(text: string): string | null {
  return isSwitchedOff(text) ? switchedOn(text) : null;
}

export function isSwitchedOff(text: string): boolean {
  const lines = text.replace(/^\uFEFF?---[^\n]*/, "").split("\n");
  return lines.some((line) => line.startsWith(OFF_MARK)) && lines.every((line) => /^(?:#.*)?\s*$/.test(line));
}

function switching(
  text: string,
  documents: readonly DocumentText[],
  part: number,
  newText: string | null,
): FormEditResult {
  if (newText === null) return { ok: false, reason: `There is nothing here to switch. ${IN_THE_TEXT}` };
  const { offset, text: old } = documents[part]!;
  const result = made(text, [{ start: offset, end: offset + old.length, newText }]);
  const after = result.ok ? splitDocuments(result.text) : null;
  const isWhole = after && areOthersKept(documents, after, part) && !readOneDocument(after[part]!.text).mistake;
  return isWhole ? result : { ok: false, reason: `This document cannot be switched here. ${IN_THE_TEXT}` };
}
