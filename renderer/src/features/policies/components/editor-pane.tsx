import type { EditorView } from "@codemirror/view";
import type { DocumentSummary, FileSummary } from "@wardline/api/wardline/console/v1/policies";
import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import { Ellipsis, UserPen } from "lucide-react";
import { type ReactNode, Suspense, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type Draft, type DraftStatus, wasNotRead } from "../../../data/draft-store.ts";
import { shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatQuantity,
  IconButton,
  lazyPart,
  Notice,
  Skeleton,
  Spinner,
  Tag,
  useAnnounced,
  visibleText,
} from "../../../ui/index.ts";
import { PolicyPictureView } from "../../picture/index.ts";
import { FaceSwitch } from "../form/face-switch.tsx";
import { useBlame } from "../history/use-blame.ts";
import { MergeButton } from "../merge/merge-button.tsx";
import { stateTag } from "../model/file-tree.ts";
import type { FixRequest } from "./code-editor.tsx";
import { FileMenu } from "./file-menu.tsx";

const CodeEditor = lazyPart(() => import("./code-editor.tsx"));
const FormFace = lazyPart(() => import("../form/form-face.tsx"));
const TextDiff = lazyPart(() => import("./text-diff.tsx"));

interface EditorPaneProps {
  readonly path: string;
  readonly draft: Draft | null;
  readonly summary: FileSummary | null;
  readonly diagnostics: readonly Diagnostic[];
  /** Of this file, also those that are not among the diagnostics. */
  readonly problemCount: number;
  /** Of the last check; `null` while there is none. */
  readonly documents: readonly DocumentSummary[] | null;
  readonly isChecking: boolean;
  readonly checkError: unknown;
  /** Whether the editor has its problems from here, and not from the thread of the language. */
  readonly isRemoteCheck: boolean;
  readonly fixRequest: FixRequest | null;
  readonly actions: ReactNode;
}

const STATUS_WORDS: Record<DraftStatus, string> = {
  loading: "reading…",
  saved: "draft saved",
  dirty: "saving soon…",
  saving: "saving…",
  "kept-locally": "kept in this window; sent when the backend is back",
  conflict: "changed elsewhere too: yours is kept, not saved",
  refused: "not saved",
};

const SAID_STATUS: ReadonlySet<DraftStatus> = new Set(["kept-locally", "conflict"]);

const problemWords = (count: number): string =>
  count === 0 ? "no problems in this file" : `${formatQuantity(count, "problem")} in this file`;

