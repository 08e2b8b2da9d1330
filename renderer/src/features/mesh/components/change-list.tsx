import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { type MeshChange, MeshChangeKind, MeshService } from "@wardline/api/wardline/console/v1/mesh";
import { shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { useWindow } from "../../../data/window-store.ts";
import {
  FailureNotice,
  formatQuantity,
  formatShortDateTime,
  Skeleton,
  VerdictMark,
  type VerdictShape,
  visibleText,
} from "../../../ui/index.ts";
import { useMinute } from "../hooks/use-minute.ts";
import { useMeshLook } from "../model/mesh-store.ts";

const SHOWN = 50;

const SHAPES: Partial<Record<MeshChangeKind, VerdictShape>> = {
  [MeshChangeKind.NODE_NEW]: "allow",
  [MeshChangeKind.LINK_NEW]: "allow",
  [MeshChangeKind.LINK_UP]: "allow",
  [MeshChangeKind.NODE_GONE]: "deny",
  [MeshChangeKind.LINK_DOWN]: "deny",
  [MeshChangeKind.LINK_GONE]: "deny",
  [MeshChangeKind.LINK_FLAPPING]: "observed",
  [MeshChangeKind.PARTITIONS]: "observed",
  [MeshChangeKind.NODE_STATE]: "observed",
};

/** While one looks at now: the stream tells nodes and links, and not what is to be said of them. */
const REFRESH_MS = 3_000;

/** What came, went and changed in the slider's time, newest first; of one node or link, or of all (empty id). */
export function ChangeList({ id }: { id: string }) {
  const nowMs = useMinute();
  const { spanMs, atMs } = useMeshLook();
  const untilMs = atMs ?? nowMs;
  const changes = useQuery(
    MeshService.method.listMeshChanges,
    { from: timestampFromMs(nowMs - spanMs), to: timestampFromMs(untilMs), id, limit: SHOWN },
    { placeholderData: (former) => former, refetchInterval: atMs === null ? REFRESH_MS : false },
  );
  if (changes.error)
    return (
      <FailureNotice
        isCompact
        title="What changed is not known now"
        failure={shownFailure(changes.error)}
        onRetry={() => void changes.refetch()}
      />
    );
  if (!changes.data) return <Skeleton rows={4} label="Asking what changed" />;
  const list = changes.data.changes;
  if (list.length === 0) return <p className="soft">Nothing changed in the time of the slider.</p>;
  return (
    <>
      <ul className="change-list">
        {list.map((change, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two changes may be alike in all they say.
          <ChangeRow key={`${change.id} ${optionalMs(change.at)} ${index}`} change={change} isLink={id === ""} />
        ))}
      </ul>
      {Number(changes.data.total) > list.length ? (
        <p className="faint">{formatQuantity(Number(changes.data.total) - list.length, "older change")} not shown.</p>
      ) : null}
    </>
  );
}

function ChangeRow({ change, isLink }: { change: MeshChange; isLink: boolean }) {
  const openMesh = useWindow((state) => state.openMesh);
  const ms = optionalMs(change.at);
  const sentence = visibleText(change.sentence);
  return (
    <li>
      <VerdictMark verdict={SHAPES[change.kind] ?? "unknown"} words={ms === null ? "" : formatShortDateTime(ms)} />
      {isLink && change.id !== "" ? (
        <button type="button" className="link" onClick={() => openMesh(change.id)}>
          {sentence}
        </button>
      ) : (
        <span className="wrap-anywhere">{sentence}</span>
      )}
    </li>
  );
}
