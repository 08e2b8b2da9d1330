import { create } from "@bufbuild/protobuf";
import { LinkClass, MeshChangeKind, MeshNodeState } from "@wardline/api/wardline/console/v1/mesh";
import { MeshObservationSchema, MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { describe, expect, it } from "vitest";
import { FLAPPING, FlapDetector } from "../flapping.ts";
import { findPaths } from "../paths/index.ts";
import { Fleet, keyAt, nameAt, observationOf, peerOf, probeOf, type SaidByHost } from "../testing/observations.ts";
import { MeshTopologyBuilder } from "./builder.ts";
import { type GraphLink, isEmptyDelta, type MeshDelta } from "./graph.ts";
import { foreignNodeId, hostNodeId, linkId } from "./identity.ts";
import { MESH_LIMITS, MESH_LIVENESS } from "./limits.ts";

const YGG = MeshProvider.YGGDRASIL;
const nodeId = (index: number) => hostNodeId(nameAt(index));
const yggLink = (one: number, other: number) => linkId(YGG, nodeId(one), nodeId(other));

/** Web-0 to web-2 in a row, each told by both ends. */
function row(): {
  builder: MeshTopologyBuilder;
  fleet: Fleet;
  say: (index: number, said: SaidByHost, atMs: number) => MeshDelta;
} {
  const builder = new MeshTopologyBuilder();
  const fleet = new Fleet();
  const say = (index: number, said: SaidByHost, atMs: number) => {
    const { delta, refused } = builder.observe(fleet.next(index, said), atMs);
    expect(refused).toBe("");
    return delta;
  };
  say(0, { peers: [peerOf(1)] }, 1000);
  say(1, { peers: [peerOf(0), peerOf(2)] }, 1000);
  say(2, { peers: [peerOf(1)] }, 1000);
  return { builder, fleet, say };
}

const link = (builder: MeshTopologyBuilder, id: string): GraphLink => {
  const found = builder.topology().links.get(id);
  if (found === undefined) throw new Error(`no link ${id}`);
  return found;
};
const stateOf = (builder: MeshTopologyBuilder, id: string) => builder.topology().nodes.get(id)?.state;
const problemsOf = (builder: MeshTopologyBuilder, id: string) =>
  builder.topology().nodes.get(id)?.problems.join(" ") ?? "";

describe("the picture of the mesh", () => {
  it("knows a neighbour by its key, and joins it with the host whose own word has that key", () => {
    const builder = new MeshTopologyBuilder();
    builder.observe(observationOf(0, { peers: [peerOf(1)] }), 1000);
    const foreign = foreignNodeId(YGG, keyAt(1));
    expect(stateOf(builder, foreign)).toBe(MeshNodeState.UNKNOWN);
    expect(link(builder, linkId(YGG, nodeId(0), foreign)).isUp).toBe(true);
    const { delta } = builder.observe(observationOf(1, { peers: [peerOf(0, { latencyMs: 9 })] }), 2000);
    expect(delta.goneNodeIds).toEqual([foreign]);
    // One and the same node and link under a name: neither went, and no link is new.
    expect(delta.changes.map(({ sentence }) => sentence).sort()).toEqual([
      `${keyAt(1).slice(0, 12)}… turned out to be ${nameAt(1)}`,
      `${nameAt(1)} is new: online`,
    ]);
    expect([...builder.topology().nodes.keys()]).toEqual([nodeId(0), nodeId(1)]);
    const joined = link(builder, yggLink(0, 1));
    expect([joined.aToB.latencyMs, joined.bToA.latencyMs]).toEqual([5, 9]);
    expect(builder.topology().nodes.get(nodeId(1))?.identities[0]?.toldBy).toEqual([nameAt(1), nameAt(0)]);
    expect(builder.topology().links.size).toBe(1);
  });

  it("gives the links of a key that two hosts claim to the first, and tells both", () => {
    const { builder, say } = row();
    say(3, { peers: [], key: keyAt(1), name: "thief" }, 2000);
    expect(builder.topology().nodes.get("host/thief")?.state).toBe(MeshNodeState.DEGRADED);
    expect(link(builder, yggLink(0, 1)).isUp).toBe(true);
    for (const id of [nodeId(1), "host/thief"])
      expect(problemsOf(builder, id)).toContain("one and the same Yggdrasil key");
    expect(builder.figures().problems).toHaveLength(2);
    say(4, { peers: [], key: keyAt(1), name: "second-thief" }, 2500);
    // The first is silent: the key is the other's now, and back when it speaks.
    builder.hostGone(nameAt(1), 3000);
    expect(builder.topology().links.has(linkId(YGG, nodeId(0), "host/thief"))).toBe(true);
    builder.hostGone("thief", 3600);
    expect(builder.topology().links.has(linkId(YGG, nodeId(0), "host/second-thief"))).toBe(true);
    say(3, { peers: [], key: keyAt(1), name: "thief" }, 3700);
    builder.forgetHost("second-thief", 3800);
    expect(builder.topology().links.has(linkId(YGG, nodeId(0), "host/thief"))).toBe(true);
    builder.forgetHost("thief", 4000);
    expect(builder.figures().problems).toEqual([]);
    expect(builder.topology().links.has(yggLink(0, 1))).toBe(true);
    expect(builder.topology().nodes.has("host/thief")).toBe(false);
  });

  it("tells of an address and a subnet that are not those of the key, and shows those that are", () => {
    const { builder, say } = row();
    const self = { key: keyAt(0), address: "200::1", subnet: "300:1::/64" };
    say(0, { peers: [peerOf(1)], report: { self } }, 2000);
    expect(problemsOf(builder, nodeId(0))).toContain("200::1, which is not that of its key");
    expect(problemsOf(builder, nodeId(0))).toContain("300:1::/64 is routed to it, which is not");
    expect(builder.topology().nodes.get(nodeId(0))?.identities[0]?.address).not.toBe("200::1");
    say(0, { peers: [peerOf(1)] }, 3000);
    expect(stateOf(builder, nodeId(0))).toBe(MeshNodeState.ONLINE);
  });

  it("refuses a word about another host, a word that is late, and a session that another one followed", () => {
    const { builder } = row();
    const before = builder.topology();
    const spoken = builder.observe(observationOf(1, { peers: [], sequence: 99 }), 2000, nameAt(0));
    expect(spoken.refused).toBe("web-0 spoke for web-1.");
    expect(problemsOf(builder, nodeId(0))).toContain("web-0 spoke for web-1.");
    expect(builder.topology().links).toEqual(before.links);
    const late = builder.observe(observationOf(1, { peers: [], sequence: 1 }), 2000);
    expect([late.refused, isEmptyDelta(late.delta)]).toEqual(["A newer observation of this host is known.", true]);
    builder.observe(observationOf(2, { peers: [peerOf(1)], session: "b" }), 2000);
    expect(builder.observe(observationOf(2, { peers: [], session: "a", sequence: 9 }), 2001).refused).toContain(
      "Two agents",
    );
    expect(builder.figures().problems).toContain("Two agents speak as web-2; the one that started later is heard.");
    builder.tick(2001 + 600_000);
    expect(builder.figures().problems).toEqual([]);
  });

  it("takes the word of a host that was gone again, though it is the same word", () => {
    const { builder } = row();
    const again = observationOf(2, { peers: [peerOf(1)], sequence: 1 });
    builder.hostGone(nameAt(2), 2000);
    expect(builder.observe(again, 3000).refused).toBe("");
    expect(stateOf(builder, nodeId(2))).toBe(MeshNodeState.ONLINE);
    expect(builder.observe(again, 3001).refused).not.toBe("");
  });

  it("lets a word expire at its age and not before", () => {
    const { builder, say } = row();
    builder.tick(1000 + MESH_LIVENESS.hostMs - 1);
    expect(stateOf(builder, nodeId(0))).toBe(MeshNodeState.ONLINE);
    const delta = builder.tick(1000 + MESH_LIVENESS.hostMs);
    expect(delta.changes.map(({ kind }) => kind)).toContain(MeshChangeKind.LINK_DOWN);
    expect(stateOf(builder, nodeId(0))).toBe(MeshNodeState.OFFLINE);
    expect(builder.figures().linksLost).toBe(2);
    // Somebody who still speaks sees it up: its agent is silent, its mesh is not.
    say(1, { peers: [peerOf(0), peerOf(2)] }, 40_000);
    expect(stateOf(builder, nodeId(0))).toBe(MeshNodeState.UNKNOWN);
    expect(link(builder, yggLink(0, 1)).isUp).toBe(true);
    expect(link(builder, yggLink(0, 1)).aToB).toMatchObject({ isObserved: false, isUp: false, latencyMs: null });
    expect(
      findPaths(builder.topology(), { from: nodeId(0), to: nodeId(2), provider: YGG, count: 1 }).paths,
    ).toHaveLength(1);
    say(1, { peers: [peerOf(0, { up: false }), peerOf(2)] }, 41_000);
    expect(stateOf(builder, nodeId(0))).toBe(MeshNodeState.OFFLINE);
    expect(findPaths(builder.topology(), { from: nodeId(1), to: nodeId(0), provider: null, count: 1 }).limitedBy).toBe(
      "web-0 is offline.",
    );
  });

  it("does not take an answer for fresh that was old when it was told", () => {
    const { builder, say } = row();
    const measuredAt = { seconds: 970n, nanos: 0 };
    say(1, { peers: [peerOf(0), peerOf(2)], report: { peers: [peerOf(0), peerOf(2)] as never, measuredAt } }, 2000);
    expect(link(builder, yggLink(0, 1)).bToA.isObserved).toBe(false);
    expect(link(builder, yggLink(0, 1)).isUp).toBe(true);
  });

  it("calls a daemon that is down down, and knows nothing of one that does not answer", () => {
    const { builder, say } = row();
    say(1, { report: { state: MeshProviderState.DOWN, detail: "no socket" } }, 2000);
    expect(stateOf(builder, nodeId(1))).toBe(MeshNodeState.DEGRADED);
    expect(problemsOf(builder, nodeId(1))).toBe("Yggdrasil does not run: no socket");
    expect(builder.figures().linksLost).toBe(2);
    say(1, { report: { state: MeshProviderState.UNRESPONSIVE } }, 3000);
    expect(link(builder, yggLink(0, 1)).bToA.isObserved).toBe(false);
    expect(link(builder, yggLink(0, 1)).isUp).toBe(true);
  });

  it("needs both ends of a mesh link once both had the time to know, and one end of a plain one", () => {
    const builder = new MeshTopologyBuilder();
    const fleet = new Fleet();
    const hear = (index: number, said: SaidByHost, atMs: number) => builder.observe(fleet.next(index, said), atMs);
    hear(1, { peers: [], probes: [] }, 1000);
    hear(0, { peers: [peerOf(1)], probes: [probeOf(1)] }, 1000);
    const ip = linkId(MeshProvider.IP, nodeId(0), nodeId(1));
    hear(1, { peers: [], probes: [probeOf(0, { reachable: false })] }, 15_999);
    expect(link(builder, yggLink(0, 1)).isUp).toBe(true);
    hear(1, { peers: [], probes: [probeOf(0, { reachable: false })] }, 16_000);
    expect(link(builder, yggLink(0, 1))).toMatchObject({ isUp: false, bToA: { isObserved: true, isUp: false } });
    expect(link(builder, ip)).toMatchObject({ isUp: true, bToA: { isObserved: true, isUp: false } });
    // A target that is no longer probed is no link that was lost.
    hear(0, { peers: [peerOf(1)] }, 17_000);
    hear(1, { peers: [peerOf(0)] }, 17_000);
    expect(builder.topology().links.has(ip)).toBe(false);
    expect(link(builder, yggLink(0, 1)).isUp).toBe(true);
  });

  it("remembers whose peer a URI was, as one that is down does not say its key", () => {
    const { builder, say } = row();
    const uri = "tls://192.0.2.9:443";
    say(0, { peers: [peerOf(1, { uri, configured: true })] }, 2000);
    say(0, { peers: [{ uri: `${uri}?password=x`, up: false, configured: true }] }, 3000);
    const lost = link(builder, yggLink(0, 1));
    expect(lost).toMatchObject({ isUp: false, sinceMs: 3000, aToB: { isObserved: true, isUp: false, uri } });
    expect(builder.figures()).toMatchObject({ peersConfigured: 1, peersUp: 0 });
    expect(problemsOf(builder, nodeId(0))).toBe("None of the 1 configured peers of Yggdrasil is up.");
  });

  it("forgets a lost link after a while, but not one that a daemon still lists", () => {
    const { builder, say } = row();
    say(0, { peers: [] }, 2000);
    say(1, { peers: [peerOf(2)] }, 2000);
    say(2, { peers: [peerOf(1, { up: false })] }, 2000);
    let nowMs = 2000;
    while (nowMs < 2000 + MESH_LIVENESS.lostMs) {
      expect(builder.topology().links.size).toBe(2);
      nowMs += 20_000;
      say(0, { peers: [] }, nowMs);
      say(1, { peers: [peerOf(2)] }, nowMs);
      say(2, { peers: [peerOf(1, { up: false })] }, nowMs);
      builder.tick(nowMs);
    }
    expect([...builder.topology().links.keys()]).toEqual([yggLink(1, 2)]);
    expect(builder.topology().nodes.size).toBe(3);
  });

  it("is told in sentences", () => {
    const { builder, say } = row();
    const delta = say(0, { peers: [peerOf(1, { up: false })] }, 2000);
    expect(delta.changes.map(({ sentence }) => sentence)).toEqual([
      "The mesh of Yggdrasil is in 2 parts",
      "web-0 – web-1 (Yggdrasil) went down",
    ]);
    const back = say(0, { peers: [peerOf(1, { latencyMs: 400 })] }, 3000);
    expect(back.changes.map(({ sentence }) => sentence)).toEqual([
      "The mesh of Yggdrasil is no longer split",
      "web-0 – web-1 (Yggdrasil) came up",
    ]);
    const better = say(0, { peers: [peerOf(1)] }, 4000);
    expect(better.changes.map(({ sentence }) => sentence)).toEqual([
      "web-0 – web-1 (Yggdrasil) is excellent, was poor",
    ]);
    expect(builder.changesSince(delta.revision)?.changes).toHaveLength(3);
    expect(builder.changesSince(better.revision)?.links).toEqual([]);
    expect(builder.changesSince(777)).toBeNull();
  });

  it("counts what there is", () => {
    const { builder, say } = row();
    say(3, { peers: [] }, 2000);
    expect(builder.figures()).toMatchObject({
      nodes: 4,
      nodesOnline: 4,
      links: 2,
      linksGood: 2,
      linksLost: 0,
      partitionCount: 2,
      articulationPoints: [nodeId(1)],
      singleUplinks: [nodeId(0), nodeId(2)],
      meanLatencyMs: 5,
      diameterHops: 2,
    });
    expect(builder.figures().partitions[0]).toEqual({ provider: YGG, nodeIds: [nodeId(0), nodeId(1), nodeId(2)] });
    expect([...builder.figures().versions]).toEqual([["0.5", 4]]);
    expect(link(builder, yggLink(0, 1)).isBridge).toBe(true);
    say(2, { peers: [peerOf(1), peerOf(0)] }, 3000);
    expect(link(builder, yggLink(0, 1)).isBridge).toBe(false);
    expect(builder.figures().articulationPoints).toEqual([]);
  });

  it("shows a host before it speaks, and what becomes of one that never does", () => {
    const builder = new MeshTopologyBuilder();
    builder.hostKnown({ name: "db-1", hostId: "h1", groups: ["db"] }, 1000);
    expect(builder.topology().nodes.get("host/db-1")).toMatchObject({
      hostId: "h1",
      state: MeshNodeState.INITIALIZING,
    });
    builder.tick(1000 + MESH_LIVENESS.initializingMs);
    expect(stateOf(builder, "host/db-1")).toBe(MeshNodeState.UNKNOWN);
    builder.forgetHost("db-1", 50_000);
    expect(builder.topology().nodes.size).toBe(0);
  });
});

describe("hostile words", () => {
  it("leaves out figures that cannot be, keys that are none, and itself", () => {
    const { builder, say } = row();
    say(
      0,
      {
        peers: [
          peerOf(1, { latencyMs: Number.NaN, quality: -1, throughputBitsPerSecond: 2n ** 63n, cost: 2n ** 63n }),
          peerOf(1, { up: false, latencyMs: 1 }),
          peerOf(0),
          { key: "x".repeat(10_000), up: true },
        ],
        probes: [
          probeOf(1, { latencyMs: -3, loss: 7, pathMtuBytes: 0 }),
          probeOf(0),
          probeOf(2, { targetHost: "a|b\u202e", loss: Number.POSITIVE_INFINITY }),
        ],
      },
      2000,
    );
    const { nodes, links } = builder.topology();
    expect([...nodes.keys()]).toEqual([nodeId(0), nodeId(1), nodeId(2)]);
    expect(links.size).toBe(3);
    const unmeasured = { latencyMs: null, quality: null, loss: null, score: null, linkClass: LinkClass.UNMEASURED };
    expect(link(builder, yggLink(0, 1))).toMatchObject({
      isUp: true,
      aToB: { ...unmeasured, throughputBitsPerSecond: null },
    });
    expect(link(builder, linkId(MeshProvider.IP, nodeId(0), nodeId(1)))).toMatchObject({
      isUp: true,
      aToB: unmeasured,
    });
  });

  it("takes no host with a name that could stand for something else", () => {
    const builder = new MeshTopologyBuilder();
    for (const name of ["", "a b", "a|b", "a/b", "a\u202eb", "x".repeat(254)]) {
      const { refused, delta } = builder.observe(create(MeshObservationSchema, { host: name }), 1000);
      expect([refused !== "", isEmptyDelta(delta)]).toEqual([true, true]);
    }
    expect(builder.topology().nodes.size).toBe(0);
  });

  it("bounds what one host can put into it", () => {
    const builder = new MeshTopologyBuilder();
    const fleet = new Fleet();
    const peersFrom = (first: number) => Array.from({ length: 3000 }, (_, index) => peerOf(first + index));
    for (let round = 0; round < 4; round++) {
      builder.observe(fleet.next(0, { peers: peersFrom(1 + round * 3000) }), 1000 + round);
    }
    const most = MESH_LIMITS.peersOfProvider + MESH_LIMITS.lostPeersOfProvider;
    // A list that was cut says nothing of who is not on it: those of before stay, unobserved, until they are too many.
    expect(builder.topology().links.size).toBeLessThanOrEqual(most);
    expect(builder.topology().nodes.size).toBeLessThanOrEqual(most + 1);
    expect(builder.figures()).toMatchObject({ links: most, linksLost: MESH_LIMITS.lostPeersOfProvider });
    expect(builder.figures().problems).toContain("web-0 has more neighbours than are told of.");
  });
});

describe("flapping", () => {
  it("begins with the third transition in less than 60 s, and ends after 60 s without one", () => {
    const detector = new FlapDetector();
    expect([0, 30_000, FLAPPING.windowMs].map((atMs) => detector.transition("late", atMs))).toEqual([
      false,
      false,
      false,
    ]);
    expect([0, 30_000, 59_999].map((atMs) => detector.transition("x", atMs))).toEqual([false, false, true]);
    expect(detector.transition("x", 60_000)).toBe(false);
    expect(detector.settle(60_000 + FLAPPING.quietMs - 1)).toEqual([]);
    expect(detector.isFlapping("x")).toBe(true);
    expect(detector.settle(60_000 + FLAPPING.quietMs)).toEqual(["x"]);
    expect([detector.isFlapping("x"), detector.size]).toEqual([false, 0]);
  });

  it("is seen on links, also where they went down and came up between two looks", () => {
    const { builder, say } = row();
    const flap = (up: boolean, atMs: number) => say(0, { peers: [peerOf(1, { up })] }, atMs);
    flap(false, 2000);
    flap(true, 5000);
    expect(link(builder, yggLink(0, 1)).isFlapping).toBe(false);
    const delta = flap(false, 8000);
    expect(delta.changes.map(({ kind }) => kind)).toContain(MeshChangeKind.LINK_FLAPPING);
    flap(true, 9000);
    const uptime = (seconds: number) => ({ uptime: { seconds: BigInt(seconds), nanos: 0 } });
    const session = (seconds: number, atMs: number) => say(2, { peers: [peerOf(1, uptime(seconds))] }, atMs);
    session(0, 9000);
    session(20, 29_000);
    session(3, 39_000);
    expect(link(builder, yggLink(1, 2)).isFlapping).toBe(false);
    // The other end tells of the same session.
    say(1, { peers: [peerOf(0), peerOf(2, uptime(5))] }, 40_000);
    expect(link(builder, yggLink(1, 2)).isFlapping).toBe(false);
    session(1, 41_000);
    expect(link(builder, yggLink(1, 2))).toMatchObject({ isFlapping: false, isUp: true });
    session(0, 50_000);
    expect(link(builder, yggLink(1, 2)).isFlapping).toBe(true);
    builder.tick(9000 + FLAPPING.quietMs);
    expect(link(builder, yggLink(0, 1)).isFlapping).toBe(false);
  });

  it("is not seen in words that were long under way, nor where one of two sessions ended", () => {
    const { builder, say } = row();
    const old = (seconds: number) => peerOf(1, { uptime: { seconds: BigInt(seconds), nanos: 0 } });
    say(2, { peers: [old(100)] }, 2000);
    for (const [seconds, atMs] of [
      [110, 27_000],
      [120, 28_000],
      [130, 52_000],
    ] as const) {
      say(2, { peers: [old(seconds)] }, atMs);
    }
    say(2, { peers: [old(60), old(140)] }, 53_000);
    say(2, { peers: [old(61)] }, 54_000);
    say(2, { peers: [old(71), old(9)] }, 64_000);
    say(2, { peers: [old(12)] }, 67_000);
    expect(link(builder, yggLink(1, 2))).toMatchObject({ isUp: true, isFlapping: false });
    say(2, { peers: [old(1)] }, 78_000);
    expect(link(builder, yggLink(1, 2)).isFlapping).toBe(false);
    say(2, { peers: [old(0)] }, 90_000);
    expect(link(builder, yggLink(1, 2)).isFlapping).toBe(true);
  });
});
