import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  GetMeshSeriesResponseSchema,
  LinkClass,
  MeshGapSchema,
  MeshLinkSchema,
  MeshNodeSchema,
  MeshNodeState,
  MeshPathSchema,
  MeshSummarySchema,
  MeshTopologySchema,
  WatchMeshResponseSchema,
} from "@wardline/api/wardline/console/v1/mesh";
import {
  HealingAction,
  HealingCandidateSchema,
  HealingOutcome,
  HealingPhase,
  HealingRunSchema,
  HealingState,
  MeshProvider,
} from "@wardline/api/wardline/v1/mesh";
import { describe, expect, it } from "vitest";
import { pictureOf, reduceMesh } from "../../../data/mesh-picture.ts";
import { GraphLayout, type Place } from "../../../graph/layout.ts";
import { DASH, SHAPE } from "../../../graph/looks.ts";
import { pick } from "../../../graph/picking.ts";
import { keepPlaces, readPlaces } from "../../../graph/places.ts";
import { topologyOf } from "../../../testing/fake-mesh-topology.ts";
import { nextSort, sortRows } from "../../../ui/sort.ts";
import { peerCommand, quoted } from "./cli.ts";
import { candidateSentence, repairTimeText } from "./healing-words.ts";
import { CLASS_LOOKS, directionLook, nodeLook } from "./look.ts";
import { escalationText, groupOf, waitingRuns } from "./needs.ts";
import { idsOfPath, nodesOfPath, singlePointNames } from "./paths.ts";
import { chartsOf } from "./series.ts";
import { wholeNumber } from "./settings.ts";
import { overlayCounts, pointedOut, shownMesh } from "./shown.ts";
import { slotAt, slotsOf, unknownParts } from "./slots.ts";
import { placeOfTarget } from "./target.ts";
import { directionWords, latencyText, linkWords, nodeLabel, shareText } from "./words.ts";

const NOW_MS = 1_790_000_000_000;
const small = () => pictureOf(topologyOf("mesh", NOW_MS));
const link = (init: MessageInitShape<typeof MeshLinkSchema>) => create(MeshLinkSchema, { up: true, ...init });

describe("what is known of the mesh", () => {
  it("keeps what did not change, takes what did, and forgets what is gone", () => {
    const node = create(MeshNodeSchema, { id: "host/a", label: "a" });
    const first = reduceMesh(null, create(WatchMeshResponseSchema, { topology: topologyOf("mesh", NOW_MS) }));
    const next = reduceMesh(first, create(WatchMeshResponseSchema, { nodes: [node], goneNodeIds: ["host/web-1"] }));
    expect(next.nodes.get("host/a")).toEqual(node);
    expect(next.nodes.has("host/web-1")).toBe(false);
    expect(next.nodes.get("host/db-1")).toBe(first.nodes.get("host/db-1"));
    expect(next.links).toBe(first.links);
    expect(next.partitions).toBe(first.partitions);
    const whole = reduceMesh(next, create(WatchMeshResponseSchema, { topology: create(MeshTopologySchema) }));
    expect([whole.nodes.size, whole.links.size]).toEqual([0, 0]);
  });

  it("shows one provider alone with its nodes, and tells parts of it", () => {
    const all = shownMesh(small(), null);
    expect([all.nodes.length, all.links.length, all.partCount]).toEqual([7, 11, 2]);
    expect(all.providers).toEqual([MeshProvider.YGGDRASIL, MeshProvider.BATMAN, MeshProvider.IP]);
    expect(all.partOf.get("host/cache-1")).toBe(1);
    const ip = shownMesh(small(), MeshProvider.IP);
    expect(ip.nodes.map(({ id }) => id).sort()).toEqual(["host/db-1", "host/web-1", "host/web-2"]);
    expect([ip.links.length, ip.partCount]).toEqual([2, 0]);
  });

  it("points out exactly what an overlay is about, and nothing when none is on", () => {
    const shown = shownMesh(small(), null);
    expect(pointedOut(shown, new Set())).toBeNull();
    expect(overlayCounts(shown)).toMatchObject({ weak: 2, lost: 1, flapping: 1, partitions: 2, "single-uplinks": 1 });
    expect([...(pointedOut(shown, new Set(["lost"])) ?? [])].sort()).toEqual([
      "host/cache-1",
      "host/web-3",
      "yggdrasil/host/cache-1/host/web-3",
    ]);
    expect(pointedOut(shown, new Set(["partitions"]))).toEqual(new Set(["host/cache-1"]));
    expect(pointedOut(shown, new Set(["single-points"]))?.has("host/db-1")).toBe(true);
  });

  it("finds nodes that the summary names by label", () => {
    const topology = topologyOf("mesh", NOW_MS);
    topology.summary = create(MeshSummarySchema, { articulationPoints: ["db-1"], singleUplinks: ["nobody"] });
    const shown = shownMesh(pictureOf(topology), null);
    expect([...shown.singlePoints]).toEqual(["host/db-1"]);
    expect(shown.singleUplinks.size).toBe(0);
  });
});

