/** Ways from one node to another. */
import type { MeshProvider } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "../../errors/index.ts";
import type { GraphDirection, GraphLink, MeshGraph } from "../topology/graph.ts";
import { providerName } from "../topology/identity.ts";
import { diameterOf } from "./diameter.ts";
import { costOf, disjointPaths, type Step } from "./disjoint.ts";
import { directionFrom, type GraphIndex, hopCost, indexOf } from "./graph-index.ts";
import type { FoundPath, FoundPaths, PathHop, PathQuery } from "./model.ts";

export const USUAL_PATH_COUNT = 3;
export const MAX_PATH_COUNT = 8;

/**
 * Up to `count` edge-disjoint ways that together cost least, see `hopCost`. Links are disjoint, cables may not be: an overlay
 * and the plain network below it can share one.
 * @throws Failure NOT_FOUND for a node that is not in the picture, INVALID_ARGUMENT for a count that is not 1 to 8
 */
export function findPaths(graph: MeshGraph, { from, to, provider, count }: PathQuery): FoundPaths {
  if (!(Number.isInteger(count) && count >= 1 && count <= MAX_PATH_COUNT)) {
    const message = `Between 1 and ${MAX_PATH_COUNT} ways can be asked for, not ${count}.`;
    throw new Failure({ code: ErrorCode.INVALID_ARGUMENT, message });
  }
  const names = [from, to].map((id) => {
    const node = graph.nodes.get(id);
    if (node) return node.label;
    throw new Failure({ code: ErrorCode.NOT_FOUND, message: `There is no node ${id} in the picture.` });
  });
  if (from === to) return { paths: [], limitedBy: "It is one and the same node.", singlePoints: [] };
  const index = indexOf(graph, provider);
  const numbers = [index.numberOf(from), index.numberOf(to)];
  const offline = numbers.indexOf(undefined);
  if (offline !== -1) return { paths: [], limitedBy: `${names[offline]} is offline.`, singlePoints: [] };
  const [source = 0, target = 0] = numbers;
  const found = disjointPaths(index.adjacency, index.costs, source, target, count);
  return {
    paths: found.map((steps) => toPath(index, steps)),
    limitedBy: found.length < count ? limit(found.length, names, provider) : "",
    singlePoints: singlePoints(index, found[0] ?? []),
  };
}

function limit(found: number, [from, to]: readonly string[], provider: MeshProvider | null): string {
  const where = provider === null ? "" : ` over ${providerName(provider)}`;
  if (found === 0) return `No link that is up leads from ${from} to ${to}${where}.`;
  return found === 1
    ? `Every other way from ${from} to ${to}${where} would use one of its links again.`
    : `No further way from ${from} to ${to}${where} does without a link of these ${found}.`;
}

function toPath(index: GraphIndex, steps: readonly Step[]): FoundPath {
  const hops = steps.map(
    ({ edge, from, to }): PathHop => hopOf(index.links[edge]!, index.nodes[from]!.id, index.nodes[to]!.id),
  );
  return { ...pathOf(hops, false), cost: costOf(index.adjacency, index.costs, steps) };
}

export function hopOf(link: GraphLink, from: string, to: string): PathHop {
  return { linkId: link.id, from, to, direction: directionFrom(link, from) };
}

export function pathOf(hops: readonly PathHop[], isObserved: boolean): FoundPath {
  const directions = hops.map(({ direction }) => direction);
  const loss = overAll(
    directions,
    ({ loss: each }) => each,
    1,
    (kept, each) => kept * (1 - each),
  );
  return {
    hops,
    cost: directions.reduce((sum, { score }) => sum + hopCost(score), 0),
    latencyMs: overAll(
      directions,
      ({ latencyMs }) => latencyMs,
      0,
      (sum, each) => sum + each,
    ),
    loss: loss === null ? null : 1 - loss,
    isObserved,
  };
}

/** `null` where one of them was not measured. */
function overAll(
  directions: readonly GraphDirection[],
  figureOf: (direction: GraphDirection) => number | null,
  start: number,
  add: (sum: number, figure: number) => number,
): number | null {
  let sum = start;
  for (const direction of directions) {
    const figure = figureOf(direction);
    if (figure === null) return null;
    sum = add(sum, figure);
  }
  return sum;
}

/** On the way from one end to the other: links without which there is none, and nodes between two blocks. */
function singlePoints({ structure, links, nodes }: GraphIndex, steps: readonly Step[]): string[] {
  return steps.flatMap(({ edge, from }, at) => {
    const before = steps[at - 1];
    const isOnlyNode = before !== undefined && structure.block[before.edge] !== structure.block[edge];
    const node = isOnlyNode ? [nodes[from]!.id] : [];
    return structure.isBridge[edge] === 1 ? [...node, links[edge]!.id] : node;
  });
}

export interface MeshStructure {
  /** Ids of nodes, the largest part first. Nodes without any link that is up are left out. */
  readonly parts: readonly (readonly string[])[];
  readonly articulationPoints: readonly string[];
  readonly bridges: readonly string[];
  /** Nodes with exactly one link that is up. */
  readonly singleUplinks: readonly string[];
  readonly diameterHops: number | null;
}

/** Of any picture, as of one from the history. `null` = over all meshes together. O(nodes + links) but for the diameter. */
export function structureOfGraph(graph: MeshGraph, provider: MeshProvider | null): MeshStructure {
  const { structure, nodes, links, adjacency } = indexOf(graph, provider);
  const degree = (node: number) => adjacency.starts[node + 1]! - adjacency.starts[node]!;
  const idsWhere = (holds: (node: number) => boolean) => nodes.flatMap(({ id }, node) => (holds(node) ? [id] : []));
  const parts = Array.from({ length: structure.componentCount }, (): string[] => []);
  for (const [node, { id }] of nodes.entries()) if (degree(node) > 0) parts[structure.component[node]!]!.push(id);
  return {
    parts: parts
      .filter(({ length }) => length > 0)
      .map((part) => part.sort())
      .sort((one, other) => other.length - one.length || (one[0]! < other[0]! ? -1 : 1)),
    articulationPoints: idsWhere((node) => structure.isArticulation[node] === 1).sort(),
    bridges: links.flatMap(({ id }, edge) => (structure.isBridge[edge] === 1 ? [id] : [])).sort(),
    singleUplinks: idsWhere((node) => degree(node) === 1).sort(),
    diameterHops: diameterOf(adjacency),
  };
}
