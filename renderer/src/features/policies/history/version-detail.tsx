import { timestampMs } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { useQuery } from "@connectrpc/connect-query";
import { useQueryClient } from "@tanstack/react-query";
import { ChangeKind } from "@wardline/api/wardline/console/v1/ship";
import { type VersionEntry, VersionService } from "@wardline/api/wardline/console/v1/versions";
import { Suspense, useState } from "react";
import { useConsole, useConsoleNow } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  Button,
  FailureNotice,
  formatQuantity,
  lazyPart,
  Moment,
  Skeleton,
  shortDigest,
  TextField,
  visibleText,
} from "../../../ui/index.ts";
import { MeaningList } from "./meaning-list.tsx";
import { KIND_WORDS } from "./version-item.tsx";

const TextDiff = lazyPart(() => import("../components/text-diff.tsx"));

const DRAFT = { side: { case: "draft", value: true } } as const;
const LOCAL = { side: { case: "enforcedHostId", value: "local" } } as const;
const sideOf = (number: bigint) => ({ side: { case: "number", value: number } }) as const;

/** One version: who enforces it, what it changes against any other state, and the way back to it. */
export function VersionDetail({ version, list }: { version: VersionEntry; list: readonly VersionEntry[] }) {
  const nowMs = useConsoleNow();
  const openVersion = useWindow((state) => state.openVersion);
  const [against, setAgainst] = useState("draft");
  const from = against === "draft" ? DRAFT : against === "enforced" ? LOCAL : sideOf(BigInt(against));
  const comparison = useQuery(
    VersionService.method.compareVersions,
    { from, to: sideOf(version.number) },
    { staleTime: 0 },
  );
  const { files = [], filesLeftOut = 0, meaning } = comparison.data ?? {};
  return (
    <div className="history-detail scroll">
      <header>
        <h3>Version #{String(version.number)}</h3>
        <p className="soft wrap-anywhere">
          <code>{shortDigest(version.id)}</code> · {KIND_WORDS[version.kind]} ·{" "}
          {formatQuantity(version.fileCount, "file")}, {formatQuantity(version.policyCount, "policy", "policies")} · by{" "}
          {visibleText(version.author)}
          {version.ticket === "" ? null : <> · ticket {visibleText(version.ticket)}</>}
        </p>
        <Button size="small" onPress={() => openVersion(String(version.number), null)}>
          Read its files
        </Button>
        {version.enforcedOn.slice(0, 5).map((host) => (
          <p key={host.hostId} className="soft">
            {host.until ? "○ was enforced on" : "● enforced on"} {visibleText(host.hostName) || "this machine"} since{" "}
            {host.since ? <Moment timeMs={timestampMs(host.since)} nowMs={nowMs} /> : "?"}
          </p>
        ))}
      </header>
      <label className="history-against">
        What changes against{" "}
        <select value={against} onChange={(event) => setAgainst(event.target.value)}>
          <option value="draft">the draft as it is now</option>
          <option value="enforced">what this machine enforces</option>
          {list
            .filter(({ number }) => number !== version.number)
            .map(({ number, reason }) => (
              <option key={String(number)} value={String(number)}>
                #{String(number)} {visibleText(reason.slice(0, 60))}
              </option>
            ))}
        </select>
      </label>
      {comparison.error ? (
        <FailureNotice failure={shownFailure(comparison.error)} onRetry={() => void comparison.refetch()} />
      ) : null}
      {comparison.isPending ? <Skeleton label="Comparing" /> : null}
      {comparison.data && files.length === 0 ? <p>Both are the same, to the byte.</p> : null}
      {meaning ? <MeaningList meaning={meaning} /> : null}
      {files.map((change) => (
        <figure key={change.path} className="history-diff">
          <figcaption className="wrap-anywhere">
            <code>{visibleText(change.path)}</code>{" "}
            {change.kind === ChangeKind.REMOVED ? null : (
              <Button
                size="small"
                tone="quiet"
                aria-label={visibleText(`Read this file: ${change.path}`)}
                onPress={() => openVersion(String(version.number), change.path)}
              >
                Read this file
              </Button>
            )}
            <PutBack
              version={version}
              path={change.path}
              label={`Restore this file: ${change.path}`}
              words="Restore this file"
            />
          </figcaption>
          <Suspense fallback={<Skeleton rows={4} label="Comparing" />}>
            <TextDiff
              oldText={change.oldText}
              newText={change.newText}
              label={`What version ${version.number} changes in ${change.path}`}
            />
          </Suspense>
        </figure>
      ))}
      {filesLeftOut > 0 ? <p className="soft">{formatQuantity(filesLeftOut, "more file")} not shown.</p> : null}
      <PutBack version={version} path="" label="Restore as the workspace" words="Restore as the workspace" isWhole />
    </div>
  );
}

interface PutBackProps {
  readonly version: VersionEntry;
  readonly path: string;
  readonly label: string;
  readonly words: string;
  readonly isWhole?: boolean;
}

/** Adds a version; nothing is ever lost by it, so it asks for a reason and not for courage. */
function PutBack({ version, path, label, words, isWhole = false }: PutBackProps) {
  const { connection, drafts } = useConsole();
  const queryClient = useQueryClient();
  const [reason, setReason] = useState("");
  const [ticket, setTicket] = useState("");
  const [failure, setFailure] = useState<ShownFailure | null>(null);
  const [isDone, setDone] = useState(false);
  const run = async () => {
    try {
      const client = createClient(VersionService, connection.transport);
      const side = sideOf(version.number);
      await client.putBackVersion({ side, path, reason: reason.trim(), ticket: ticket.trim() });
      if (path !== "" && drafts.get(path)?.status === "saved") drafts.forget(path);
      setDone(true);
      setFailure(null);
      await queryClient.invalidateQueries();
    } catch (error) {
      setFailure(shownFailure(error));
    }
  };
  const button = (
    <Button
      size={isWhole ? "normal" : "small"}
      tone={isWhole ? "primary" : "quiet"}
      aria-label={visibleText(label)}
      isDisabled={isDone || (isWhole && reason.trim() === "")}
      onPress={() => void run()}
    >
      {isDone ? "Restored" : words}
    </Button>
  );
  if (!isWhole) return failure ? <FailureNotice isCompact failure={failure} /> : button;
  return (
    <div className="history-restore">
      <TextField label="Why restore it" value={reason} onChange={setReason} placeholder="kept with the version" />
      <TextField label="Ticket" value={ticket} onChange={setTicket} placeholder="if there is one" />
      {button}
      <p className="soft">The workspace becomes this version, as drafts. No host changes until you review and apply.</p>
      {failure ? <FailureNotice failure={failure} /> : null}
      {isDone ? <p role="status">Restored. Review and apply when you are ready.</p> : null}
    </div>
  );
}
