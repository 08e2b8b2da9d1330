import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LinkClass, MeshChangeKind, MeshNodeState } from "@wardline/api/wardline/console/v1/mesh";
import { MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { GraphDirection, GraphLink, GraphNode, MeshDelta, MeshGraph } from "@wardline/domain/mesh";
import { afterEach, describe, expect, it } from "vitest";
import { ChangeSignal } from "../../async/signal.ts";
import { silentLogger } from "../../ports.ts";
import { LeaseTable } from "../../store/settings-table.ts";
import { Store } from "../../store/store.ts";
import type { MeshPicture } from "../mesh-picture.ts";
import { MESH_HISTORY_LIMITS, type MeshHistoryLimits } from "./limits.ts";
import { MeshHistory } from "./mesh-history.ts";
import { MeshReader } from "./mesh-reader.ts";
import { MeshRecorder } from "./mesh-recorder.ts";
import { MeshTables } from "./mesh-tables.ts";

const MINUTE_MS = 60_000;
const START_MS = Date.UTC(2026, 0, 1);
const WAIT = { timeout: 60_000, interval: 10 };

function direction(over: Partial<GraphDirection> = {}): GraphDirection {
  return {
    ...{ isObserved: true, isUp: true, latencyMs: 12.5, loss: 0.01, quality: null, throughputBitsPerSecond: null },
    ...{
      cost: null,
      pathMtuBytes: null,
      score: 80,
      linkClass: LinkClass.GOOD,
      isInbound: false,
      uri: "tls://192.0.2.1:1",
    },
    ...{ measuredAtMs: START_MS, ...over },
  };
}

function nodeOf(name: string, over: Partial<GraphNode> = {}): GraphNode {
  const identity = {
    key: name.repeat(8),
    address: "200::1",
    subnet: "",
    toldBy: [name],
    generation: "0.5",
    version: "",
  };
  return {
    ...{ id: `host/${name}`, label: name, hostId: name, state: MeshNodeState.ONLINE, stateSinceMs: START_MS },
    ...{ lastSeenMs: START_MS, groups: ["g"], problems: [], ...over },
    identities: [{ ...identity, provider: MeshProvider.YGGDRASIL, daemon: MeshProviderState.UP }],
  };
}

function linkOf(a: string, b: string, over: Partial<GraphLink> = {}): GraphLink {
  const ends = { a: `host/${a}`, b: `host/${b}` };
  return {
    ...{ id: `yggdrasil|${ends.a}|${ends.b}`, provider: MeshProvider.YGGDRASIL, ...ends },
    ...{ aToB: direction(), bToA: direction({ latencyMs: 20 }), isUp: true, isFlapping: false, isBridge: false },
    ...{ sinceMs: START_MS, ...over },
  };
}

function graphOf(nodes: readonly GraphNode[], links: readonly GraphLink[], revision = 1): MeshGraph {
  const byId = <Item extends { readonly id: string }>(items: readonly Item[]) =>
    new Map(items.map((each) => [each.id, each]));
  return { revision, atMs: START_MS, nodes: byId(nodes), links: byId(links) };
}

const deltaOf = (changes: MeshDelta["changes"] = []): MeshDelta => ({
  ...{ fromRevision: 0, revision: 1, atMs: 0, nodes: [], links: [], goneNodeIds: [], goneLinkIds: [], changes },
});

const dirs: string[] = [];
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function newDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "wardline-mesh-"));
  dirs.push(dir);
  return dir;
}

/** A recorder by hand: time goes on when it is told to, and the picture is what it is set to. */
function recording(over: Partial<MeshHistoryLimits> = {}, stateDir = newDir()) {
  const limits = { ...MESH_HISTORY_LIMITS, ...over };
  const state = { nowMs: START_MS, graph: graphOf([], []) };
  const clock = { nowMs: () => state.nowMs, sleep: async () => {} };
  const tables = new MeshTables(stateDir, silentLogger);
  closing.push(() => tables.close());
  const reader = new MeshReader(() => tables, clock, limits);
  const start = () => new MeshRecorder({ tables, clock, logger: silentLogger, limits, graph: () => state.graph });
  const recorder = start();
  const step = async (afterMs: number, graph: MeshGraph, changes: MeshDelta["changes"] = []) => {
    state.nowMs += afterMs;
    state.graph = graph;
    recorder.take(deltaOf(changes));
    await recorder.write();
  };
  return { state, tables, reader, recorder, start, step, stateDir, limits };
}

