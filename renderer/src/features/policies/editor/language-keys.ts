/** To the next problem of all files, to where a name is defined, to where it is used. */
import { startCompletion } from "@codemirror/autocomplete";
import { EditorView } from "@codemirror/view";
import { onKeyCommand } from "../../../data/key-commands.ts";
import type { LanguageStore } from "./language-store.ts";

export interface LanguageGo {
  readonly toPlace: (file: string, line: number, column: number) => void;
  readonly showReferences: () => void;
}

export interface EditorCommandPorts {
  readonly store: LanguageStore;
  readonly path: string;
  readonly go: LanguageGo;
  readonly onSave: () => void;
}

/** What the commands of the keymap do in this editor, until the returned function is called. */
export function followEditorCommands(view: EditorView, { store, path, go, onSave }: EditorCommandPorts): () => void {
  const ends = [
    onKeyCommand("editor.save", onSave),
    onKeyCommand("editor.next-problem", () => void goToProblem(store, path, view, false, go)),
    onKeyCommand("editor.previous-problem", () => void goToProblem(store, path, view, true, go)),
    onKeyCommand("editor.complete", () => startCompletion(view)),
    onKeyCommand("editor.definition", () => void goToDefinition(store, view, go)),
    onKeyCommand("editor.references", () => {
      void store.findReferences(view.state.selection.main.head).then((found) => found && go.showReferences());
    }),
  ];
  return () => {
    for (const end of ends) end();
  };
}

async function goToProblem(
  store: LanguageStore,
  path: string,
  view: EditorView,
  isBackwards: boolean,
  go: LanguageGo,
): Promise<void> {
  const { head } = view.state.selection.main;
  const line = view.state.doc.lineAt(head);
  const input = { path, line: line.number, column: head - line.from + 1, isBackwards };
  const problem = await store.client.ask("nextProblem", input).catch(() => null);
  const text = problem ? `${problem.code}: ${problem.message}` : "There are no problems.";
  view.dispatch({ effects: EditorView.announce.of(text) });
  if (problem) go.toPlace(problem.source.file, problem.source.line, problem.source.column);
}

async function goToDefinition(store: LanguageStore, view: EditorView, go: LanguageGo): Promise<void> {
  const found = await store.findReferences(view.state.selection.main.head);
  const [first, second] = found?.definitions ?? [];
  if (first && second === undefined) {
    store.forgetReferences();
    go.toPlace(first.file, first.line, first.column);
  } else if (found) go.showReferences();
  else view.dispatch({ effects: EditorView.announce.of("Nothing is named here.") });
}
