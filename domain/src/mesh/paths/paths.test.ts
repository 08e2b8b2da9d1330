import { create } from "@bufbuild/protobuf";
import { LinkClass, MeshNodeState } from "@wardline/api/wardline/console/v1/mesh";
import {
  type MeshObservation,
  MeshObservationSchema,
  MeshPeerSchema,
  MeshProvider,
  MeshProviderState,
  MeshRouteSchema,
} from "@wardline/api/wardline/v1/mesh";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyAt } from "../testing/observations.ts";
import type { GraphDirection, GraphLink, GraphNode, MeshGraph } from "../topology/graph.ts";
import { hostNodeId, linkId } from "../topology/identity.ts";
import { type Adjacency, adjacencyOf } from "./adjacency.ts";
import { diameterOf } from "./diameter.ts";
import { costOf, disjointPaths, type EdgeCosts, type Step } from "./disjoint.ts";
import { findPaths, hopCost, observedPath, resolveNode, structureOfGraph } from "./index.ts";
import { structureOf } from "./structure.ts";

interface Edge {
  readonly from: number;
  readonly to: number;
  readonly forward: number;
  readonly backward: number;
}

const NODES = 6;

/** Small graphs with parallel edges, circles, edges from a node to itself and costs of 0. */
const anyEdges = fc.array(
  fc.record({
    from: fc.nat(NODES - 1),
    to: fc.nat(NODES - 1),
    forward: fc.integer({ min: 0, max: 6 }),
    backward: fc.integer({ min: 0, max: 6 }),
  }),
  { minLength: 3, maxLength: 11, size: "max" },
);

function graphOf(edges: readonly Edge[], nodeCount = NODES): { graph: Adjacency; costs: EdgeCosts } {
  const from = Int32Array.from(edges, (edge) => edge.from);
  const to = Int32Array.from(edges, (edge) => edge.to);
  const forward = Float64Array.from(edges, (edge) => edge.forward);
  const backward = Float64Array.from(edges, (edge) => edge.backward);
  return { graph: adjacencyOf(nodeCount, from, to), costs: { forward, backward } };
}

/** Every way without a circle, as the set of its edges (a bit each) and its cost. */
function everyPath(edges: readonly Edge[], source: number, target: number): { edges: number; cost: number }[] {
  const found: { edges: number; cost: number }[] = [];
  const walk = (node: number, seen: number, used: number, cost: number): void => {
    if (node === target) {
      found.push({ edges: used, cost });
      return;
    }
    for (const [number, edge] of edges.entries()) {
      for (const [from, to, price] of [
        [edge.from, edge.to, edge.forward],
        [edge.to, edge.from, edge.backward],
      ] as const) {
        if (from === node && to !== node && (seen & (1 << to)) === 0) {
          walk(to, seen | (1 << to), used | (1 << number), cost + price);
        }
      }
    }
  };
  walk(source, 1 << source, 0, 0);
  return found;
}

/** The least cost of each number of disjoint ways, by trying all sets of them. */
function leastCosts(paths: readonly { edges: number; cost: number }[], most: number): number[] {
  const best: number[] = [];
  // A set of edges that is used by other ways as well is of interest only at its least cost.
  const cheapest = new Map<number, number>();
  for (const { edges, cost } of paths) cheapest.set(edges, Math.min(cost, cheapest.get(edges) ?? cost));
  const sets = [...cheapest];
  const choose = (start: number, used: number, cost: number, count: number): void => {
    if (count > 0) best[count - 1] = Math.min(cost, best[count - 1] ?? cost);
    if (count === most) return;
    for (let at = start; at < sets.length; at++) {
      const [edges, price] = sets[at]!;
      if ((edges & used) === 0) choose(at + 1, used | edges, cost + price, count + 1);
    }
  };
  choose(0, 0, 0, 0);
  return best;
}

function componentsWithout(edges: readonly Edge[], node: number, edge: number, nodeCount = NODES): number {
  const group = Array.from({ length: nodeCount }, (_, index) => index);
  const find = (at: number): number => (group[at] === at ? at : find(group[at]!));
  for (const [number, { from, to }] of edges.entries()) {
    if (number !== edge && from !== node && to !== node) group[find(from)] = find(to);
  }
  return group.filter((root, index) => root === index && index !== node).length;
}

