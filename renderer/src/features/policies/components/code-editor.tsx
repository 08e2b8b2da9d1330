import { setDiagnostics } from "@codemirror/lint";
import { Annotation, EditorState } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import { useEffect, useRef } from "react";
import { type EditorTarget, useWindow } from "../../../data/window-store.ts";
import { handlersOf, keepState, keptState } from "../editor/kept-states.ts";
import { followEditorCommands } from "../editor/language-keys.ts";
import { applyAllFixes, lintProblems } from "../editor/lint-problems.ts";
import { changeBetween } from "../editor/replace-text.ts";
import { sizeLimit } from "../editor/size-limit.ts";
import { TextReports } from "../editor/text-reports.ts";
import { useLanguageStore } from "../editor/use-language.ts";
import { applyFix, offsetOf } from "../model/editor-diagnostics.ts";
import { editingExtensions } from "./editor-setup.ts";
import "../editor/editor.css";

const FromOutside = Annotation.define<boolean>();

/** One fix, or all of the file. */
export interface FixRequest {
  readonly diagnostics: readonly Diagnostic[];
  readonly serial: number;
}

interface CodeEditorProps {
  readonly path: string;
  readonly text: string;
  /** Only of the check by the backend, which is asked where the thread of the language fails; else `null`. */
  readonly diagnostics: readonly Diagnostic[] | null;
  readonly target: EditorTarget | null;
  readonly onChange: (text: string) => void;
  /** At the first key of what `onChange` hands on in the next pause. */
  readonly onTyping: () => void;
  readonly onSave: () => void;
  /** The editor, for the form that writes into it; `null` when it is gone. */
  readonly onView?: (view: EditorView | null) => void;
  readonly fixRequest: FixRequest | null;
}

/** One CodeMirror for one file. Text from outside replaces the document only when it differs, so the cursor stays. */
export default function CodeEditor({
  path,
  text,
  diagnostics,
  target,
  onChange,
  onTyping,
  onSave,
  onView,
  fixRequest,
}: CodeEditorProps) {
  const parent = useRef<HTMLDivElement>(null);
  const viewRef = useRef<EditorView | null>(null);
  const reports = useRef<TextReports | null>(null);
  const store = useLanguageStore();
  const handlers = handlersOf(path);
  handlers.current = { onChange, onTyping, onSave };
  const viewHandler = useRef(onView);
  viewHandler.current = onView;
  const firstText = useRef(text);

  useEffect(() => {
    if (!parent.current) return;
    const own = handlersOf(path);
    const report = new TextReports(
      (changed) => own.current.onChange(changed),
      () => own.current.onTyping(),
    );
    reports.current = report;
    const kept = keptState(path);
    const go = {
      toPlace: (file: string, line: number, column: number) => useWindow.getState().openFile(file, line, column),
      showReferences: () => useWindow.getState().set({ isEffectShown: true }),
    };
    const onSaveKey = () => {
      report.flush();
      own.current.onSave();
    };
    const createState = () =>
      EditorState.create({
        doc: firstText.current,
        extensions: [
          ...editingExtensions({ path, store, go }),
          // Line ends stay as the file has them.
          EditorState.lineSeparator.of(/^[^\n]*\r\n/.test(firstText.current) ? "\r\n" : "\n"),
          sizeLimit(),
          EditorView.contentAttributes.of({ "aria-label": `Text of ${path}` }),
        ],
      });
    const view = new EditorView({
      parent: parent.current,
      state: kept?.state ?? createState(),
      dispatchTransactions: (transactions, target) => {
        target.update(transactions);
        const isOwn = !transactions.some((transaction) => transaction.annotation(FromOutside));
        if (transactions.some(({ docChanged }) => docChanged)) {
          store.edit(path, target.state.doc.toString());
          if (isOwn) report.changed(target.state);
        }
        if (transactions.some(({ selection, docChanged }) => selection || docChanged)) {
          store.moveTo(target.state.doc.lineAt(target.state.selection.main.head).number);
        }
      },
    });
    if (kept) requestAnimationFrame(() => view.scrollDOM.scrollTo({ top: kept.scrollTop }));
    viewRef.current = view;
    store.moveTo(view.state.doc.lineAt(view.state.selection.main.head).number);
    viewHandler.current?.(view);
    // Whoever asks about what is not saved hears of the last key too.
    const leaving = new AbortController();
    for (const event of ["pagehide", "beforeunload", "blur"]) {
      addEventListener(event, report.flush, { capture: true, signal: leaving.signal });
    }
    const endCommands = followEditorCommands(view, { store, path, go, onSave: onSaveKey });
    return () => {
      endCommands();
      leaving.abort();
      report.flush();
      keepState(path, { state: view.state, scrollTop: view.scrollDOM.scrollTop });
      viewHandler.current?.(null);
      view.destroy();
      viewRef.current = null;
    };
  }, [path, store]);

  useEffect(() => {
    const view = viewRef.current;
    if (!view || reports.current?.isWaiting) return;
    const present = view.state.doc.toString();
    const wanted = text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
    if (present === wanted) return;
    view.dispatch({ changes: changeBetween(present, wanted), annotations: FromOutside.of(true), filter: false });
  }, [text]);

  useEffect(() => {
    const view = viewRef.current;
    if (!view || diagnostics === null) return;
    view.dispatch(setDiagnostics(view.state, lintProblems(view.state.doc, path, diagnostics, store.client)));
  }, [diagnostics, path, store]);

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
    const [first, second] = fixRequest.diagnostics;
    if (second) applyAllFixes(view, path, fixRequest.diagnostics);
    else if (first?.source?.file === path) applyFix(view, first);
  }, [fixRequest, path]);

  return <div ref={parent} className="code-editor" />;
}
