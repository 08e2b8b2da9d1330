import type { SourceRange } from "../model.ts";
import type { Span } from "./node.ts";

/** Turns offsets of a text, whole lines of one file, into lines and columns of it. Each lookup is a binary search. */
export class LineIndex {
  readonly file: string;
  readonly text: string;
  readonly #firstLine: number;
  /** Built when the first place is asked for. */
  #lineStarts: number[] | null = null;

  /** `firstLine` is the line of the file, counted from 1, that the text starts in. */
  constructor(file: string, text: string, firstLine = 1) {
    this.file = file;
    this.text = text;
    this.#firstLine = firstLine;
  }

  /** The range of a span; offsets outside the text are moved to its ends. */
  range(span: Span): SourceRange {
    this.#lineStarts ??= lineStarts(this.text);
    const starts = this.#lineStarts;
    const start = Math.min(Math.max(span.start, 0), this.text.length);
    const end = span.end > span.start ? Math.min(Math.max(span.end, 0), this.text.length) : start;
    const startLine = lineAt(starts, start, 0);
    const endLine = lineAt(starts, end, startLine);
    return {
      file: this.file,
      line: startLine + this.#firstLine,
      column: start - starts[startLine]! + 1,
      endLine: endLine + this.#firstLine,
      endColumn: end - starts[endLine]! + 1,
    };
  }
}

/** The position of the last line start that is not behind the offset, which is not before that of line `from`. */
function lineAt(starts: readonly number[], offset: number, from: number): number {
  if (from + 1 >= starts.length || starts[from + 1]! > offset) return from;
  let low = from;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= offset) low = middle;
    else high = middle;
  }
  return low;
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    starts.push(at + 1);
    // Of many empty lines a search for each would cost too much.
    for (; text.charCodeAt(at + 1) === LINE_FEED; at += 1) starts.push(at + 2);
  }
  return starts;
}

const LINE_FEED = 0x0a;
