import type { FileSummary } from "@wardline/api/wardline/console/v1/policies";
import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import { Ellipsis } from "lucide-react";
import { lazy, type ReactNode, Suspense } from "react";
import { useConsole } from "../../../data/context.tsx";
import type { Draft, DraftStatus } from "../../../data/draft-store.ts";
import { shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatQuantity,
  Notice,
  Skeleton,
  Spinner,
  Tag,
  visibleText,
} from "../../../ui/index.ts";
import { stateTag } from "../model/file-tree.ts";
import { FileMenu } from "./file-menu.tsx";

const CodeEditor = lazy(() => import("./code-editor.tsx"));
const TextDiff = lazy(() => import("./text-diff.tsx"));

interface EditorPaneProps {
  readonly path: string;
  readonly draft: Draft | null;
  readonly summary: FileSummary | null;
  readonly diagnostics: readonly Diagnostic[];
  readonly isChecking: boolean;
  readonly checkError: unknown;
  readonly fixRequest: { readonly diagnostic: Diagnostic; readonly serial: number } | null;
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

export function EditorPane({
  path,
  draft,
  summary,
  diagnostics,
  isChecking,
  checkError,
  fixRequest,
  actions,
}: EditorPaneProps) {
  const { drafts } = useConsole();
  const editorTarget = useWindow((state) => state.editorTarget);
  const isEmptyFailure = draft?.status === "refused" && draft.text === "" && draft.baseRevision === 0n;
  const here = diagnostics.filter((diagnostic) => diagnostic.source?.file === path);
  const tag = summary ? stateTag(summary.state) : null;
  return (
    <>
      <header className="editor-header">
        <h1 className="editor-path truncate" title={visibleText(path)}>
          {visibleText(path)}
        </h1>
        {tag ? <Tag tone={tag.tone}>{tag.text}</Tag> : null}
        <span className="editor-space" />
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
      <div className="editor-body">
        {!draft || draft.status === "loading" ? (
          <Skeleton rows={12} label="Reading the file" />
        ) : isEmptyFailure ? null : (
          <Suspense fallback={<Skeleton rows={12} label="Loading the editor" />}>
            <CodeEditor
              key={path}
              path={path}
              text={draft.text}
              diagnostics={diagnostics}
              target={editorTarget}
              fixRequest={fixRequest}
              onChange={(text) => drafts.edit(path, text)}
              onSave={() => void drafts.save(path)}
            />
          </Suspense>
        )}
      </div>
      <footer className="editor-footer" role="status">
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
          {draft ? STATUS_WORDS[draft.status] : ""}
        </span>
        <span className="editor-space" />
        {checkError ? (
          <span className="editor-status" data-tone="deny">
            not checked: {shownFailure(checkError).code}
          </span>
        ) : isChecking ? (
          <span className="soft editor-checking">
            <Spinner /> checking
          </span>
        ) : (
          <span className={here.length === 0 ? "soft" : ""}>
            {here.length === 0
              ? "no problems in this file"
              : `${formatQuantity(here.length, "problem")} · F8 goes to the next`}
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
          <Button size="small" onPress={() => void drafts.resolve(draft.path, "theirs")}>
            Drop mine, take theirs
          </Button>
          <Button size="small" tone="primary" onPress={() => void drafts.resolve(draft.path, "mine")}>
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
