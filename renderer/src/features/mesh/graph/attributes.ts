/** From what is known of a node or link to what is drawn of it. */
import type { MeshLink, MeshNode } from "@wardline/api/wardline/console/v1/mesh";
import { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { MeshPicture } from "../../../data/mesh-picture.ts";
import type { LinkAttributes } from "../../../graph/edge-program.ts";
import type { Place } from "../../../graph/layout.ts";
import type { NodeAttributes } from "../../../graph/node-program.ts";
import { mix, type Palette } from "../../../graph/palette.ts";
import type { Drawing } from "../../../graph/scene.ts";
import { directionLook, nodeLook } from "../model/look.ts";
import type { ShownMesh } from "../model/shown.ts";
import { nodeLabel } from "../model/words.ts";

/** What stands out of the picture. */
export interface Marks {
  readonly selectedId: string | null;
  /** Nodes and links of the overlays that are on; `null` = all alike. */
  readonly pointedOut: ReadonlySet<string> | null;
  /** Nodes and links of the way that is looked at; `null` = none. */
  readonly way: ReadonlySet<string> | null;
}

export function meshDrawing(picture: MeshPicture, shown: ShownMesh, marks: Marks): Drawing {
  return {
    ids: [...picture.nodes.keys()],
    lines: [...picture.links.values()],
    nodes: shown.nodes,
    links: shown.links,
    nodeAttributes: (id, place, palette) => {
      const node = picture.nodes.get(id);
      return node ? nodeAttributes(node, place, shown, marks, palette) : null;
    },
    linkAttributes: (id, palette) => {
      const link = picture.links.get(id);
      return link ? linkAttributes(link, shown, marks, palette) : null;
    },
  };
}

const FADED = 0.78;
/** More links than that are drawn thin. */
const MANY_LINKS = 1_000;
const THIN = 0.45;
const LANES: Partial<Record<MeshProvider, number>> = { [MeshProvider.BATMAN]: 6, [MeshProvider.IP]: -6 };

function nodeAttributes(
  node: MeshNode,
  place: Place,
  shown: ShownMesh,
  { selectedId, pointedOut, way }: Marks,
  palette: Palette,
): NodeAttributes {
  const look = nodeLook(node, shown.nodes.length);
  const isSelected = node.id === selectedId;
  const isOnWay = way?.has(node.id) ?? false;
  const isFaded = (way !== null && !isOnWay) || (way === null && pointedOut !== null && !pointedOut.has(node.id));
  const tone = palette.tones[look.tone];
  const part = shown.partOf.get(node.id) ?? 0;
  const isSingle = shown.singlePoints.has(node.id);
  return {
    x: place.x,
    y: place.y,
    size: look.radius,
    color: isFaded ? mix(tone, palette.surface, FADED) : tone,
    shape: look.shape,
    ring: isSelected || isOnWay ? 2 : isSingle ? 1 : 0,
    ringColor:
      isSelected || isOnWay ? palette.accent : isFaded ? mix(palette.text, palette.surface, FADED) : palette.text,
    label: part > 0 ? `${nodeLabel(node)} · part ${part + 1}` : nodeLabel(node),
    hidden: false,
    forceLabel: isSelected || isOnWay,
    zIndex: isSelected || isOnWay ? 2 : isFaded ? 0 : 1,
  };
}

function linkAttributes(
  link: MeshLink,
  shown: ShownMesh,
  { selectedId, pointedOut, way }: Marks,
  palette: Palette,
): LinkAttributes {
  const source = directionLook(link, link.aToB);
  const target = directionLook(link, link.bToA);
  const isSelected = link.id === selectedId;
  const isOnWay = way?.has(link.id) ?? false;
  const isAtSelected = selectedId === link.a || selectedId === link.b;
  const isFaded = (way !== null && !isOnWay) || (way === null && pointedOut !== null && !pointedOut.has(link.id));
  const shade = (tone: typeof source.tone) =>
    isFaded ? mix(palette.tones[tone], palette.surface, FADED) : palette.tones[tone];
  const scale = shown.links.length > MANY_LINKS ? THIN : 1;
  const extra = isSelected || isOnWay ? 2.5 : isAtSelected ? 0.8 : 0;
  return {
    sourceColor: shade(source.tone),
    targetColor: shade(target.tone),
    sourceWidth: source.width * scale + extra,
    targetWidth: target.width * scale + extra,
    sourceDash: source.dash,
    targetDash: target.dash,
    lane: shown.providers.length > 1 ? (LANES[link.provider] ?? 0) : 0,
    color: palette.line,
    size: Math.max(source.width, target.width) + extra,
    zIndex: isSelected || isOnWay ? 2 : isFaded ? 0 : 1,
    hidden: false,
  };
}
