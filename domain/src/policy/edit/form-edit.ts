/**
 * The changes that a form makes, each as the fewest replacements in the text: comments, order, quotes, indentation and all
 * other documents stay byte for byte. Each is proved before it is given, and what cannot be proved is refused.
 */

import { DEFAULT_READ_LIMITS } from "../yaml/limits.ts";
import { splitDocuments } from "../yaml/split.ts";
import { hasCommentsOf } from "./comments.ts";
import { planDocumentEdit } from "./document-edits.ts";
import { type FormEdit, type FormEditResult, IN_THE_TEXT, type ListEdit, type ValueEdit } from "./form-edits.ts";
import { applySpanEdits, lineEndOf, type SpanEdit } from "./lines.ts";
import { planListEdit } from "./list-edits.ts";
import { areOthersKept, HAS_DIRECTIVES, isJson, readOneDocument, TOO_LARGE } from "./opened.ts";
import { isEqualValue, readValue, type YamlValue } from "./value.ts";
import { planValueEdit } from "./value-edits.ts";

/** Never throws. */
export function editForm(text: string, edit: FormEdit): FormEditResult {
  if (text.length > DEFAULT_READ_LIMITS.maxFileLength) return { ok: false, reason: TOO_LARGE };
  switch (edit.kind) {
    case "add-document":
    case "remove-document":
    case "duplicate-document":
    case "disable-document":
    case "enable-document":
      return planDocumentEdit(text, edit);
    default:
      return editPart(text, edit);
  }
}

/** Several edits as one. Each refers to the text that the one before it leaves. */
export function editFormTogether(text: string, edits: readonly FormEdit[]): FormEditResult {
  let current = text;
  for (const edit of edits) {
    const result = editForm(current, edit);
    if (!result.ok) return result;
    current = result.text;
  }
  return { ok: true, text: current, spans: differenceOf(text, current) };
}

/** The one replacement that is left without what both texts begin and end with; none when they are the same. */
export function differenceOf(before: string, after: string): readonly SpanEdit[] {
  if (before === after) return [];
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  return [{ start, end: before.length - end, newText: after.slice(start, after.length - end) }];
}

function editPart(text: string, edit: ValueEdit | ListEdit): FormEditResult {
  const documents = splitDocuments(text);
  if (!documents) return { ok: false, reason: `${HAS_DIRECTIVES} ${IN_THE_TEXT}` };
  const document = documents[edit.part];
  if (!document) return { ok: false, reason: `The file has no document ${edit.part + 1}.` };
  const { root, mistake } = readOneDocument(document.text);
  if (mistake) return { ok: false, reason: `The text has a mistake: ${mistake.message}` };
  if (!root) return { ok: false, reason: "There is no document here yet." };
  const style = { isJson: isJson(document.text, root), lineEnd: lineEndOf(text) };
  const page = { text: document.text, style };
  const isOfValue = edit.kind === "set" || edit.kind === "unset" || edit.kind === "rename";
  const plan = isOfValue ? planValueEdit(page, root, edit) : planListEdit(page, root, edit);
  if ("reason" in plan) return { ok: false, reason: plan.reason };
  const spans = plan.spans
    .filter((span) => document.text.slice(span.start, span.end) !== span.newText)
    .map((span) => ({ ...span, start: span.start + document.offset, end: span.end + document.offset }));
  const edited = applySpanEdits(text, spans);
  const after = splitDocuments(edited);
  const partAfter = after?.[edit.part]?.text ?? "";
  if (!after || !areOthersKept(documents, after, edit.part) || !says(partAfter, plan.expected)) {
    return { ok: false, reason: refusal(document.text) };
  }
  const hadComments = plan.spans.some(({ start, end }) => document.text.slice(start, end).includes("#"));
  if (hadComments && !plan.mayLoseComments && !hasCommentsOf(partAfter, document.text)) {
    return { ok: false, reason: `There are comments here that this change would lose. ${IN_THE_TEXT}` };
  }
  return { ok: true, text: edited, spans };
}

function says(text: string, expected: YamlValue): boolean {
  const { root } = readOneDocument(text);
  return root !== null && isEqualValue(readValue(root), expected);
}

function refusal(text: string): string {
  const isShared = /(?:^|[\s[{,:-])[&*][^\s,[\]{}]/m.test(text);
  return isShared
    ? `Other places of the document share this value (an anchor or an alias), so that they would change too. ${IN_THE_TEXT}`
    : `This cannot be changed here without changing more than it. ${IN_THE_TEXT}`;
}
