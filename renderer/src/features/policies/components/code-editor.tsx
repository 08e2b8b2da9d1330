import { setDiagnostics } from "@codemirror/lint";
import { Annotation, EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import { useEffect, useRef } from "react";
import type { EditorTarget } from "../../../data/window-store.ts";
import { applyFix, editorDiagnostics, offsetOf } from "../model/editor-diagnostics.ts";
import { editingExtensions } from "./editor-setup.ts";

const FromOutside = Annotation.define<boolean>();

interface CodeEditorProps {
  readonly path: string;
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
  readonly target: EditorTarget | null;
  readonly onChange: (text: string) => void;
  readonly onSave: () => void;
  readonly fixRequest: { readonly diagnostic: Diagnostic; readonly serial: number } | null;
}

/** One CodeMirror for one file. Text from outside replaces the document only when it differs, so the cursor stays. */
export default function CodeEditor({ path, text, diagnostics, target, onChange, onSave, fixRequest }: CodeEditorProps) {
  const parent = useRef<HTMLDivElement>(null);
  const viewRef = useRef<EditorView | null>(null);
  const handlers = useRef({ onChange, onSave });
  handlers.current = { onChange, onSave };
  const firstText = useRef(text);

  useEffect(() => {
    if (!parent.current) return;
    const view = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: firstText.current,
        extensions: [
          ...editingExtensions(() => handlers.current.onSave()),
          EditorView.contentAttributes.of({ "aria-label": `Text of ${path}` }),
          EditorView.updateListener.of((update) => {
            const isOwn = !update.transactions.some((transaction) => transaction.annotation(FromOutside));
            if (update.docChanged && isOwn) handlers.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    viewRef.current = view;
    return () => {
      view.destroy();
      viewRef.current = null;
    };
  }, [path]);

  useEffect(() => {
    const view = viewRef.current;
    if (!view || view.state.doc.toString() === text) return;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, annotations: FromOutside.of(true) });
  }, [text]);

  useEffect(() => {
    const view = viewRef.current;
    if (view) view.dispatch(setDiagnostics(view.state, editorDiagnostics(view.state.doc, path, diagnostics)));
  }, [diagnostics, path]);

  useEffect(() => {
    const view = viewRef.current;
    if (!view || !target) return;
    const position = offsetOf(view.state.doc, target.line, target.column);
    view.dispatch({ selection: { anchor: position }, effects: EditorView.scrollIntoView(position, { y: "center" }) });
    view.focus();
  }, [target]);

  // A request from before this editor was opened is about another text, or was made already.
  const doneSerial = useRef(fixRequest?.serial ?? 0);
  useEffect(() => {
    const view = viewRef.current;
    if (!view || !fixRequest || fixRequest.serial === doneSerial.current) return;
    doneSerial.current = fixRequest.serial;
    if (fixRequest.diagnostic.source?.file === path) applyFix(view, fixRequest.diagnostic);
  }, [fixRequest, path]);

  return <div ref={parent} className="code-editor" />;
}
