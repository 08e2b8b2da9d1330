/** An undirected graph of numbers: several edges between two nodes are kept apart, edges from a node to itself are left out. */
export interface Adjacency {
  readonly nodeCount: number;
  readonly edgeCount: number;
  /** Ends of each edge. */
  readonly from: Int32Array;
  readonly to: Int32Array;
  /** Arcs of node `n` are those from `starts[n]` to before `starts[n + 1]`. */
  readonly starts: Int32Array;
  readonly arcTo: Int32Array;
  readonly arcEdge: Int32Array;
}

/** Edge `e` joins `from[e]` and `to[e]`. */
export function adjacencyOf(nodeCount: number, from: Int32Array, to: Int32Array): Adjacency {
  const edgeCount = from.length;
  const starts = new Int32Array(nodeCount + 1);
  for (let edge = 0; edge < edgeCount; edge++) {
    if (from[edge] === to[edge]) continue;
    starts[from[edge]! + 1]!++;
    starts[to[edge]! + 1]!++;
  }
  for (let node = 0; node < nodeCount; node++) starts[node + 1]! += starts[node]!;
  const next = starts.slice(0, nodeCount);
  const arcTo = new Int32Array(starts[nodeCount]!);
  const arcEdge = new Int32Array(starts[nodeCount]!);
  for (let edge = 0; edge < edgeCount; edge++) {
    const one = from[edge]!;
    const other = to[edge]!;
    if (one === other) continue;
    const there = next[one]!++;
    arcTo[there] = other;
    arcEdge[there] = edge;
    const back = next[other]!++;
    arcTo[back] = one;
    arcEdge[back] = edge;
  }
  return { nodeCount, edgeCount, from, to, starts, arcTo, arcEdge };
}
