/** What can be wrong with a flow query. Codes are stable; docs/flows.md lists them. */
import type { Diagnostic, DiagnosticFix, Severity } from "../../policy/diagnostic.ts";
import type { SourceRange } from "../../policy/model.ts";

export const FLOW_QUERY_DIAGNOSTICS = {
  WL601: { severity: "error", title: "The query is too long, too deep or has too many values" },
  WL602: { severity: "error", title: "There is no such field" },
  WL603: { severity: "error", title: "The field has no value" },
  WL604: { severity: "error", title: "The value does not fit its field" },
  WL605: { severity: "error", title: "The field does not compare like this" },
  WL606: { severity: "error", title: "A quote or a parenthesis is not closed, or was never opened" },
  WL607: { severity: "error", title: "An operator has nothing to work on" },
  WL608: { severity: "error", title: "The window of time stands where it cannot count for the whole query" },
  WL609: { severity: "error", title: "The window of time is said twice, or ends before it begins" },
  WL610: { severity: "warning", title: "No record can be like this" },
  WL611: { severity: "info", title: "A word that is looked for as text, but may be meant as something else" },
} as const satisfies Record<string, { severity: Severity; title: string }>;

export type FlowQueryCode = keyof typeof FLOW_QUERY_DIAGNOSTICS;

/** Offsets in the text (UTF-16 code units), the end exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A query is one line, also when it was pasted with line breaks. */
export function rangeOf({ start, end }: Span): SourceRange {
  return { file: "", line: 1, column: start + 1, endLine: 1, endColumn: end + 1 };
}

/** Bounded: a hostile text has as many problems as it has words. */
const MAX_DIAGNOSTICS = 50;

export class Problems {
  readonly list: Diagnostic[] = [];

  add(
    code: FlowQueryCode,
    span: Span,
    message: string,
    replacement?: { readonly title: string; readonly text: string },
  ) {
    if (this.list.length >= MAX_DIAGNOSTICS) return;
    const source = rangeOf(span);
    const fix: DiagnosticFix | null = replacement
      ? { title: replacement.title, edits: [{ range: source, newText: replacement.text }] }
      : null;
    this.list.push({ code, severity: FLOW_QUERY_DIAGNOSTICS[code].severity, message, source, fix });
  }

  get hasErrors(): boolean {
    return this.list.some(({ severity }) => severity === "error");
  }
}

/** Part of a hostile text, for a message. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