/** Without figures, and without when it was seen. */
function structureOf({ nodes, links }: MeshGraph) {
  const bare = ({ isObserved, isUp, isInbound, uri }: GraphDirection) => ({ isObserved, isUp, isInbound, uri });
  return {
    nodes: [...nodes.values()].map(({ lastSeenMs: _, ...node }) => node).sort((x, y) => (x.id < y.id ? -1 : 1)),
    links: [...links.values()]
      .map((link) => ({ ...link, aToB: bare(link.aToB), bToA: bare(link.bToA) }))
      .sort((x, y) => (x.id < y.id ? -1 : 1)),
  };
}

describe("the history of the meshes", () => {
  it("gives back how it was at any moment, over changes and whole pictures", async () => {
    const { reader, recorder, step } = recording({ changesPerKeyframe: 7 });
    await recorder.begin(null);
    // Changes by chance, always the same ones.
    let seed = 42;
    const random = (most: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed % most;
    };
    const states = [MeshNodeState.ONLINE, MeshNodeState.OFFLINE, MeshNodeState.DEGRADED];
    let [nodes, links] = [[nodeOf("n0")], [] as GraphLink[]];
    const expected: { atMs: number; graph: MeshGraph }[] = [];
    for (let round = 1; round <= 60; round++) {
      nodes = nodes
        .filter(() => random(8) > 0)
        .map((node) => (random(3) ? node : { ...node, state: states[random(3)]! }));
      if (!nodes.some(({ label }) => label === `n${round % 9}`)) nodes.push(nodeOf(`n${round % 9}`));
      links = links
        .filter(() => random(6) > 0)
        .map((link) => (random(2) ? link : { ...link, isUp: !link.isUp, sinceMs: round }));
      const link = linkOf(`n${random(9)}`, `n${random(9)}`);
      links = [...links.filter(({ id }) => id !== link.id), link];
      const graph = graphOf(nodes, links);
      await step(7_000, graph);
      expected.push({ atMs: START_MS + round * 7_000, graph });
    }
    for (const { atMs, graph } of expected) {
      const found = await reader.at(atMs + 3_000);
      expect(structureOf(found.graph)).toEqual(structureOf(graph));
      expect(found.earliestMs).toBe(START_MS);
    }
  });

  it("keeps figures by the minute, near enough to what they were, and none where none were", async () => {
    const { reader, recorder, step } = recording();
    await recorder.begin(null);
    const nodes = [nodeOf("a"), nodeOf("b")];
    const throughputBitsPerSecond = 54_000_000;
    for (let minute = 1; minute <= 5; minute++) {
      const aToB = direction({ latencyMs: minute * 10, quality: 0.5, throughputBitsPerSecond, score: 10 * minute });
      const bToA = direction({ latencyMs: null, loss: null, score: null, linkClass: LinkClass.UNMEASURED });
      await step(MINUTE_MS, graphOf(nodes, [linkOf("a", "b", { aToB, bToA })]));
    }
    const { graph } = await reader.at(START_MS + 3.5 * MINUTE_MS);
    const link = graph.links.get("yggdrasil|host/a|host/b");
    expect(link?.aToB).toMatchObject({ score: 30, quality: 0.5, loss: 0.01, linkClass: LinkClass.GOOD });
    expect(Math.abs((link?.aToB.latencyMs ?? 0) / 30 - 1)).toBeLessThan(0.0005);
    expect(Math.abs((link?.aToB.throughputBitsPerSecond ?? 0) / throughputBitsPerSecond - 1)).toBeLessThan(0.0005);
    expect(link?.bToA).toMatchObject({ latencyMs: null, loss: null, score: null, linkClass: LinkClass.UNMEASURED });
    const query = { fromMs: START_MS, toMs: START_MS + 6 * MINUTE_MS };
    const { times, series } = await reader.series({ ...query, id: "yggdrasil|host/a|host/b" });
    expect(times).toHaveLength(5);
    const ofLink = series.map(({ measure, direction: way }) => `${measure} ${way}`);
    expect(ofLink).not.toContain("latency_ms b→a");
    expect(series.find(({ measure }) => measure === "score")).toMatchObject({
      direction: "a→b",
      values: [10, 20, 30, 40, 50],
    });
    const ofNode = await reader.series({ ...query, id: "host/b" });
    expect(ofNode.series).toMatchObject([{ measure: "links_up", values: [1, 1, 1, 1, 1] }]);
    expect((await reader.series({ ...query, id: "host/none" })).series).toEqual([]);
  });

  it("counts changes for a slider and lists them, of all or of one", async () => {
    const { reader, recorder, step } = recording();
    await recorder.begin(null);
    const change = (kind: MeshChangeKind, id: string, atMs: number) => ({ kind, id, atMs, sentence: `${id} ${kind}` });
    const graph = graphOf([nodeOf("a")], []);
    await step(MINUTE_MS, graph, [change(MeshChangeKind.NODE_NEW, "host/a", START_MS + MINUTE_MS)]);
    const late = START_MS + 9.5 * MINUTE_MS;
    await step(9 * MINUTE_MS, graph, [
      change(MeshChangeKind.LINK_UP, "l", START_MS + 3.3 * MINUTE_MS),
      change(MeshChangeKind.LINK_FLAPPING, "l", START_MS + 3.7 * MINUTE_MS),
      change(MeshChangeKind.NODE_STATE, "host/a", late),
      change(MeshChangeKind.LINK_DOWN, "l", late),
    ]);
    const query = { fromMs: START_MS, toMs: START_MS + 10 * MINUTE_MS, limit: 10 };
    expect(reader.changes({ ...query, id: "" })).toMatchObject({ total: 5, counts: [0, 1, 0, 2, 0, 0, 0, 0, 0, 2] });
    const one = reader.changes({ ...query, id: "host/a" });
    expect(one.changes.map(({ kind }) => kind)).toEqual([MeshChangeKind.NODE_STATE, MeshChangeKind.NODE_NEW]);
    expect(reader.changes({ ...query, id: "", limit: 1 })).toMatchObject({ total: 5, changes: [{ id: "l" }] });
  });

  it("says before which time and in between which times nothing is known, and what had changed when it went on", async () => {
    const { reader, recorder, step, start, state } = recording();
    await expect(reader.at(START_MS)).rejects.toMatchObject({ code: ErrorCode.NOT_FOUND });
    await recorder.begin(null);
    await step(MINUTE_MS, graphOf([nodeOf("a"), nodeOf("b")], [linkOf("a", "b")]));
    // Another process, an hour later, without the first having ended in order.
    state.nowMs += 60 * MINUTE_MS;
    state.graph = graphOf(
      [nodeOf("a", { state: MeshNodeState.OFFLINE }), nodeOf("c")],
      [linkOf("a", "b", { isUp: false })],
    );
    await start().begin(await reader.newest());
    const { graph, gaps } = await reader.at(START_MS + 30 * MINUTE_MS);
    expect(gaps).toEqual([{ fromMs: START_MS + MINUTE_MS, toMs: START_MS + 61 * MINUTE_MS }]);
    expect([graph.atMs, graph.links.get("yggdrasil|host/a|host/b")?.isUp]).toEqual([START_MS + MINUTE_MS, true]);
    await expect(reader.at(START_MS - 1)).rejects.toMatchObject({ code: ErrorCode.NOT_FOUND });
    const { changes } = reader.changes({ fromMs: START_MS, toMs: state.nowMs + 1, id: "", limit: 10 });
    expect(changes.map(({ sentence }) => sentence).sort()).toEqual([
      "a became offline while no console looked",
      "a – b went down while no console looked",
      "b went while no console looked",
      "c came while no console looked",
    ]);
  });

  it("does not see a picture that was half written when the process ended", async () => {
    const { reader, recorder, step, tables, state } = recording();
    await recorder.begin(null);
    const whole = graphOf([nodeOf("a")], []);
    await step(MINUTE_MS, whole);
    tables.addPart(tables.beginKeyframe(state.nowMs), 0, new Uint8Array([1, 2, 3]));
    expect(structureOf((await reader.at(state.nowMs)).graph)).toEqual(structureOf(whole));
  });

  it("forgets by age and by bytes, and still begins with a whole picture", async () => {
    const { reader, recorder, step, tables, state } = recording({ keyframeEveryMs: 10 * MINUTE_MS });
    await recorder.begin(null);
    const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
    const links = (round: number) =>
      names.slice(1).map((name, index) => {
        const latencyMs = ((round * 7_919 + index * 104_729) % 9_973) / 10;
        return linkOf(name, "n0", { aToB: direction({ latencyMs, score: latencyMs % 100 }) });
      });
    for (let round = 1; round <= 120; round++)
      await step(
        MINUTE_MS,
        graphOf(
          names.map((name) => nodeOf(name)),
          links(round),
        ),
      );
    tables.forgetBefore(START_MS + 60 * MINUTE_MS);
    const { earliestMs } = await reader.at(state.nowMs);
    expect([earliestMs >= START_MS + 50 * MINUTE_MS, earliestMs <= START_MS + 60 * MINUTE_MS]).toEqual([true, true]);
    expect((await reader.at(START_MS + 61 * MINUTE_MS)).graph.links.size).toBe(39);
    const used = tables.usedBytes();
    tables.forgetBefore(START_MS + 110 * MINUTE_MS);
    expect(tables.usedBytes()).toBeLessThan(used);
    expect((await reader.at(state.nowMs)).graph.links.size).toBe(39);
  });
});

