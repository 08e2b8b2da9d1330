/**
 * The YAML that people really write, read in one pass: block mappings and lists, flow collections, scalars of one line,
 * blocks of text, comments. It gives the very tree that the library and `convertDocument` give, or declines; whatever is
 * unusual, and every error, is left to the library. read.test.ts compares the two.
 */
import type { ListNode, MapNode, Span, YamlNode } from "../node.ts";
import { takeBlockScalar } from "./block-scalar.ts";
import { CHARACTER, Cursor, type CursorLimits, Declined } from "./cursor.ts";
import { addEntry, takeEntries } from "./entries.ts";
import { plainKey, takeFlow } from "./flow.ts";
import { emptyNode, plainNode, requirePlainStart, takePlain, takeQuoted } from "./scalar.ts";
import { takeShapedRule } from "./shaped-rule.ts";

export type QuickReading =
  | {
      readonly kind: "read";
      /** `null` for a document without a value. */
      readonly root: YamlNode | null;
      /** False when there is not even a document: nothing but comments, and no `---`. */
      readonly hasDocument: boolean;
    }
  | {
      readonly kind: "declined";
      readonly offset: number;
      /** What stands there, in words that fit behind "because of". */
      readonly reason: string;
    };

/** Reads one document, the part of the text from `start` to `end`, with at most one `---`, in its first line. */
export function readQuickly(text: string, limits: CursorLimits, start = 0, end: number = text.length): QuickReading {
  const cursor = new Cursor(text, start, end, limits);
  try {
    return readDocument(cursor);
  } catch (error) {
    if (error instanceof Declined) return { kind: "declined", offset: error.offset, reason: error.message };
    throw error;
  }
}

function readDocument(cursor: Cursor): QuickReading {
  if (cursor.code() === 0xfeff) {
    cursor.at += 1;
    cursor.lineStart += 1;
  }
  const hasMarker = cursor.text.startsWith("---", cursor.at) && cursor.isBlank(cursor.at + 3);
  let root: YamlNode | null = null;
  if (hasMarker) {
    cursor.at += 3;
    const from = cursor.at;
    cursor.skipSpaces();
    if (cursor.at > from && isOpenBracket(cursor.code())) {
      root = takeFlow(cursor, { minIndent: 0, depth: 1 });
    } else cursor.at = from;
    cursor.finishLine();
  }
  cursor.toContentLine();
  if (!root && cursor.indent >= 0) {
    root = readRoot(cursor);
    cursor.toContentLine();
  }
  if (cursor.indent >= 0) cursor.decline("what follows the value of the document");
  return { kind: "read", root, hasDocument: hasMarker || root !== null };
}

function readRoot(cursor: Cursor): YamlNode {
  if (cursor.indent !== 0) cursor.decline("the indentation of the first line");
  if (!isOpenBracket(cursor.code())) return takeBlock(cursor, 0, 1);
  const root = takeFlow(cursor, { minIndent: 0, depth: 1 });
  cursor.finishLine();
  return root;
}

function isOpenBracket(code: number): boolean {
  return code === CHARACTER.openBrace || code === CHARACTER.openBracket;
}

/** The mapping or list whose first line the cursor stands in, at column `indent`. It ends behind its last line. */
function takeBlock(cursor: Cursor, indent: number, depth: number): MapNode | ListNode {
  return cursor.isDash() ? takeList(cursor, indent, depth) : takeMap(cursor, indent, depth, null);
}

function takeList(cursor: Cursor, indent: number, depth: number): ListNode {
  cursor.countNode(depth);
  const start = cursor.at - cursor.base;
  const from = cursor.items.count;
  let end = start;
  do {
    cursor.at += 1;
    const item = takeItem(cursor, indent, depth);
    cursor.items.add(item);
    end = item.end;
    cursor.toContentLine();
    if (cursor.indent > indent) cursor.decline("the indentation");
  } while (cursor.indent === indent && cursor.isDash());
  returnToLineStart(cursor);
  return { kind: "list", items: cursor.items.take(from), start, end };
}

/** The next collection out looks at the line that ended this one again. */
function returnToLineStart(cursor: Cursor): void {
  cursor.at = cursor.lineStart;
}

/** What stands behind the dash of a list entry. */
function takeItem(cursor: Cursor, listIndent: number, depth: number): YamlNode {
  cursor.skipSpaces();
  if (cursor.isDash()) return takeList(cursor, cursor.at - cursor.lineStart, depth + 1);
  const code = cursor.code();
  if (cursor.isLineEnd() || code === CHARACTER.hash) return takeBelow(cursor, listIndent, depth, false);
  const shaped = takeShapedRule(cursor, cursor.at - cursor.lineStart, depth + 1, readMapAgain);
  if (shaped) return shaped;
  if (code === CHARACTER.doubleQuote || code === CHARACTER.singleQuote || !startsSpecial(code)) {
    const key = takeKey(cursor);
    if (key) return takeMap(cursor, cursor.base + key.span.start - cursor.lineStart, depth + 1, key);
  }
  return takeSameLine(cursor, listIndent, depth);
}

