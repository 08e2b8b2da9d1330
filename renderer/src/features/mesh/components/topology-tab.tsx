import { Waypoints } from "lucide-react";
import { Suspense, useMemo, useState } from "react";
import { useWindow } from "../../../data/window-store.ts";
import { hasWebGl } from "../../../graph/web-gl.ts";
import { EmptyState, FailureNotice, lazyPart, Moment, Notice, Skeleton, visibleText } from "../../../ui/index.ts";
import { isTooOld, type MeshSight, useMeshPicture } from "../hooks/use-mesh-picture.ts";
import { useMeshLook } from "../model/mesh-store.ts";
import { pointedOut, shownMesh } from "../model/shown.ts";
import { MeshHeader } from "./mesh-header.tsx";
import { LinkTable, NodeTable } from "./mesh-tables.tsx";
import { SidePanel } from "./side-panel.tsx";
import { TimeBar } from "./time-bar.tsx";

/** Loaded when a picture is drawn: the canvas is a large part of its own. */
const MeshGraph = lazyPart(() => import("./mesh-graph.tsx"));

export function TopologyTab() {
  const sight = useMeshPicture();
  const { picture, failure, atMs, retry } = sight;
  if (isTooOld(failure)) {
    return (
      <EmptyState picture={<Waypoints size={44} strokeWidth={1.2} />} title="This backend does not know meshes">
        It is older than this window. Hosts keep their meshes as they are; update Wardline where it runs to see them
        here.
      </EmptyState>
    );
  }
  if (picture === null && failure && atMs === null)
    return (
      <div className="mesh-alone">
        <FailureNotice title="The mesh is not known" failure={failure} onRetry={retry} />
      </div>
    );
  if (picture === null && atMs === null) return <Skeleton rows={12} label="Asking the hosts for their meshes" />;
  if (picture?.nodes.size === 0 && atMs === null) return <NoMesh problems={picture.summary?.problems ?? []} />;
  return <Topology sight={sight} />;
}

function NoMesh({ problems }: { problems: readonly string[] }) {
  return (
    <EmptyState picture={<Waypoints size={44} strokeWidth={1.2} />} title="No mesh is seen">
      <p>
        Yggdrasil and batman-adv are found by themselves where they run. Plain ways between hosts are measured when the
        hosts are in one cluster, or when their agents are started with <code>--mesh-probe HOST=ADDRESS</code>.
      </p>
      {problems.map((problem) => (
        <p key={problem}>{visibleText(problem)}</p>
      ))}
    </EmptyState>
  );
}

function Topology({ sight }: { sight: MeshSight }) {
  const { picture, failure, atMs, isLate, retry } = sight;
  const { face, provider, overlays, way, look } = useMeshLook();
  const { meshId, openMesh } = useWindow();
  const shown = useMemo(() => (picture ? shownMesh(picture, provider) : null), [picture, provider]);
  const pointed = useMemo(() => (shown ? pointedOut(shown, overlays) : null), [shown, overlays]);
  const marks = useMemo(() => ({ selectedId: meshId, pointedOut: pointed, way }), [meshId, pointed, way]);
  const [isLost, setLost] = useState(false);
  const canDraw = !isLost && hasWebGl();
  const table = { selectedId: meshId, marked: way ?? pointed, onSelect: openMesh };
  const isPicture = face === "picture" && canDraw;
  return (
    <div className="topology">
      <div className="topology-main">
        {shown && picture ? <MeshHeader picture={picture} shown={shown} isPast={atMs !== null} /> : null}
        {atMs === null ? null : (
          <div className="mesh-past" role="status">
            <span>
              <strong>
                You look at <Moment timeMs={atMs} form="full" />.
              </strong>{" "}
              Nothing here is live
              {isLate ? "; what it was then is being read." : "."}
            </span>
            <button type="button" className="link" onClick={() => look({ atMs: null })}>
              Back to now
            </button>
          </div>
        )}
        {failure ? (
          <FailureNotice
            isCompact
            title={atMs === null ? "Nothing newer is known of the mesh" : "What it was then is not known"}
            failure={failure}
            onRetry={retry}
          />
        ) : null}
        {face === "picture" && !canDraw ? (
          <Notice tone="unknown">
            This window cannot draw the picture: its graphics (WebGL) are off or were lost. The table has the same.
          </Notice>
        ) : null}
        <div className="mesh-face">
          {shown && picture && isPicture ? (
            <Suspense fallback={<Skeleton rows={8} label="Loading the picture" />}>
              <MeshGraph
                picture={picture}
                shown={shown}
                marks={marks}
                onSelect={openMesh}
                onLost={() => setLost(true)}
              />
            </Suspense>
          ) : null}
          {shown && picture && face === "nodes" ? <NodeTable picture={picture} shown={shown} {...table} /> : null}
          {shown && picture && !isPicture && face !== "nodes" ? (
            <LinkTable picture={picture} shown={shown} {...table} />
          ) : null}
        </div>
        <TimeBar gaps={sight.gaps} earliestMs={sight.earliestMs} />
      </div>
      {picture && shown ? <SidePanel picture={picture} shown={shown} /> : null}
    </div>
  );
}
