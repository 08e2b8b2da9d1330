import type { SourceFile, SourceRange } from "../model.ts";

/** The texts that were checked, to write fixes against. */
export class SourceTexts {
  readonly #files: ReadonlyMap<string, string>;
  readonly #lineStarts = new Map<string, readonly number[]>();

  constructor(files: readonly SourceFile[]) {
    // Of files with one path the first counts, as with documents.
    this.#files = new Map(files.toReversed().map(({ path, text }) => [path, text]));
  }

  text(file: string): string | null {
    return this.#files.get(file) ?? null;
  }

  /** Offsets of a range in its file, the end exclusive; `null` for a file that is not here. */
  span({
    file,
    line,
    column,
    endLine,
    endColumn,
  }: SourceRange): { readonly start: number; readonly end: number } | null {
    const starts = this.#startsOf(file);
    const from = starts?.[line - 1];
    const to = starts?.[endLine - 1];
    if (from === undefined || to === undefined) return null;
    return { start: from + column - 1, end: to + endColumn - 1 };
  }

  range(file: string, start: number, end: number): SourceRange {
    const from = this.#position(file, start);
    const to = this.#position(file, end);
    return { file, line: from.line, column: from.column, endLine: to.line, endColumn: to.column };
  }

  #position(file: string, offset: number): { line: number; column: number } {
    const starts = this.#startsOf(file) ?? [0];
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - starts[low]! + 1 };
  }

  #startsOf(file: string): readonly number[] | null {
    const known = this.#lineStarts.get(file);
    if (known) return known;
    const text = this.#files.get(file);
    if (text === undefined) return null;
    const starts = [0];
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
    this.#lineStarts.set(file, starts);
    return starts;
  }
}