describe("disjoint paths", { timeout: 120_000 }, () => {
  it("are as many and together as cheap as the best of all sets, in thousands of graphs", () => {
    const seen = { none: 0, several: 0 };
    fc.assert(
      fc.property(anyEdges, fc.integer({ min: 1, max: 4 }), (edges, count) => {
        const { graph, costs } = graphOf(edges);
        const found = disjointPaths(graph, costs, 0, 1, count);
        const best = leastCosts(everyPath(edges, 0, 1), count);
        expect(found).toHaveLength(best.length);
        const each = found.map((path) => costOf(graph, costs, path));
        expect(each.reduce((sum, cost) => sum + cost, 0)).toBeCloseTo(best.at(-1) ?? 0, 9);
        expect(each).toEqual([...each].sort((one, other) => one - other));
        expectDisjoint(found, 0, 1);
        if (best.length === 0) seen.none++;
        if (best.length > 1) seen.several++;
      }),
      { numRuns: 4000, seed: 8 },
    );
    // That it was not only about graphs where there is nothing to find.
    expect(seen.none).toBeGreaterThan(100);
    expect(seen.several).toBeGreaterThan(500);
  });

  it("takes back an edge of the shortest path where removing that path would leave no second one", () => {
    const edge = (from: number, to: number, cost: number): Edge => ({ from, to, forward: cost, backward: cost });
    // The shortest is 0-2-3-1; without its edges 0 and 1 are apart.
    const edges = [edge(0, 2, 1), edge(2, 3, 1), edge(3, 1, 1), edge(0, 3, 4), edge(2, 1, 4)];
    const { graph, costs } = graphOf(edges, 4);
    expect(disjointPaths(graph, costs, 0, 1, 1).map((path) => costOf(graph, costs, path))).toEqual([3]);
    expect(disjointPaths(graph, costs, 0, 1, 3).map((path) => costOf(graph, costs, path))).toEqual([5, 5]);
    expect(disjointPaths(graph, costs, 0, 0, 3)).toEqual([]);
  });

  it("counts a link in the direction in which it is gone through", () => {
    const edges = [
      { from: 0, to: 1, forward: 9, backward: 1 },
      { from: 1, to: 0, forward: 9, backward: 2 },
    ];
    const { graph, costs } = graphOf(edges, 2);
    expect(disjointPaths(graph, costs, 0, 1, 2).map((path) => costOf(graph, costs, path))).toEqual([2, 9]);
    expect(disjointPaths(graph, costs, 1, 0, 2).map((path) => costOf(graph, costs, path))).toEqual([1, 9]);
  });
});

function expectDisjoint(paths: readonly Step[][], source: number, target: number): void {
  const used = paths.flat().map(({ edge }) => edge);
  expect(new Set(used).size).toBe(used.length);
  for (const path of paths) {
    expect([path[0]?.from, path.at(-1)?.to]).toEqual([source, target]);
    for (const [at, { from }] of path.entries()) if (at > 0) expect(from).toBe(path[at - 1]?.to);
    expect(new Set(path.map(({ from }) => from)).size).toBe(path.length);
  }
}

