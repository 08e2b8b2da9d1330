/** The adapter against a daemon that speaks as each release does, and as none should; over a real socket. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { yggdrasilAddress, yggdrasilSubnet } from "@wardline/domain/mesh";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { randomKey } from "../../../testing/yggdrasilDouble.ts";
import { failureOf, shortOf, upPeer as up, YggdrasilScene } from "../../../testing/yggdrasilScene.ts";

const { UP, DOWN, UNRESPONSIVE, UNSUPPORTED } = MeshProviderState;
const [ONE, TWO, THREE] = [randomKey(), randomKey(), randomKey()] as const;
const never = new AbortController().signal;
const identity = (key: string) => ({ key, address: yggdrasilAddress(key), subnet: yggdrasilSubnet(key) });

let scene: YggdrasilScene;
beforeEach(() => {
  scene = new YggdrasilScene();
});
afterEach(() => scene.close());

describe("three generations", () => {
  it("0.4.0: maps by address, no counters before 0.4.3, no changes of peers", async () => {
    const { key } = await scene.speak("0.4.0");
    scene.double!.peers = [up(ONE, "tcp://192.0.2.1:1"), up(TWO, "tcp://192.0.2.9:50440")];
    scene.double!.paths = [{ key: THREE, path: [2, 5] }];
    scene.double!.tun = { name: "ygg0", mtu: 65_535 };
    scene.configure({
      AdminListen: `unix://${scene.socketPath}`,
      Peers: ["tcp://192.0.2.1:1?password=x", "tcp://192.0.2.2:1"],
    });
    const report = await scene.adapter().read(never);
    expect(report).toMatchObject({ state: UP, generation: "0.4.0", version: "unknown", self: identity(key) });
    expect(report).toMatchObject({ interfaceName: "ygg0", mtuBytes: 65_535, detail: "" });
    expect(report.capabilities).toEqual(["peers", "sessions", "paths", "dht"]);
    expect(report.peers.map(shortOf)).toEqual([
      [ONE, "tcp://192.0.2.1:1", true, false, true],
      [TWO, "tcp://192.0.2.9:50440", true, true, false],
      ["", "tcp://192.0.2.2:1", false, false, true],
    ]);
    expect(report.peers[0]).toMatchObject({ address: yggdrasilAddress(ONE), port: 1n });
    expect([report.peers[0]?.bytesSent, report.peers[0]?.uptime, report.peers[0]?.latencyMs]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(report.routes).toMatchObject([{ destinationKey: THREE, nextHopKey: TWO, ports: [2n, 5n], best: true }]);
    expect(report.peers[1]?.port).toBe(2n);
    // Arguments would lie beside the name.
    expect(scene.double!.asked.every(({ arguments: given }) => given === undefined)).toBe(true);
    expect(await failureOf(scene.adapter().addPeer({ uri: "tcp://192.0.2.3:1", interfaceName: "" }, never))).toEqual([
      "HOST_UNSUPPORTED",
      "This Yggdrasil (it speaks as 0.4.0) cannot change its peers while it runs.",
    ]);
  });

  it("0.4.3: counters, and those are zero where they are", async () => {
    await scene.speak("0.4.0", { hasCounters: true });
    scene.double!.peers = [up(ONE, "tcp://192.0.2.1:1", { bytesReceived: 7, uptimeSeconds: 1.5 })];
    const { peers } = await scene.adapter().read(never);
    expect(peers).toMatchObject([{ bytesReceived: 7n, bytesSent: 0n, uptime: { seconds: 1n, nanos: 500_000_000 } }]);
  });

  it("0.4.5: lists, peers that are up only, a configured one that is missing is down and keeps its key", async () => {
    await scene.speak("0.4.5");
    scene.configure({
      AdminListen: `unix://${scene.socketPath}`,
      Peers: ["tcp://192.0.2.1:1"],
      InterfacePeers: { eth9: ["tls://b:2"] },
    });
    scene.double!.peers = [up(ONE, "tcp://192.0.2.1:1"), up(TWO, "tls://[fe80::1%25eth0]:4000")];
    const reader = scene.adapter();
    const first = await reader.read(never);
    expect(first).toMatchObject({ generation: "0.4.5", interfaceName: "" });
    expect(first.capabilities).toEqual(["peers", "sessions", "paths", "dht", "add-peer", "remove-peer"]);
    expect(first.peers.map((peer) => [...shortOf(peer), peer.interfaceName])).toEqual([
      [ONE, "tcp://192.0.2.1:1", true, false, true, ""],
      [TWO, "tls://[fe80::1%25eth0]:4000", true, false, false, "eth0"],
      ["", "tls://b:2", false, false, true, "eth9"],
    ]);
    scene.double!.peers = [];
    const then = await reader.read(never);
    expect(then.peers.map(shortOf)).toEqual([
      [ONE, "tcp://192.0.2.1:1", false, false, true],
      ["", "tls://b:2", false, false, true],
    ]);
    // Another start of the agent knows it as well.
    await expect.poll(async () => (await scene.adapter().read(never)).peers[0]?.key).toBe(ONE);
  });

  it.each(["latency", "latency_ms"])(
    "0.5: down peers of its own, nanoseconds under the name %s, absent is not measured",
    async (name) => {
      const { key } = await scene.speak("0.5", { isLatencyMs: name === "latency_ms" });
      const age = { lastError: "dial tcp 192.0.2.2:1?password=abc: refused\u001b[31m", lastErrorAgeNs: 2_500_000_000 };
      scene.double!.peers = [
        up(ONE, "tls://192.0.2.1:1", { latencyNs: 12_345_678, cost: 17, rate: 9, uptimeSeconds: 3, bytesSent: 5 }),
        up(TWO, "tls://192.0.2.7:4711", { inbound: true }),
        { key: "", remote: "tls://192.0.2.2:1", up: false, ...age },
        up(THREE, "tls://[fe80::2%25wlan0]:9"),
      ];
      scene.double!.tree = [
        { key, parent: ONE },
        { key: ONE, parent: ONE },
      ];
      scene.double!.paths = [{ key: THREE, path: [4, 4] }];
      const { peers, tree, routes, capabilities, generation } = await scene.adapter().read(never);
      expect(generation).toBe("0.5");
      expect(capabilities).toEqual([
        ...["peers", "sessions", "paths", "tree", "add-peer", "remove-peer", "latency", "cost", "rates"],
      ]);
      expect(peers.map(shortOf)).toEqual([
        [ONE, "tls://192.0.2.1:1", true, false, true],
        [TWO, "tls://192.0.2.7:4711", true, true, false],
        ["", "tls://192.0.2.2:1", false, false, true],
        [THREE, "tls://[fe80::2%25wlan0]:9", true, false, false],
      ]);
      expect(peers[0]).toMatchObject({ latencyMs: 12.345678, cost: 17n, bytesSent: 5n, bytesReceived: 0n });
      expect(peers[1]?.latencyMs).toBeUndefined();
      expect(peers[2]).toMatchObject({
        lastError: "dial tcp 192.0.2.2:1 refused [31m",
        lastErrorAge: { seconds: 2n, nanos: 500_000_000 },
      });
      expect([peers[2]?.bytesSent, peers[2]?.uptime, peers[2]?.address]).toEqual([undefined, undefined, ""]);
      expect(tree).toMatchObject([
        { key, parentKey: ONE },
        { key: ONE, parentKey: ONE },
      ]);
      // Counted from the root of the tree, not from here.
      expect(routes).toMatchObject([{ destinationKey: THREE, nextHopKey: "", ports: [] }]);
    },
  );

  it("is asked for its peers each time, and for all else every 10 s, after trouble, and when its socket is another", async () => {
    await scene.speak("0.4.5");
    const reader = scene.adapter();
    const askedFor = () => scene.double!.asked.splice(0).map(({ request }) => request);
    await reader.read(never);
    expect(askedFor()).toHaveLength(5);
    await reader.read(never);
    expect(askedFor()).toEqual(["getpeers"]);
    scene.nowMs += 10_000;
    await reader.read(never);
    expect(askedFor()).toHaveLength(5);
    await scene.double!.close();
    await scene.speak("0.5");
    expect((await reader.read(never)).generation).toBe("0.5");
    expect(askedFor()).toContain("gettree");
  });

  it("shows a thousand peers and says that there were more", async () => {
    await scene.speak("0.5");
    scene.double!.peers = Array.from({ length: 1_200 }, (_, index) => up(ONE, `tcp://192.0.2.1:${index + 1}`));
    const { peers, truncated } = await scene.adapter().read(never);
    expect([peers.length, truncated]).toEqual([1_000, true]);
  });
});

describe("what is not a daemon that is well", () => {
  it.each([
    ["silent", UNRESPONSIVE, "does not answer in time"],
    ["garbage", UNSUPPORTED, "no JSON"],
    ["half", UNSUPPORTED, "ends in the middle"],
    ["hang-up", UNSUPPORTED, "hung up"],
    ["deep", UNSUPPORTED, "nested too deeply"],
    ["strange", UNSUPPORTED, "its list of commands is not as any known release has it"],
    ["unseen", UNSUPPORTED, "its list of commands is not as any known release has it"],
    ["liar", UNSUPPORTED, "its own address does not belong to the key"],
    ["refusing", UNSUPPORTED, "refuses what every known release answers: not today"],
  ] as const)("%s: a state with a sentence and no peers", async (mode, state, sentence) => {
    await scene.speak("0.4.5");
    scene.double!.peers = [up(ONE, "tcp://192.0.2.1:1")];
    scene.configure({ AdminListen: `unix://${scene.socketPath}`, Peers: ["tcp://192.0.2.1:1"] });
    const reader = scene.adapter({ unit: "here.service" });
    await reader.read(never);
    scene.double!.mode = mode;
    scene.nowMs += 10_000;
    const report = await reader.read(never);
    expect([report.state, report.peers]).toEqual([state, []]);
    expect(report.detail).toContain(sentence);
    // Who it was stays known; what is not understood is not said to be helped by a restart.
    expect(report.self).toMatchObject(identity(scene.double!.key));
    expect(report.capabilities).toEqual(state === UNRESPONSIVE ? ["restart"] : []);
    scene.double!.mode = "honest";
    expect((await reader.read(never)).state).toBe(UP);
  });

  it("100 MB are not taken", async () => {
    await scene.speak("0.4.5");
    scene.double!.mode = "endless";
    const before = process.memoryUsage().rss;
    const report = await scene.adapter().read(never);
    expect([report.state, report.detail]).toEqual([UNSUPPORTED, expect.stringContaining("more than 4194304 bytes")]);
    expect(scene.double!.sentBytes).toBeLessThan(20 * 1024 * 1024);
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });

  it.each([
    ["a key that is none", { key: "zz" }],
    ["an address of another", { address: yggdrasilAddress(TWO) }],
    ["bytes that are negative", { bytes_recvd: -1 }],
    ["bytes that are a text", { bytes_sent: "9" }],
    ["a latency that is a text", { latency: "12ms" }],
    ["an uptime beyond all time", { uptime: 1e300 }],
    ["up that is no boolean", { up: "yes" }],
    ["a remote that is none", { remote: 7 }],
    ["a remote without end", { remote: "x".repeat(5_000) }],
  ])("a peer with %s makes the whole answer unbelievable", async (_name, more) => {
    await scene.speak("0.5");
    scene.double!.peers = [up(ONE, "tcp://192.0.2.1:1"), up(THREE, "tcp://192.0.2.1:2", { more })];
    const report = await scene.adapter().read(never);
    expect([report.state, report.peers]).toEqual([UNSUPPORTED, []]);
  });

  it("fields that nobody knows are left where they are", async () => {
    await scene.speak("0.5");
    scene.double!.peers = [up(ONE, "tcp://192.0.2.1:1", { more: { mood: "fine", __proto__: { x: 1 } } })];
    expect((await scene.adapter().read(never)).peers).toHaveLength(1);
  });

  it("a socket that is left behind, one that is not there, a file in its place", async () => {
    scene.configure({ AdminListen: `unix://${scene.socketPath}`, Peers: ["tcp://192.0.2.1:1?password=x"] });
    const reader = scene.adapter({ unit: "here.service" });
    const missing = await reader.read(never);
    expect(missing).toMatchObject({
      state: DOWN,
      detail: expect.stringContaining("is not there"),
      capabilities: ["restart"],
    });
    // A daemon that is down has none of its peers.
    expect(missing.peers.map(shortOf)).toEqual([["", "tcp://192.0.2.1:1", false, false, true]]);
    writeFileSync(scene.socketPath, "");
    expect(await reader.read(never)).toMatchObject({ state: DOWN, detail: expect.stringContaining("left behind") });
    await reader.restartDaemon(never);
    expect(scene.restarts).toEqual([["here.service", false]]);
  });

  it("a hung daemon is killed before it is started anew", async () => {
    await scene.speak("0.4.5");
    scene.double!.mode = "silent";
    const reader = scene.adapter({ unit: "here.service" });
    expect((await reader.read(never)).state).toBe(UNRESPONSIVE);
    await reader.restartDaemon(never);
    expect(scene.restarts).toEqual([["here.service", true]]);
    expect(
      await failureOf(reader.addPeer({ uri: "tcp://192.0.2.1:1", interfaceName: "" }, AbortSignal.timeout(50))),
    ).toEqual(["DEADLINE_EXCEEDED", expect.stringContaining("does not answer in time")]);
  });

  it.skipIf(process.geteuid?.() !== 0)("a socket that may not be opened: not a daemon that hangs", async () => {
    await scene.speak("0.4.5");
    mkdirSync(join(scene.directory, "state"));
    chmodSync(scene.directory, 0o711);
    chmodSync(scene.socketPath, 0o600);
    chmodSync(scene.configPath, 0o644);
    process.seteuid?.(65_534);
    try {
      const report = await scene.adapter({ unit: "here.service" }).read(never);
      expect(report).toMatchObject({
        state: UNRESPONSIVE,
        detail: expect.stringContaining("may not open"),
        capabilities: [],
      });
    } finally {
      process.seteuid?.(0);
    }
  });
});
