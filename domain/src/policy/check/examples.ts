import type { Diagnostic } from "../diagnostic.ts";
import { applyFixes } from "../edit/apply-fixes.ts";
import type { SourceFile, SourceRange } from "../model.ts";
import { readPolicyFiles } from "../read.ts";
import { decodePolicyBytes } from "../yaml/decode.ts";
import { LineIndex } from "../yaml/line-index.ts";
import { type DiagnosticExample, EXAMPLE_INVENTORY } from "./definition.ts";
import { checkRisks } from "./risk.ts";

export const EXAMPLE_FILE = "example.yaml";

/** The text of an example without its marks, and the range between them. */
export function unmark(marked: string): { readonly text: string; readonly range: SourceRange } {
  const start = marked.indexOf("⟦");
  const text = marked.replace("⟦", "").replace("⟧", "");
  const span = start < 0 ? { start: 0, end: 0 } : { start, end: marked.indexOf("⟧") - 1 };
  return { text, range: new LineIndex(EXAMPLE_FILE, text).range(span) };
}

type TextExample = Extract<DiagnosticExample, { readonly text: string }>;

/** What reading the example reports. */
export function runExample(example: DiagnosticExample): readonly Diagnostic[] {
  if ("bytes" in example) {
    const decoded = decodePolicyBytes(Uint8Array.from(example.bytes), EXAMPLE_FILE);
    return "diagnostic" in decoded ? [decoded.diagnostic] : [];
  }
  return checkExample(example, exampleFiles(example));
}

export function exampleFiles(example: TextExample): readonly SourceFile[] {
  const file: SourceFile = { path: EXAMPLE_FILE, text: unmark(example.text).text };
  return example.alone ? [file] : [{ path: "inventory.yaml", text: EXAMPLE_INVENTORY }, file];
}

/** What these files report under the circumstances of the example. */
export function checkExample(example: TextExample, files: readonly SourceFile[]): readonly Diagnostic[] {
  const { limits, nowUnixMs } = example;
  const options = { ...(limits ? { limits } : {}), ...(nowUnixMs === undefined ? {} : { nowUnixMs }) };
  const { diagnostics, world } = readPolicyFiles(files, options);
  return example.risks ? [...diagnostics, ...checkRisks(world, { ...example.risks, files })] : diagnostics;
}

/** The files of an example before and after its fix; `null` where it has none. */
export function fixedExample(
  example: DiagnosticExample,
): { readonly before: readonly SourceFile[]; readonly after: readonly SourceFile[]; readonly title: string } | null {
  if ("bytes" in example) return null;
  const fix = runExample(example)[0]?.fix;
  if (!fix) return null;
  const before = exampleFiles(example);
  const place = fix.edits[0]?.range.file;
  const after = before.map((file) =>
    file.path === place ? { ...file, text: applyFixes(file.text, [fix]).text } : file,
  );
  return { before, after, title: fix.title };
}
