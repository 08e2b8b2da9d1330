/** Told and asked the same as a library of graphs, it answers the same and tells the same changes. */
import GraphologyGraph from "graphology";
import { describe, expect, it } from "vitest";
import { DrawnGraph } from "./drawn-graph.ts";

interface Look {
  x: number;
  hidden?: boolean;
}
const CHANGES = [
  ...["nodeAdded", "nodeDropped", "nodeAttributesUpdated"],
  ...["edgeAdded", "edgeDropped", "edgeAttributesUpdated", "cleared"],
];

/** A small generator, so that a failure comes again. */
function* numbers(seed: number): Generator<number, never> {
  let state = seed;
  for (;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 32;
  }
}

function contents(graph: DrawnGraph<Look, Look> | GraphologyGraph<Look, Look>) {
  const nodes: unknown[] = [];
  const edges: unknown[] = [];
  graph.forEachNode((key: string, look: Look) => nodes.push([key, { ...look }]));
  graph.forEachEdge((key: string, look: Look, source: string, target: string) =>
    edges.push([key, { ...look }, source, target, graph.extremities(key)]),
  );
  return { order: graph.order, nodes, edges, keys: [graph.nodes(), graph.edges()] };
}

describe("the graph that is drawn", () => {
  it("does what a library does, in any order of calls", () => {
    for (let seed = 1; seed <= 40; seed++) {
      const random = numbers(seed);
      const below = (limit: number) => Math.floor(random.next().value * limit);
      const own = new DrawnGraph<Look, Look>();
      const peer = new GraphologyGraph<Look, Look>({ multi: true });
      const told: string[] = [];
      const toldByPeer: string[] = [];
      for (const change of CHANGES) {
        own.on(change, (payload) => told.push(`${change} ${(payload as { key: string } | undefined)?.key ?? ""}`));
        peer.on(change as "nodeAdded", (payload) => toldByPeer.push(`${change} ${payload?.key ?? ""}`));
      }
      for (let step = 0; step < 120; step++) {
        const node = `n${below(9)}`;
        const edge = `e${below(20)}`;
        const look = { x: below(100), ...(below(2) ? { hidden: true } : {}) };
        const end = `n${below(9)}`;
        const calls: [() => void, () => void][] = [
          [() => own.addNode(node, look), () => peer.addNode(node, look)],
          [
            () => own.addUndirectedEdgeWithKey(edge, node, end, look),
            () => peer.addUndirectedEdgeWithKey(edge, node, end, look),
          ],
          [() => own.setNodeAttributes(node, look), () => peer.mergeNodeAttributes(node, look)],
          [() => own.setEdgeAttributes(edge, look), () => peer.mergeEdgeAttributes(edge, look)],
          [() => own.dropNode(node), () => peer.dropNode(node)],
          ...(step === 100 ? ([[() => own.clear(), () => peer.clear()]] as [() => void, () => void][]) : []),
        ];
        const chosen = calls[step === 100 ? 5 : below(5)];
        if (!chosen) continue;
        const [mine, theirs] = chosen.map((call) => {
          try {
            call();
            return "done";
          } catch {
            return "refused";
          }
        });
        expect(mine, `seed ${seed}, step ${step}`).toBe(theirs);
        expect(contents(own)).toEqual(contents(peer));
        expect([own.hasNode(node), own.hasEdge(edge)]).toEqual([peer.hasNode(node), peer.hasEdge(edge)]);
      }
      // The lines of a node that goes, go in an order of their own.
      expect(told.sort()).toEqual(toldByPeer.sort());
    }
  });

  it("keeps its own copy of what it was given, and stops telling who no longer listens", () => {
    const graph = new DrawnGraph<Look, Look>();
    const told: unknown[] = [];
    const listener = (change: unknown) => told.push(change);
    graph.on("nodeAdded", listener);
    const look = { x: 1 };
    graph.addNode("a", look);
    look.x = 2;
    expect(graph.getNodeAttributes("a")).toEqual({ x: 1 });
    graph.removeListener("nodeAdded", listener);
    graph.addNode("b", look);
    expect(told).toEqual([{ key: "a" }]);
    expect(() => graph.getEdgeAttributes("none")).toThrow("no line none");
  });
});
