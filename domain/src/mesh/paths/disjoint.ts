/**
 * Edge-disjoint paths of least cost, by flow: each round takes the shortest way through what is left, and may take back an edge
 * of the rounds before, so that the paths together cost least of all sets of so many (Suurballe's idea, for undirected edges
 * with a cost in either direction). Taking the shortest path and removing it would miss paths, and find dearer ones.
 */
import type { Adjacency } from "./adjacency.ts";
import { NodeHeap } from "./node-heap.ts";

/** Costs are finite and not below 0. An edge that must not be used in a direction costs `Infinity`. */
export interface EdgeCosts {
  /** By number of the edge: from `from[e]` to `to[e]`, and back. */
  readonly forward: Float64Array;
  readonly backward: Float64Array;
}

export interface Step {
  readonly edge: number;
  readonly from: number;
  readonly to: number;
}

/** At most `count` paths, the cheapest first; fewer where there are no more. None from a node to itself. */
export function disjointPaths(
  graph: Adjacency,
  costs: EdgeCosts,
  source: number,
  target: number,
  count: number,
): Step[][] {
  if (source === target) return [];
  const flow = new Flow(graph, costs);
  for (let round = 0; round < count; round++) {
    if (!flow.augment(source, target)) break;
  }
  return flow.paths(source, target).sort((one, other) => costOf(graph, costs, one) - costOf(graph, costs, other));
}

export function costOf({ from }: Adjacency, { forward, backward }: EdgeCosts, path: readonly Step[]): number {
  return path.reduce((sum, step) => sum + (step.from === from[step.edge] ? forward : backward)[step.edge]!, 0);
}

class Flow {
  readonly #graph: Adjacency;
  readonly #costs: EdgeCosts;
  /** 1 = used from `from` to `to`, -1 = used the other way. */
  readonly #used: Int8Array;
  /** With them no step that is left costs less than 0, so that the shortest way can be found by settling nodes. */
  readonly #potential: Float64Array;
  readonly #distance: Float64Array;
  readonly #enteredBy: Int32Array;
  readonly #isSettled: Uint8Array;

  constructor(graph: Adjacency, costs: EdgeCosts) {
    this.#graph = graph;
    this.#costs = costs;
    this.#used = new Int8Array(graph.edgeCount);
    this.#potential = new Float64Array(graph.nodeCount);
    this.#distance = new Float64Array(graph.nodeCount);
    this.#enteredBy = new Int32Array(graph.nodeCount);
    this.#isSettled = new Uint8Array(graph.nodeCount);
  }

  /** Returns whether there was one more way. */
  augment(source: number, target: number): boolean {
    if (!this.#search(source, target)) return false;
    const reach = this.#distance[target]!;
    for (let node = 0; node < this.#graph.nodeCount; node++) {
      // Nodes behind the target were not settled: its distance is a lower bound of theirs.
      this.#potential[node]! += this.#isSettled[node] === 1 ? Math.min(this.#distance[node]!, reach) : reach;
    }
    const { from, to } = this.#graph;
    let node = target;
    while (node !== source) {
      const edge = this.#enteredBy[node]!;
      const isForward = to[edge] === node;
      this.#used[edge]! += isForward ? 1 : -1;
      node = isForward ? from[edge]! : to[edge]!;
    }
    return true;
  }

  /** What a step over the edge costs now: less than nothing where it takes one back. */
  #stepCost(edge: number, isForward: boolean): number {
    const used = this.#used[edge]!;
    const { forward, backward } = this.#costs;
    if (used === 0) return (isForward ? forward : backward)[edge]!;
    if (used === 1) return isForward ? Number.POSITIVE_INFINITY : -forward[edge]!;
    return isForward ? -backward[edge]! : Number.POSITIVE_INFINITY;
  }

  #search(source: number, target: number): boolean {
    const { starts, arcTo, arcEdge, from } = this.#graph;
    const distance = this.#distance.fill(Number.POSITIVE_INFINITY);
    const heap = new NodeHeap(distance);
    this.#isSettled.fill(0);
    distance[source] = 0;
    heap.push(source);
    for (let node = heap.pop(); node !== -1; node = heap.pop()) {
      this.#isSettled[node] = 1;
      if (node === target) return true;
      for (let arc = starts[node]!; arc < starts[node + 1]!; arc++) {
        const other = arcTo[arc]!;
        if (this.#isSettled[other] === 1) continue;
        const edge = arcEdge[arc]!;
        const cost = this.#stepCost(edge, from[edge] === node);
        if (cost === Number.POSITIVE_INFINITY) continue;
        // Rounding may bring a step that costs nothing slightly below it.
        const reduced = Math.max(0, cost + this.#potential[node]! - this.#potential[other]!);
        const reach = distance[node]! + reduced;
        if (reach >= distance[other]!) continue;
        distance[other] = reach;
        this.#enteredBy[other] = edge;
        heap.push(other);
      }
    }
    return false;
  }

  /** The flow as paths, each without a circle. */
  paths(source: number, target: number): Step[][] {
    const { from, starts, arcTo, arcEdge, nodeCount } = this.#graph;
    const nextArc = starts.slice(0, nodeCount);
    const leaves = (node: number): Step | null => {
      for (let arc = nextArc[node]!; arc < starts[node + 1]!; arc++) {
        const edge = arcEdge[arc]!;
        nextArc[node] = arc + 1;
        const isUsed = this.#used[edge] === (from[edge] === node ? 1 : -1);
        if (isUsed) return { edge, from: node, to: arcTo[arc]! };
      }
      return null;
    };
    const paths: Step[][] = [];
    for (let first = leaves(source); first !== null; first = leaves(source)) {
      const path = [first];
      for (let node = first.to; node !== target; node = path.at(-1)!.to) path.push(leaves(node)!);
      paths.push(withoutCircles(path));
    }
    return paths;
  }
}

/** A way that comes back to a node goes around for nothing. */
function withoutCircles(path: readonly Step[]): Step[] {
  const straight: Step[] = [];
  /** Where in the straight way a node is left. */
  const leftAt = new Map<number, number>();
  for (const step of path) {
    const back = leftAt.get(step.to);
    if (back === undefined) {
      leftAt.set(step.from, straight.length);
      straight.push(step);
    } else {
      for (const { from } of straight.splice(back)) leftAt.delete(from);
    }
  }
  return straight;
}
