/** What of the mesh is shown: one provider or all, and what the overlays point out. Pure. */
import type { MeshLink, MeshNode, MeshSummary } from "@wardline/api/wardline/console/v1/mesh";
import { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { MeshPicture } from "../../../data/mesh-picture.ts";
import { isWeak } from "./words.ts";

/** `null` = all. */
export type ProviderFilter = MeshProvider | null;
export type Overlay = "weak" | "lost" | "flapping" | "partitions" | "single-points" | "single-uplinks";

export const OVERLAYS: readonly { readonly overlay: Overlay; readonly name: string; readonly explains: string }[] = [
  { overlay: "weak", name: "Weak links", explains: "Poor or bad in at least one direction." },
  { overlay: "lost", name: "Lost links", explains: "Were there and are down." },
  { overlay: "flapping", name: "Flapping links", explains: "Went up and down three times within a minute." },
  { overlay: "partitions", name: "Partitions", explains: "Nodes outside of the largest part of their mesh." },
  {
    overlay: "single-points",
    name: "Single points",
    explains: "Nodes and links without which a mesh falls apart.",
  },
  { overlay: "single-uplinks", name: "Single uplinks", explains: "Nodes that hang on one link." },
];

export interface ShownMesh {
  readonly nodes: readonly MeshNode[];
  readonly links: readonly MeshLink[];
  /** Of shown links, by the id of a node. */
  readonly linksOf: ReadonlyMap<string, readonly MeshLink[]>;
  /** 0 is the largest part; absent = in none. */
  readonly partOf: ReadonlyMap<string, number>;
  readonly partCount: number;
  readonly singlePoints: ReadonlySet<string>;
  readonly singleUplinks: ReadonlySet<string>;
  /** Providers that the whole picture has. */
  readonly providers: readonly MeshProvider[];
}

export function shownMesh(picture: MeshPicture, filter: ProviderFilter): ShownMesh {
  const links = [...picture.links.values()].filter(({ provider }) => filter === null || provider === filter);
  const linksOf = new Map<string, MeshLink[]>();
  for (const link of links) {
    for (const end of [link.a, link.b]) {
      const list = linksOf.get(end);
      if (list) list.push(link);
      else linksOf.set(end, [link]);
    }
  }
  const isOfFilter = (node: MeshNode) =>
    filter === null || linksOf.has(node.id) || node.identities.some(({ provider }) => provider === filter);
  const nodes = [...picture.nodes.values()].filter(isOfFilter);
  const partitions = picture.partitions.filter(({ provider }) => filter === null || provider === filter);
  const largest = new Map<MeshProvider, number>();
  const partOf = new Map<string, number>();
  for (const { provider, nodeIds } of partitions) {
    const index = largest.get(provider) ?? 0;
    largest.set(provider, index + 1);
    // With several meshes at once a node is told to be cut off when it is in any of them.
    for (const id of nodeIds) partOf.set(id, Math.max(index, partOf.get(id) ?? 0));
  }
  const { summary } = picture;
  return {
    nodes,
    links,
    linksOf,
    partOf,
    partCount: Math.max(0, ...largest.values()),
    singlePoints: namedNodes(picture, summary?.articulationPoints ?? []),
    singleUplinks: namedNodes(picture, summary?.singleUplinks ?? []),
    providers: providersOf(picture),
  };
}

/** The summary may name nodes by id or by label. */
function namedNodes({ nodes }: MeshPicture, names: MeshSummary["singleUplinks"]): ReadonlySet<string> {
  const wanted = new Set(names);
  if (wanted.size === 0) return wanted;
  const found = new Set<string>();
  for (const { id, label } of nodes.values()) if (wanted.has(id) || wanted.has(label)) found.add(id);
  return found;
}

function providersOf({ links, nodes }: MeshPicture): readonly MeshProvider[] {
  const found = new Set<MeshProvider>();
  for (const { provider } of links.values()) found.add(provider);
  for (const { identities } of nodes.values()) for (const { provider } of identities) found.add(provider);
  return [MeshProvider.YGGDRASIL, MeshProvider.BATMAN, MeshProvider.IP].filter((provider) => found.has(provider));
}

/** What the overlays that are on point at; `null` = none is on, and everything is drawn alike. */
export function pointedOut(shown: ShownMesh, overlays: ReadonlySet<Overlay>): ReadonlySet<string> | null {
  if (overlays.size === 0) return null;
  const ids = new Set<string>();
  const addLink = (link: MeshLink) => ids.add(link.id).add(link.a).add(link.b);
  for (const link of shown.links) {
    if (overlays.has("weak") && isWeak(link)) addLink(link);
    if (overlays.has("lost") && !link.up) addLink(link);
    if (overlays.has("flapping") && link.flapping) addLink(link);
    if (overlays.has("single-points") && link.bridge) addLink(link);
    if (overlays.has("single-uplinks") && (shown.singleUplinks.has(link.a) || shown.singleUplinks.has(link.b)))
      addLink(link);
  }
  for (const { id } of shown.nodes) {
    if (overlays.has("partitions") && (shown.partOf.get(id) ?? 0) > 0) ids.add(id);
    if (overlays.has("single-points") && shown.singlePoints.has(id)) ids.add(id);
    if (overlays.has("single-uplinks") && shown.singleUplinks.has(id)) ids.add(id);
  }
  if (overlays.has("partitions"))
    for (const { id, a, b } of shown.links)
      if (ids.has(a) && ids.has(b) && shown.partOf.get(a) === shown.partOf.get(b)) ids.add(id);
  return ids;
}

export function overlayCounts(shown: ShownMesh): Record<Overlay, number> {
  const count = (matches: (link: MeshLink) => boolean) =>
    shown.links.reduce((sum, link) => sum + (matches(link) ? 1 : 0), 0);
  return {
    weak: count(isWeak),
    lost: count(({ up }) => !up),
    flapping: count(({ flapping }) => flapping),
    partitions: shown.partCount > 1 ? shown.partCount : 0,
    "single-points": shown.singlePoints.size + count(({ bridge }) => bridge),
    "single-uplinks": shown.singleUplinks.size,
  };
}