describe("what holds a graph together", () => {
  it("is what it falls apart without, by removing each", () => {
    fc.assert(
      fc.property(anyEdges, (edges) => {
        const { graph } = graphOf(edges);
        const structure = structureOf(graph);
        const parts = componentsWithout(edges, -1, -1);
        expect(structure.componentCount).toBe(parts);
        for (const [number] of edges.entries()) {
          expect(structure.isBridge[number] === 1).toBe(componentsWithout(edges, -1, number) > parts);
        }
        for (let node = 0; node < NODES; node++) {
          const isAlone = !edges.some(({ from, to }) => from !== to && (from === node || to === node));
          const left = componentsWithout(edges, node, -1) + (isAlone ? 1 : 0);
          expect(structure.isArticulation[node] === 1).toBe(left > parts);
        }
      }),
      { numRuns: 1500 },
    );
  });

  it("is as wide as the longest of all shortest ways, also with more nodes than fit into a word", () => {
    const anyWide = fc.array(fc.tuple(fc.nat(79), fc.nat(79)), { maxLength: 160 });
    fc.assert(
      fc.property(anyWide, (pairs) => {
        const edges = pairs.map(([from, to]) => ({ from, to, forward: 1, backward: 1 }));
        const { graph } = graphOf(edges, 80);
        const hasLink = edges.some(({ from, to }) => from !== to);
        expect(diameterOf(graph)).toBe(hasLink ? longestShortest(edges, 80) : null);
      }),
      { numRuns: 100 },
    );
    // The ends have many neighbours, and each of those nearly as long a way.
    const line = Array.from({ length: 59 }, (_, at) => [at + 2, at + 3] as const);
    const ends = [62, 63, 64, 65].flatMap((at) => [[0, at] as const, [at, 2] as const]);
    const others = [66, 67, 68, 69].flatMap((at) => [[1, at] as const, [at, 61] as const]);
    const barbell = [...line, ...ends, ...others].map(([from, to]) => ({ from, to, forward: 1, backward: 1 }));
    expect(diameterOf(graphOf(barbell, 70).graph)).toBe(63);
    const chain = Array.from({ length: 2000 }, (_, from) => ({ from, to: from + 1, forward: 1, backward: 1 }));
    expect(diameterOf(graphOf(chain, 2001).graph)).toBe(2000);
  });

  it("does not run out of stack on a chain of a hundred thousand", () => {
    const count = 100_000;
    const chain = Array.from({ length: count }, (_, from) => ({ from, to: from + 1, forward: 1, backward: 1 }));
    const { graph, costs } = graphOf(chain, count + 1);
    expect(structureOf(graph).isBridge.every((bit) => bit === 1)).toBe(true);
    expect(disjointPaths(graph, costs, 0, count, 3)).toHaveLength(1);
    expect(diameterOf(graph)).toBeNull();
  });
});

function longestShortest(edges: readonly Edge[], nodeCount: number): number {
  let longest = 0;
  for (let source = 0; source < nodeCount; source++) {
    const depth = new Map([[source, 0]]);
    for (const [node, at] of depth) {
      for (const { from, to } of edges) {
        const other = from === node ? to : to === node ? from : -1;
        if (other !== -1 && !depth.has(other)) depth.set(other, at + 1);
      }
    }
    longest = Math.max(longest, ...depth.values());
  }
  return longest;
}

const node = (name: string, state = MeshNodeState.ONLINE, key = ""): GraphNode => ({
  id: hostNodeId(name),
  label: name,
  hostId: "",
  state,
  stateSinceMs: 0,
  lastSeenMs: 0,
  identities:
    key === ""
      ? []
      : [
          {
            provider: MeshProvider.YGGDRASIL,
            key,
            address: "200::7",
            subnet: "",
            toldBy: [],
            generation: "",
            version: "",
            daemon: 5,
          },
        ],
  groups: [],
  problems: [],
});

const direction = (score: number | null, figures: Partial<GraphDirection> = {}): GraphDirection => ({
  isObserved: true,
  isUp: true,
  latencyMs: 10,
  loss: 0.1,
  quality: null,
  throughputBitsPerSecond: null,
  cost: null,
  pathMtuBytes: null,
  score,
  linkClass: score === null ? LinkClass.UNMEASURED : LinkClass.GOOD,
  isInbound: false,
  uri: "",
  measuredAtMs: 0,
  ...figures,
});

const join = (one: string, other: string, score: number | null = 100, more: Partial<GraphLink> = {}): GraphLink => {
  const provider = more.provider ?? MeshProvider.YGGDRASIL;
  const [a, b] = [hostNodeId(one), hostNodeId(other)].sort() as [string, string];
  const id = linkId(provider, a, b);
  const unit = { isUp: true, isFlapping: false, isBridge: false, sinceMs: 0 };
  return { id, provider, a, b, aToB: direction(score), bToA: direction(score), ...unit, ...more };
};

function pictureOf(nodes: readonly GraphNode[], links: readonly GraphLink[]): MeshGraph {
  const byId = <Value extends { readonly id: string }>(values: readonly Value[]) =>
    new Map(values.map((each) => [each.id, each]));
  return { revision: 1, atMs: 0, nodes: byId(nodes), links: byId(links) };
}

const between = (from: string, to: string, provider: MeshProvider | null = null, count = 3) => ({
  from: hostNodeId(from),
  to: hostNodeId(to),
  provider,
  count,
});

