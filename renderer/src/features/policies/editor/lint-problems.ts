/** Problems in the editor: their layer, their fix, and what their code means. */
import type { Diagnostic as EditorDiagnostic } from "@codemirror/lint";
import type { Text } from "@codemirror/state";
import type { EditorView } from "@codemirror/view";
import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import { visibleText } from "../../../ui/index.ts";
import { applyFix, editorDiagnostics } from "../model/editor-diagnostics.ts";
import type { LanguageClient } from "./language-client.ts";
import { layerOf } from "./wire.ts";

export function lintProblems(
  text: Text,
  path: string,
  diagnostics: readonly Diagnostic[],
  client: LanguageClient,
): EditorDiagnostic[] {
  return editorDiagnostics(text, path, diagnostics).map((diagnostic) => ({
    ...diagnostic,
    markClass: `cm-layer-${layerOf(diagnostic.source ?? "")}`,
    renderMessage: () => message(diagnostic, client),
  }));
}

function message({ message: text, source: code = "" }: EditorDiagnostic, client: LanguageClient): Node {
  const box = document.createElement("div");
  const sentence = document.createElement("p");
  sentence.textContent = visibleText(text);
  const why = document.createElement("button");
  why.type = "button";
  why.className = "lint-explain";
  why.textContent = `What ${code} means`;
  why.onclick = async () => {
    const known = await client.ask("explain", { code }).catch(() => null);
    why.replaceWith(
      known ? `${known.title}. ${known.meaning} ${known.remedy}` : "There is no explanation of this code.",
    );
  };
  const layer = document.createElement("span");
  layer.className = "lint-layer";
  layer.textContent = layerOf(code);
  box.append(sentence, layer, " ", why);
  return box;
}

/** Makes the fixes of all problems of a file in one step that one undo takes back; of two that overlap the first is made. */
export function applyAllFixes(view: EditorView, path: string, diagnostics: readonly Diagnostic[]): number {
  const fixable = editorDiagnostics(
    view.state.doc,
    path,
    diagnostics.filter(({ fix }) => fix !== undefined),
  ).length;
  const chosen: Diagnostic[] = [];
  const taken: { readonly from: number; readonly to: number }[] = [];
  for (const diagnostic of diagnostics) {
    const ranges = (diagnostic.fix?.edits ?? []).flatMap(({ range }) =>
      range ? [{ from: range.line * 1e6 + range.column, to: range.endLine * 1e6 + range.endColumn }] : [],
    );
    if (ranges.length === 0 || diagnostic.source?.file !== path) continue;
    if (ranges.some((range) => taken.some((other) => range.from <= other.to && other.from <= range.to))) continue;
    taken.push(...ranges);
    chosen.push(diagnostic);
  }
  applyFix(view, ...chosen);
  return Math.min(fixable, chosen.length);
}
