import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import { FolderUp, History, PanelRight, Rocket, Unplug, Upload, Waypoints } from "lucide-react";
import { type DragEvent, Suspense, useEffect, useRef, useState } from "react";
import { useConsole, useWorkspaceStream } from "../../../data/context.tsx";
import { wasNotRead } from "../../../data/draft-store.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, EmptyState, FailureNotice, IconButton, Skeleton } from "../../../ui/index.ts";
import { ImportConfigurationSheet, isConfigurationArchive } from "../../configuration/index.ts";
import { PolicyPictureView } from "../../picture/index.ts";
import { useFileCheck } from "../editor/use-file-check.ts";
import { NewPolicyButton } from "../form/new-policy-button.tsx";
import { HistorySheet } from "../history/history-sheet.tsx";
import { useDraft } from "../hooks/use-draft.ts";
import { collectDropped, collectPicked, type DroppedSet, readCandidates, toCandidate } from "../model/read-dropped.ts";
import type { FixRequest } from "./code-editor.tsx";
import { EditorPane } from "./editor-pane.tsx";
import { EffectPanel } from "./effect-panel.tsx";
import { FileList } from "./file-list.tsx";
import { ImportSheet } from "./import-sheet.tsx";
import { PolicyPicture } from "./policy-picture.tsx";
import "./policies-view.css";

const NONE: readonly Diagnostic[] = [];
/** What is dragged inside of the window is no file. */
const hasFiles = (event: DragEvent) => event.dataTransfer.types.includes("Files");

/** A dropped file that is an exported configuration; `null` = there is none. */
async function configurationAmong(candidates: Parameters<typeof readCandidates>[0]): Promise<Uint8Array | null> {
  const [only] = candidates;
  if (!only || candidates.length !== 1 || !only.path.endsWith(".tar") || only.file.size > 64 * 1024 * 1024) return null;
  const content = new Uint8Array(await only.file.arrayBuffer());
  return isConfigurationArchive(content) ? content : null;
}

