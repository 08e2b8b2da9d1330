import type { MeshSummary } from "@wardline/api/wardline/console/v1/mesh";
import { Route } from "lucide-react";
import { useMemo } from "react";
import type { MeshPicture } from "../../../data/mesh-picture.ts";
import { useWindow } from "../../../data/window-store.ts";
import { Button, formatCount, formatQuantity, Notice, Select, VerdictMark, visibleText } from "../../../ui/index.ts";
import { type MeshFace, useMeshLook } from "../model/mesh-store.ts";
import { OVERLAYS, overlayCounts, type ShownMesh } from "../model/shown.ts";
import { latencyText, PROVIDER_NAMES } from "../model/words.ts";

/** The mesh in a line, and what of it is shown. */
export function MeshHeader({ picture, shown, isPast }: { picture: MeshPicture; shown: ShownMesh; isPast: boolean }) {
  const { summary } = picture;
  return (
    <header className="mesh-header">
      <div className="mesh-summary">
        {summary ? <SummaryLine summary={summary} /> : null}
        <FindButton />
      </div>
      <ShownControls shown={shown} />
      {isPast
        ? null
        : (summary?.problems ?? []).map((problem) => (
            <Notice key={problem} tone="deny">
              {visibleText(problem)}
            </Notice>
          ))}
    </header>
  );
}

function SummaryLine({ summary }: { summary: MeshSummary }) {
  const { nodes, nodesOnline, linksGood, linksWeak, linksLost, linksFlapping, partitions } = summary;
  return (
    <p className="mesh-line">
      <VerdictMark
        verdict={nodesOnline === nodes ? "allow" : "observed"}
        words={`${formatCount(nodesOnline)} of ${formatQuantity(nodes, "node")} online`}
      />
      <VerdictMark verdict="allow" words={`${formatQuantity(linksGood, "link")} good`} />
      {linksWeak > 0 ? <VerdictMark verdict="observed" words={`${formatCount(linksWeak)} weak`} /> : null}
      {linksFlapping > 0 ? <VerdictMark verdict="observed" words={`${formatCount(linksFlapping)} flapping`} /> : null}
      {linksLost > 0 ? <VerdictMark verdict="deny" words={`${formatCount(linksLost)} lost`} /> : null}
      {partitions > 1 ? <VerdictMark verdict="deny" words={`in ${formatCount(partitions)} parts`} /> : null}
      <span className="soft">
        {summary.peersConfigured > 0
          ? `${formatCount(summary.peersUp)} of ${formatQuantity(summary.peersConfigured, "configured peer")} up · `
          : ""}
        {summary.meanLatencyMs === undefined
          ? "latency not measured"
          : `${latencyText(summary.meanLatencyMs)} on average`}
        {summary.diameterHops === undefined ? "" : ` · at most ${formatQuantity(summary.diameterHops, "hop")}`}
      </span>
    </p>
  );
}

function FindButton() {
  const { isFindingPath, look } = useMeshLook();
  const set = useWindow((state) => state.set);
  return (
    <Button
      icon={<Route size={14} aria-hidden="true" />}
      aria-expanded={isFindingPath}
      onPress={() => {
        look({ isFindingPath: !isFindingPath, way: null });
        set({ meshId: null });
      }}
    >
      Find a way
    </Button>
  );
}

const ALL = "0";

function ShownControls({ shown }: { shown: ShownMesh }) {
  const { face, provider, overlays, look, toggleOverlay } = useMeshLook();
  const counts = useMemo(() => overlayCounts(shown), [shown]);
  const faces: readonly { readonly face: MeshFace; readonly name: string }[] = [
    { face: "picture", name: "Picture" },
    { face: "nodes", name: `Nodes ${formatCount(shown.nodes.length)}` },
    { face: "links", name: `Links ${formatCount(shown.links.length)}` },
  ];
  return (
    <div className="mesh-controls">
      <fieldset className="mesh-faces">
        <legend className="visually-hidden">How it is shown</legend>
        {faces.map(({ face: candidate, name }) => (
          <button
            key={candidate}
            type="button"
            aria-pressed={face === candidate}
            onClick={() => look({ face: candidate })}
          >
            {name}
          </button>
        ))}
      </fieldset>
      <Select
        label="Mesh"
        isLabelHidden
        value={String(provider ?? ALL)}
        onChange={(value) => look({ provider: value === ALL ? null : Number(value) })}
        choices={[
          { value: ALL, label: "All meshes" },
          ...shown.providers.map((candidate) => ({ value: String(candidate), label: PROVIDER_NAMES[candidate] })),
        ]}
      />
      <fieldset className="mesh-overlays">
        <legend className="visually-hidden">Point out</legend>
        {OVERLAYS.map(({ overlay, name, explains }) => (
          <button
            key={overlay}
            type="button"
            className="mesh-overlay"
            aria-pressed={overlays.has(overlay)}
            data-empty={counts[overlay] === 0 ? "" : undefined}
            title={explains}
            onClick={() => toggleOverlay(overlay)}
          >
            {name} <span className="mesh-count">{formatCount(counts[overlay])}</span>
          </button>
        ))}
      </fieldset>
    </div>
  );
}