describe("ways through the picture", () => {
  const letters = "abcdef".split("").map((name) => node(name));

  it("names what every way goes through, and why there are not more", () => {
    // a=b in two ways, then only c, then d.
    const links = [join("a", "b"), join("b", "c"), join("a", "c"), join("c", "d")];
    const { paths, limitedBy, singlePoints } = findPaths(pictureOf(letters, links), between("a", "d"));
    expect(paths.map(({ hops }) => hops.map(({ to }) => to))).toEqual([["host/c", "host/d"]]);
    expect(singlePoints).toEqual(["host/c", linkId(MeshProvider.YGGDRASIL, "host/c", "host/d")]);
    expect(limitedBy).toBe("Every other way from a to d would use one of its links again.");
    expect(findPaths(pictureOf(letters, links), between("a", "e")).limitedBy).toBe(
      "No link that is up leads from a to e.",
    );
    expect(findPaths(pictureOf(letters, links), between("a", "c")).singlePoints).toEqual([]);
    // Without b there is no way to d, but one to c.
    const square = [join("a", "b"), join("b", "c"), join("c", "e", 0), join("e", "a", 0), join("b", "d")];
    expect(findPaths(pictureOf(letters, square), between("a", "c", null, 2)).singlePoints).toEqual([]);
  });

  it("finds a node between two circles that no way can leave out", () => {
    const links = [join("a", "b"), join("b", "c"), join("c", "a"), join("c", "d"), join("d", "e"), join("e", "c")];
    const { paths, singlePoints } = findPaths(pictureOf(letters, links), between("a", "e"));
    expect(paths).toHaveLength(2);
    expect(singlePoints).toEqual(["host/c"]);
  });

  it("does not go over what is down or offline, and does over a poor link that is the only one", () => {
    const off = [node("a"), node("b", MeshNodeState.OFFLINE), node("c"), node("d")];
    const links = [
      join("a", "b"),
      join("b", "c"),
      join("a", "c", 100, { isUp: false }),
      join("a", "d", 0),
      join("d", "c", null),
    ];
    const { paths } = findPaths(pictureOf(off, links), between("a", "c"));
    expect(paths.map(({ hops }) => hops.map(({ to }) => to))).toEqual([["host/d", "host/c"]]);
    expect(paths[0]?.cost).toBe(hopCost(0) + hopCost(null));
    expect(findPaths(pictureOf(off, links), between("a", "b")).limitedBy).toBe("b is offline.");
  });

  it("adds up what was measured of every hop, as its beginning sees it", () => {
    const there = direction(90, { latencyMs: 3, loss: 0.5 });
    const back = direction(10, { latencyMs: 300, loss: 0 });
    const links = [join("a", "b", 90, { aToB: there, bToA: back }), join("b", "c")];
    const [path] = findPaths(pictureOf(letters, links), between("a", "c")).paths;
    expect(path).toMatchObject({ latencyMs: 13, cost: 3, isObserved: false });
    expect(path?.loss).toBeCloseTo(0.55);
    const unmeasured = [join("a", "b", 90, { aToB: direction(90, { loss: null }) })];
    expect(findPaths(pictureOf(letters, unmeasured), between("a", "b")).paths[0]?.loss).toBeNull();
  });

  it("keeps to one mesh or takes all", () => {
    const links = [join("a", "b"), join("b", "c", 100, { provider: MeshProvider.IP })];
    expect(findPaths(pictureOf(letters, links), between("a", "c")).paths).toHaveLength(1);
    expect(findPaths(pictureOf(letters, links), between("a", "c", MeshProvider.IP)).limitedBy).toContain(
      "over plain IP",
    );
    expect(structureOfGraph(pictureOf(letters, links), null).articulationPoints).toEqual(["host/b"]);
    expect(structureOfGraph(pictureOf(letters, links), MeshProvider.IP)).toMatchObject({
      parts: [["host/b", "host/c"]],
      diameterHops: 1,
      singleUplinks: ["host/b", "host/c"],
    });
  });

  it("refuses a count and a node that there are not", () => {
    const graph = pictureOf(letters, []);
    for (const count of [0, 9, 1.5, Number.NaN]) {
      expect(() => findPaths(graph, between("a", "b", null, count))).toThrow("Between 1 and 8 ways");
    }
    expect(() => findPaths(graph, between("a", "nobody"))).toThrow("There is no node host/nobody");
    expect(findPaths(graph, between("a", "a")).limitedBy).toBe("It is one and the same node.");
  });

  it("knows nodes by what people call them, where that is one", () => {
    const [one, two] = [`${"ab".repeat(31)}01`, `${"ab".repeat(31)}02`];
    const graph = pictureOf(
      [node("a", MeshNodeState.ONLINE, one), node("b", MeshNodeState.ONLINE, two), node("c")],
      [join("a", "c", 100, { aToB: direction(100, { uri: "192.0.2.3" }) })],
    );
    const called = ["a", "host/a", one.toUpperCase(), "ab".repeat(8), "200::7", "192.0.2.3", "nobody", ""];
    expect(called.map((text) => resolveNode(graph, text))).toEqual([
      "host/a",
      "host/a",
      "host/a",
      null,
      null,
      "host/c",
      null,
      null,
    ]);
  });
});

