/** The edits of one document's text that set, insert or remove one value. They touch nothing else. */
import type { ListNode, MapEntry, MapNode, Span, YamlNode } from "../yaml/node.ts";
import { columnOf, findDash, isFirstInLine, lineStartOf, nextLineOf, type SpanEdit } from "./lines.ts";
import { isInline, renderBlock, renderEntry, renderFlow, renderScalar, renderText, type Style } from "./render.ts";
import { isList, isMapping, type YamlValue } from "./value.ts";

export interface Page {
  readonly text: string;
  readonly style: Style;
}

function isFlow({ text }: Page, node: YamlNode): boolean {
  return node.kind !== "scalar" && (text[node.start] === "{" || text[node.start] === "[");
}

/** What holds a value: the entry of a mapping, or nothing to say for lists and the root. */
export interface Holder {
  readonly entry: MapEntry | null;
  readonly isInFlow: boolean;
}

export function replaceValue(page: Page, node: YamlNode, holder: Holder, value: YamlValue): SpanEdit {
  const { text, style } = page;
  if (node.kind === "scalar") return replaceScalar(page, node, holder, value);
  const wasFlow = isFlow(page, node);
  if (wasFlow || holder.isInFlow) return { ...spanOf(node), newText: renderFlow(value, style) };
  const lineEnd = takenLineEnd(page, node);
  if (!isInline(value)) {
    return { ...spanOf(node), newText: renderBlock(value, columnOf(text, node.start), style) + lineEnd };
  }
  const span = upToHolder(page, node, holder);
  return { ...span, newText: (span.start < node.start ? " " : "") + renderFlow(value, style) + lineEnd };
}

/** A block of text ends behind its line end, and so does what ends with one; an empty value may touch a comment. */
function takenLineEnd({ text, style }: Page, node: YamlNode): string {
  if (text[node.end] === "#") return " ";
  return node.end > node.start && text[node.end - 1] === "\n" ? style.lineEnd : "";
}

function spanOf({ start, end }: Span): Span {
  return { start, end };
}

/** From behind the colon, when nothing but white space stands between it and the value below. */
function upToHolder({ text }: Page, node: YamlNode, { entry }: Holder): Span {
  const colon = entry ? text.indexOf(":", entry.keySpan.end) : -1;
  if (colon >= 0 && /^\s*$/.test(text.slice(colon + 1, node.start))) return { start: colon + 1, end: node.end };
  return spanOf(node);
}

function replaceScalar(page: Page, node: YamlNode, holder: Holder, value: YamlValue): SpanEdit {
  const { text, style } = page;
  const first = text[node.start];
  const quote = first === '"' || first === "'" ? first : style.isJson ? '"' : null;
  const needsSpace = node.start > 0 && !/[\s[{,]/.test(text[node.start - 1] ?? "");
  const lineEnd = takenLineEnd(page, node);
  if (isInline(value) || holder.isInFlow) {
    const written = isList(value) || isMapping(value) ? renderFlow(value, style) : renderScalar(value, quote);
    return { ...spanOf(node), newText: (needsSpace ? " " : "") + written + lineEnd };
  }
  const column = holder.entry ? columnOf(text, holder.entry.keySpan.start) + 2 : columnOf(text, node.start);
  const lead = holder.entry ? style.lineEnd + " ".repeat(column) : needsSpace ? " " : "";
  const behindDash = holder.entry || !needsSpace ? column : column + 1;
  return { ...spanOf(node), newText: lead + renderBlock(value, behindDash, style) + lineEnd };
}

/** Adds an entry behind the last one. The mapping has one. */
export function addEntry(page: Page, map: MapNode, key: string, value: YamlValue): SpanEdit {
  const { text, style } = page;
  const last = map.entries.at(-1);
  if (isFlow(page, map)) {
    const pair = `${renderText(key, style.isJson ? '"' : null)}: ${renderFlow(value, style)}`;
    const at = last ? last.value.end : map.start + 1;
    return { start: at, end: at, newText: last ? `, ${pair}` : pair };
  }
  const column = columnOf(text, map.start);
  return addLines(page, map.end, column, renderEntry(key, value, column, style));
}

/** Whole lines behind the line in which the value before them ends. */
function addLines({ text, style }: Page, end: number, column: number, lines: string): SpanEdit {
  const at = nextLineOf(text, end);
  const indented = " ".repeat(column) + lines;
  const isLineOpen = at > 0 && text[at - 1] !== "\n";
  return { start: at, end: at, newText: isLineOpen ? style.lineEnd + indented : indented + style.lineEnd };
}

/** Puts an item into a list that has at least one. `index` may be the length of the list. */
export function insertItem(page: Page, list: ListNode, index: number, value: YamlValue): SpanEdit | null {
  const { text, style } = page;
  const before = list.items[index];
  if (isFlow(page, list)) {
    const item = renderFlow(value, style);
    if (before) return { start: before.start, end: before.start, newText: `${item}, ` };
    const last = list.items.at(-1);
    const at = last ? last.end : list.start + 1;
    return { start: at, end: at, newText: last ? `, ${item}` : item };
  }
  const column = columnOf(text, list.start);
  const item = `- ${renderBlock(value, column + 2, style)}`;
  if (!before) return addLines(page, list.end, column, item);
  const dash = dashOf(page, list, index);
  return dash < 0 ? null : { start: dash, end: dash, newText: item + style.lineEnd + " ".repeat(column) };
}

function dashOf({ text }: Page, list: ListNode, index: number): number {
  if (index === 0) return list.start;
  return findDash(text, list.items[index - 1]!.end, columnOf(text, list.start));
}

/** Takes an item out; `null` for the last one left, which leaves a list that must be written anew. */
export function removeItem(page: Page, list: ListNode, index: number): SpanEdit | null {
  if (isFlow(page, list)) return removeFromFlow(list.items, index);
  if (list.items.length === 1) return null;
  const dash = dashOf(page, list, index);
  const next = index === 0 ? dashOf(page, list, 1) : -1;
  return dash < 0 ? null : removeLines(page, dash, next, list.items[index]!.end);
}

export function removeEntry(page: Page, map: MapNode, index: number): SpanEdit | null {
  const spans = map.entries.map((entry) => ({ start: entry.keySpan.start, end: entry.value.end }));
  if (isFlow(page, map)) return removeFromFlow(spans, index);
  if (spans.length === 1) return null;
  const { start, end } = spans[index]!;
  return removeLines(page, start, spans[1]!.start, end);
}

/** Whole lines; what stands behind a dash goes up to the next entry, so that the dash keeps one. */
function removeLines({ text }: Page, start: number, next: number, end: number): SpanEdit {
  if (!isFirstInLine(text, start)) return { start, end: next, newText: "" };
  const first = lineStartOf(text, start);
  return { start: text.charCodeAt(first) === 0xfeff ? first + 1 : first, end: nextLineOf(text, end), newText: "" };
}

function removeFromFlow(spans: readonly Span[], index: number): SpanEdit {
  const { start, end } = spans[index]!;
  const next = spans[index + 1];
  const previous = spans[index - 1];
  if (next) return { start, end: next.start, newText: "" };
  return { start: previous ? previous.end : start, end, newText: "" };
}
