/** Sets, unsets and renames entries of one document. */
import type { MapEntry, MapNode, YamlNode } from "../yaml/node.ts";
import { endOfLine, lineAfter, OFF_MARK } from "./blocks.ts";
import { addEntry, type Holder, type Page, removeEntry, replaceValue } from "./changes.ts";
import { type EditPlan, IN_THE_TEXT, type ValueEdit } from "./form-edits.ts";
import { columnOf, isFirstInLine, lineStartOf, nextLineOf, type SpanEdit } from "./lines.ts";
import { describePath, findValue } from "./opened.ts";
import { isInline, renderBlock, renderEntry, renderText } from "./render.ts";
import {
  isList,
  isMapping,
  mappingOf,
  mappingWith,
  readValue,
  type ValuePath,
  withValueAt,
  type YamlValue,
} from "./value.ts";

export function planValueEdit(page: Page, root: YamlNode, edit: ValueEdit): EditPlan {
  const value = readValue(root);
  if (edit.kind === "set") return planSet(page, root, edit.path, edit.value, edit.order ?? []);
  const found = findValue(page, root, edit.kind === "rename" ? edit.path : edit.path.slice(0, -1));
  const key = edit.kind === "rename" ? edit.key : edit.path.at(-1);
  const map = found?.node;
  const index = map?.kind === "map" ? map.entries.findIndex((entry) => entry.key === key) : -1;
  if (!found || map?.kind !== "map" || index < 0) return { reason: nothingAt(edit.path) };
  if (isElsewhere(found.parent, map)) return { reason: SHARED };
  if (edit.kind === "rename") return planRename(page, root, map, map.entries[index]!, edit);
  const spans = planRemoval(page, map, index, found.holder);
  const expected = withValueAt(value, edit.path.slice(0, -1), (old) =>
    mappingOf(Object.entries(old as object).filter(([name]) => name !== key)),
  );
  return { spans, expected, mayLoseComments: true };
}

export const SHARED = `This value is an alias: it stands elsewhere, and other places share it. ${IN_THE_TEXT}`;

/** The value of an alias has the place of its anchor. */
export function isElsewhere(parent: YamlNode | null, node: YamlNode): boolean {
  return parent !== null && (node.start < parent.start || node.start > parent.end);
}

export function nothingAt(path: ValuePath): string {
  return `There is nothing at ${describePath(path)} that this change fits.`;
}

function planSet(page: Page, root: YamlNode, path: ValuePath, value: YamlValue, order: readonly string[]): EditPlan {
  for (let length = path.length; length >= 0; length -= 1) {
    const found = findValue(page, root, path.slice(0, length));
    if (!found) continue;
    const missing = path.slice(length);
    const nested = nest(missing, value);
    const { node, parent, step, holder } = found;
    const expected = withValueAt(readValue(root), path.slice(0, length), () => nested);
    if (node === null) {
      if (parent?.kind !== "map" || typeof step !== "string" || nested === undefined) break;
      if (isElsewhere(findValue(page, root, path.slice(0, length - 2))?.node ?? null, parent))
        return { reason: SHARED };
      const outer = findValue(page, root, path.slice(0, length - 1))?.holder ?? holder;
      return { spans: planNewEntry(page, parent, outer, step, nested, order), expected };
    }
    if (isElsewhere(parent, node)) return { reason: SHARED };
    if (missing.length > 0 && !(node.kind === "scalar" && node.value === null)) break;
    return { spans: planReplacement(page, node, holder, nested), expected };
  }
  return { reason: nothingAt(path) };
}

function nest(path: ValuePath, value: YamlValue): YamlValue {
  return path.reduceRight<YamlValue>(
    (inner, step) => (typeof step === "number" ? [inner] : mappingWith(step, inner)),
    value,
  );
}

/** An empty `{}` or `[]`, or no value, becomes lines below its key; comments behind the key stay there. */
export function planReplacement(page: Page, node: YamlNode, holder: Holder, value: YamlValue): SpanEdit[] {
  const { text, style } = page;
  const written = text.slice(node.start, node.end);
  const isEmpty = /^(?:\{\s*\}|\[\s*\])?$/.test(written);
  if (!isEmpty || isInline(value) || holder.isInFlow || !holder.entry || style.isJson) {
    return [replaceValue(page, node, holder, value)];
  }
  const column = columnOf(text, holder.entry.keySpan.start);
  const lines = " ".repeat(column + 2) + renderBlock(value, column + 2, style);
  const start = text[node.start - 1] === " " && written !== "" ? node.start - 1 : node.start;
  const cut: SpanEdit = { start, end: node.end, newText: "" };
  return [cut, insertLines(page, node.end, lines)];
}

/** Whole lines below the line in which the offset is. */
export function insertLines({ text, style }: Page, offset: number, lines: string): SpanEdit {
  const at = nextLineOf(text, offset);
  const isLineOpen = at > 0 && text[at - 1] !== "\n";
  return { start: at, end: at, newText: isLineOpen ? style.lineEnd + lines : lines + style.lineEnd };
}

