import type { MeshPath } from "@wardline/api/wardline/console/v1/mesh";
import type { MeshPicture } from "../../../data/mesh-picture.ts";
import { linkLabel, nodeLabel } from "./words.ts";

/** Nodes in the order in which a way passes them. */
export function nodesOfPath({ hops }: MeshPath): string[] {
  const [first] = hops;
  return first ? [first.from, ...hops.map(({ to }) => to)] : [];
}

/** Nodes and links of a way: what is drawn in front. */
export function idsOfPath(path: MeshPath): ReadonlySet<string> {
  return new Set([...nodesOfPath(path), ...path.hops.map(({ linkId }) => linkId)].filter((id) => id !== ""));
}

/** Links by their two ends, nodes by their name. */
export function singlePointNames(ids: readonly string[], picture: MeshPicture): string[] {
  return ids.map((id) => {
    const link = picture.links.get(id);
    return link ? `the link ${linkLabel(link, picture)}` : nodeLabel(picture.nodes.get(id), id);
  });
}