export function EditorPane({
  path,
  draft,
  summary,
  diagnostics,
  problemCount,
  documents,
  isChecking,
  checkError,
  isRemoteCheck,
  fixRequest,
  actions,
}: EditorPaneProps) {
  const { drafts } = useConsole();
  const editorTarget = useWindow((state) => state.editorTarget);
  const face = useWindow((state) => state.editorFace);
  const [view, setView] = useState<EditorView | null>(null);
  const [isBlamed, setBlamed] = useState(false);
  useBlame(view, path, draft?.text ?? "", isBlamed);
  const isEmptyFailure = draft !== null && wasNotRead(draft);
  const tag = summary ? stateTag(summary.state) : null;
  // Each check begins and ends, and each pause saves: only what is otherwise than before is said aloud.
  useAnnounced(isChecking || checkError ? "" : problemWords(problemCount));
  useAnnounced(draft && SAID_STATUS.has(draft.status) ? STATUS_WORDS[draft.status] : "");
  return (
    <>
      <header className="editor-header">
        <h1 className="editor-path truncate" title={visibleText(path)}>
          {visibleText(path)}
        </h1>
        {tag ? <Tag tone={tag.tone}>{tag.text}</Tag> : null}
        <span className="editor-space" />
        <FaceSwitch />
        <IconButton label="Who changed each line" isPressedState={isBlamed} onPress={() => setBlamed(!isBlamed)}>
          <UserPen size={15} aria-hidden="true" />
        </IconButton>
        <FileMenu
          path={path}
          revision={draft?.baseRevision ?? 0n}
          trigger={<Ellipsis size={16} aria-hidden="true" />}
        />
        {actions}
      </header>
      {draft?.status === "conflict" && draft.theirs ? <Conflict draft={draft} /> : null}
      {draft?.failure && draft.status !== "conflict" && draft.status !== "kept-locally" ? (
        <div className="editor-notice">
          <FailureNotice
            isCompact
            failure={draft.failure}
            onRetry={() => void (isEmptyFailure ? drafts.open(path) : drafts.save(path))}
          />
        </div>
      ) : null}
      <div className="editor-body" data-face={face}>
        {!draft || draft.status === "loading" ? (
          <Skeleton rows={12} label="Reading the file" />
        ) : isEmptyFailure ? null : (
          <Suspense fallback={<Skeleton rows={12} label="Loading the editor" />}>
            <CodeEditor
              key={path}
              path={path}
              text={draft.text}
              diagnostics={isRemoteCheck ? diagnostics : null}
              target={editorTarget}
              fixRequest={fixRequest}
              onChange={(text) => drafts.edit(path, text)}
              onTyping={() => drafts.typing(path)}
              onSave={() => void drafts.save(path)}
              onView={setView}
            />
          </Suspense>
        )}
        {view && draft && (face === "form" || face === "both") ? (
          <Suspense fallback={<Skeleton rows={12} label="Loading the form" />}>
            <FormFace key={path} view={view} path={path} diagnostics={diagnostics} documents={documents} />
          </Suspense>
        ) : null}
        {face === "picture" ? (
          <Suspense fallback={<Skeleton rows={12} label="Loading the picture" />}>
            <PolicyPictureView file={path} />
          </Suspense>
        ) : null}
      </div>
      <footer className="editor-footer">
        <span
          data-tone={
            draft?.status === "conflict" || draft?.status === "refused"
              ? "deny"
              : draft?.status === "kept-locally"
                ? "observed"
                : undefined
          }
          className="editor-status"
        >
          {isEmptyFailure ? "not read" : draft ? STATUS_WORDS[draft.status] : ""}
        </span>
        <span className="editor-space" />
        {isEmptyFailure ? null : checkError ? (
          <span className="editor-status" data-tone="deny">
            not checked: {shownFailure(checkError).code}
          </span>
        ) : isChecking ? (
          <span className="soft editor-checking">
            <Spinner /> checking
          </span>
        ) : (
          <span className={problemCount === 0 ? "soft" : ""}>
            {problemCount === 0 ? problemWords(0) : `${formatQuantity(problemCount, "problem")} · F8 goes to the next`}
          </span>
        )}
      </footer>
    </>
  );
}

function Conflict({ draft }: { draft: Draft }) {
  const { drafts } = useConsole();
  return (
    <div className="editor-notice conflict">
      <Notice tone="deny">
        <strong>This file was changed elsewhere while you edited it.</strong>
        <span className="soft">
          Yours is kept and not saved. Below: what saving yours would change in theirs (revision{" "}
          {String(draft.theirs?.revision ?? 0n)}).
        </span>
        <span className="conflict-buttons">
          <MergeButton draft={draft} />
          <Button size="small" onPress={() => void drafts.resolve(draft.path, "theirs")}>
            Drop mine, take theirs
          </Button>
          <Button size="small" onPress={() => void drafts.resolve(draft.path, "mine")}>
            Save mine over theirs
          </Button>
        </span>
      </Notice>
      <div className="conflict-diff scroll">
        <Suspense fallback={<Skeleton rows={4} label="Comparing" />}>
          <TextDiff oldText={draft.theirs?.text ?? ""} newText={draft.text} label="Theirs compared with yours" />
        </Suspense>
      </div>
    </div>
  );
}