/** The mapping that was read before and starts there, at column `indent`. */
function readMapAgain({ text, base, end, limits }: Cursor, start: number, indent: number): MapNode {
  const cursor = new Cursor(text, base, end, limits);
  cursor.at = base + start;
  cursor.lineStart = cursor.at - indent;
  return takeMap(cursor, indent, 1, null);
}

interface Key {
  readonly name: string;
  readonly span: Span;
}

/** The key that stands here with its colon, which the cursor goes past, or `null` when it is a value. */
function takeKey(cursor: Cursor): Key | null {
  const start = cursor.at;
  const code = cursor.code();
  let end: number;
  let quotedName: string | null = null;
  if (code === CHARACTER.doubleQuote || code === CHARACTER.singleQuote) {
    quotedName = takeQuoted(cursor).source;
    end = cursor.at;
  } else {
    requirePlainStart(cursor);
    end = takePlain(cursor, false);
  }
  if (cursor.at !== end || cursor.code() !== CHARACTER.colon || !cursor.isBlank(end + 1)) {
    cursor.at = start;
    return null;
  }
  cursor.at = end + 1;
  return {
    name: quotedName ?? plainKey(cursor, start, end),
    span: { start: start - cursor.base, end: end - cursor.base },
  };
}

function takeMap(cursor: Cursor, indent: number, depth: number, firstKey: Key | null): MapNode {
  cursor.countNode(depth);
  const from = cursor.entries.count;
  let key = firstKey ?? requireKey(cursor);
  const start = key.span.start;
  let end = start;
  for (;;) {
    const value = takeMapValue(cursor, indent, depth);
    addEntry(cursor, from, key.name, key.span, value);
    end = value.end;
    cursor.toContentLine();
    if (cursor.indent < indent) break;
    if (cursor.indent > indent) cursor.decline("the indentation");
    key = requireKey(cursor);
  }
  returnToLineStart(cursor);
  return { kind: "map", entries: takeEntries(cursor, from), start, end };
}

function requireKey(cursor: Cursor): Key {
  if (cursor.isDash()) cursor.decline("a list where a key belongs");
  return takeKey(cursor) ?? cursor.decline("a line without a key");
}

/** What stands behind the colon of a key. */
function takeMapValue(cursor: Cursor, mapIndent: number, depth: number): YamlNode {
  cursor.skipSpaces();
  if (cursor.isLineEnd() || cursor.code() === CHARACTER.hash) return takeBelow(cursor, mapIndent, depth, true);
  return takeSameLine(cursor, mapIndent, depth);
}

/** The value in the lines below, which are indented more than the collection; a list of a key need not be. */
function takeBelow(cursor: Cursor, parentIndent: number, depth: number, isOfKey: boolean): YamlNode {
  const empty = cursor.at;
  if (cursor.code() === CHARACTER.hash) cursor.takeComment();
  else cursor.takeLineEnd();
  cursor.toContentLine();
  const isListBeside = isOfKey && cursor.indent === parentIndent && cursor.indent >= 0 && cursor.isDash();
  if (cursor.indent > parentIndent || isListBeside) {
    if (isOpenBracket(cursor.code())) cursor.decline("brackets below their key");
    return takeBlock(cursor, cursor.indent, depth + 1);
  }
  returnToLineStart(cursor);
  cursor.countNode(0);
  return emptyNode(cursor, empty);
}

function startsSpecial(code: number): boolean {
  return isOpenBracket(code) || code === CHARACTER.pipe || code === CHARACTER.greater;
}

/** The value in the rest of the line, and its further lines where it has some. */
function takeSameLine(cursor: Cursor, parentIndent: number, depth: number): YamlNode {
  const code = cursor.code();
  if (isOpenBracket(code)) {
    const node = takeFlow(cursor, { minIndent: parentIndent + 1, depth: depth + 1 });
    cursor.finishLine();
    return node;
  }
  cursor.countNode(0);
  if (code === CHARACTER.pipe || code === CHARACTER.greater) return takeBlockScalar(cursor, parentIndent);
  if (code === CHARACTER.doubleQuote || code === CHARACTER.singleQuote) {
    const node = takeQuoted(cursor);
    cursor.finishLine();
    return node;
  }
  requirePlainStart(cursor);
  const start = cursor.at;
  const end = takePlain(cursor, false);
  if (cursor.code() === CHARACTER.colon) cursor.decline("a second colon in a line");
  cursor.finishLine();
  return plainNode(cursor, start, end);
}
