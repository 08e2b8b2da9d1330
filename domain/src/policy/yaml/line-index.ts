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
    const start = this.#position(span.start);
    const end = span.end > span.start ? this.#position(span.end) : start;
    return { file: this.file, line: start.line, column: start.column, endLine: end.line, endColumn: end.column };
  }

  #position(offset: number): { line: number; column: number } {
    const at = Math.min(Math.max(offset, 0), this.text.length);
    this.#lineStarts ??= lineStarts(this.text);
    const starts = this.#lineStarts;
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= at) low = middle;
      else high = middle;
    }
    return { line: low + this.#firstLine, column: at - starts[low]! + 1 };
  }
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}
