import type { Diagnostic, SourceFile } from "@wardline/domain/policy";
import { fixFiles } from "@wardline/domain/policy/edit";
import { EXIT, type ExitCode } from "../exit-code.ts";
import { readInput } from "../input/policy-files.ts";
import { type TextChange, writeTexts } from "../input/write-texts.ts";
import type { Output } from "../output.ts";
import { countDiagnostics, hasErrors } from "../terminal/diagnostics.ts";
import { visible } from "../terminal/visible.ts";
import { allDiagnostics, checkResult, formatProblems, wireEdits } from "./policy-check.ts";

/**
 * `wardline policy check --fix FILE…`: makes the fixes that are offered, says each, and reports what is left. A dry run
 * does all but the writing.
 * @throws Failure REVISION_CONFLICT when a file changed meanwhile, PERMISSION_DENIED, DISK_FULL; files before it are written
 */
export async function policyCheckFix(
  output: Output,
  names: readonly string[],
  { isDryRun }: { readonly isDryRun: boolean },
): Promise<ExitCode> {
  const input = await readInput(names);
  const { files, mended, reading } = fixFiles(input.files);
  const changes = changedTexts(input.files, files);
  if (!isDryRun) writeTexts(changes);
  const after = { files, refused: input.refused };
  const diagnostics = allDiagnostics(after, reading);
  if (output.format === "json") {
    const fixes = mended.map((diagnostic) => fixResult(diagnostic));
    output.json({
      ...checkResult(reading.documents.length, diagnostics),
      fixes,
      written: isDryRun ? [] : paths(changes),
    });
  } else {
    for (const diagnostic of mended) output.text(fixLine(output, diagnostic));
    output.text(formatProblems(output, after, diagnostics));
    const verb = isDryRun ? "would be fixed" : "fixed";
    const left = countDiagnostics(diagnostics) || output.style.green("no problems");
    output.text(`${mended.length} ${verb} in ${changes.length} of ${files.length} files; left: ${left}\n`);
  }
  return hasErrors(diagnostics) ? EXIT.problems : EXIT.done;
}

function changedTexts(before: readonly SourceFile[], after: readonly SourceFile[]): TextChange[] {
  return before.flatMap(({ path, text }, index) => {
    const newText = after[index]?.text ?? text;
    return newText === text ? [] : [{ path, text, newText }];
  });
}

function paths(changes: readonly TextChange[]): string[] {
  return changes.map(({ path }) => path);
}

function fixLine(output: Output, { source, code, fix }: Diagnostic): string {
  const place = `${visible(source.file)}:${source.line}:${source.column}`;
  return `${output.style.bold(place)}: ${output.style.green("fix")}[${visible(code)}]: ${visible(fix?.title ?? "")}\n`;
}

function fixResult({ source, code, fix }: Diagnostic) {
  return { code, file: source.file, title: fix?.title ?? "", edits: fix ? wireEdits(fix) : [] };
}
