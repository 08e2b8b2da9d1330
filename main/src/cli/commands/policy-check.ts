import { checkRisks, type Diagnostic, type DiagnosticFix, readPolicyFiles } from "@wardline/domain/policy";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { type ReadInput, readInput } from "../input/policy-files.ts";
import type { Output } from "../output.ts";
import { countDiagnostics, formatDiagnostics, hasErrors } from "../terminal/diagnostics.ts";

/** `wardline policy check FILE…` */
export async function policyCheck(output: Output, names: readonly string[]): Promise<ExitCode> {
  const input = await readInput(names);
  const nowUnixMs = Date.now();
  const reading = readPolicyFiles(input.files, { nowUnixMs });
  // Policies with errors are left out of the world, and what is left may cut what the whole would allow.
  const risks = reading.ok ? checkRisks(reading.world, { files: input.files, nowUnixMs }) : [];
  const diagnostics = [...allDiagnostics(input, reading), ...risks];
  if (output.format === "json") output.json(checkResult(countDocuments(reading), diagnostics));
  else {
    output.text(formatProblems(output, input, diagnostics));
    const documents = count(countDocuments(reading), "document", "documents");
    const files = count(input.files.length + input.refused.length, "file", "files");
    const found = countDiagnostics(diagnostics) || output.style.green("no problems");
    output.text(`${documents} in ${files}: ${found}\n`);
  }
  return hasErrors(diagnostics) ? EXIT.problems : EXIT.done;
}

/** A document of Cilium or Calico may stand for several policies. */
function countDocuments({ documents }: ReturnType<typeof readPolicyFiles>): number {
  return new Set(documents.map(({ source }) => `${source.line}:${source.column} ${source.file}`)).size;
}

export function allDiagnostics(input: ReadInput, reading: ReturnType<typeof readPolicyFiles>): Diagnostic[] {
  return [...input.refused, ...reading.diagnostics];
}

/** Diagnostics for a person, with an empty line after each. */
export function formatProblems(output: Output, input: ReadInput, diagnostics: readonly Diagnostic[]): string {
  if (diagnostics.length === 0) return "";
  const texts = new Map(input.files.map((file) => [file.path, file.text]));
  return `${formatDiagnostics(diagnostics, { style: output.style, textOf: (file) => texts.get(file) })}\n`;
}

/** The promised JSON shape; more fields would be a new promise. */
export function checkResult(documents: number, diagnostics: readonly Diagnostic[]) {
  return {
    documents,
    diagnostics: diagnostics.map(({ code, severity, source, message, fix }) => ({
      code,
      severity,
      file: source.file,
      line: source.line,
      column: source.column,
      endLine: source.endLine,
      endColumn: source.endColumn,
      message,
      fix: fix && { title: fix.title, edits: wireEdits(fix) },
    })),
  };
}

export function wireEdits({ edits }: DiagnosticFix) {
  return edits.map(({ range, newText }) => ({
    file: range.file,
    line: range.line,
    column: range.column,
    endLine: range.endLine,
    endColumn: range.endColumn,
    newText,
  }));
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}
