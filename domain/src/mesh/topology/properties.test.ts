import { LinkClass, MeshNodeState } from "@wardline/api/wardline/console/v1/mesh";
import { MeshProvider, type MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { structureOfGraph } from "../paths/index.ts";
import { Fleet, keyAt, nameAt, peerOf, probeOf } from "../testing/observations.ts";
import { MeshTopologyBuilder } from "./builder.ts";
import { applyDelta, EMPTY_GRAPH } from "./graph.ts";
import { classOf, scoreOf } from "./score.ts";

const YGG = MeshProvider.YGGDRASIL;

describe("the score of a link", () => {
  const nothing = { latencyMs: null, loss: null, quality: null, throughputBitsPerSecond: null };

  it("comes from what was measured alone", () => {
    expect(scoreOf(nothing, YGG)).toBeNull();
    expect(scoreOf({ ...nothing, throughputBitsPerSecond: 1e9 }, YGG)).toBeNull();
    expect(scoreOf({ ...nothing, throughputBitsPerSecond: 2e6 }, MeshProvider.BATMAN)).toBe(50);
    expect(scoreOf({ ...nothing, latencyMs: 0 }, YGG)).toBe(100);
    expect(scoreOf({ ...nothing, latencyMs: 240 }, YGG)).toBe(50);
    expect(scoreOf({ ...nothing, loss: 1 }, YGG)).toBe(0);
    expect(
      scoreOf({ latencyMs: 240, loss: 0.1, quality: 0.5, throughputBitsPerSecond: 2e6 }, MeshProvider.BATMAN),
    ).toBe(4.6);
  });

  it("is 0 to 100, and never better for a worse figure", () => {
    const figure = fc.record({
      latencyMs: fc.option(fc.double({ min: 0, max: 3.6e6, noNaN: true })),
      loss: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      quality: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      throughputBitsPerSecond: fc.option(fc.integer({ min: 0, max: 1e15 })),
    });
    fc.assert(
      fc.property(figure, fc.double({ min: 0, max: 1000, noNaN: true }), (figures, more) => {
        const score = scoreOf(figures, MeshProvider.BATMAN);
        if (score === null) return;
        expect(score).toBeGreaterThanOrEqual(0);
        expect(score).toBeLessThanOrEqual(100);
        const worse = { ...figures, latencyMs: (figures.latencyMs ?? 0) + more };
        expect(scoreOf(worse, MeshProvider.BATMAN)).toBeLessThanOrEqual(score);
      }),
    );
  });

  it("has classes that begin at their bound, and are kept near it", () => {
    expect([90, 89.9, 70, 50, 49.9, 25, 24.9, 0].map((score) => classOf(score))).toEqual([
      LinkClass.EXCELLENT,
      LinkClass.GOOD,
      LinkClass.GOOD,
      LinkClass.FAIR,
      LinkClass.POOR,
      LinkClass.POOR,
      LinkClass.BAD,
      LinkClass.BAD,
    ]);
    expect([88, 87.9].map((score) => classOf(score, LinkClass.EXCELLENT))).toEqual([
      LinkClass.EXCELLENT,
      LinkClass.GOOD,
    ]);
    expect([91.9, 92].map((score) => classOf(score, LinkClass.GOOD))).toEqual([LinkClass.GOOD, LinkClass.EXCELLENT]);
    expect(classOf(null, LinkClass.GOOD)).toBe(LinkClass.UNMEASURED);
  });
});

const HOSTS = 5;
const peersWord = fc.array(
  fc.record({
    other: fc.nat(HOSTS + 1),
    up: fc.boolean(),
    latencyMs: fc.option(fc.constantFrom(3, 90, 300), { nil: undefined }),
  }),
  { maxLength: 4 },
);
const anyEvent = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("say" as const),
      host: fc.nat(HOSTS - 1),
      peers: peersWord,
      probes: peersWord,
      key: fc.nat(HOSTS),
      state: fc.constantFrom(5, 5, 5, 2, 3),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("gone" as const, "forget" as const), host: fc.nat(HOSTS - 1) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("tick" as const) }) },
);

