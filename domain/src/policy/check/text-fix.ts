/** Fixes as edits of the text that was checked. Where the text does not look as expected there is no fix, never a guess. */
import type { DiagnosticFix } from "../diagnostic.ts";
import type { SourceRange } from "../model.ts";
import type { SourceTexts } from "./source-texts.ts";

const WORD_CHARACTER = /[\w./-]/;
const PLAIN_WORD = /^[A-Za-z][\w./-]*$/;
const READ_AS_OTHER_TYPE = /^(true|false|yes|no|on|off|null|y|n)$/i;

/**
 * Writes `newWord` for a word that stands exactly once within the range, quoted where YAML would read it as something
 * other than text.
 */
export function replaceWordFix(
  texts: SourceTexts,
  within: SourceRange,
  word: string,
  newWord: string,
): DiagnosticFix | null {
  const found = findWord(texts, within, word);
  if (!found) return null;
  const { text, start } = found;
  const isQuoted = /["']/.test(text[start - 1] ?? "");
  const isPlain = PLAIN_WORD.test(newWord) && !READ_AS_OTHER_TYPE.test(newWord);
  const newText = isQuoted || isPlain ? newWord : JSON.stringify(newWord);
  const range = texts.range(within.file, start, start + word.length);
  return { title: `Change to ${newWord}`, edits: [{ range, newText }] };
}

function findWord(texts: SourceTexts, within: SourceRange, word: string): { text: string; start: number } | null {
  const text = texts.text(within.file);
  const span = texts.span(within);
  if (text === null || span === null || word === "") return null;
  const starts: number[] = [];
  for (let at = text.indexOf(word, span.start); at >= 0 && at + word.length <= span.end; ) {
    const before = text[at - 1] ?? "";
    const after = text[at + word.length] ?? "";
    if (!WORD_CHARACTER.test(before) && !WORD_CHARACTER.test(after)) starts.push(at);
    at = text.indexOf(word, at + 1);
  }
  return starts.length === 1 ? { text, start: starts[0]! } : null;
}

/** Where a word stands that is written exactly once within the range. */
export function wordRange(texts: SourceTexts, within: SourceRange, word: string): SourceRange | null {
  const found = findWord(texts, within, word);
  return found && texts.range(within.file, found.start, found.start + word.length);
}

interface ItemText {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** The list item that a range is, or is the only value of: an address peer's range is that of its `cidr`. */
function itemText(texts: SourceTexts, range: SourceRange): ItemText | null {
  const text = texts.text(range.file);
  const span = texts.span(range);
  if (text === null || span === null) return null;
  let { start } = span;
  let end = start + text.slice(start, span.end).trimEnd().length;
  for (const key of [/(\{\s*)?cidr:\s*["']?$/, /(\{\s*)?ipBlock:\s*$/]) {
    const before = key.exec(text.slice(Math.max(0, start - NEAR), start));
    if (!before) continue;
    start -= before[0].length;
    if (before[1] === undefined) continue;
    const closing = /^["']?\s*\}/.exec(text.slice(end, end + NEAR));
    if (!closing) return null;
    end += closing[0].length;
  }
  return { text, start, end };
}

/** How far the text around an item is looked at. */
const NEAR = 200;

interface BlockItem {
  /** Where the line with the dash begins. */
  readonly lineStart: number;
  /** After the line break of the item's last line. */
  readonly lineEnd: number;
  readonly indent: string;
}

/** An item of a block list that has its lines to itself: `  - …`. */
function blockItem({ text, start, end }: ItemText): BlockItem | null {
  const lineStart = text.lastIndexOf("\n", start - 1) + 1;
  const head = /^( *)-[ ]+$/.exec(text.slice(lineStart, start));
  if (!head) return null;
  const newline = text.indexOf("\n", end);
  if (!/^\s*(#.*)?$/.test(text.slice(end, newline < 0 ? undefined : newline))) return null;
  const lineEnd = newline < 0 ? text.length : newline + 1;
  const following = firstLine(linesAfter(text, lineEnd), (line) => line.trim() !== "");
  // A deeper line belongs to the item, which then is more than what is known of it.
  if (following?.startsWith(`${head[1]} `)) return null;
  return { lineStart, lineEnd, indent: head[1]! };
}

/** Whether the list has another item: the nearest lines that are not deeper tell. */
function hasSibling(text: string, { lineStart, lineEnd, indent }: BlockItem): boolean {
  const isItem = (line: string): boolean => line.startsWith(`${indent}- `);
  const isDeeper = (line: string): boolean => line.trim() === "" || line.startsWith(`${indent} `);
  const after = firstLine(linesAfter(text, lineEnd), (line) => !isDeeper(line));
  if (after !== undefined && isItem(after)) return true;
  const before = firstLine(linesBefore(text, lineStart), (line) => !isDeeper(line));
  return before !== undefined && isItem(before);
}

const MAX_LINES = 500;

function firstLine(lines: Iterable<string>, isWanted: (line: string) => boolean): string | undefined {
  for (const line of lines) if (isWanted(line)) return line;
  return undefined;
}

/** One line after the other, because the answer is mostly in the first of what may be a large file. */
function* linesAfter(text: string, offset: number): Generator<string> {
  for (let start = offset, count = 0; start < text.length && count < MAX_LINES; count += 1) {
    const found = text.indexOf("\n", start);
    const end = found < 0 ? text.length : found;
    yield text.slice(start, end);
    start = end + 1;
  }
}

/** From the line that ends before the start of a line, upwards. */
function* linesBefore(text: string, lineStart: number): Generator<string> {
  for (let end = lineStart - 1, count = 0; end >= 0 && count < MAX_LINES; count += 1) {
    const start = text.lastIndexOf("\n", end - 1) + 1;
    yield text.slice(end === 0 ? 0 : start, end);
    end = start - 1;
  }
}

/** Takes an item out of a list that has others. */
export function removeItemFix(texts: SourceTexts, title: string, range: SourceRange): DiagnosticFix | null {
  const item = itemText(texts, range);
  if (!item) return null;
  const block = blockItem(item);
  const edit = (start: number, end: number): DiagnosticFix => ({
    title,
    edits: [{ range: texts.range(range.file, start, end), newText: "" }],
  });
  if (block) return hasSibling(item.text, block) ? edit(block.lineStart, block.lineEnd) : null;
  const before = /([[,])\s*$/.exec(item.text.slice(Math.max(0, item.start - NEAR), item.start));
  const after = /^\s*([,\]])[ \t]*/.exec(item.text.slice(item.end, item.end + NEAR));
  if (!before || !after) return null;
  if (after[1] === ",") return edit(item.start, item.end + after[0].length);
  return before[1] === "," ? edit(item.start - before[0].length, item.end) : null;
}

/** Adds a copy of a list item after it, with one word replaced. */
export function repeatItemFix(
  texts: SourceTexts,
  title: string,
  range: SourceRange,
  word: string,
  newWord: string,
): DiagnosticFix | null {
  const found = findWord(texts, range, word);
  const item = itemText(texts, range);
  if (!found || !item) return null;
  const { text } = item;
  const quotes = /["']/.test(text[found.start - 1] ?? "") ? 1 : 0;
  const copyOf = (from: number, to: number): string =>
    text.slice(from, found.start - quotes) +
    JSON.stringify(newWord) +
    text.slice(found.start + word.length + quotes, to);
  const insert = (at: number, newText: string): DiagnosticFix => ({
    title,
    edits: [{ range: texts.range(range.file, at, at), newText }],
  });
  const block = blockItem(item);
  if (block) {
    const newline = text[block.lineEnd - 1] === "\n" ? "" : "\n";
    return insert(block.lineEnd, newline + copyOf(block.lineStart, block.lineEnd));
  }
  const isInList = /^\s*[,\]]/.test(text.slice(item.end, item.end + NEAR));
  return isInList ? insert(item.end, `, ${copyOf(item.start, item.end)}`) : null;
}

/** Adds a document at the end of a YAML file. JSON files hold one document, so there is no fix for them. */
export function appendDocumentFix(
  texts: SourceTexts,
  title: string,
  file: string,
  document: string,
): DiagnosticFix | null {
  const text = texts.text(file);
  if (text === null || /^\s*[{[]/.test(text)) return null;
  const newline = text.endsWith("\n") || text === "" ? "" : "\n";
  const separator = /(^|\n)---\s*$/.test(text) ? "" : "---\n";
  return {
    title,
    edits: [{ range: texts.range(file, text.length, text.length), newText: `${newline}${separator}${document}` }],
  };
}