function planNewEntry(
  page: Page,
  map: MapNode,
  holder: Holder,
  key: string,
  value: YamlValue,
  order: readonly string[],
): SpanEdit[] {
  const { text, style } = page;
  if (map.entries.length === 0) return planReplacement(page, map, holder, mappingWith(key, value));
  if (text[map.start] === "{") return [addEntry(page, map, key, value)];
  const rank = (name: string) => (order.includes(name) ? order.indexOf(name) : order.length);
  const before = map.entries.findLastIndex((entry) => rank(entry.key) <= rank(key));
  const column = columnOf(text, map.entries[0]!.keySpan.start);
  const lines = renderEntry(key, value, column, style);
  const first = map.entries[0]!.keySpan.start;
  if (order.includes(key) && before < 0 && !hasCommentAbove(text, first)) {
    return [{ start: first, end: first, newText: lines + style.lineEnd + " ".repeat(column) }];
  }
  const entry = order.includes(key) && before >= 0 ? map.entries[before]! : map.entries.at(-1)!;
  return [insertLines(page, endOfEntry(text, entry, column), " ".repeat(column) + lines)];
}

function hasCommentAbove(text: string, offset: number): boolean {
  if (!isFirstInLine(text, offset)) return false;
  const start = lineStartOf(text, offset);
  return start > 0 && /^ *#/.test(text.slice(lineStartOf(text, start - 1), start));
}

/** Where the lines of an entry end: its comments, and what is switched off in it, included. */
export function endOfEntry(text: string, entry: MapEntry, column: number): number {
  const isAlias = entry.value.end < entry.keySpan.end;
  let end = isAlias
    ? endOfLine(text, lineStartOf(text, entry.keySpan.end))
    : Math.max(entry.keySpan.end, entry.value.end);
  for (let start = nextLineOf(text, end); start < text.length; start = lineAfter(text, start)) {
    const lineEnd = endOfLine(text, start);
    const line = text.slice(start, lineEnd);
    const indent = line.search(/[^ ]/);
    const isOff = indent >= column && line.startsWith(OFF_MARK, indent);
    if (indent >= 0 && !isOff && !(line[indent] === "#" && indent > column)) break;
    if (indent >= 0) end = lineEnd;
  }
  return end;
}

/** The last entry leaves `{}`; its comments and what is switched off in it go with it. */
function planRemoval(page: Page, map: MapNode, index: number, holder: Holder): SpanEdit[] {
  const { text } = page;
  const removed = removeEntry(page, map, index);
  if (!removed) return planEmptied(page, map, holder, "{}") ?? [replaceValue(page, map, holder, {})];
  const { keySpan } = map.entries[index]!;
  if (text[map.start] === "{" || !isFirstInLine(text, keySpan.start)) return [removed];
  const end = endOfEntry(text, map.entries[index]!, columnOf(text, keySpan.start));
  return [{ ...removed, end: Math.max(removed.end, nextLineOf(text, end)) }];
}

/** Takes the lines of a block collection out and writes what is left behind its key. */
export function planEmptied(page: Page, node: YamlNode, { entry }: Holder, left: "{}" | "[]"): SpanEdit[] | null {
  const { text } = page;
  if (!entry || text[node.start] === "{" || text[node.start] === "[" || !isFirstInLine(text, node.start)) return null;
  const colon = text.indexOf(":", entry.keySpan.end);
  if (colon < 0 || colon >= lineStartOf(text, node.start)) return null;
  if (!/^ *(?:#.*)?\r?$/.test(text.slice(colon + 1, endOfLine(text, colon)))) return null;
  const start = lineStartOf(text, node.start);
  return [
    { start: colon + 1, end: colon + 1, newText: ` ${left}` },
    { start, end: nextLineOf(text, node.end), newText: "" },
  ];
}

function planRename(
  page: Page,
  root: YamlNode,
  map: MapNode,
  entry: MapEntry,
  edit: ValueEdit & { kind: "rename" },
): EditPlan {
  if (edit.newKey !== edit.key && map.entries.some(({ key }) => key === edit.newKey)) {
    return { reason: `There is a ${edit.newKey.slice(0, 100)} already.` };
  }
  const first = page.text[entry.keySpan.start];
  const quote = first === '"' || first === "'" ? first : page.style.isJson ? '"' : null;
  const expected = withValueAt(readValue(root), edit.path, (old) =>
    isMapping(old ?? null) && !isList(old ?? null)
      ? mappingOf(Object.entries(old as object).map(([key, item]) => [key === edit.key ? edit.newKey : key, item]))
      : null,
  );
  return { spans: [{ ...entry.keySpan, newText: renderText(edit.newKey, quote) }], expected };
}
