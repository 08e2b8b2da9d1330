import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { useQuery } from "@connectrpc/connect-query";
import { type MeshGap, MeshService } from "@wardline/api/wardline/console/v1/mesh";
import { useMemo, useRef, useSyncExternalStore } from "react";
import { useConsole } from "../../../data/context.tsx";
import { type ShownFailure, shownFailure } from "../../../data/failure.ts";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { type MeshPicture, pictureOf } from "../../../data/mesh-picture.ts";
import { useWindow } from "../../../data/window-store.ts";
import { useMeshLook } from "../model/mesh-store.ts";

export interface MeshSight {
  /** `null` until it is known. */
  readonly picture: MeshPicture | null;
  readonly failure: ShownFailure | null;
  /** The minute that is looked at; `null` = now. */
  readonly atMs: number | null;
  /** What is shown is not yet that of `atMs`. */
  readonly isLate: boolean;
  readonly gaps: readonly MeshGap[];
  readonly earliestMs: number | null;
  readonly retry: () => void;
}

/** The mesh now, or as it was at the minute that was chosen. A frozen window keeps what it had. */
export function useMeshPicture(): MeshSight {
  const { topology } = useConsole().connection;
  const live = useSyncExternalStore(topology.subscribe, topology.getState);
  const isFrozen = useWindow((state) => state.isFrozen);
  const atMs = useMeshLook((state) => state.atMs);
  const past = useQuery(
    MeshService.method.getMeshAt,
    { at: timestampFromMs(atMs ?? 0) },
    { enabled: atMs !== null, placeholderData: (former) => former, staleTime: 60_000 },
  );
  const frozen = useRef<MeshPicture | null>(null);
  if (!isFrozen || frozen.current === null) frozen.current = live.value;
  const topologyThen = past.data?.topology;
  const pictureThen = useMemo(() => (topologyThen ? pictureOf(topologyThen) : null), [topologyThen]);
  const common = { gaps: past.data?.gaps ?? [], earliestMs: optionalMs(past.data?.earliest), atMs };
  if (atMs === null) {
    const retry = () => topology.restart({ forget: false });
    return { ...common, picture: frozen.current, failure: live.failure, isLate: false, retry };
  }
  return {
    ...common,
    // Until it is read, what was shown stays in its place.
    picture: pictureThen ?? frozen.current,
    failure: past.error ? shownFailure(past.error) : null,
    isLate: past.isPlaceholderData || past.isPending,
    retry: () => void past.refetch(),
  };
}

/** The backend answers, and has no service for meshes: it is older than this window. */
export function isTooOld(failure: ShownFailure | null): boolean {
  return failure?.code === "INTERNAL (Unimplemented)";
}