describe("how it reads and looks", () => {
  it("never shows what was not measured as a figure", () => {
    expect([latencyText(undefined), latencyText(Number.NaN), latencyText(0)]).toEqual([
      "not measured",
      "not measured",
      "0 ms",
    ]);
    expect([shareText(undefined), shareText(0.0123)]).toEqual(["not measured", "1.23 %"]);
    expect(directionWords(undefined).words).toBe("not told");
    expect(linkWords(link({ aToB: { observed: true, up: true, class: LinkClass.UNMEASURED } })).words).toBe(
      "not measured",
    );
  });

  it("tells a link by its worse way, and lost and flapping before that", () => {
    const ways = {
      aToB: { observed: true, up: true, class: LinkClass.GOOD },
      bToA: { observed: true, up: true, class: LinkClass.BAD },
    };
    expect(linkWords(link(ways)).words).toBe("bad");
    expect(linkWords(link({ ...ways, up: false })).words).toBe("lost");
    expect(linkWords(link({ ...ways, flapping: true })).words).toBe("flapping");
  });

  it("gives every class a look that differs by more than its colour", () => {
    const looks = Object.values(CLASS_LOOKS).map(({ dash, width }) => `${dash} ${width}`);
    // Not measured has one look under two numbers of the contract.
    expect(new Set(looks).size).toBe(looks.length - 1);
    const states = [MeshNodeState.ONLINE, MeshNodeState.DEGRADED, MeshNodeState.OFFLINE, MeshNodeState.UNKNOWN];
    const shapes = states.map((state) => nodeLook(create(MeshNodeSchema, { state }), 5).shape);
    expect(new Set(shapes).size).toBe(states.length);
    expect(shapes[0]).toBe(SHAPE.disc);
    const lost = link({ up: false, aToB: { observed: true, up: false } });
    expect([directionLook(lost, lost.aToB).dash, directionLook(lost, undefined).dash]).toEqual([DASH.gaps, DASH.gaps]);
    expect(directionLook(link({}), undefined).dash).toBe(DASH.dots);
  });

  it("bounds hostile names and makes what cannot be seen visible", () => {
    const label = nodeLabel(create(MeshNodeSchema, { label: `a\u202eb${"x".repeat(10_000)}` }));
    expect(label).toContain("⟨U+202E⟩");
    expect(label.length).toBeLessThan(80);
    expect(nodeLabel(undefined, "yggdrasil/00")).toBe("yggdrasil/00");
  });

  it("says what a candidate would do, and how long a repair took", () => {
    const candidate = create(HealingCandidateSchema, {
      action: HealingAction.RESTART_DAEMON,
      host: "web-1",
      provider: MeshProvider.YGGDRASIL,
    });
    expect(candidateSentence(candidate)).toBe("Restart the Yggdrasil daemon on web-1");
    const run = create(HealingRunSchema, { timeToRepair: { seconds: 72n, nanos: 100_000_000 } });
    expect([repairTimeText(run.timeToRepair), repairTimeText(undefined)]).toEqual(["1 min 12 s", null]);
  });
});

