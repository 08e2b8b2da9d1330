/** How wide a graph is. */
import type { Adjacency } from "./adjacency.ts";

/** Beyond that many nodes × edges it is not looked for. */
const MAX_WORK = 1e8;
const SOURCES_AT_ONCE = 32;

/**
 * The longest of the shortest ways, in edges, within the parts; `null` = no edge, or too much work. Breadth-first searches from
 * 32 nodes at once: a bit of a word is a search. The neighbours of a node that is nearer to everything than the longest way known
 * are no ends of a longer one, and not searched from: that leaves few nodes of most meshes.
 */
export function diameterOf(graph: Adjacency): number | null {
  const { nodeCount, edgeCount } = graph;
  if (graph.arcTo.length === 0 || nodeCount * edgeCount > MAX_WORK) return null;
  const candidates = new Candidates(graph);
  const search = new ManySearches(graph);
  for (let sources = candidates.next(); sources.length > 0; sources = candidates.next()) {
    candidates.measured(sources, search.reachOf(sources));
  }
  return candidates.longest;
}

/** Nodes that a longer way than the longest known may begin at. */
class Candidates {
  longest = 0;
  readonly #graph: Adjacency;
  /** Many neighbours first: each of them may rule out many. */
  readonly #order: Int32Array;
  readonly #isOut: Uint8Array;
  /** How far the farthest node is, of those that were searched from; 0 = it was not. */
  readonly #reach: Int32Array;
  #at = 0;

  constructor(graph: Adjacency) {
    const { nodeCount, starts } = graph;
    const degree = (node: number) => starts[node + 1]! - starts[node]!;
    this.#graph = graph;
    this.#order = Int32Array.from({ length: nodeCount }, (_, node) => node).sort(
      (one, other) => degree(other) - degree(one) || one - other,
    );
    this.#isOut = new Uint8Array(nodeCount);
    this.#reach = new Int32Array(nodeCount);
  }

  next(): number[] {
    const sources: number[] = [];
    // At first from the edge: a long way begins where there are few neighbours.
    const order = this.longest === 0 ? this.#order.toReversed() : this.#order;
    for (let at = this.longest === 0 ? 0 : this.#at; at < order.length && sources.length < SOURCES_AT_ONCE; at++) {
      if (this.longest > 0) this.#at = at + 1;
      const node = order[at]!;
      if (this.#isOut[node] === 0 && this.#graph.starts[node] !== this.#graph.starts[node + 1]) sources.push(node);
    }
    return sources;
  }

  measured(sources: readonly number[], reach: readonly number[]): void {
    const longest = Math.max(this.longest, ...reach);
    for (const [index, source] of sources.entries()) {
      this.#isOut[source] = 1;
      this.#reach[source] = reach[index]!;
    }
    const isLonger = longest > this.longest;
    this.longest = longest;
    // What was measured before rules out more now.
    const measured = isLonger ? this.#reach.keys() : sources;
    for (const node of measured) if (this.#reach[node]! > 0 && this.#reach[node]! < longest) this.#ruleOut(node);
  }

  #ruleOut(node: number): void {
    const { starts, arcTo } = this.#graph;
    for (let arc = starts[node]!; arc < starts[node + 1]!; arc++) this.#isOut[arcTo[arc]!] = 1;
  }
}

class ManySearches {
  readonly #graph: Adjacency;
  /** Which searches have been at a node, which arrive there in this round and in the next. */
  readonly #seen: Int32Array;
  readonly #arriving: Int32Array;
  readonly #next: Int32Array;
  #front: Int32Array;
  #nextFront: Int32Array;
  /** Searches that came further in the newest round. */
  #moved = 0;

  constructor(graph: Adjacency) {
    this.#graph = graph;
    this.#seen = new Int32Array(graph.nodeCount);
    this.#arriving = new Int32Array(graph.nodeCount);
    this.#next = new Int32Array(graph.nodeCount);
    this.#front = new Int32Array(graph.nodeCount);
    this.#nextFront = new Int32Array(graph.nodeCount);
  }

  /** How far the farthest node is from each of at most 32. */
  reachOf(sources: readonly number[]): number[] {
    this.#seen.fill(0);
    for (const [index, source] of sources.entries()) {
      this.#seen[source] = 1 << index;
      this.#arriving[source] = 1 << index;
      this.#front[index] = source;
    }
    const reach = sources.map(() => 0);
    let size = this.#round(sources.length);
    for (let depth = 1; size > 0; depth++) {
      for (const index of reach.keys()) if ((this.#moved & (1 << index)) !== 0) reach[index] = depth;
      size = this.#round(size);
    }
    return reach;
  }

  #round(size: number): number {
    const { starts, arcTo } = this.#graph;
    const front = this.#front;
    const nextFront = this.#nextFront;
    const seen = this.#seen;
    const arriving = this.#arriving;
    const next = this.#next;
    let nextSize = 0;
    let moved = 0;
    for (let at = 0; at < size; at++) {
      const node = front[at]!;
      const searches = arriving[node]!;
      const end = starts[node + 1]!;
      for (let arc = starts[node]!; arc < end; arc++) {
        const other = arcTo[arc]!;
        const known = next[other]!;
        const fresh = searches & ~(seen[other]! | known);
        if (fresh === 0) continue;
        if (known === 0) nextFront[nextSize++] = other;
        next[other] = known | fresh;
      }
    }
    for (let at = 0; at < nextSize; at++) {
      const node = nextFront[at]!;
      const fresh = next[node]!;
      seen[node]! |= fresh;
      arriving[node] = fresh;
      moved |= fresh;
      next[node] = 0;
    }
    this.#moved = moved;
    this.#front = nextFront;
    this.#nextFront = front;
    return nextSize;
  }
}
