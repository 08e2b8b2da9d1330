/** Makes every fix that the check of some files offers, until it offers no more. */
import type { Diagnostic } from "../diagnostic.ts";
import type { SourceFile } from "../model.ts";
import { createPolicyReader, type ReadResult } from "../read.ts";
import { applyFixes } from "./apply-fixes.ts";

/** A fix can bring a problem to light that has a fix of its own; a chain of more is no help to anybody. */
const MAX_ROUNDS = 5;

export interface FixedFiles {
  /** All files, in the order given, with their new texts. */
  readonly files: readonly SourceFile[];
  /** What was mended, each with its fix; places refer to the text before the round in which it was made. */
  readonly mended: readonly Diagnostic[];
  /** What the files say now. */
  readonly reading: ReadResult;
}

/** Pure: nothing is written anywhere. Fixes that overlap wait for the next round, where they are found again or not. */
export function fixFiles(given: readonly SourceFile[]): FixedFiles {
  const reader = createPolicyReader();
  let files = given;
  let reading = reader.read(files);
  const mended: Diagnostic[] = [];
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const made: Diagnostic[] = [];
    files = files.map((file) => fixFile(file, reading.diagnostics, made));
    if (made.length === 0) break;
    mended.push(...made);
    reading = reader.read(files);
  }
  return { files, mended, reading };
}

function fixFile(file: SourceFile, diagnostics: readonly Diagnostic[], made: Diagnostic[]): SourceFile {
  const offered = new Map(
    diagnostics.flatMap((diagnostic) => {
      const { fix } = diagnostic;
      return fix?.edits.every(({ range }) => range.file === file.path) ? [[fix, diagnostic] as const] : [];
    }),
  );
  if (offered.size === 0) return file;
  const { text, applied } = applyFixes(file.text, [...offered.keys()]);
  for (const fix of applied) made.push(offered.get(fix)!);
  return { path: file.path, text };
}
