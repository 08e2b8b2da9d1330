import { Maximize, Minus, Plus, Shuffle } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import type { Pointed } from "../../../graph/pointer.ts";
import { GraphScene } from "../../../graph/scene.ts";
import { formatQuantity, IconButton } from "../../../ui/index.ts";
import { type Marks, pictureDrawing } from "../model/drawing.ts";
import type { Export } from "../model/exports.ts";
import type { ShownPicture } from "../model/shown.ts";
import {
  awaySinceMs,
  classesSaid,
  enforcedSaid,
  flowsSaid,
  heardSaid,
  nodeName,
  protectionSaid,
  sideSaid,
} from "../model/words.ts";
import { PictureLegend } from "./picture-legend.tsx";

interface PictureGraphProps {
  readonly shown: ShownPicture;
  readonly marks: Marks;
  readonly placesKey: string;
  readonly onSelect: (id: string | null) => void;
  readonly onChoose: (ids: readonly string[]) => void;
  readonly onLost: () => void;
  /** Where things lie, for those who draw it elsewhere. */
  readonly onPlaces: (places: Export["places"]) => void;
}

/** The picture of the policy. Everything in it is in the tables too: by keyboard one passes it with one step. */
export default function PictureGraph({ shown, marks, placesKey, ...events }: PictureGraphProps) {
  const holder = useRef<HTMLDivElement>(null);
  const [scene, setScene] = useState<GraphScene | null>(null);
  const [arranging, setArranging] = useState<number | null>(null);
  const [over, setOver] = useState<Pointed | null>(null);
  const [lasso, setLasso] = useState<readonly { readonly x: number; readonly y: number }[]>([]);
  const ports = useRef(events);
  ports.current = events;
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const made = new GraphScene(element, {
      placesKey,
      onSelect: (id, isAdding) => {
        if (isAdding && id !== null && !id.includes("\n")) ports.current.onChoose([id]);
        else if (!isAdding) ports.current.onSelect(id);
      },
      onLasso: (line, chosen) => {
        setLasso(chosen === null ? [...line] : []);
        if (chosen !== null && chosen.length > 0) ports.current.onChoose(chosen);
      },
      onLost: () => ports.current.onLost(),
      onOver: (pointed) => {
        element.style.cursor = pointed === null ? "" : "pointer";
        setOver(pointed);
      },
      onArranging: setArranging,
    });
    setScene(made);
    ports.current.onPlaces(() => made.places);
    const themes = new MutationObserver(() => made.recolor());
    themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => {
      themes.disconnect();
      made.destroy();
    };
  }, [placesKey]);
  // Times and notes of a picture change nothing of its drawing.
  const { nodes, edges } = shown;
  // biome-ignore lint/correctness/useExhaustiveDependencies: nodes and edges are what is drawn of it.
  useEffect(() => scene?.show(pictureDrawing(shown, marks)), [scene, nodes, edges, marks]);
  const words = `${formatQuantity(shown.nodes.length, "group")} and ${formatQuantity(shown.edges.length, "connection")}`;
  return (
    <div className="picture-graph-and-legend">
      <div className="picture-graph">
        <div
          ref={holder}
          className="picture-canvas"
          role="img"
          aria-label={`Picture of the policy: ${words}. The tables say the same.`}
        />
        {lasso.length > 1 ? (
          <svg className="picture-lasso" aria-hidden="true">
            <polygon points={lasso.map(({ x, y }) => `${x},${y}`).join(" ")} />
          </svg>
        ) : null}
        {over === null || lasso.length > 0 ? null : (
          <div className="picture-over" style={{ left: over.x + 14, top: over.y + 14 }} aria-hidden="true">
            <OverText id={over.id} shown={shown} />
          </div>
        )}
        {arranging === null ? null : (
          <p className="picture-arranging" role="status">
            Arranging {words}: {Math.floor(arranging * 100)} %
          </p>
        )}
        <div className="picture-tools">
          <IconButton label="Closer" onPress={() => scene?.zoom(1.5)}>
            <Plus size={16} aria-hidden="true" />
          </IconButton>
          <IconButton label="Farther" onPress={() => scene?.zoom(1 / 1.5)}>
            <Minus size={16} aria-hidden="true" />
          </IconButton>
          <IconButton label="Show everything" onPress={() => scene?.fit()}>
            <Maximize size={16} aria-hidden="true" />
          </IconButton>
          <IconButton label="Arrange anew" onPress={() => scene?.arrangeAnew()}>
            <Shuffle size={16} aria-hidden="true" />
          </IconButton>
        </div>
      </div>
      <PictureLegend overlay={marks.overlay} />
    </div>
  );
}

/** What the pointer is over, in a line or two. The tables and the panel say the same and more. */
function OverText({ id, shown }: { id: string; shown: ShownPicture }) {
  const node = shown.byId.get(id);
  const sinceMs = awaySinceMs([node]);
  const nowMs = optionalMs(shown.picture.madeAt) ?? 0;
  if (node)
    return (
      <>
        <strong>{nodeName(node)}</strong>{" "}
        <span className="soft">
          {formatQuantity(node.members, "member")}, {protectionSaid(node).words}
          {sinceMs === null ? "" : `; ${formatQuantity(node.awayMembers, "member")} away, ${heardSaid(sinceMs, nowMs)}`}
        </span>
      </>
    );
  const edge = shown.edgeById.get(id);
  if (!edge) return null;
  return (
    <>
      <strong>
        {nodeName(shown.byId.get(edge.sourceId))} → {nodeName(shown.byId.get(edge.destinationId))}
      </strong>
      <br />
      draft: {sideSaid(edge.draft).words}; enforced: {enforcedSaid(edge, shown).words}; seen:{" "}
      {flowsSaid(edge.flows).words}
      <br />
      <span className="soft">{classesSaid(edge)}</span>
    </>
  );
}
