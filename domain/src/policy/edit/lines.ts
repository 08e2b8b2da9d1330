/** Places in the text around a value. Offsets are UTF-16 code units. */
import type { Span } from "../yaml/node.ts";

export function lineStartOf(text: string, offset: number): number {
  return text.lastIndexOf("\n", offset - 1) + 1;
}

/** Spaces and dashes before the offset count as indentation, as they do in YAML. */
export function columnOf(text: string, offset: number): number {
  const start = lineStartOf(text, offset);
  return offset - start - (text.charCodeAt(start) === 0xfeff ? 1 : 0);
}

/** Behind the line end of the line in which a value ends; a block of text ends there already. */
export function nextLineOf(text: string, end: number): number {
  if (end > 0 && text[end - 1] === "\n") return end;
  const found = text.indexOf("\n", end);
  return found < 0 ? text.length : found + 1;
}

export function isFirstInLine(text: string, offset: number): boolean {
  return /^\uFEFF? *$/.test(text.slice(lineStartOf(text, offset), offset));
}

/** Where a line starts with a dash in the column, from an offset on; comments and empty lines are passed over. */
export function findDash(text: string, from: number, column: number): number {
  for (let start = nextLineOf(text, from); start < text.length; start = nextLineOf(text, start + 1)) {
    const at = start + column;
    if (text[at] === "-" && isFirstInLine(text, at)) return at;
  }
  return -1;
}

/** The commonest way of ending lines. */
export function lineEndOf(text: string): string {
  return /^[^\n]*\r\n/.test(text) ? "\r\n" : "\n";
}

export interface SpanEdit extends Span {
  readonly newText: string;
}

/** Makes the edits, which do not overlap. */
export function applySpanEdits(text: string, edits: readonly SpanEdit[]): string {
  const parts: string[] = [];
  let at = 0;
  for (const edit of edits.toSorted((one, other) => one.start - other.start || one.end - other.end)) {
    parts.push(text.slice(at, edit.start), edit.newText);
    at = edit.end;
  }
  return parts.join("") + text.slice(at);
}
