/** The one text behind both faces: what the form changes are transactions of the editor, in the same history. */
import { redo, redoDepth, undo, undoDepth } from "@codemirror/commands";
import { EditorSelection, StateEffect, StateField, type Text } from "@codemirror/state";
import { EditorView, type ViewUpdate } from "@codemirror/view";
import { differenceOf, editFormTogether, type FormEdit } from "@wardline/domain/policy/edit";

type Listener = (update: ViewUpdate) => void;

const LISTENERS = new WeakMap<EditorView, Set<Listener>>();

/** The state of an editor outlives it and is given to the next one, so that it holds no listener itself. */
const following = StateField.define<boolean>({
  create: () => true,
  update: (value) => value,
  provide: () =>
    EditorView.updateListener.of((update) => {
      for (const listener of LISTENERS.get(update.view) ?? []) listener(update);
    }),
});

export class TextBridge {
  readonly #view: EditorView;
  #known: { readonly doc: Text; readonly text: string } | null = null;

  constructor(view: EditorView) {
    this.#view = view;
  }

  /** With a line end of one character, whatever the file has. */
  readonly getText = (): string => {
    const { doc } = this.#view.state;
    if (this.#known?.doc !== doc) this.#known = { doc, text: doc.toString() };
    return this.#known.text;
  };

  get text(): string {
    return this.getText();
  }

  readonly subscribe = (listener: () => void): (() => void) =>
    this.#listen((update) => {
      if (update.docChanged) listener();
    });

  #listen(listener: Listener): () => void {
    const view = this.#view;
    const listeners = LISTENERS.get(view) ?? new Set();
    LISTENERS.set(view, listeners.add(listener));
    if (view.state.field(following, false) === undefined)
      view.dispatch({ effects: StateEffect.appendConfig.of(following) });
    return () => listeners.delete(listener);
  }

  /** Makes the edits as one step of the history; the reason when they cannot be made, and then nothing is changed. */
  apply(edits: readonly FormEdit[]): string | null {
    const { text } = this;
    const result = editFormTogether(text, edits);
    if (!result.ok) return result.reason;
    const changes = differenceOf(text, result.text).map(({ start, end, newText }) => ({
      from: start,
      to: end,
      insert: newText,
    }));
    const first = changes[0];
    if (first) {
      const selection = EditorSelection.cursor(first.from + first.insert.length);
      this.#view.dispatch({ changes, selection, userEvent: "input.type.form", scrollIntoView: true });
    }
    return null;
  }

  undo(): boolean {
    return undo(this.#view);
  }

  redo(): boolean {
    return redo(this.#view);
  }

  get canUndo(): boolean {
    return undoDepth(this.#view.state) > 0;
  }

  get canRedo(): boolean {
    return redoDepth(this.#view.state) > 0;
  }

  /** Puts the cursor of the text somewhere without taking the focus. */
  reveal(offset: number): void {
    const at = Math.min(Math.max(0, offset), this.#view.state.doc.length);
    if (this.#view.state.selection.main.head === at) return;
    this.#view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "nearest" }) });
  }

  /** Takes the focus to the text; `null` = where its cursor is. */
  show(offset: number | null): void {
    const { state } = this.#view;
    const at = offset === null ? state.selection.main.head : Math.min(Math.max(0, offset), state.doc.length);
    this.#view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
    this.#view.focus();
  }

  /** Where the cursor of the text goes while the text has the focus. */
  onCursor(listener: (offset: number) => void): () => void {
    return this.#listen((update) => {
      if (update.selectionSet && update.view.hasFocus) listener(update.state.selection.main.head);
    });
  }
}
