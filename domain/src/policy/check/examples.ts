import type { Diagnostic } from "../diagnostic.ts";
import type { SourceFile, SourceRange } from "../model.ts";
import { readPolicyFiles } from "../read.ts";
import { decodePolicyBytes } from "../yaml/decode.ts";
import { LineIndex } from "../yaml/line-index.ts";
import { type DiagnosticExample, EXAMPLE_INVENTORY } from "./definition.ts";

export const EXAMPLE_FILE = "example.yaml";

/** The text of an example without its marks, and the range between them. */
export function unmark(marked: string): { readonly text: string; readonly range: SourceRange } {
  const start = marked.indexOf("⟦");
  const text = marked.replace("⟦", "").replace("⟧", "");
  const span = start < 0 ? { start: 0, end: 0 } : { start, end: marked.indexOf("⟧") - 1 };
  return { text, range: new LineIndex(EXAMPLE_FILE, text).range(span) };
}

/** What reading the example reports. */
export function runExample(example: DiagnosticExample): readonly Diagnostic[] {
  if ("bytes" in example) {
    const decoded = decodePolicyBytes(Uint8Array.from(example.bytes), EXAMPLE_FILE);
    return "diagnostic" in decoded ? [decoded.diagnostic] : [];
  }
  const files: SourceFile[] = [{ path: EXAMPLE_FILE, text: unmark(example.text).text }];
  if (!example.alone) files.unshift({ path: "inventory.yaml", text: EXAMPLE_INVENTORY });
  const { limits, nowUnixMs } = example;
  const options = { ...(limits ? { limits } : {}), ...(nowUnixMs === undefined ? {} : { nowUnixMs }) };
  return readPolicyFiles(files, options).diagnostics;
}