/** Runs events and returns every delta with the picture after it. */
function play(
  events: readonly { event: typeof anyEvent extends fc.Arbitrary<infer Event> ? Event : never; pauseMs: number }[],
) {
  const builder = new MeshTopologyBuilder();
  const fleet = new Fleet();
  let nowMs = 1000;
  const steps = events.map(({ event, pauseMs }) => {
    nowMs += pauseMs;
    if (event.kind === "tick") return { delta: builder.tick(nowMs), graph: builder.topology() };
    if (event.kind === "gone") return { delta: builder.hostGone(nameAt(event.host), nowMs), graph: builder.topology() };
    if (event.kind !== "say")
      return { delta: builder.forgetHost(nameAt(event.host), nowMs), graph: builder.topology() };
    const figures = ({ up, latencyMs }: { up: boolean; latencyMs: number | undefined }) =>
      latencyMs === undefined ? { up } : { up, latencyMs };
    const said = {
      peers: event.peers.map((peer) => peerOf(peer.other, figures(peer))),
      probes: event.probes.map(({ other, up }) => probeOf(other, { reachable: up })),
      key: keyAt(event.key === HOSTS ? 0 : event.host),
      report: { state: event.state as MeshProviderState },
    };
    return { delta: builder.observe(fleet.next(event.host, said), nowMs).delta, graph: builder.topology() };
  });
  return { builder, steps };
}

const anyStory = fc.array(fc.record({ event: anyEvent, pauseMs: fc.constantFrom(0, 500, 9000, 31_000, 901_000) }), {
  maxLength: 25,
});

describe("any story", () => {
  it("comes out the same from its changes, one by one and merged", () => {
    fc.assert(
      fc.property(anyStory, (events) => {
        const { builder, steps } = play(events);
        let graph = EMPTY_GRAPH;
        for (const step of steps) {
          graph = applyDelta(graph, step.delta);
          expect(sorted(graph)).toEqual(sorted(step.graph));
        }
        const whole = builder.changesSince(0);
        expect(whole && sorted(applyDelta(EMPTY_GRAPH, whole))).toEqual(sorted(graph));
      }),
      { numRuns: 250 },
    );
  });

  it("never has a link without its nodes, one that is up at a node that is offline, or a bridge that is none", () => {
    fc.assert(
      fc.property(anyStory, (events) => {
        const { builder, steps } = play(events);
        for (const { graph } of steps) {
          for (const { a, b, isUp, aToB, bToA } of graph.links.values()) {
            expect(a < b && graph.nodes.has(a) && graph.nodes.has(b)).toBe(true);
            if (isUp) for (const id of [a, b]) expect(graph.nodes.get(id)?.state).not.toBe(MeshNodeState.OFFLINE);
            for (const { score, linkClass } of [aToB, bToA]) {
              expect(score === null).toBe(linkClass === LinkClass.UNMEASURED);
            }
          }
        }
        const graph = builder.topology();
        const figures = builder.figures();
        for (const provider of [YGG, MeshProvider.IP]) {
          const { bridges, articulationPoints } = structureOfGraph(graph, provider);
          const marked = [...graph.links.values()].filter((each) => each.provider === provider && each.isBridge);
          expect(marked.map(({ id }) => id).sort()).toEqual(bridges);
          for (const id of articulationPoints) expect(figures.articulationPoints).toContain(id);
        }
        // Foreign nodes are there for their links only.
        for (const id of graph.nodes.keys()) {
          if (id.startsWith("host/")) continue;
          expect([...graph.links.values()].some(({ a, b }) => a === id || b === id)).toBe(true);
        }
      }),
      { numRuns: 250 },
    );
  });
});

/** Apart from order, and from revision and time, which an update without changes leaves as they were. */
function sorted({ nodes, links }: { nodes: ReadonlyMap<string, unknown>; links: ReadonlyMap<string, unknown> }) {
  const byId = (one: readonly [string, unknown], other: readonly [string, unknown]) => (one[0] < other[0] ? -1 : 1);
  return { nodes: [...nodes].sort(byId), links: [...links].sort(byId) };
}
