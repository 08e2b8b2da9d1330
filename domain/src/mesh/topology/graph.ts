/**
 * The picture of all meshes as plain values. Nobody changes a published node or link: what changed is a new object, so
 * that `===` says whether something changed. Absent (`null`) figures were not measured.
 */
import type { LinkClass, MeshChangeKind, MeshNodeState } from "@wardline/api/wardline/console/v1/mesh";
import type { MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";

export interface GraphIdentity {
  readonly provider: MeshProvider;
  /** Yggdrasil: 64 lower-case hex digits. batman-adv: a lower-case MAC. */
  readonly key: string;
  /** Derived from the key, never from a claim; empty where the mesh has none. */
  readonly address: string;
  readonly subnet: string;
  /** Names of hosts, its own first, then by name; at most 20. */
  readonly toldBy: readonly string[];
  readonly generation: string;
  readonly version: string;
  /** UNSPECIFIED = known from others only. */
  readonly daemon: MeshProviderState;
}

export interface GraphNode {
  /** `host/web-1`; `yggdrasil/KEY`, `batman/MAC`, `ip/NAME` for one that is known from others only. */
  readonly id: string;
  readonly label: string;
  /** Empty = not managed. */
  readonly hostId: string;
  readonly state: MeshNodeState;
  readonly stateSinceMs: number;
  /** Own word, or somebody's fresh word that it is up. */
  readonly lastSeenMs: number | null;
  readonly identities: readonly GraphIdentity[];
  readonly groups: readonly string[];
  /** Why it is in this state, and what is wrong with who it says it is; sentences. */
  readonly problems: readonly string[];
}

/** One way of a link, as the end it begins at sees it. */
export interface GraphDirection {
  /** That end is managed and its word is fresh. Where not, figures are absent and `isUp` is false. */
  readonly isObserved: boolean;
  readonly isUp: boolean;
  /** Round trip. */
  readonly latencyMs: number | null;
  /** 0 to 1. */
  readonly loss: number | null;
  /** 0 to 1: as the mesh measures it, TQ / 255. Not a loss rate. */
  readonly quality: number | null;
  readonly throughputBitsPerSecond: number | null;
  /** Of the mesh's own routing. */
  readonly cost: number | null;
  readonly pathMtuBytes: number | null;
  /** 0 to 100, see `score.ts`; absent while down and where nothing was measured. */
  readonly score: number | null;
  /** UNMEASURED exactly where there is no score. */
  readonly linkClass: LinkClass;
  readonly isInbound: boolean;
  /** Without query and user; of plain links the address that is probed. */
  readonly uri: string;
  readonly measuredAtMs: number | null;
}

export interface GraphLink {
  /** `yggdrasil|A|B`: provider and the ids of the nodes, the smaller (by UTF-16 units) first. */
  readonly id: string;
  readonly provider: MeshProvider;
  readonly a: string;
  readonly b: string;
  readonly aToB: GraphDirection;
  readonly bToA: GraphDirection;
  readonly isUp: boolean;
  readonly isFlapping: boolean;
  /** Without it the mesh of this provider falls apart. */
  readonly isBridge: boolean;
  /** Of `isUp`. */
  readonly sinceMs: number;
}

export interface MeshGraph {
  /** Grows with every change. */
  readonly revision: number;
  readonly atMs: number;
  readonly nodes: ReadonlyMap<string, GraphNode>;
  readonly links: ReadonlyMap<string, GraphLink>;
}

export interface GraphChange {
  readonly atMs: number;
  readonly kind: MeshChangeKind;
  /** Of the node or link; of PARTITIONS the name of the provider. */
  readonly id: string;
  readonly sentence: string;
}

/** From one revision to another. A node or link that is new and one that changed look alike: whole. */
export interface MeshDelta {
  readonly fromRevision: number;
  readonly revision: number;
  readonly atMs: number;
  readonly nodes: readonly GraphNode[];
  readonly links: readonly GraphLink[];
  readonly goneNodeIds: readonly string[];
  readonly goneLinkIds: readonly string[];
  readonly changes: readonly GraphChange[];
}

export const EMPTY_GRAPH: MeshGraph = { revision: 0, atMs: 0, nodes: new Map(), links: new Map() };

export function isEmptyDelta(delta: MeshDelta): boolean {
  const { nodes, links, goneNodeIds, goneLinkIds, changes } = delta;
  return nodes.length + links.length + goneNodeIds.length + goneLinkIds.length + changes.length === 0;
}

/** @throws RangeError when the delta does not follow on the graph */
export function applyDelta(graph: MeshGraph, delta: MeshDelta): MeshGraph {
  if (delta.fromRevision !== graph.revision) {
    throw new RangeError(`a change from revision ${delta.fromRevision} does not follow on ${graph.revision}`);
  }
  const nodes = new Map(graph.nodes);
  const links = new Map(graph.links);
  for (const id of delta.goneNodeIds) nodes.delete(id);
  for (const id of delta.goneLinkIds) links.delete(id);
  for (const node of delta.nodes) nodes.set(node.id, node);
  for (const link of delta.links) links.set(link.id, link);
  return { revision: delta.revision, atMs: delta.atMs, nodes, links };
}

/** Several deltas, each following on the one before, as one. @throws RangeError when they do not */
export function mergeDeltas(deltas: readonly [MeshDelta, ...MeshDelta[]]): MeshDelta {
  const nodes = new Map<string, GraphNode | null>();
  const links = new Map<string, GraphLink | null>();
  let last = deltas[0];
  for (const delta of deltas) {
    if (delta !== deltas[0] && delta.fromRevision !== last.revision) {
      throw new RangeError(`a change from revision ${delta.fromRevision} does not follow on ${last.revision}`);
    }
    for (const id of delta.goneNodeIds) nodes.set(id, null);
    for (const id of delta.goneLinkIds) links.set(id, null);
    for (const node of delta.nodes) nodes.set(node.id, node);
    for (const link of delta.links) links.set(link.id, link);
    last = delta;
  }
  return {
    fromRevision: deltas[0].fromRevision,
    revision: last.revision,
    atMs: last.atMs,
    nodes: [...nodes.values()].filter((node) => node !== null),
    links: [...links.values()].filter((link) => link !== null),
    goneNodeIds: [...nodes].flatMap(([id, node]) => (node === null ? [id] : [])),
    goneLinkIds: [...links].flatMap(([id, link]) => (link === null ? [id] : [])),
    changes: deltas.flatMap(({ changes }) => changes),
  };
}
