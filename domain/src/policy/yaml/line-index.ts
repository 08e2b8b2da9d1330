import type { SourceRange } from "../model.ts";
import type { Span } from "./node.ts";

/** Turns offsets of one file's text into lines and columns. Built once per file; each lookup is a binary search. */
export class LineIndex {
  readonly file: string;
  readonly text: string;
  readonly #lineStarts: number[] = [0];

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
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
    return { line: low + 1, column: at - this.#lineStarts[low]! + 1 };
  }
}
