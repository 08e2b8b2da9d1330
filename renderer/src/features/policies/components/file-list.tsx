import type { FileSummary } from "@wardline/api/wardline/console/v1/policies";
import { FileState } from "@wardline/api/wardline/console/v1/policies";
import { CircleX, Folder, TriangleAlert } from "lucide-react";
import { useSyncExternalStore } from "react";
import { useConsole } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { formatQuantity, Tag, visibleText } from "../../../ui/index.ts";
import { baseName, groupByFolder, stateTag } from "../model/file-tree.ts";
import { useFileDrag } from "../out/use-file-drag.ts";
import "./file-list.css";

/** Files by folder: how each stands against what is enforced, and how many problems it has. */
export function FileList({ files, shownPath }: { files: readonly FileSummary[]; shownPath: string | null }) {
  const changed = files.filter((file) => file.state !== FileState.ENFORCED && file.state !== FileState.UNKNOWN).length;
  const isUnknown = files.some((file) => file.state === FileState.UNKNOWN);
  return (
    <div className="file-list scroll">
      {groupByFolder(files).map((folder) => (
        <section key={folder.name} aria-label={folder.name === "" ? "Top folder" : visibleText(folder.name)}>
          {folder.name === "" ? null : (
            <h3 className="file-folder faint">
              <Folder size={12} aria-hidden="true" />
              <span className="truncate">{visibleText(folder.name)}</span>
            </h3>
          )}
          <ul>
            {folder.files.map((file) => (
              <li key={file.path}>
                <FileItem file={file} isShown={file.path === shownPath} />
              </li>
            ))}
          </ul>
        </section>
      ))}
      <p className="file-list-sum faint">
        {formatQuantity(files.length, "file")}
        {isUnknown
          ? " · enforced state not known"
          : changed > 0
            ? ` · ${changed} not enforced as drafted`
            : files.length > 0
              ? " · all enforced as drafted"
              : ""}
      </p>
    </div>
  );
}

function FileItem({ file, isShown }: { file: FileSummary; isShown: boolean }) {
  const { drafts } = useConsole();
  const drag = useFileDrag(file.path);
  useSyncExternalStore(drafts.subscribe, drafts.getVersion);
  const openFile = useWindow((state) => state.openFile);
  const draft = drafts.get(file.path);
  const isUnsaved = draft !== null && draft.status !== "saved" && draft.status !== "loading";
  const tag = stateTag(file.state);
  const name = visibleText(baseName(file.path));
  return (
    <button
      type="button"
      className="file-item"
      aria-current={isShown ? "true" : undefined}
      title={visibleText(file.path)}
      onClick={() => openFile(file.path)}
      {...drag}
    >
      <span className="file-name truncate">
        {name}
        {isUnsaved ? (
          <span className="file-unsaved" title="Not saved yet">
            {" "}
            •
          </span>
        ) : null}
      </span>
      {file.errorCount > 0 ? (
        <span className="file-problems" data-tone="deny">
          <CircleX size={12} aria-hidden="true" />
          {file.errorCount}
          <span className="visually-hidden"> errors</span>
        </span>
      ) : file.warningCount > 0 ? (
        <span className="file-problems" data-tone="observed">
          <TriangleAlert size={12} aria-hidden="true" />
          {file.warningCount}
          <span className="visually-hidden"> warnings</span>
        </span>
      ) : null}
      <Tag tone={tag.tone}>{tag.text}</Tag>
    </button>
  );
}