describe("ways that the mesh reports", () => {
  const names = ["a", "b", "c"];
  const graph = pictureOf(
    names.map((name, index) => node(name, MeshNodeState.ONLINE, keyAt(index))),
    [join("a", "b"), join("b", "c")],
  );

  function told(
    provider: MeshProvider,
    generation: string,
    routes: Record<string, object>,
    ports: Record<string, [number, number][]>,
  ) {
    const words = new Map(
      names.map((host): [string, MeshObservation] => {
        const peers = (ports[host] ?? []).map(([port, index]) =>
          create(MeshPeerSchema, { key: keyAt(index), up: true, port: BigInt(port) }),
        );
        const route = create(MeshRouteSchema, { destinationKey: keyAt(2), ...routes[host] });
        const report = {
          provider,
          state: MeshProviderState.UP,
          generation,
          routes: routes[host] ? [route] : [],
          peers,
        };
        return [host, create(MeshObservationSchema, { host, providers: [report] })];
      }),
    );
    return observedPath(graph, (host) => words.get(host), { ...between("a", "c"), provider });
  }

  it("follows the numbers of neighbours that Yggdrasil 0.4 tells, each counted by its own node", () => {
    const ports: Record<string, [number, number][]> = {
      a: [[3, 1]],
      b: [
        [1, 0],
        [7, 2],
      ],
    };
    const path = told(MeshProvider.YGGDRASIL, "0.4.5", { a: { ports: [3n, 7n, 0n] } }, ports);
    expect(path?.hops.map(({ to }) => to)).toEqual(["host/b", "host/c"]);
    expect(path?.isObserved).toBe(true);
    // A number that nobody knows, one that is missing, and the tree of 0.5.
    expect(told(MeshProvider.YGGDRASIL, "0.4.5", { a: { ports: [3n, 8n] } }, ports)).toBeNull();
    expect(told(MeshProvider.YGGDRASIL, "0.4.5", { a: { ports: [3n] } }, ports)).toBeNull();
    expect(told(MeshProvider.YGGDRASIL, "0.5", { a: { ports: [3n, 7n] } }, ports)).toBeNull();
    expect(told(MeshProvider.YGGDRASIL, "0.4.5", { a: { ports: [3n, 1n, 3n, 7n] } }, ports)).toBeNull();
  });

  it("follows best next hops from host to host, and no circle of them", () => {
    const macs = names.map((_, index) => `02:00:00:00:00:0${index}`);
    const batman = pictureOf(
      names.map((name, index) => ({
        ...node(name),
        identities: [{ ...node("x", 2, "k").identities[0]!, provider: MeshProvider.BATMAN, key: macs[index]! }],
      })),
      [join("a", "b", 100, { provider: MeshProvider.BATMAN }), join("b", "c", 100, { provider: MeshProvider.BATMAN })],
    );
    const walk = (hops: readonly [string, number][]) => {
      const words = new Map(
        hops.map(([host, next]): [string, MeshObservation] => {
          const route = create(MeshRouteSchema, { destinationKey: macs[2]!, nextHopKey: macs[next]!, best: true });
          return [
            host,
            create(MeshObservationSchema, { host, providers: [{ provider: MeshProvider.BATMAN, routes: [route] }] }),
          ];
        }),
      );
      const query = { ...between("a", "c"), provider: MeshProvider.BATMAN };
      return observedPath(batman, (host) => words.get(host), query)?.hops.map(({ to }) => to) ?? null;
    };
    expect(
      walk([
        ["a", 1],
        ["b", 2],
      ]),
    ).toEqual(["host/b", "host/c"]);
    expect(
      walk([
        ["a", 1],
        ["b", 0],
      ]),
    ).toBeNull();
    expect(walk([["a", 1]])).toBeNull();
  });
});
