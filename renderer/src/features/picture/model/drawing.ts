/** From a picture to what is drawn of it. */
import type { PictureEdge, PictureNode } from "@wardline/api/wardline/console/v1/picture";
import type { LinkAttributes } from "../../../graph/edge-program.ts";
import type { Place } from "../../../graph/layout.ts";
import type { NodeAttributes } from "../../../graph/node-program.ts";
import { mix, type Palette } from "../../../graph/palette.ts";
import type { Drawing } from "../../../graph/scene.ts";
import { formatShortDateTime } from "../../../ui/index.ts";
import { edgeLook, nodeLook, nodeRadius } from "./look.ts";
import type { Overlay } from "./picture-store.ts";
import type { ShownPicture } from "./shown.ts";
import { awaySinceMs, idOfEdge, nodeName } from "./words.ts";

export interface Marks {
  readonly overlay: Overlay;
  readonly selectedId: string | null;
  readonly chosen: ReadonlySet<string>;
}

const FADED = 0.75;
const MANY_EDGES = 800;
const THIN = 0.5;
const LANE = 4;
const FEW_NODES = 60;

export function pictureDrawing(shown: ShownPicture, marks: Marks): Drawing {
  const { picture, byId, edgeById } = shown;
  const lineOf = (edge: PictureEdge) => ({ id: idOfEdge(edge), a: edge.sourceId, b: edge.destinationId });
  const near = neighboursOf(shown, marks.selectedId);
  return {
    ids: picture.nodes.map(({ id }) => id),
    lines: picture.edges.map(lineOf),
    nodes: shown.nodes,
    // Of a node to itself there is no line; it is marked at the node.
    links: shown.edges.filter(({ sourceId, destinationId }) => sourceId !== destinationId).map(lineOf),
    nodeAttributes: (id, place, palette) => {
      const node = byId.get(id);
      return node ? nodeAttributes(node, place, shown, marks, near, palette) : null;
    },
    linkAttributes: (id, palette) => {
      const edge = edgeById.get(id);
      return edge ? edgeAttributes(edge, shown, marks, near, palette) : null;
    },
  };
}

/** Nodes around what is selected; `null` = nothing is, and nothing is faint. */
function neighboursOf(
  { picture, byId, edgeById }: ShownPicture,
  selectedId: string | null,
): ReadonlySet<string> | null {
  if (selectedId === null) return null;
  const edge = edgeById.get(selectedId);
  if (edge) return new Set([edge.sourceId, edge.destinationId]);
  if (!byId.has(selectedId)) return null;
  const near = new Set([selectedId]);
  for (const { sourceId, destinationId } of picture.edges) {
    if (sourceId === selectedId) near.add(destinationId);
    if (destinationId === selectedId) near.add(sourceId);
  }
  return near;
}

function nodeAttributes(
  node: PictureNode,
  place: Place,
  shown: ShownPicture,
  { selectedId, chosen }: Marks,
  near: ReadonlySet<string> | null,
  palette: Palette,
): NodeAttributes {
  const look = nodeLook(node);
  const isSelected = node.id === selectedId;
  const isChosen = chosen.has(node.id);
  const isFaded = near !== null && !near.has(node.id) && !isChosen;
  const tone = palette.tones[look.tone];
  const isMarked = isSelected || isChosen;
  return {
    ...{ x: place.x, y: place.y, size: nodeRadius(node, shown.picture.nodes.length), shape: look.shape },
    color: isFaded ? mix(tone, palette.surface, FADED) : tone,
    ring: isMarked ? 2 : node.inFocus ? 1 : 0,
    ringColor: isMarked ? palette.accent : palette.text,
    label: `${nodeName(node)}${node.members > 1 ? ` · ${node.members}` : ""}${shown.loops.has(node.id) ? " ↻" : ""}${heardAt(node)}`,
    hidden: false,
    forceLabel: isMarked || (shown.nodes.length <= FEW_NODES && !isFaded),
    zIndex: isMarked ? 2 : isFaded ? 0 : 1,
  };
}

/** A time, not an age: it is drawn once and stays true. */
function heardAt(node: PictureNode): string {
  const sinceMs = awaySinceMs([node]);
  return sinceMs === null ? "" : ` · last heard ${formatShortDateTime(sinceMs)}`;
}

function edgeAttributes(
  edge: PictureEdge,
  shown: ShownPicture,
  { overlay, selectedId }: Marks,
  near: ReadonlySet<string> | null,
  palette: Palette,
): LinkAttributes {
  const look = edgeLook(edge, overlay);
  const id = idOfEdge(edge);
  const isSelected = id === selectedId;
  const isAtSelected = edge.sourceId === selectedId || edge.destinationId === selectedId;
  const isFaded = near !== null && !isSelected && !isAtSelected;
  const tone = palette.tones[look.tone];
  const color = isFaded ? mix(tone, palette.surface, FADED) : tone;
  const isMany = shown.edges.length > MANY_EDGES;
  const width = look.width * (isMany ? THIN : 1) + (isSelected ? 2.5 : 0);
  const target = shown.byId.get(edge.destinationId);
  const isTwoWay = shown.edgeById.has(`${edge.destinationId}\n${edge.sourceId}`);
  return {
    ...{ sourceColor: color, targetColor: color, sourceWidth: width, targetWidth: width },
    ...{ sourceDash: look.dash, targetDash: look.dash, lane: isTwoWay ? LANE : 0 },
    arrow: isMany && !isSelected && !isAtSelected ? 0 : 9,
    inset: target ? nodeRadius(target, shown.picture.nodes.length) + 2 : 8,
    ...{ color, size: width, zIndex: isSelected ? 2 : isFaded ? 0 : 1, hidden: false },
  };
}