describe("tables and charts", () => {
  it("sorts numbers as numbers, names as people do, and what is not known last both ways", () => {
    const rows = [{ v: 10 }, { v: null }, { v: 9 }];
    expect(sortRows(rows, ({ v }) => v, false).map(({ v }) => v)).toEqual([9, 10, null]);
    expect(sortRows(rows, ({ v }) => v, true).map(({ v }) => v)).toEqual([10, 9, null]);
    expect(sortRows(["n-10", "n-9"], (name) => name, false)).toEqual(["n-9", "n-10"]);
    const up = nextSort(null, "a");
    const down = nextSort(up, "a");
    expect([up?.isDescending, down?.isDescending, nextSort(down, "a"), nextSort(down, "b")?.key]).toEqual([
      false,
      true,
      null,
      "b",
    ]);
  });

  it("draws both directions of a measure together, with gaps where nothing was measured", () => {
    const data = create(GetMeshSeriesResponseSchema, {
      times: [timestampFromMs(1_000), timestampFromMs(2_000)],
      series: [
        { measure: "latency_ms", direction: "a→b", values: [3, Number.NaN] },
        { measure: "latency_ms", direction: "b→a", values: [5, 6] },
        { measure: "loss", direction: "a→b", values: [Number.NaN, Number.NaN] },
      ],
    });
    const { charts, timesMs } = chartsOf(data, { there: "a to b", back: "b to a" });
    expect(timesMs).toEqual([1_000, 2_000]);
    expect(charts.map(({ measure }) => measure)).toEqual(["latency_ms"]);
    expect(charts[0]?.lines.map(({ name, values }) => [name, values])).toEqual([
      ["a to b", [3, null]],
      ["b to a", [5, 6]],
    ]);
    expect(charts[0]?.summary).toBe("Latency. a to b: 3 ms to 3 ms, at last 3 ms; b to a: 5 ms to 6 ms, at last 6 ms.");
  });

  it("lays the slider out in slots, and hatches what nothing is known of", () => {
    const slots = slotsOf([0, 4, 1], 0, 3_000);
    expect(slots.map(({ height }) => height > 0)).toEqual([false, true, true]);
    expect(slotAt(slots, 1_000)?.count).toBe(4);
    const gap = create(MeshGapSchema, { from: timestampFromMs(1_500), to: timestampFromMs(99_000) });
    expect(unknownParts([gap], 300, 0, 3_000)).toEqual([
      { start: 0.5, end: 1 },
      { start: 0, end: 0.1 },
    ]);
    expect(unknownParts([], null, 0, 3_000)).toEqual([]);
  });
});

describe("ways", () => {
  it("names nodes, links and single points of a way", () => {
    const path = create(MeshPathSchema, {
      hops: [
        { linkId: "l1", from: "a", to: "b" },
        { linkId: "l2", from: "b", to: "c" },
      ],
    });
    expect(nodesOfPath(path)).toEqual(["a", "b", "c"]);
    expect([...idsOfPath(path)]).toEqual(["a", "b", "c", "l1", "l2"]);
    expect(nodesOfPath(create(MeshPathSchema))).toEqual([]);
    expect(singlePointNames(["yggdrasil/host/cache-1/host/web-3", "host/db-1", "gone"], small())).toEqual([
      "the link cache-1 – web-3",
      "db-1",
      "gone",
    ]);
  });

  it("quotes for a shell, and gives no line for what could hide in it", () => {
    expect([quoted("web-1"), quoted("a b'c"), quoted("x\u202ey"), quoted("a\nb"), quoted("")]).toEqual([
      "web-1",
      "'a b'\\''c'",
      null,
      null,
      null,
    ]);
    expect(peerCommand("add", "web-1", "tls://192.0.2.1:4443", MeshProvider.BATMAN)).toBeNull();
    expect(peerCommand("add", "web-1", "tls://192.0.2.1:4443", MeshProvider.YGGDRASIL)).toContain(
      "tls://192.0.2.1:4443",
    );
  });
});

