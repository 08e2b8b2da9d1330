import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { useQueryClient } from "@tanstack/react-query";
import { PolicyService, type Version } from "@wardline/api/wardline/console/v1/policies";
import { ShipService } from "@wardline/api/wardline/console/v1/ship";
import { lazy, Suspense, useEffect, useState } from "react";
import { useConsole, useConsoleNow, useWorkspaceStream } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import {
  Button,
  EmptyState,
  FailureNotice,
  formatMoment,
  formatQuantity,
  Sheet,
  Skeleton,
  shortDigest,
  TextField,
  visibleText,
} from "../../../ui/index.ts";
import { ReceiptList } from "../../ship/index.ts";
import "./history-sheet.css";

const TextDiff = lazy(() => import("./text-diff.tsx"));

/** Versions with author and reason, each against the workspace, and the receipts of what was applied. */
export function HistorySheet({ isOpen, onClose }: { isOpen: boolean; onClose: () => void }) {
  return (
    <Sheet
      shape="drawer"
      title="History"
      isOpen={isOpen}
      onClose={onClose}
      subtitle={
        <span className="soft">
          Every version that was applied or restored. Restoring adds a version, it never erases one.
        </span>
      }
    >
      <HistoryBody />
    </Sheet>
  );
}

function HistoryBody() {
  const versions = useQuery(PolicyService.method.listVersions, { limit: 200 }, { staleTime: 0 });
  const receipts = useQuery(ShipService.method.listReceipts, { limit: 100 }, { staleTime: 0 });
  const [chosenId, setChosenId] = useState<string | null>(null);
  const nowMs = useConsoleNow();
  const list = versions.data?.versions ?? [];
  const chosen = list.find((version) => version.id === chosenId) ?? list[0] ?? null;
  if (versions.isPending) return <Skeleton label="Reading the history" />;
  if (versions.error) {
    return (
      <div className="sheet-form">
        <FailureNotice failure={shownFailure(versions.error)} onRetry={() => void versions.refetch()} />
      </div>
    );
  }
  if (!chosen)
    return (
      <EmptyState picture={null} title="No versions yet">
        A version is kept each time the workspace is applied.
      </EmptyState>
    );
  return (
    <div className="history">
      <div className="history-list scroll">
        <h3>Versions</h3>
        <ul>
          {list.map((version) => (
            <li key={version.id}>
              <button
                type="button"
                className="history-item"
                aria-current={version === chosen ? "true" : undefined}
                onClick={() => setChosenId(version.id)}
              >
                <span className="history-reason">{visibleText(version.reason) || "no reason given"}</span>
                <span className="faint truncate">
                  #{String(version.number)} · {visibleText(version.author)}
                </span>
                <span className="faint truncate">
                  {version.createdAt ? formatMoment(timestampMs(version.createdAt), nowMs) : "time unknown"}
                </span>
              </button>
            </li>
          ))}
        </ul>
        <h3>Receipts</h3>
        {receipts.error ? (
          <FailureNotice isCompact failure={shownFailure(receipts.error)} />
        ) : (
          <ReceiptList receipts={receipts.data?.receipts ?? []} />
        )}
      </div>
      <VersionDetail key={chosen.id} version={chosen} />
    </div>
  );
}

function VersionDetail({ version }: { version: Version }) {
  const { connection } = useConsole();
  const content = useQuery(
    PolicyService.method.getVersion,
    { id: version.id },
    { staleTime: Number.POSITIVE_INFINITY },
  );
  const now = useWorkspaceTexts();
  const changes = content.data && now.texts ? compareTexts(now.texts, content.data.files) : null;
  const [reason, setReason] = useState("");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isDone, setDone] = useState(false);
  const queryClient = useQueryClient();
  const restore = async () => {
    try {
      await connection.policies.restoreVersion({ id: version.id, reason: reason.trim() });
      setDone(true);
      setFailure(null);
      await queryClient.invalidateQueries();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  return (
    <div className="history-detail scroll">
      <header>
        <h3>Version #{String(version.number)}</h3>
        <p className="soft wrap-anywhere">
          <code>{shortDigest(version.id)}</code> · {formatQuantity(version.fileCount, "file")},{" "}
          {formatQuantity(version.policyCount, "policy", "policies")} · by {visibleText(version.author)}
        </p>
      </header>
      {content.error || now.error ? (
        <FailureNotice failure={shownFailure(content.error ?? now.error)} onRetry={() => void content.refetch()} />
      ) : null}
      {!changes && !content.error && !now.error ? <Skeleton label="Comparing with the workspace" /> : null}
      {changes && changes.length === 0 ? <p>The workspace is this version: nothing to restore.</p> : null}
      {(changes ?? []).map((change) => (
        <figure key={change.path} className="history-diff">
          <figcaption className="wrap-anywhere">
            <code>{visibleText(change.path)}</code> <span className="soft">{change.words}</span>
          </figcaption>
          <Suspense fallback={<Skeleton rows={4} label="Comparing" />}>
            <TextDiff
              oldText={change.oldText}
              newText={change.newText}
              label={`What restoring changes in ${change.path}`}
            />
          </Suspense>
        </figure>
      ))}
      {changes && changes.length > 0 ? (
        <div className="history-restore">
          <TextField label="Why restore it" value={reason} onChange={setReason} placeholder="kept with the version" />
          <Button tone="primary" isDisabled={reason.trim() === "" || isDone} onPress={() => void restore()}>
            Restore as the workspace
          </Button>
          <p className="soft">
            The workspace becomes this version, as drafts. No host changes until you review and apply.
          </p>
          {failure ? <FailureNotice failure={failure} /> : null}
        </div>
      ) : null}
      {isDone ? <p role="status">Restored. Review and apply when you are ready.</p> : null}
    </div>
  );
}

interface TextChange {
  readonly path: string;
  readonly oldText: string;
  readonly newText: string;
  readonly words: string;
}

function compareTexts(now: ReadonlyMap<string, string>, then: readonly { path: string; text: string }[]): TextChange[] {
  const thenTexts = new Map(then.map((file) => [file.path, file.text]));
  return [...new Set([...now.keys(), ...thenTexts.keys()])].sort().flatMap((path) => {
    const oldText = now.get(path);
    const newText = thenTexts.get(path);
    if (oldText === newText) return [];
    const words = oldText === undefined ? "comes back" : newText === undefined ? "goes away" : "changes back";
    return [{ path, oldText: oldText ?? "", newText: newText ?? "", words }];
  });
}

/** Texts of the whole workspace, for the comparison. */
function useWorkspaceTexts() {
  const { connection } = useConsole();
  const files = useWorkspaceStream().value?.files;
  const [texts, setTexts] = useState<ReadonlyMap<string, string> | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    if (!files) return;
    const controller = new AbortController();
    const present = files.filter((file) => file.revision > 0n);
    Promise.all(present.map((file) => connection.policies.getFile({ path: file.path }, { signal: controller.signal })))
      .then((contents) => setTexts(new Map(contents.map((content) => [content.path, content.text]))))
      .catch((reason: unknown) => {
        if (!controller.signal.aborted) setError(reason);
      });
    return () => controller.abort();
  }, [files, connection]);
  return { texts, error };
}