/** Files at the left, the editor in the middle, the effect at the right; files can be dropped anywhere on it. */
export default function PoliciesView() {
  const { connection } = useConsole();
  const workspace = useWorkspaceStream();
  const { filePath, overlay, show, isEffectShown, isPictureShown, set } = useWindow();
  const [dropped, setDropped] = useState<DroppedSet | null>(null);
  const [configuration, setConfiguration] = useState<Uint8Array | null>(null);
  const [isDragOver, setDragOver] = useState(false);
  const [fixRequest, setFixRequest] = useState<FixRequest | null>(null);
  const handedOver = useWindow((state) => state.handedOver);
  const files = workspace.value?.files ?? [];
  const shownPath = filePath ?? files[0]?.path ?? null;
  const draft = useDraft(shownPath);
  const isRead = draft !== null && draft.status !== "loading" && !wasNotRead(draft);
  const check = useFileCheck(shownPath, isRead ? draft.text : null);

  const take = async (
    candidates: Parameters<typeof readCandidates>[0] | Promise<Parameters<typeof readCandidates>[0]>,
  ) => {
    const list = await candidates;
    const archive = await configurationAmong(list);
    if (archive) return setConfiguration(archive);
    setDropped(await readCandidates(list));
    show("import");
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: `take` uses nothing that changes.
  useEffect(() => {
    if (handedOver.length === 0) return;
    set({ handedOver: [] });
    void take(handedOver.map(toCandidate));
  }, [handedOver]);
  const dragHandlers = {
    onDragEnter: (event: DragEvent) => setDragOver(hasFiles(event)),
    onDragOver: (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      setDragOver(true);
    },
    onDragLeave: (event: DragEvent) => {
      if (event.relatedTarget === null || !event.currentTarget.contains(event.relatedTarget as Node))
        setDragOver(false);
    },
    onDrop: (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      setDragOver(false);
      void take(collectDropped(event.dataTransfer));
    },
  };
  return (
    <div
      className="policies"
      data-effect={isEffectShown && !isPictureShown ? "" : undefined}
      data-drag={isDragOver ? "" : undefined}
      {...dragHandlers}
    >
      <aside className="policies-files" aria-label="Policy files">
        <ImportButtons onPicked={(list) => void take(collectPicked(list))} />
        <button
          type="button"
          className="policies-whole"
          aria-pressed={isPictureShown}
          onClick={() => set({ isPictureShown: !isPictureShown })}
        >
          <Waypoints size={15} aria-hidden="true" /> Picture of all policies
        </button>
        {workspace.value ? (
          <FileList files={files} shownPath={isPictureShown ? null : shownPath} />
        ) : workspace.failure ? (
          <FailureNotice isCompact failure={workspace.failure} onRetry={() => connection.retryNow()} />
        ) : (
          <Skeleton label="Reading the workspace" />
        )}
      </aside>
      <section className="policies-middle" aria-label="Editor">
        {isPictureShown ? (
          <Suspense fallback={<Skeleton rows={12} label="Loading the picture" />}>
            <div className="policies-picture">
              <PolicyPictureView />
            </div>
          </Suspense>
        ) : shownPath !== null && (draft || files.length > 0) ? (
          <EditorPane
            path={shownPath}
            draft={draft}
            summary={files.find((file) => file.path === shownPath) ?? null}
            diagnostics={check.data?.diagnostics ?? NONE}
            problemCount={check.problemCount}
            documents={check.data?.documents ?? null}
            isChecking={check.isFetching}
            checkError={check.error}
            isRemoteCheck={check.isRemote}
            fixRequest={fixRequest}
            actions={viewActions()}
          />
        ) : workspace.value ? (
          <EmptyState picture={<PolicyPicture />} title="No policies yet" action={<NewPolicyButton />}>
            Drop policy files or a folder here. You see what they would change before anything is saved, and nothing is
            applied until you say so.
          </EmptyState>
        ) : workspace.failure ? (
          <EmptyState picture={<Unplug size={36} strokeWidth={1.2} />} title="The workspace is not known">
            {workspace.failure.message} Drafts that you had not saved are kept in this browser.
          </EmptyState>
        ) : (
          <Skeleton rows={10} label="Reading the workspace" />
        )}
      </section>
      {isEffectShown && !isPictureShown && shownPath !== null ? (
        <EffectPanel
          path={shownPath}
          text={draft?.text ?? ""}
          check={check}
          isMissing={draft !== null && wasNotRead(draft)}
          onFix={(diagnostics) => setFixRequest({ diagnostics, serial: (fixRequest?.serial ?? 0) + 1 })}
        />
      ) : null}
      {isDragOver ? (
        <div className="drop-veil" aria-hidden="true">
          <Upload size={28} />
          <strong>Drop to see what these files would change</strong>
          <span className="soft">Nothing is saved or applied yet.</span>
        </div>
      ) : null}
      <ImportSheet dropped={overlay === "import" ? dropped : null} onClose={() => show("none")} />
      {configuration ? (
        <Suspense>
          <ImportConfigurationSheet archive={configuration} onClose={() => setConfiguration(null)} />
        </Suspense>
      ) : null}
      <HistorySheet isOpen={overlay === "history"} onClose={() => show("none")} />
    </div>
  );

  // Not a component: one made anew with each rendering would take the button away under a pressed key.
  function viewActions() {
    return (
      <>
        <IconButton label="Versions and receipts" onPress={() => show("history")}>
          <History size={16} aria-hidden="true" />
        </IconButton>
        <IconButton
          label={isEffectShown ? "Hide the effect" : "Show the effect"}
          isPressedState={isEffectShown}
          onPress={() => set({ isEffectShown: !isEffectShown })}
        >
          <PanelRight size={16} aria-hidden="true" />
        </IconButton>
        <Button
          tone="primary"
          icon={<Rocket size={14} aria-hidden="true" />}
          keys="Ctrl+↵"
          onPress={() => show("ship")}
        >
          Review and apply
        </Button>
      </>
    );
  }
}

function ImportButtons({ onPicked }: { onPicked: (list: FileList) => void }) {
  const fileInput = useRef<HTMLInputElement>(null);
  const folderInput = useRef<HTMLInputElement>(null);
  return (
    <div className="import-buttons">
      <Button size="small" icon={<Upload size={13} aria-hidden="true" />} onPress={() => fileInput.current?.click()}>
        Import files
      </Button>
      <IconButton label="Import a folder" onPress={() => folderInput.current?.click()}>
        <FolderUp size={15} aria-hidden="true" />
      </IconButton>
      <NewPolicyButton isSmall />
      <input ref={fileInput} type="file" multiple hidden aria-label="Files to import" onChange={picked} />
      <input
        ref={folderInput}
        type="file"
        multiple
        hidden
        aria-label="Folder to import"
        {...{ webkitdirectory: "" }}
        onChange={picked}
      />
    </div>
  );

  function picked(event: React.ChangeEvent<HTMLInputElement>) {
    if (event.target.files && event.target.files.length > 0) onPicked(event.target.files);
    event.target.value = "";
  }
}