describe("healing", () => {
  it("says that something was tried only where a host was touched", () => {
    const run = (outcome: HealingOutcome, dryRun = false) =>
      create(HealingRunSchema, {
        state: HealingState.ESCALATED,
        steps: [{ phase: HealingPhase.EXECUTE, outcome, dryRun }],
      });
    expect(escalationText(run(HealingOutcome.DONE))).toContain("did not help");
    expect(escalationText(run(HealingOutcome.FAILED))).toContain("did not help");
    expect(escalationText(run(HealingOutcome.DONE, true))).toContain("Nothing was tried");
    expect(escalationText(run(HealingOutcome.SKIPPED))).toContain("Nothing was tried");
    expect(escalationText(create(HealingRunSchema, { state: HealingState.ESCALATED }))).toContain("Nothing was tried");
  });

  it("counts as waiting what a person has to decide or look at, and nothing else", () => {
    const run = (state: HealingState, isEnded = false) =>
      create(HealingRunSchema, { state, ...(isEnded ? { endedAt: timestampFromMs(1) } : {}) });
    expect(groupOf(run(HealingState.WAITING_FOR_APPROVAL))).toBe("person");
    expect(groupOf(run(HealingState.ESCALATED))).toBe("person");
    expect(groupOf(run(HealingState.ESCALATED, true))).toBe("ended");
    expect(groupOf(run(HealingState.VERIFYING))).toBe("open");
    expect(groupOf(run(HealingState.HEALED, true))).toBe("ended");
    const runs = [HealingState.WATCHING, HealingState.WAITING_FOR_APPROVAL].map((state) => ({
      hostId: "h",
      run: run(state),
    }));
    expect(waitingRuns(create(MeshSummarySchema, { runs })).length).toBe(1);
    expect(waitingRuns(null)).toEqual([]);
  });

  it("leads from a target to its node where it has one, and takes whole numbers within their bounds only", () => {
    expect(["host/web-1", "daemon/yggdrasil/web-1", "link/yggdrasil/a/b", "x"].map(placeOfTarget)).toEqual([
      "host/web-1",
      "host/web-1",
      null,
      null,
    ]);
    expect(["5", " 5 ", "0", "1e3", "-1", "99999999", ""].map((text) => wholeNumber(text, 1, 3_600))).toEqual([
      5,
      5,
      null,
      null,
      null,
      null,
      null,
    ]);
  });
});

