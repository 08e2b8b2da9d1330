import type { EditorView } from "@codemirror/view";
import type { DocumentSummary } from "@wardline/api/wardline/console/v1/policies";
import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import {
  type FormEdit,
  type FormFile,
  type FormPart,
  keyStartAt,
  partAt,
  pathAt,
  readFormFile,
  spanAt,
  type ValuePath,
  type YamlNode,
} from "@wardline/domain/policy/edit";
import type { Field } from "@wardline/domain/policy/formats/schema";
import { type KeyboardEvent, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { Notice, visibleText } from "../../../ui/index.ts";
import { useLanguageStore } from "../editor/use-language.ts";
import { DocumentCard } from "./components/document-card.tsx";
import { type DocumentAction, DocumentHead, freeName } from "./components/document-head.tsx";
import { Outline } from "./components/outline.tsx";
import { TemplateSheet } from "./components/template-sheet.tsx";
import { showFace } from "./face-switch.tsx";
import { useFormWords } from "./hooks/use-form-words.ts";
import { TextBridge } from "./model/bridge.ts";
import { FormContext, type FormScope, fieldId, pathKey } from "./model/form-context.ts";
import { headOf } from "./model/kinds.ts";
import { placeProblems } from "./model/problems.ts";
import { namedTemplate } from "./model/templates.ts";
import "./form.css";
import "./fields.css";
import "./rules.css";

export interface FormFaceProps {
  readonly view: EditorView;
  readonly path: string;
  readonly diagnostics: readonly Diagnostic[];
  /** Of the last check; `null` while there is none. */
  readonly documents: readonly DocumentSummary[] | null;
}

/** The second face of a file: every document as a form. It writes nothing but changes of the one text. */
export default function FormFace({ view, path, diagnostics, documents }: FormFaceProps) {
  const bridge = useMemo(() => new TextBridge(view), [view]);
  // Of the editor and not of the draft, which hears of it a moment later.
  const text = useSyncExternalStore(bridge.subscribe, bridge.getText);
  const file = useFormFile(text);
  const [active, setActive] = useState(0);
  const [current, setCurrent] = useState<string | null>(null);
  const [help, setHelp] = useState<{ label: string; text: string } | null>(null);
  const [said, setSaid] = useState("");
  const [failure, setFailure] = useState<string | null>(null);
  const [addsBehind, setAddsBehind] = useState<number | null>(null);
  const words = useFormWords(file);
  const language = useLanguageStore();
  const problems = useMemo(() => placeProblems(file, path, diagnostics), [file, path, diagnostics]);
  const shownPart = file.parts[active]?.state === "empty" ? undefined : file.parts[active];
  const part = shownPart ?? file.parts.find(({ state }) => state !== "empty") ?? null;
  const readable = useLastReadable(part);
  const latest = useRef(file);
  latest.current = file;

  useEffect(() => {
    return bridge.onCursor((offset) => {
      const at = partAt(latest.current, offset);
      if (!at) return;
      setActive(at.index);
      if (!at.root || at.state !== "document") return;
      const target = pathAt(at.root, offset - at.offset);
      setCurrent(pathKey(target));
      requestAnimationFrame(() => {
        for (let length = target.length; length > 0; length -= 1) {
          const field = document.getElementById(fieldId(target.slice(0, length)));
          if (field) return field.scrollIntoView({ block: "nearest" });
        }
      });
    });
  }, [bridge]);

  const apply = (edits: readonly FormEdit[]): string | null => {
    const reason = bridge.apply(edits);
    setFailure(null);
    return reason;
  };
  const act = (action: DocumentAction) => {
    if (!part) return;
    if (action === "add") return setAddsBehind(part.index);
    const index = part.index;
    const edit: FormEdit =
      action === "duplicate"
        ? { kind: "duplicate-document", part: index, name: freeName(file, headOf(part)) }
        : action === "delete"
          ? { kind: "remove-document", part: index }
          : { kind: action === "disable" ? "disable-document" : "enable-document", part: index };
    const reason = apply([edit]);
    setFailure(reason);
    if (reason === null) setSaid(`document ${action === "duplicate" ? "copied" : `${action}d`}`);
    if (reason === null && action === "duplicate") setActive(index + 1);
    if (reason === null && action === "delete") setActive(Math.max(0, index - 1));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey) return;
    const key = event.key.toLowerCase();
    const isRedo = key === "y" || (key === "z" && event.shiftKey);
    if (key !== "z" && !isRedo) return;
    // The history of the text is the only one: that of a single field would know half of it.
    event.preventDefault();
    if (isRedo ? bridge.redo() : bridge.undo()) setSaid(isRedo ? "done again" : "undone");
  };
  const isLocked = part !== null && part.state !== "document";
  const scope: FormScope | null = readable && {
    part: readable,
    isLocked,
    words,
    problems: problems.filter((problem) => problem.part === readable.index),
    apply,
    enter: (fieldPath, label, field: Field | null) => {
      setHelp({ label, text: field?.description ?? "" });
      if (isLocked || !readable.root) return;
      const span = spanAt(readable.root, fieldPath);
      if (span) bridge.reveal(readable.offset + span.start);
    },
    offer: async (fieldPath, what) => {
      const at = isLocked || !readable.root ? null : placeOf(readable.root, fieldPath, what);
      if (at === null) return [];
      language.client.setTexts([[path, bridge.text]]);
      const answer = await language.client.ask("complete", { path, offset: readable.offset + at }).catch(() => null);
      return (answer?.items ?? [])
        .filter(({ kind }) => kind !== "snippet" && (kind !== "key" || what === "name"))
        .map(({ label, detail }) => ({ value: label, detail }));
    },
    showText: (path) => {
      showFace("both");
      const start = path && readable.root ? keyStartAt(readable.root, path) : null;
      const offset = path === null ? null : readable.offset + (start ?? readable.root?.start ?? 0);
      // The text has no place on the page before it is shown.
      requestAnimationFrame(() => bridge.show(offset));
    },
    current,
    say: setSaid,
    subjects: part ? subjectsOf(part, file, path, documents) : null,
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: undo and redo work from every field in it
    <div className="form-face" onKeyDown={onKeyDown}>
      {file.parts.filter(({ state }) => state !== "empty").length > 1 ? (
        <Outline file={file} active={part?.index ?? 0} problems={problems} onChoose={setActive} />
      ) : null}
      <div className="form-main">
        {file.obstacle ? (
          <Notice tone="observed">{file.obstacle} The form shows such a file only as text.</Notice>
        ) : null}
        {part && readable && scope ? (
          <>
            <DocumentHead
              part={part}
              head={headOf(readable)}
              canUndo={bridge.canUndo}
              canRedo={bridge.canRedo}
              onUndo={() => bridge.undo()}
              onRedo={() => bridge.redo()}
              onAction={act}
            />
            {part.mistake ? (
              <Notice tone="deny">
                <strong>Line {part.mistake.line} of the text cannot be read.</strong>{" "}
                {visibleText(part.mistake.message)} The form shows what was read before and changes nothing until the
                text is right again.
              </Notice>
            ) : null}
            {part.state === "off" ? (
              <Notice tone="observed">
                This document is switched off: its lines are comments. Switch it on to edit it.
              </Notice>
            ) : null}
            {failure ? <Notice tone="deny">Not written: {visibleText(failure)}</Notice> : null}
            <FormContext value={scope}>
              {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1). */}
              <section className="form-card scroll" aria-label="Form of the document" tabIndex={0} key={part.index}>
                <DocumentCard head={headOf(readable)} />
              </section>
            </FormContext>
            <p className="form-help">
              {help ? (
                <>
                  <strong>{help.label}</strong> {help.text}
                </>
              ) : (
                "Each change is written into the text at once. Ctrl+Z takes it back, in both."
              )}
            </p>
          </>
        ) : (
          <EmptyForm
            isBroken={part !== null}
            mistake={part?.mistake ?? null}
            onAdd={() => setAddsBehind(file.parts.length - 1)}
          />
        )}
        <p className="visually-hidden" role="status">
          {said}
        </p>
      </div>
      <TemplateSheet
        isOpen={addsBehind !== null}
        title="Add a document"
        onClose={() => setAddsBehind(null)}
        onChosen={(_text, template) => {
          const after = addsBehind ?? file.parts.length - 1;
          setAddsBehind(null);
          const isTaken = (name: string) => file.parts.some((each) => headOf(each).name === name);
          const reason = apply([{ kind: "add-document", after, text: namedTemplate(template, isTaken) }]);
          setFailure(reason);
          if (reason === null) setActive(text.trim() === "" ? 0 : after + 1);
        }}
      />
    </div>
  );
}

