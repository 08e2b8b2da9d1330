import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { type PictureBasis, PictureBasisSchema, PictureService } from "@wardline/api/wardline/console/v1/picture";
import { useEffect, useMemo, useState, useSyncExternalStore } from "react";
import { useConsole, useWorkspaceStream } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { usePictureLook } from "../model/picture-store.ts";

const SETTLES_AFTER_MS = 400;
const MINUTE_MS = 60_000;
const REFRESH_MS = 15_000;

/** The texts that the backend does not have yet, a moment after the last key. */
function useUnsavedFiles() {
  const { drafts } = useConsole();
  const version = useSyncExternalStore(drafts.subscribe, drafts.getVersion);
  const read = () => drafts.unsaved().map(({ path, text }) => ({ path, text }));
  const [files, setFiles] = useState(read);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the version says when drafts have changed.
  useEffect(() => {
    const timer = setTimeout(() => setFiles(read()), SETTLES_AFTER_MS);
    return () => clearTimeout(timer);
  }, [version]);
  return files;
}

function useMinute(): number {
  const [minute, setMinute] = useState(() => Math.floor(Date.now() / MINUTE_MS));
  useEffect(() => {
    const timer = setInterval(() => setMinute(Math.floor(Date.now() / MINUTE_MS)), 5_000);
    return () => clearInterval(timer);
  }, []);
  return minute;
}

/** What this window's pictures are of: drafts, way of grouping, window of time, scope. */
export function usePictureBasis(): PictureBasis {
  const files = useUnsavedFiles();
  const { grouping, labelKeys } = usePictureLook();
  const { lastMs, scopeHostId } = useWindow();
  const minute = useMinute();
  const sinceMs = lastMs === null ? null : minute * MINUTE_MS - lastMs;
  return useMemo(
    () =>
      create(PictureBasisSchema, {
        ...{ files, grouping, labelKeys: [...labelKeys] },
        hostIds: scopeHostId === null ? [] : [scopeHostId],
        ...(sinceMs === null ? {} : { since: timestampFromMs(sinceMs) }),
      }),
    [files, grouping, labelKeys, scopeHostId, sinceMs],
  );
}

/** The picture, drawn anew when drafts, flows or hosts change; the one before stays until then. */
export function usePicture(basis: PictureBasis, focusFile: string) {
  const isFrozen = useWindow((state) => state.isFrozen);
  const workspace = useWorkspaceStream();
  const answer = useQuery(
    PictureService.method.getPicture,
    { basis, focusFile },
    {
      placeholderData: (previous) => previous,
      gcTime: 30_000,
      refetchInterval: isFrozen ? false : REFRESH_MS,
      retry: false,
    },
  );
  const { refetch } = answer;
  const digest = workspace.value?.stateDigest ?? "";
  // biome-ignore lint/correctness/useExhaustiveDependencies: another workspace is another picture.
  useEffect(() => {
    if (!isFrozen) void refetch();
  }, [digest, isFrozen, refetch]);
  return answer;
}
