import type { SourceRange } from "./model.ts";

export type Severity = "error" | "warning" | "info";

/** A text edit that a machine can make; ranges refer to the text that was checked. Edits do not overlap. */
export interface DiagnosticFix {
  readonly title: string;
  readonly edits: readonly { readonly range: SourceRange; readonly newText: string }[];
}

/**
 * One problem. `WL1xx` syntax, `WL2xx` schema, `WL3xx` meaning, `WL4xx` risk; the list with an example of each is in
 * docs/diagnostics.md. Codes are never reused.
 */
export interface Diagnostic {
  readonly code: string;
  readonly severity: Severity;
  /** A sentence that says what is wrong and, where it is not obvious, why. */
  readonly message: string;
  readonly source: SourceRange;
  readonly fix: DiagnosticFix | null;
}