function EmptyForm({
  isBroken,
  mistake,
  onAdd,
}: {
  isBroken: boolean;
  mistake: FormPart["mistake"];
  onAdd: () => void;
}) {
  return (
    <div className="form-empty">
      {isBroken ? (
        <Notice tone="deny">
          {mistake
            ? `Line ${mistake.line} of the text cannot be read. ${visibleText(mistake.message)}`
            : "The text cannot be read."}{" "}
          The form comes back when the text is right; it has changed nothing.
        </Notice>
      ) : (
        <p className="soft">There is no document in this file yet.</p>
      )}
      {isBroken ? null : (
        <button type="button" className="button" data-tone="primary" onClick={onAdd}>
          Choose what to begin with
        </button>
      )}
    </div>
  );
}

/** Where the completion is asked: at the begin of the value, or of its name. Values in quotes begin behind them. */
function placeOf(root: YamlNode, path: ValuePath, what: "value" | "name"): number | null {
  if (what === "name") return keyStartAt(root, path);
  const span = spanAt(root, path);
  return span && span.end > span.start ? span.start : null;
}

function useFormFile(text: string): FormFile {
  const previous = useRef<FormFile | null>(null);
  return useMemo(() => {
    const file = readFormFile(text, previous.current);
    previous.current = file;
    return file;
  }, [text]);
}

/** The part, or as long as it is broken what could be read of it before. */
function useLastReadable(part: FormPart | null): FormPart | null {
  const last = useRef(new Map<number, FormPart>());
  if (part?.root) last.current.set(part.index, part);
  return part?.root ? part : part ? (last.current.get(part.index) ?? null) : null;
}

function subjectsOf(
  part: FormPart,
  file: FormFile,
  path: string,
  documents: readonly DocumentSummary[] | null,
): readonly string[] | null {
  if (documents === null) return null;
  const end = file.parts[part.index + 1]?.linesBefore ?? Number.POSITIVE_INFINITY;
  const found = documents.find(
    ({ source }) => source?.file === path && source.line > part.linesBefore && source.line <= end,
  );
  return found ? found.subjectKeys : null;
}
