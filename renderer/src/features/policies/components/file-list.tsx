import type { FileSummary } from "@wardline/api/wardline/console/v1/policies";
import { FileState } from "@wardline/api/wardline/console/v1/policies";
import { CircleX, Folder, TriangleAlert } from "lucide-react";
import { memo, useMemo, useSyncExternalStore } from "react";
import { useConsole } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { formatQuantity, Tag, visibleText } from "../../../ui/index.ts";
import { baseName, groupByFolder, stateTag } from "../model/file-tree.ts";
import { useFileDrag } from "../out/use-file-drag.ts";
import "./file-list.css";

interface FileListProps {
  readonly files: readonly FileSummary[];
  readonly shownPath: string | null;
}

/**
 * Files by folder: how each stands against what is enforced, and how many problems it has. Typing draws none of it anew: there
 * may be two thousand.
 */
export const FileList = memo(function FileList({ files, shownPath }: FileListProps) {
  const folders = useMemo(() => groupByFolder(files), [files]);
  const changed = files.filter((file) => file.state !== FileState.ENFORCED && file.state !== FileState.UNKNOWN).length;
  const isUnknown = files.some((file) => file.state === FileState.UNKNOWN);
  return (
    <div className="file-list scroll">
      {folders.map((folder) => (
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
          ? " · what this machine enforces is not known"
          : changed > 0
            ? ` · ${changed} not as this machine enforces`
            : files.length > 0
              ? " · all as this machine enforces"
              : ""}
      </p>
    </div>
  );
});

interface FileItemProps {
  readonly file: FileSummary;
  readonly isShown: boolean;
}

/** After a save each file is a new object, and all but one look as they did. */
function looksAlike(before: FileItemProps, now: FileItemProps): boolean {
  return (
    before.isShown === now.isShown &&
    before.file.path === now.file.path &&
    before.file.state === now.file.state &&
    before.file.errorCount === now.file.errorCount &&
    before.file.warningCount === now.file.warningCount
  );
}

const FileItem = memo(function FileItem({ file, isShown }: FileItemProps) {
  const { drafts } = useConsole();
  const drag = useFileDrag(file.path);
  const isUnsaved = useSyncExternalStore(drafts.subscribe, () => {
    const draft = drafts.get(file.path);
    return draft !== null && draft.status !== "saved" && draft.status !== "loading";
  });
  const openFile = useWindow((state) => state.openFile);
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
}, looksAlike);
