/** What holds a graph together: its parts, and the nodes and edges without which it has more of them. */
import type { Adjacency } from "./adjacency.ts";

export interface Structure {
  readonly componentCount: number;
  /** Of each node. */
  readonly component: Int32Array;
  /** 1 = without this node (edge) the graph has more parts. */
  readonly isArticulation: Uint8Array;
  readonly isBridge: Uint8Array;
  /** Of each edge: edges on a common circle are of one block, so that a way leaves a block only through one node. */
  readonly block: Int32Array;
}

/** In one walk through the depth, without recursion: O(nodes + edges). */
export function structureOf(graph: Adjacency): Structure {
  const { nodeCount, edgeCount, starts } = graph;
  const walk = new DepthWalk(graph);
  const component = new Int32Array(nodeCount).fill(-1);
  const isArticulation = new Uint8Array(nodeCount);
  const isBridge = new Uint8Array(edgeCount);
  const block = new Int32Array(edgeCount).fill(-1);
  let componentCount = 0;
  for (let root = 0; root < nodeCount; root++) {
    if (component[root] !== -1) continue;
    if (starts[root] === starts[root + 1]) component[root] = componentCount;
    else walk.from(root, { component, number: componentCount, isArticulation, isBridge, block });
    componentCount++;
  }
  return { componentCount, component, isArticulation, isBridge, block };
}

interface Marks {
  readonly component: Int32Array;
  readonly number: number;
  readonly isArticulation: Uint8Array;
  readonly isBridge: Uint8Array;
  readonly block: Int32Array;
}

class DepthWalk {
  readonly #graph: Adjacency;
  /** Order of arrival, from 1. */
  readonly #arrived: Int32Array;
  /** The earliest arrival that a node's subtree reaches by one edge that is not of the tree. */
  readonly #reaches: Int32Array;
  readonly #nextArc: Int32Array;
  readonly #stack: Int32Array;
  /** Edge by which a node on the stack was entered; -1 for the root. */
  readonly #entered: Int32Array;
  /** Edges that were walked and are of no block yet. */
  readonly #open: Int32Array;
  #openCount = 0;
  #blockCount = 0;
  #clock = 0;

  constructor(graph: Adjacency) {
    this.#graph = graph;
    this.#arrived = new Int32Array(graph.nodeCount);
    this.#reaches = new Int32Array(graph.nodeCount);
    this.#nextArc = graph.starts.slice(0, graph.nodeCount);
    this.#stack = new Int32Array(graph.nodeCount);
    this.#entered = new Int32Array(graph.nodeCount);
    this.#open = new Int32Array(graph.edgeCount);
  }

  from(root: number, marks: Marks): void {
    const { starts, arcTo, arcEdge } = this.#graph;
    let depth = 0;
    let children = 0;
    this.#enter(root, -1, 0, marks);
    while (depth >= 0) {
      const node = this.#stack[depth]!;
      const arc = this.#nextArc[node]!;
      if (arc < starts[node + 1]!) {
        this.#nextArc[node] = arc + 1;
        const edge = arcEdge[arc]!;
        const other = arcTo[arc]!;
        // By edge and not by node: a second edge to where it came from is a way around the first.
        if (edge === this.#entered[depth]) continue;
        if (this.#arrived[other] !== 0) {
          if (this.#arrived[other]! < this.#arrived[node]!) this.#open[this.#openCount++] = edge;
          this.#lower(node, this.#arrived[other]!);
        } else {
          if (node === root) children++;
          depth++;
          this.#open[this.#openCount++] = edge;
          this.#enter(other, edge, depth, marks);
        }
      } else {
        if (depth > 0) this.#leave(depth, root, marks);
        depth--;
      }
    }
    if (children > 1) marks.isArticulation[root] = 1;
  }

  #enter(node: number, edge: number, depth: number, { component, number }: Marks): void {
    this.#clock++;
    this.#arrived[node] = this.#clock;
    this.#reaches[node] = this.#clock;
    this.#stack[depth] = node;
    this.#entered[depth] = edge;
    component[node] = number;
  }

  #leave(depth: number, root: number, { isArticulation, isBridge, block }: Marks): void {
    const node = this.#stack[depth]!;
    const parent = this.#stack[depth - 1]!;
    const reaches = this.#reaches[node]!;
    this.#lower(parent, reaches);
    if (reaches > this.#arrived[parent]!) isBridge[this.#entered[depth]!] = 1;
    if (reaches < this.#arrived[parent]!) return;
    if (parent !== root) isArticulation[parent] = 1;
    let edge: number;
    do {
      edge = this.#open[--this.#openCount]!;
      block[edge] = this.#blockCount;
    } while (edge !== this.#entered[depth]);
    this.#blockCount++;
  }

  #lower(node: number, arrival: number): void {
    if (arrival < this.#reaches[node]!) this.#reaches[node] = arrival;
  }
}