describe("who writes it", () => {
  function history(stateDir: string, over: Partial<MeshHistoryLimits> = {}) {
    const store = new Store({ stateDir, logger: silentLogger });
    const listeners = new Set<(delta: MeshDelta) => void>();
    const state = { graph: graphOf([nodeOf("a")], []) };
    const picture = {
      changes: new ChangeSignal(),
      graph: () => state.graph,
      onDelta: (listener: (delta: MeshDelta) => void) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    } as unknown as MeshPicture;
    const clock = {
      nowMs: () => Date.now(),
      sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, Math.min(ms, 10))),
    };
    const limits = { ...MESH_HISTORY_LIMITS, settleMs: 0, sampleEveryMs: 20, ...over };
    const ports = { stateDir, picture, clock, logger: silentLogger, limits, isSettled: () => true };
    const made = new MeshHistory({ ...ports, leases: new LeaseTable(store), processId: `p${Math.random()}` });
    const ending = new AbortController();
    const running = made.run(ending.signal);
    const end = async () => {
      ending.abort();
      await running;
      made.close();
      store.close();
    };
    return {
      history: made,
      picture,
      state,
      end,
      tell: () => {
        for (const listener of listeners) listener(deltaOf());
      },
    };
  }

  it("is one process at a time; the next one goes on where it ended", async () => {
    const dir = newDir();
    const first = history(dir);
    await expect.poll(() => first.history.reader.newest(), WAIT).not.toBeNull();
    const second = history(dir);
    const { tables } = second.history;
    expect(tables.call(second.history).spans()).toHaveLength(1);
    await first.end();
    await expect.poll(() => tables.call(second.history).spans().length, WAIT).toBe(2);
    await second.end();
  }, 240_000);

  it("stays below its bytes although it never stops, and says when the disk is full", async () => {
    const run = history(newDir(), { maxBytes: 250_000, sampleEveryMs: 1, keyframeEveryMs: 200 });
    const names = Array.from({ length: 60 }, (_, index) => `n${index}`);
    let round = 0;
    const change = () => {
      round += 1;
      const noisy = (index: number) => direction({ latencyMs: ((round * 7_919 + index * 104_729) % 99_991) / 10 });
      const links = names
        .slice(1)
        .map((name, index) => linkOf(name, "n0", { aToB: noisy(index), bToA: noisy(index + 1) }));
      run.state.graph = graphOf(
        names.map((name) => nodeOf(name)),
        links,
        round,
      );
      run.tell();
    };
    const timer = setInterval(change, 20);
    const tables = run.history.tables();
    let written = 0;
    const addFigures = tables.addFigures.bind(tables);
    tables.addFigures = (rows) => {
      written += rows.reduce((sum, { wire }) => sum + wire.length, 0);
      addFigures(rows);
    };
    await expect.poll(() => written, { timeout: 60_000 }).toBeGreaterThan(200_000);
    expect(tables.usedBytes()).toBeLessThan(350_000);
    tables.addFigures = () => {
      throw new Failure({ code: ErrorCode.DISK_FULL, message: "The disk is full." });
    };
    await expect
      .poll(() => run.history.problem, WAIT)
      .toBe("The history of the meshes is not recorded: The disk is full.");
    tables.addFigures = addFigures;
    await expect.poll(() => run.history.problem, WAIT).toBe("");
    clearInterval(timer);
    await run.end();
  }, 240_000);
});
