import type { Diagnostic } from "@wardline/api/wardline/v1/error";
import { FolderUp, History, PanelRight, Rocket, Unplug, Upload } from "lucide-react";
import { type DragEvent, useEffect, useRef, useState } from "react";
import { useConsole, useWorkspaceStream } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { Button, EmptyState, FailureNotice, IconButton, Notice, Skeleton } from "../../../ui/index.ts";
import { useCheck } from "../hooks/use-check.ts";
import { useDraft } from "../hooks/use-draft.ts";
import { createPolicyFile } from "../model/new-file.ts";
import { collectDropped, collectPicked, type DroppedSet, readCandidates, toCandidate } from "../model/read-dropped.ts";
import { EditorPane } from "./editor-pane.tsx";
import { EffectPanel } from "./effect-panel.tsx";
import { FileList } from "./file-list.tsx";
import { HistorySheet } from "./history-sheet.tsx";
import { ImportSheet } from "./import-sheet.tsx";
import { PolicyPicture } from "./policy-picture.tsx";
import "./policies-view.css";

/** Files at the left, the editor in the middle, the effect at the right; files can be dropped anywhere on it. */
export default function PoliciesView() {
  const { connection } = useConsole();
  const workspace = useWorkspaceStream();
  const { filePath, overlay, show, isEffectShown, set } = useWindow();
  const [dropped, setDropped] = useState<DroppedSet | null>(null);
  const [isDragOver, setDragOver] = useState(false);
  const [fixRequest, setFixRequest] = useState<{ diagnostic: Diagnostic; serial: number } | null>(null);
  const handedOver = useWindow((state) => state.handedOver);
  const files = workspace.value?.files ?? [];
  const shownPath = filePath ?? files[0]?.path ?? null;
  const draft = useDraft(shownPath);
  const check = useCheck(shownPath, draft && draft.status !== "loading" ? draft.text : null);

  const take = async (
    candidates: Parameters<typeof readCandidates>[0] | Promise<Parameters<typeof readCandidates>[0]>,
  ) => {
    setDropped(await readCandidates(await candidates));
    show("import");
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: `take` uses nothing that changes.
  useEffect(() => {
    if (handedOver.length === 0) return;
    set({ handedOver: [] });
    void take(handedOver.map(toCandidate));
  }, [handedOver]);
  const dragHandlers = {
    onDragEnter: () => setDragOver(true),
    onDragOver: (event: DragEvent) => {
      event.preventDefault();
      event.dataTransfer.dropEffect = "copy";
      setDragOver(true);
    },
    onDragLeave: (event: DragEvent) => {
      if (event.relatedTarget === null || !event.currentTarget.contains(event.relatedTarget as Node))
        setDragOver(false);
    },
    onDrop: (event: DragEvent) => {
      event.preventDefault();
      setDragOver(false);
      void take(collectDropped(event.dataTransfer));
    },
  };
  return (
    <div
      className="policies"
      data-effect={isEffectShown ? "" : undefined}
      data-drag={isDragOver ? "" : undefined}
      {...dragHandlers}
    >
      <aside className="policies-files" aria-label="Policy files">
        <ImportButtons onPicked={(list) => void take(collectPicked(list))} />
        {workspace.value ? (
          <FileList files={files} shownPath={shownPath} />
        ) : workspace.failure ? (
          <FailureNotice isCompact failure={workspace.failure} onRetry={() => connection.retryNow()} />
        ) : (
          <Skeleton label="Reading the workspace" />
        )}
      </aside>
      <section className="policies-middle" aria-label="Editor">
        {shownPath !== null && (draft || files.length > 0) ? (
          <EditorPane
            path={shownPath}
            draft={draft}
            summary={files.find((file) => file.path === shownPath) ?? null}
            diagnostics={check.data?.diagnostics ?? []}
            isChecking={check.isFetching}
            checkError={check.error}
            fixRequest={fixRequest}
            actions={<ViewActions />}
          />
        ) : workspace.value ? (
          <EmptyState picture={<PolicyPicture />} title="No policies yet" action={<NewFileButton />}>
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
      {isEffectShown && shownPath !== null ? (
        <EffectPanel
          path={shownPath}
          check={check}
          onFix={(diagnostic) => setFixRequest({ diagnostic, serial: (fixRequest?.serial ?? 0) + 1 })}
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
      <HistorySheet isOpen={overlay === "history"} onClose={() => show("none")} />
    </div>
  );

  function ViewActions() {
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
      <NewFileButton isSmall />
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

function NewFileButton({ isSmall }: { isSmall?: boolean }) {
  const { connection } = useConsole();
  const openFile = useWindow((state) => state.openFile);
  const [failure, setFailure] = useState<string | null>(null);
  const create = async () => {
    try {
      openFile(await createPolicyFile(connection));
      setFailure(null);
    } catch {
      setFailure("The file could not be created: the backend does not answer or refused it.");
    }
  };
  return (
    <>
      <Button size={isSmall ? "small" : "normal"} tone={isSmall ? "quiet" : "primary"} onPress={() => void create()}>
        {isSmall ? "New" : "Start with a small policy"}
      </Button>
      {failure ? <Notice tone="deny">{failure}</Notice> : null}
    </>
  );
}
