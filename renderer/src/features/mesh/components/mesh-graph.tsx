import { Maximize, Minus, Plus, Shuffle } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import type { MeshPicture } from "../../../data/mesh-picture.ts";
import type { Pointed } from "../../../graph/pointer.ts";
import { GraphScene } from "../../../graph/scene.ts";
import { formatQuantity, IconButton } from "../../../ui/index.ts";
import { type Marks, meshDrawing } from "../graph/attributes.ts";
import type { ShownMesh } from "../model/shown.ts";
import { directionWords, linkLabel, linkWords, NODE_STATES, nodeLabel, PROVIDER_NAMES } from "../model/words.ts";
import { MeshLegend } from "./mesh-legend.tsx";

interface MeshGraphProps {
  readonly picture: MeshPicture;
  readonly shown: ShownMesh;
  readonly marks: Marks;
  readonly onSelect: (id: string | null) => void;
  readonly onLost: () => void;
}

/** The picture of the mesh. Everything in it is in the tables too: by keyboard one passes it with one step. */
export default function MeshGraph({ picture, shown, marks, onSelect, onLost }: MeshGraphProps) {
  const holder = useRef<HTMLDivElement>(null);
  const [scene, setScene] = useState<GraphScene | null>(null);
  const [arranging, setArranging] = useState<number | null>(null);
  const [over, setOver] = useState<Pointed | null>(null);
  const ports = useRef({ onSelect, onLost });
  ports.current = { onSelect, onLost };
  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const made = new GraphScene(element, {
      placesKey: "wardline.mesh.places",
      onSelect: (id) => ports.current.onSelect(id),
      onLost: () => ports.current.onLost(),
      onOver: (pointed) => {
        element.style.cursor = pointed === null ? "" : "pointer";
        setOver(pointed);
      },
      onArranging: setArranging,
    });
    setScene(made);
    const themes = new MutationObserver(() => made.recolor());
    themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => {
      themes.disconnect();
      made.destroy();
    };
  }, []);
  useEffect(() => scene?.show(meshDrawing(picture, shown, marks)), [scene, picture, shown, marks]);
  const words = `${formatQuantity(shown.nodes.length, "node")} and ${formatQuantity(shown.links.length, "link")}`;
  return (
    <div className="mesh-graph">
      <div
        ref={holder}
        className="mesh-canvas"
        role="img"
        aria-label={`Picture of the mesh: ${words}. The tables of nodes and links say the same.`}
      />
      {over === null ? null : (
        <div className="mesh-over" style={{ left: over.x + 14, top: over.y + 14 }} aria-hidden="true">
          <OverText id={over.id} picture={picture} />
        </div>
      )}
      {arranging === null ? null : (
        <p className="mesh-arranging" role="status">
          Arranging {words}: {Math.floor(arranging * 100)} %
        </p>
      )}
      <div className="mesh-graph-tools">
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
      <MeshLegend />
    </div>
  );
}

/** What the pointer is over, in a line or two. The tables and the panel say the same and more. */
function OverText({ id, picture }: { id: string; picture: MeshPicture }) {
  const node = picture.nodes.get(id);
  const link = picture.links.get(id);
  if (node)
    return (
      <>
        <strong>{nodeLabel(node)}</strong> <span className="soft">{NODE_STATES[node.state].words}</span>
      </>
    );
  if (!link) return null;
  const [a, b] = [nodeLabel(picture.nodes.get(link.a), link.a), nodeLabel(picture.nodes.get(link.b), link.b)];
  return (
    <>
      <strong>{linkLabel(link, picture)}</strong>{" "}
      <span className="soft">
        {PROVIDER_NAMES[link.provider]}, {linkWords(link).words}
      </span>
      <br />
      {a} sees it {directionWords(link.aToB).words}, {b} sees it {directionWords(link.bToA).words}
    </>
  );
}
