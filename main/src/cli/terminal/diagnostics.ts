/** Diagnostics as a compiler shows them: place, code, sentence, the line with a mark under it, the fix. */
import type { Diagnostic, Severity, SourceRange } from "@wardline/domain/policy";
import type { Style } from "./style.ts";
import { cellWidth, visible } from "./visible.ts";

const TAB = "  ";
const MAX_LINE_CELLS = 160;

export interface DiagnosticsView {
  readonly style: Style;
  /** Text of a file by its name, for the quoted line; `undefined` when it cannot be quoted. */
  readonly textOf: (file: string) => string | undefined;
}

export function formatDiagnostics(diagnostics: readonly Diagnostic[], view: DiagnosticsView): string {
  return diagnostics.map((diagnostic) => formatDiagnostic(diagnostic, view)).join("\n");
}

export function formatDiagnostic(diagnostic: Diagnostic, { style, textOf }: DiagnosticsView): string {
  const { source, severity, code, message, fix } = diagnostic;
  const paint = painter(severity, style);
  const place = `${visible(source.file)}:${source.line}:${source.column}`;
  const lines = [`${style.bold(place)}: ${paint(`${severity}[${visible(code)}]`)}: ${visible(message)}`];
  const quoted = quoteLine(source, textOf(source.file));
  if (quoted) {
    const number = String(source.line);
    const gutter = " ".repeat(number.length);
    lines.push(style.dim(` ${gutter} |`), `${style.dim(` ${number} |`)} ${quoted.text}`);
    lines.push(`${style.dim(` ${gutter} |`)} ${paint(quoted.mark)}`);
  }
  if (fix) lines.push(`  ${style.green("fix:")} ${visible(fix.title)}`);
  return `${lines.join("\n")}\n`;
}

/** `2 errors, 1 warning`, or an empty text. */
export function countDiagnostics(diagnostics: readonly Diagnostic[]): string {
  const names: readonly [Severity, string, string][] = [
    ["error", "error", "errors"],
    ["warning", "warning", "warnings"],
    ["info", "note", "notes"],
  ];
  return names
    .map(([severity, one, many]) => {
      const count = diagnostics.filter((diagnostic) => diagnostic.severity === severity).length;
      return count === 0 ? "" : `${count} ${count === 1 ? one : many}`;
    })
    .filter((part) => part !== "")
    .join(", ");
}

export function hasErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some(({ severity }) => severity === "error");
}

function painter(severity: Severity, style: Style): (text: string) => string {
  return severity === "error" ? style.red : severity === "warning" ? style.yellow : style.blue;
}

/** The line and the mark below it, moved along so that the place is in sight on a very long line. */
function quoteLine(source: SourceRange, text: string | undefined): { text: string; mark: string } | null {
  const line = text?.split(/\r\n|\r|\n/)[source.line - 1];
  if (line === undefined) return null;
  const endColumn = source.endLine === source.line ? source.endColumn : line.length + 1;
  const show = (part: string) => visible(part.replaceAll("\t", TAB));
  let before = show(line.slice(0, source.column - 1));
  const marked = show(line.slice(source.column - 1, Math.max(endColumn - 1, source.column)));
  const after = show(line.slice(Math.max(endColumn - 1, source.column)));
  if (cellWidth(before) > MAX_LINE_CELLS / 2) before = `…${before.slice(-MAX_LINE_CELLS / 4)}`;
  const whole = before + marked + after;
  const shown = whole.length > MAX_LINE_CELLS ? `${whole.slice(0, MAX_LINE_CELLS)}…` : whole;
  const room = Math.max(1, cellWidth(shown) - cellWidth(before));
  const mark = "^".repeat(Math.min(Math.max(1, cellWidth(marked)), room));
  return { text: shown, mark: " ".repeat(cellWidth(before)) + mark };
}
