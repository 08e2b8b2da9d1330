/** Which revision brought each line of a text: told by what changed from each revision to the next. */
import { diffLines } from "./line-diff.ts";
import { splitLines } from "./split-lines.ts";

/** Neighbouring lines that came with the same revision. */
export interface BlameRun<Mark> {
  /** From 1. */
  readonly firstLine: number;
  readonly lineCount: number;
  readonly mark: Mark;
}

/** Takes the revisions of one file, oldest first. */
export class LineBlame<Mark> {
  #lines: readonly string[] = [];
  #marks: Mark[] = [];

  /** Lines that are there already keep their mark, the others get this one. */
  add(text: string, mark: Mark): void {
    const next = splitLines(text);
    const marks: Mark[] = [];
    let at = 0;
    for (const { oldStart, oldEnd, newStart, newEnd } of diffLines(this.#lines, next)) {
      while (at < oldStart) marks.push(this.#marks[at++] as Mark);
      for (let line = newStart; line < newEnd; line++) marks.push(mark);
      at = oldEnd;
    }
    while (at < this.#marks.length) marks.push(this.#marks[at++] as Mark);
    this.#lines = next;
    this.#marks = marks;
  }

  /** Goes on from here without changing this one. */
  copy(): LineBlame<Mark> {
    const copy = new LineBlame<Mark>();
    copy.#lines = this.#lines;
    copy.#marks = this.#marks;
    return copy;
  }

  /** One for each line. */
  get marks(): readonly Mark[] {
    return this.#marks;
  }

  runs(): BlameRun<Mark>[] {
    const runs: { firstLine: number; lineCount: number; mark: Mark }[] = [];
    for (const [index, mark] of this.#marks.entries()) {
      const last = runs.at(-1);
      if (last?.mark === mark) last.lineCount += 1;
      else runs.push({ firstLine: index + 1, lineCount: 1, mark });
    }
    return runs;
  }
}
