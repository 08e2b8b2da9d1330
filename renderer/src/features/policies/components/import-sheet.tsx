import { ImportAction, type ImportPreview } from "@wardline/api/wardline/console/v1/policies";
import { Severity } from "@wardline/api/wardline/v1/error";
import { useEffect, useState } from "react";
import { useConsole } from "../../../data/context.tsx";
import { failureFromDetail, type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatQuantity,
  Notice,
  type NoticeTone,
  Sheet,
  Skeleton,
  Spinner,
  Tag,
  visibleText,
} from "../../../ui/index.ts";
import type { DroppedSet } from "../model/read-dropped.ts";
import "./import-sheet.css";

const ACTIONS: Record<ImportAction, { readonly text: string; readonly tone: NoticeTone }> = {
  [ImportAction.UNSPECIFIED]: { text: "unknown", tone: "unknown" },
  [ImportAction.ADD]: { text: "add", tone: "allow" },
  [ImportAction.REPLACE]: { text: "replace", tone: "observed" },
  [ImportAction.SAME]: { text: "same", tone: "unknown" },
  [ImportAction.REFUSE]: { text: "refused", tone: "deny" },
};

function willWrite(preview: ImportPreview): boolean {
  return preview.action === ImportAction.ADD || preview.action === ImportAction.REPLACE;
}

/** What dropped files would do to the workspace, before they do it. */
export function ImportSheet({ dropped, onClose }: { dropped: DroppedSet | null; onClose: () => void }) {
  const { connection, drafts } = useConsole();
  const openFile = useWindow((state) => state.openFile);
  const [previews, setPreviews] = useState<readonly ImportPreview[] | null>(null);
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isImporting, setImporting] = useState(false);
  const [attempt, setAttempt] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `attempt` asks the same question again.
  useEffect(() => {
    setPreviews(null);
    setFailure(null);
    if (!dropped || dropped.files.length === 0) return;
    const controller = new AbortController();
    connection.policies
      .previewImport({ files: dropped.files.map((file) => ({ ...file })) }, { signal: controller.signal })
      .then((response) => setPreviews(response.files))
      .catch((error: unknown) => {
        if (!controller.signal.aborted) setFailure(shownFailure(error));
      });
    return () => controller.abort();
  }, [dropped, connection, attempt]);

  const written = (previews ?? []).filter(willWrite);
  const runImport = async () => {
    if (!dropped) return;
    setImporting(true);
    try {
      const paths = new Set(written.map((preview) => preview.path));
      const files = dropped.files.filter((file) => paths.has(file.path)).map((file) => ({ ...file }));
      await connection.policies.importFiles({ files });
      for (const path of paths) if (drafts.get(path)?.status === "saved") drafts.forget(path);
      onClose();
      openFile(written[0]?.path ?? null);
    } catch (error) {
      setFailure(shownFailure(error));
    } finally {
      setImporting(false);
    }
  };
  const isNothingRead = dropped !== null && dropped.files.length === 0;
  return (
    <Sheet
      shape="dialog"
      isOpen={dropped !== null}
      onClose={onClose}
      title="Import into the workspace"
      footer={
        <>
          <span className="soft">Nothing is applied to a host by this.</span>
          <span className="editor-space" />
          <Button onPress={onClose}>Cancel</Button>
          <Button tone="primary" isDisabled={written.length === 0 || isImporting} onPress={() => void runImport()}>
            {written.length === 0 ? "Nothing to import" : `Import ${formatQuantity(written.length, "file")}`}
          </Button>
        </>
      }
    >
      <div className="sheet-form">
        {failure ? <FailureNotice failure={failure} onRetry={() => setAttempt(attempt + 1)} /> : null}
        {isImporting ? (
          <p className="soft">
            <Spinner /> Importing
          </p>
        ) : null}
        {!previews && !failure && !isNothingRead ? <Skeleton rows={4} label="Checking the files" /> : null}
        {isNothingRead ? <p>None of the files can hold a policy.</p> : null}
        <ul className="import-list">
          {(previews ?? []).map((preview) => (
            <PreviewRow key={preview.path} preview={preview} />
          ))}
        </ul>
        {dropped && dropped.leftOut.length > 0 ? (
          <Notice tone="observed">
            <strong>Left out before the check</strong>
            <ul>
              {dropped.leftOut.slice(0, 20).map((sentence) => (
                <li key={sentence}>{visibleText(sentence)}</li>
              ))}
            </ul>
            {dropped.leftOut.length > 20 ? <span>and {dropped.leftOut.length - 20} more</span> : null}
          </Notice>
        ) : null}
      </div>
    </Sheet>
  );
}

function PreviewRow({ preview }: { preview: ImportPreview }) {
  const action = ACTIONS[preview.action];
  const errors = preview.diagnostics.filter((diagnostic) => diagnostic.severity === Severity.ERROR);
  const refusal = preview.refusal ? failureFromDetail(preview.refusal) : null;
  return (
    <li className="import-row">
      <Tag tone={action.tone}>{action.text}</Tag>
      <div className="import-text wrap-anywhere">
        <code>{visibleText(preview.path)}</code>
        {refusal ? (
          <p>
            {visibleText(refusal.message)} <span className="soft">{visibleText(refusal.hint)}</span>{" "}
            <code className="faint">{refusal.code}</code>
          </p>
        ) : (
          <p className="soft">
            {preview.documents.length === 0
              ? "no documents were read from it"
              : preview.documents
                  .map((document) => `${visibleText(document.kind)} ${visibleText(document.name)}`)
                  .slice(0, 8)
                  .join(", ")}
            {preview.documents.length > 8 ? ` and ${preview.documents.length - 8} more` : ""}
            {preview.action === ImportAction.SAME ? " · already in the workspace, not written" : ""}
          </p>
        )}
        {errors.length > 0 ? (
          <details className="import-errors">
            <summary>{formatQuantity(errors.length, "error")}: it can be imported and mended, not applied</summary>
            <ul>
              {errors.slice(0, 10).map((diagnostic) => (
                <li key={`${diagnostic.code}:${diagnostic.source?.line}:${diagnostic.source?.column}`}>
                  <code className="faint">
                    {diagnostic.source?.line}:{diagnostic.source?.column} {diagnostic.code}
                  </code>{" "}
                  {visibleText(diagnostic.message)}
                </li>
              ))}
            </ul>
          </details>
        ) : null}
      </div>
    </li>
  );
}
