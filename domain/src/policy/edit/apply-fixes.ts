/** Makes the edits of diagnostics' fixes in a text. */
import type { DiagnosticFix } from "../diagnostic.ts";
import type { SourceRange } from "../model.ts";
import { applySpanEdits, type SpanEdit } from "./lines.ts";

export interface FixedText {
  readonly text: string;
  readonly applied: readonly DiagnosticFix[];
  /** Fixes that were left out: they overlap one that was made, or their ranges are not in the text. */
  readonly refused: readonly DiagnosticFix[];
}

/**
 * Makes every fix that can be made, in the order given: a fix whose edits touch those of an earlier one is refused as a
 * whole. All ranges refer to `text`, which is the text that was checked.
 */
export function applyFixes(text: string, fixes: readonly DiagnosticFix[]): FixedText {
  const starts = lineStarts(text);
  const taken: SpanEdit[] = [];
  const applied: DiagnosticFix[] = [];
  const refused: DiagnosticFix[] = [];
  for (const fix of fixes) {
    const edits = fix.edits.map(({ range, newText }) => toSpanEdit(text, starts, range, newText));
    const isKnown = edits.every((edit) => edit !== null);
    if (!isKnown || edits.length === 0 || clash(edits, taken)) {
      refused.push(fix);
      continue;
    }
    taken.push(...edits);
    applied.push(fix);
  }
  return { text: applySpanEdits(text, taken), applied, refused };
}

function lineStarts(text: string): readonly number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

function toSpanEdit(text: string, starts: readonly number[], range: SourceRange, newText: string): SpanEdit | null {
  const start = offsetOf(text, starts, range.line, range.column);
  const end = offsetOf(text, starts, range.endLine, range.endColumn);
  return start === null || end === null || end < start ? null : { start, end, newText };
}

function offsetOf(text: string, starts: readonly number[], line: number, column: number): number | null {
  const start = starts[line - 1];
  if (start === undefined || column < 1) return null;
  const end = starts[line] ?? text.length + 1;
  return start + column - 1 < end ? start + column - 1 : null;
}

/** Edits that only touch are clashes too: nobody could say which of two insertions comes first. */
function clash(edits: readonly SpanEdit[], taken: readonly SpanEdit[]): boolean {
  return edits.some(
    (edit, index) =>
      taken.some((other) => touches(edit, other)) || edits.slice(index + 1).some((other) => touches(edit, other)),
  );
}

function touches(one: SpanEdit, other: SpanEdit): boolean {
  return one.start <= other.end && other.start <= one.end;
}
