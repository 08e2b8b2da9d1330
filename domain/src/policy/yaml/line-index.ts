import type { SourceRange } from "../model.ts";
import type { Span } from "./node.ts";

/** Turns offsets of a text, whole lines of one file, into lines and columns of it. Each lookup is a binary search. */
export class LineIndex {
  readonly file: string;
  readonly text: string;
  readonly #firstLine: number;
  readonly #lineStarts: number[] = [0];

  /** `firstLine` is the line of the file, counted from 1, that the text starts in. */
  constructor(file: string, text: string, firstLine = 1) {
    this.file = file;
    this.text = text;
    this.#firstLine = firstLine;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.#lineStarts.push(at + 1);
  }

  /** The range of a span; offsets outside the text are moved to its ends. */
  range(span: Span): SourceRange {
    const start = this.#position(span.start);
    const end = span.end > span.start ? this.#position(span.end) : start;
    return { file: this.file, line: start.line, column: start.column, endLine: end.line, endColumn: end.column };
  }

  #position(offset: number): { line: number; column: number } {
    const at = Math.min(Math.max(offset, 0), this.text.length);
    let low = 0;
    let high = this.#lineStarts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#lineStarts[middle]! <= at) low = middle;
      else high = middle;
    }
    return { line: low + this.#firstLine, column: at - this.#lineStarts[low]! + 1 };
  }
}
