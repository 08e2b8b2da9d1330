import type {
  MeshLink,
  MeshNode,
  MeshPartition,
  MeshSummary,
  MeshTopology,
  WatchMeshResponse,
} from "@wardline/api/wardline/console/v1/mesh";
import { optionalMs } from "./hosts-snapshot.ts";

/** The meshes of all hosts at one time. */
export interface MeshPicture {
  /** Unix ms; `null` = not told. */
  readonly atMs: number | null;
  readonly nodes: ReadonlyMap<string, MeshNode>;
  readonly links: ReadonlyMap<string, MeshLink>;
  readonly partitions: readonly MeshPartition[];
  readonly summary: MeshSummary | null;
}

const NOTHING: MeshPicture = { atMs: null, nodes: new Map(), links: new Map(), partitions: [], summary: null };

export function pictureOf(topology: MeshTopology): MeshPicture {
  return {
    atMs: optionalMs(topology.at),
    nodes: new Map(topology.nodes.map((node) => [node.id, node])),
    links: new Map(topology.links.map((link) => [link.id, link])),
    partitions: topology.partitions,
    summary: topology.summary ?? null,
  };
}

/** A whole topology replaces what was; a change replaces what it names. What did not change stays the same object. */
export function reduceMesh(previous: MeshPicture | null, message: WatchMeshResponse): MeshPicture {
  const before = message.topology ? pictureOf(message.topology) : (previous ?? NOTHING);
  return {
    atMs: optionalMs(message.at) ?? before.atMs,
    nodes: changed(before.nodes, message.nodes, message.goneNodeIds),
    links: changed(before.links, message.links, message.goneLinkIds),
    partitions: partitionsOf(message, before),
    summary: message.summary ?? before.summary,
  };
}

/** A message without any may mean "as before" as well as "none": the summary's count tells which. */
function partitionsOf(message: WatchMeshResponse, before: MeshPicture): readonly MeshPartition[] {
  if (message.partitions.length > 0) return message.partitions;
  return message.summary?.partitions === 0 ? [] : before.partitions;
}

function changed<Item extends { readonly id: string }>(
  before: ReadonlyMap<string, Item>,
  items: readonly Item[],
  goneIds: readonly string[],
): ReadonlyMap<string, Item> {
  if (items.length === 0 && goneIds.length === 0) return before;
  const after = new Map(before);
  for (const item of items) after.set(item.id, item);
  for (const id of goneIds) after.delete(id);
  return after;
}
