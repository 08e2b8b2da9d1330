import { create, toJsonString } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, createClient } from "@connectrpc/connect";
import { useQuery } from "@tanstack/react-query";
import {
  type GetPictureRequest,
  GetPictureRequestSchema,
  type GetPictureResponse,
  type PictureBasis,
  PictureBasisSchema,
  type PictureEdge,
  PictureService,
} from "@wardline/api/wardline/console/v1/picture";
import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { useConsole, useWorkspaceStream } from "../../../data/context.tsx";
import { useWindow } from "../../../data/window-store.ts";
import { nextTurn } from "../../../graph/slices.ts";
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

/**
 * Takes in a picture part by part: thousands of edges at once would hold the window up. `known` is the picture before it;
 * when nodes and edges are still those, they stay the same objects.
 */
async function takePicture(
  client: Client<typeof PictureService>,
  request: GetPictureRequest,
  known: GetPictureResponse | undefined,
  signal: AbortSignal,
): Promise<GetPictureResponse> {
  let first: GetPictureResponse | null = null;
  const edges: PictureEdge[] = [];
  for await (const part of client.getPicture({ ...request, knownPictureId: known?.pictureId ?? "" }, { signal })) {
    first ??= part;
    edges.push(...part.edges);
    await nextTurn();
  }
  if (!first) throw new Error("The console ended a picture before it began.");
  if (first.unchanged && known) return { ...first, nodes: known.nodes, edges: known.edges };
  return { ...first, edges };
}

/** The picture, drawn anew when drafts, flows or hosts change; the one before stays until then. */
export function usePicture(basis: PictureBasis, focusFile: string) {
  const isFrozen = useWindow((state) => state.isFrozen);
  const workspace = useWorkspaceStream();
  const { transport } = useConsole().connection;
  const known = useRef<GetPictureResponse>(undefined);
  const request = useMemo(() => create(GetPictureRequestSchema, { basis, focusFile }), [basis, focusFile]);
  const answer = useQuery<GetPictureResponse>({
    queryKey: ["picture", toJsonString(GetPictureRequestSchema, request)],
    queryFn: ({ signal }) => takePicture(createClient(PictureService, transport), request, known.current, signal),
    placeholderData: (previous) => previous,
    gcTime: 30_000,
    refetchInterval: isFrozen ? false : REFRESH_MS,
    retry: false,
    // Comparing thousands of edges one by one would take longer than drawing them.
    structuralSharing: false,
  });
  known.current = answer.data;
  const { refetch } = answer;
  const digest = workspace.value?.stateDigest ?? "";
  const drawnDigest = useRef(digest);
  useEffect(() => {
    if (isFrozen || drawnDigest.current === digest) return;
    drawnDigest.current = digest;
    void refetch();
  }, [digest, isFrozen, refetch]);
  return answer;
}
