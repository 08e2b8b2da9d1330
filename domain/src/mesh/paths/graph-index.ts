/** A picture as numbers, for searches: the nodes that may be used, and the links between them that are up. */
import { MeshNodeState } from "@wardline/api/wardline/console/v1/mesh";
import type { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import type { GraphDirection, GraphLink, GraphNode, MeshGraph } from "../topology/graph.ts";
import { type Adjacency, adjacencyOf } from "./adjacency.ts";
import type { EdgeCosts } from "./disjoint.ts";
import { type Structure, structureOf } from "./structure.ts";

/** What a hop costs whose link was not measured in either direction: as with this score. */
const UNMEASURED_SCORE = 50;
const POINTS_PER_HOP = 10;

/**
 * 1 for a hop over a link of score 100, and 1 more for each 10 points less: a hop over the worst link is worth eleven over the
 * best. Every cost is finite, so that a poor link is used where it is the only one.
 */
export function hopCost(score: number | null): number {
  return 1 + (100 - (score ?? UNMEASURED_SCORE)) / POINTS_PER_HOP;
}

/** As the end that it begins at sees it; as the other does, where that one measured nothing. */
export function directionFrom(link: GraphLink, from: string): GraphDirection {
  return link.a === from ? ownOrOther(link.aToB, link.bToA) : ownOrOther(link.bToA, link.aToB);
}

function ownOrOther(own: GraphDirection, other: GraphDirection): GraphDirection {
  return own.score === null && (other.score !== null || !own.isObserved) ? other : own;
}

export class GraphIndex {
  readonly nodes: readonly GraphNode[];
  readonly links: readonly GraphLink[];
  readonly adjacency: Adjacency;
  readonly costs: EdgeCosts;
  readonly #numbers = new Map<string, number>();
  #structure: Structure | null = null;

  constructor(graph: MeshGraph, provider: MeshProvider | null) {
    const nodes: GraphNode[] = [];
    for (const node of graph.nodes.values()) {
      // Nobody sees it: it is no way to anywhere, whatever a link says.
      if (node.state === MeshNodeState.OFFLINE) continue;
      this.#numbers.set(node.id, nodes.length);
      nodes.push(node);
    }
    const links: GraphLink[] = [];
    const count = graph.links.size;
    // Numbers are written into arrays of their type at once: pictures have ten thousands of links, and people wait.
    const [from, to] = [new Int32Array(count), new Int32Array(count)];
    const [forward, backward] = [new Float64Array(count), new Float64Array(count)];
    for (const link of graph.links.values()) {
      if (!link.isUp || (provider !== null && link.provider !== provider)) continue;
      const a = this.#numbers.get(link.a);
      const b = this.#numbers.get(link.b);
      if (a === undefined || b === undefined) continue;
      const edge = links.length;
      links.push(link);
      from[edge] = a;
      to[edge] = b;
      forward[edge] = hopCost(ownOrOther(link.aToB, link.bToA).score);
      backward[edge] = hopCost(ownOrOther(link.bToA, link.aToB).score);
    }
    this.nodes = nodes;
    this.links = links;
    const used = links.length;
    this.adjacency = adjacencyOf(nodes.length, from.subarray(0, used), to.subarray(0, used));
    this.costs = { forward, backward };
  }

  numberOf(id: string): number | undefined {
    return this.#numbers.get(id);
  }

  get structure(): Structure {
    this.#structure ??= structureOf(this.adjacency);
    return this.#structure;
  }
}

const indexes = new WeakMap<MeshGraph, Map<MeshProvider | null, GraphIndex>>();

/** Made once for each picture and mesh: pictures do not change. */
export function indexOf(graph: MeshGraph, provider: MeshProvider | null): GraphIndex {
  const ofGraph = indexes.get(graph) ?? new Map<MeshProvider | null, GraphIndex>();
  indexes.set(graph, ofGraph);
  const index = ofGraph.get(provider) ?? new GraphIndex(graph, provider);
  ofGraph.set(provider, index);
  return index;
}