describe("where nodes lie", () => {
  const ring = (count: number) => ({
    ids: Array.from({ length: count }, (_, index) => `n${index}`),
    links: Array.from({ length: count }, (_, index) => ({ a: `n${index}`, b: `n${(index + 1) % count}` })),
  });
  function settle(layout: GraphLayout): void {
    for (let steps = 0; !layout.step(500); steps++) if (steps > 1_000_000) throw new Error("It never ends.");
  }
  const placesOf = (layout: GraphLayout, ids: readonly string[]) =>
    new Map(ids.map((id) => [id, layout.place(id) ?? { x: Number.NaN, y: Number.NaN }]));

  it("gives the same picture each time, with every node at a place of its own and linked ones near", () => {
    const { ids, links } = ring(40);
    const [one, other] = [new GraphLayout(ids, links, new Map()), new GraphLayout(ids, links, new Map())];
    settle(one);
    settle(other);
    const places = placesOf(one, ids);
    expect(places).toEqual(placesOf(other, ids));
    expect([...places.values()].every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true);
    expect(new Set([...places.values()].map(({ x, y }) => `${Math.round(x)} ${Math.round(y)}`)).size).toBe(40);
    const away = (a: string, b: string) => {
      const [from, to] = [places.get(a) as Place, places.get(b) as Place];
      return Math.hypot(from.x - to.x, from.y - to.y);
    };
    const linked = links.reduce((sum, { a, b }) => sum + away(a, b), 0) / links.length;
    const across = ids.slice(0, 20).reduce((sum, id, index) => sum + away(id, `n${index + 20}`), 0) / 20;
    expect(linked).toBeLessThan(across / 3);
  });

  it("leaves nodes that have a place there, when others come and go", () => {
    const { ids, links } = ring(20);
    const first = new GraphLayout(ids, links, new Map());
    settle(first);
    const known = placesOf(first, ids);
    const more = new GraphLayout([...ids.slice(1), "new"], [...links, { a: "new", b: "n5" }], known);
    settle(more);
    expect(placesOf(more, ids.slice(1))).toEqual(new Map([...known].slice(1)));
    const [added, beside] = [more.place("new") as Place, known.get("n5") as Place];
    expect(Math.hypot(added.x - beside.x, added.y - beside.y)).toBeLessThan(600);
    expect(new GraphLayout(ids, links, known).isDone).toBe(true);
  });

  it("takes nothing at all, a node linked with itself, links into nowhere, and many nodes without links", () => {
    for (const [ids, links] of [
      [[], []],
      [
        ["a"],
        [
          { a: "a", b: "a" },
          { a: "a", b: "gone" },
        ],
      ],
      [Array.from({ length: 300 }, (_, index) => `n${index}`), []],
    ] as const) {
      const layout = new GraphLayout(ids, links, new Map());
      settle(layout);
      for (const id of ids) expect(Number.isFinite(layout.place(id)?.x)).toBe(true);
    }
  });

  it("works in parts that cost little: 2,000 nodes and 10,000 links in less than two seconds of processor", () => {
    const { nodes, links } = topologyOf("large", NOW_MS);
    const began = process.cpuUsage();
    const layout = new GraphLayout(
      nodes.map(({ id }) => id),
      links,
      new Map(),
    );
    settle(layout);
    const { user, system } = process.cpuUsage(began);
    expect((user + system) / 1e6).toBeLessThan(2);
  });

  it("keeps places for the person, and takes nothing that it did not write", () => {
    const kept = new Map<string, string>();
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
    };
    keepPlaces(storage, "places", new Map([["host/a", { x: 1.4, y: -7.6 }]]));
    expect(readPlaces(storage, "places")).toEqual(new Map([["host/a", { x: 1, y: -8 }]]));
    for (const text of ["{", "7", '[["a",1],["b","x",2],["c",1e9,0],[3,1,1],null]', '{"a":1}']) {
      kept.set([...kept.keys()][0] ?? "", text);
      expect(readPlaces(storage, "places").size).toBe(0);
    }
    const full = {
      ...storage,
      setItem: () => {
        throw new Error("QuotaExceededError");
      },
    };
    expect(() => keepPlaces(full, "places", new Map())).not.toThrow();
  });

  it("finds the node under the pointer before the link, and nothing beside both", () => {
    const places = new Map([
      ["a", { x: 0, y: 0 }],
      ["b", { x: 100, y: 0 }],
    ]);
    const drawn = {
      nodes: [{ id: "a" }, { id: "b" }],
      links: [
        { id: "l", a: "a", b: "b" },
        { id: "m", a: "a", b: "gone" },
      ],
    };
    const at = (x: number, y: number) => pick(drawn, places, { x, y }, 10, 5);
    expect([at(3, 3), at(50, 4), at(50, 6), at(-8, 0), at(130, 0)]).toEqual(["a", "l", null, "a", null]);
  });
});
