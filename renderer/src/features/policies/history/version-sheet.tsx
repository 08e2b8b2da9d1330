import { timestampMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { type VersionEntry, VersionService } from "@wardline/api/wardline/console/v1/versions";
import { Suspense, useState } from "react";
import { useConsoleNow } from "../../../data/context.tsx";
import { shownFailure } from "../../../data/failure.ts";
import { useKeyCommand } from "../../../data/key-commands.ts";
import { copyLink } from "../../../data/place-link.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatQuantity,
  lazyPart,
  Moment,
  Notice,
  Sheet,
  Skeleton,
  shortDigest,
  visibleText,
} from "../../../ui/index.ts";
import { saveCopy } from "../out/save-copy.ts";
import { KIND_WORDS } from "./version-item.tsx";
import { linkName, versionSide } from "./version-name.ts";
import "./history-sheet.css";
import "./history.css";

const ReadText = lazyPart(() => import("./read-text.tsx"));

/** The files of one version, to be read: from the history, a line, the audit log or a link. Nothing can be changed here. */
export function VersionSheet() {
  const place = useWindow((state) => state.versionPlace);
  const show = useWindow((state) => state.show);
  if (!place) return null;
  return (
    <VersionAt
      key={`${place.version} ${place.path}`}
      name={place.version}
      start={place.path}
      onClose={() => show("none")}
    />
  );
}

interface VersionAtProps {
  readonly name: string;
  /** The file to begin with; `null` = the first. */
  readonly start: string | null;
  readonly onClose: () => void;
}

function VersionAt({ name, start, onClose }: VersionAtProps) {
  const show = useWindow((state) => state.show);
  const openFile = useWindow((state) => state.openFile);
  const [chosen, setChosen] = useState(start);
  const [said, setSaid] = useState("");
  const side = versionSide(name) ?? {};
  // What a version holds never changes.
  const content = useQuery(VersionService.method.readVersion, { side }, { staleTime: Number.POSITIVE_INFINITY });
  const { id = "", paths = [] } = content.data ?? {};
  const path = chosen ?? paths[0] ?? null;
  const isThere = path !== null && paths.includes(path);
  const file = useQuery(
    VersionService.method.readVersion,
    { side, path: path ?? "" },
    { staleTime: Number.POSITIVE_INFINITY, enabled: isThere },
  );
  const entries = useQuery(VersionService.method.searchVersions, { text: id, limit: 20 }, { enabled: id !== "" });
  const found = entries.data?.versions.filter((version) => version.id === id) ?? [];
  const entry = found.find(({ number }) => String(number) === name) ?? found[0] ?? null;
  const text = file.data?.text ?? "";
  const title = entry
    ? `Version #${entry.number}`
    : /^\d{1,9}$/.test(name)
      ? `Version #${name}`
      : `Version ${name.slice(0, 12)}`;
  const copy = async () => {
    const link = { view: "policies", argument: path, version: linkName(id) } as const;
    setSaid((await copyLink(link)) ? "Link copied." : "The link could not be copied.");
  };
  // The window alone knows the number of the version only, which is another one elsewhere.
  useKeyCommand("window.copy-link", () => {
    if (id === "") return false;
    void copy();
    return true;
  });
  return (
    <Sheet
      shape="drawer"
      isOpen
      onClose={onClose}
      title={title}
      subtitle={entry ? <Origin entry={entry} /> : <span className="soft">To be read only.</span>}
      footer={
        <>
          <span role="status" className="soft">
            {said}
          </span>
          <span className="editor-space" />
          <Button onPress={() => show("history")}>History</Button>
          <Button isDisabled={id === ""} onPress={() => void copy()}>
            Copy link
          </Button>
          <Button isDisabled={!file.data} onPress={() => path !== null && saveCopy(path, text)}>
            Save a copy
          </Button>
          <Button isDisabled={path === null} onPress={() => openFile(path)}>
            Open the draft
          </Button>
        </>
      }
    >
      <div className="versions">
        <div className="versions-list scroll">
          <h3>{content.data ? formatQuantity(paths.length, "file") : "Files"}</h3>
          <ul>
            {paths.map((each) => (
              <li key={each}>
                <button
                  type="button"
                  className="history-item"
                  aria-current={each === path ? "true" : undefined}
                  onClick={() => setChosen(each)}
                >
                  <span className="wrap-anywhere">{visibleText(each)}</span>
                </button>
              </li>
            ))}
          </ul>
        </div>
        <div className="history-detail scroll">
          {content.isPending ? <Skeleton label="Reading the version" /> : null}
          {content.error ? (
            <FailureNotice failure={shownFailure(content.error)} onRetry={() => void content.refetch()} />
          ) : null}
          {content.data && paths.length === 0 ? <p className="soft">This version has no files.</p> : null}
          {content.data && path !== null && !isThere ? (
            <Notice tone="info">
              This version has no file {visibleText(path)}. It may have had another name then, or none yet.
            </Notice>
          ) : null}
          {file.error ? <FailureNotice failure={shownFailure(file.error)} onRetry={() => void file.refetch()} /> : null}
          {isThere && file.data ? (
            <figure className="history-diff">
              <figcaption className="wrap-anywhere">
                <code>{visibleText(path)}</code> <span className="soft">as it was, to be read only</span>
              </figcaption>
              <Suspense fallback={<Skeleton rows={8} label="Loading the text" />}>
                <ReadText text={text} label={`${path} in ${title}`} />
              </Suspense>
            </figure>
          ) : null}
        </div>
      </div>
    </Sheet>
  );
}

function Origin({ entry }: { entry: VersionEntry }) {
  const nowMs = useConsoleNow();
  const { createdAt, kind, author, reason, ticket, id } = entry;
  return (
    <span className="soft wrap-anywhere">
      <code>{shortDigest(id)}</code> · {KIND_WORDS[kind]} by {visibleText(author)}
      {createdAt ? (
        <>
          , <Moment timeMs={timestampMs(createdAt)} nowMs={nowMs} />
        </>
      ) : null}
      {ticket === "" ? "" : ` · ${visibleText(ticket)}`}: {visibleText(reason.slice(0, 200)) || "no reason given"}
    </span>
  );
}
