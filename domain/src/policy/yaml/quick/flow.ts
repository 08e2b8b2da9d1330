/** Flow collections, `[a, b]` and `{a: b}`: JSON, and the short forms that people write. */
import type { ListNode, MapNode, Span, YamlNode } from "../node.ts";
import { CHARACTER, type Cursor } from "./cursor.ts";
import { addEntry, takeEntries } from "./entries.ts";
import { isFlowIndicator, plainNode, plainValue, requirePlainStart, takePlain, takeQuoted } from "./scalar.ts";

/** Lines of a collection inside a block are indented at least so much; the last bracket may stand one column before. */
export interface FlowPlace {
  readonly minIndent: number;
  /** Collections around the outermost bracket, itself included. */
  readonly depth: number;
}

/** Reads the collection whose bracket stands here. */
export function takeFlow(cursor: Cursor, place: FlowPlace): MapNode | ListNode {
  return takeCollection(cursor, place, place.depth);
}

function takeCollection(cursor: Cursor, place: FlowPlace, depth: number): MapNode | ListNode {
  cursor.countNode(depth);
  const start = cursor.at - cursor.base;
  const isMap = cursor.code() === CHARACTER.openBrace;
  const close = isMap ? CHARACTER.closeBrace : CHARACTER.closeBracket;
  const from = isMap ? cursor.entries.count : cursor.items.count;
  cursor.at += 1;
  for (;;) {
    skipBlank(cursor, place, depth);
    if (cursor.code() === close) break;
    if (isMap) takePair(cursor, place, depth, from);
    else cursor.items.add(takeValue(cursor, place, depth));
    skipBlank(cursor, place, depth);
    const code = cursor.code();
    if (code === close) break;
    if (code !== CHARACTER.comma) cursor.decline("what follows a value in brackets");
    cursor.at += 1;
  }
  cursor.at += 1;
  const end = cursor.at - cursor.base;
  if (isMap) return { kind: "map", entries: takeEntries(cursor, from), start, end };
  return { kind: "list", items: cursor.items.take(from), start, end };
}

function takePair(cursor: Cursor, place: FlowPlace, depth: number, from: number): void {
  const first = cursor.code();
  let key: string;
  let keySpan: Span;
  if (first === CHARACTER.doubleQuote || first === CHARACTER.singleQuote) {
    const node = takeQuoted(cursor);
    key = node.source;
    keySpan = { start: node.start, end: node.end };
  } else {
    requirePlainStart(cursor);
    const start = cursor.at;
    const end = takePlain(cursor, true);
    key = plainKey(cursor, start, end);
    keySpan = { start: start - cursor.base, end: end - cursor.base };
  }
  if (cursor.code() !== CHARACTER.colon || cursor.at - cursor.base !== keySpan.end)
    cursor.decline("a key without a colon");
  cursor.at += 1;
  skipBlank(cursor, place, depth);
  addEntry(cursor, from, key, keySpan, takeValue(cursor, place, depth));
}

/** The name that a plain key gives. Keys that are null are errors, and `<<` means something else elsewhere. */
export function plainKey(cursor: Cursor, start: number, end: number): string {
  const source = cursor.text.slice(start, end);
  // Nothing longer than `null` is null, and most keys are.
  const isNull = source.length <= 4 && plainValue(source) === null;
  if (isNull || source === "<<") cursor.decline("a key that is no name", start);
  return source;
}

function takeValue(cursor: Cursor, place: FlowPlace, depth: number): YamlNode {
  const code = cursor.code();
  if (code === CHARACTER.openBrace || code === CHARACTER.openBracket) return takeCollection(cursor, place, depth + 1);
  cursor.countNode(0);
  if (code === CHARACTER.doubleQuote || code === CHARACTER.singleQuote) return takeQuoted(cursor);
  requirePlainStart(cursor);
  const start = cursor.at;
  const end = takePlain(cursor, true);
  requireOneLine(cursor);
  return plainNode(cursor, start, end);
}

/** A plain scalar goes on in the next line unless an indicator or a comment stands there. */
function requireOneLine(cursor: Cursor): void {
  let at = cursor.at;
  while (at < cursor.end && cursor.isBlank(at)) at += 1;
  const code = cursor.code(at);
  if (!isFlowIndicator(code) && code !== CHARACTER.hash) cursor.decline("a value over several lines", at);
}

/** Past spaces, tabs, line ends and comments, of which none may be indented less than the place asks. */
function skipBlank(cursor: Cursor, place: FlowPlace, depth: number): void {
  for (;;) {
    const code = cursor.code();
    if (code === CHARACTER.space || code === CHARACTER.tab) {
      cursor.at += 1;
    } else if (code === CHARACTER.hash) {
      const before = cursor.code(cursor.at - 1);
      const isApart = before === CHARACTER.space || before === CHARACTER.tab || cursor.at === cursor.lineStart;
      if (!isApart) cursor.decline("a comment without a space before it");
      cursor.takeComment();
      checkIndent(cursor, place, depth);
    } else if (cursor.at < cursor.end && cursor.isLineEnd()) {
      cursor.takeLineEnd();
      checkIndent(cursor, place, depth);
    } else return;
  }
}

function checkIndent(cursor: Cursor, place: FlowPlace, depth: number): void {
  if (place.minIndent === 0) return;
  cursor.skipSpaces();
  if (cursor.isLineEnd()) return;
  const indent = cursor.at - cursor.lineStart;
  if (indent >= place.minIndent) return;
  const code = cursor.code();
  const isLastBracket = depth === place.depth && (code === CHARACTER.closeBrace || code === CHARACTER.closeBracket);
  if (!(isLastBracket && indent === place.minIndent - 1)) cursor.decline("the indentation in brackets");
}
