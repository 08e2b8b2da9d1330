import type { Diagnostic as EditorDiagnostic } from "@codemirror/lint";
import type { Text } from "@codemirror/state";
import type { EditorView } from "@codemirror/view";
import { type Diagnostic, Severity, type SourceRange } from "@wardline/api/wardline/v1/error";

/** Offset of a line and column (from 1, UTF-16) in a text; places outside of the text are moved to its nearest end. */
export function offsetOf(text: Text, line: number, column: number): number {
  if (line < 1) return 0;
  if (line > text.lines) return text.length;
  const start = text.line(line);
  return Math.min(start.to, start.from + Math.max(0, column - 1));
}

function rangeOf(text: Text, source: SourceRange): { from: number; to: number } {
  const from = offsetOf(text, source.line, source.column);
  const to = Math.max(from, offsetOf(text, source.endLine || source.line, source.endColumn || source.column));
  return { from, to };
}

export const SEVERITY_NAMES: Record<Severity, "error" | "warning" | "info"> = {
  [Severity.UNSPECIFIED]: "info",
  [Severity.ERROR]: "error",
  [Severity.WARNING]: "warning",
  [Severity.INFO]: "info",
};

/** Problems of one file, placed in the editor, with their fixes as actions. */
export function editorDiagnostics(text: Text, path: string, diagnostics: readonly Diagnostic[]): EditorDiagnostic[] {
  return diagnostics
    .filter((diagnostic) => diagnostic.source?.file === path)
    .map((diagnostic) => {
      const range = diagnostic.source ? rangeOf(text, diagnostic.source) : { from: 0, to: 0 };
      const fix = diagnostic.fix;
      return {
        ...range,
        severity: SEVERITY_NAMES[diagnostic.severity],
        message: diagnostic.message,
        source: diagnostic.code,
        ...(fix ? { actions: [{ name: fix.title, apply: (view: EditorView) => applyFix(view, diagnostic) }] } : {}),
      };
    })
    .sort((a, b) => a.from - b.from);
}

/** Makes the edits of fixes in one step. They refer to the checked text; one that does not fit the present text is not made at all. */
export function applyFix(view: EditorView, ...diagnostics: readonly Diagnostic[]): void {
  const changes = diagnostics.flatMap(({ fix }) =>
    (fix?.edits ?? []).flatMap((edit) =>
      edit.range ? [{ ...rangeOf(view.state.doc, edit.range), insert: edit.newText }] : [],
    ),
  );
  if (changes.length > 0) view.dispatch({ changes, userEvent: "input.fix", scrollIntoView: true });
}
