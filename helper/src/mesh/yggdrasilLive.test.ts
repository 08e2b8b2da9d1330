/** An agent over its own socket, and real daemons: seen, killed, hung, started anew, their peers changed. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { WatchMeshResponse } from "@wardline/api/wardline/agent/v1/mesh";
import { Role } from "@wardline/api/wardline/v1/host";
import {
  type HealingMode,
  MeshProvider,
  type MeshProviderReport,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { yggdrasilAddress } from "@wardline/domain/mesh";
import { inOrder } from "@wardline/domain/testing";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../agent/clock.ts";
import { type AgentClient, outcomeOf } from "../testing/agentClient.ts";
import { TestAgent } from "../testing/testAgent.ts";
import { YggdrasilLab, type YggdrasilNode, yggdrasilProblem } from "../testing/yggdrasilLab.ts";
import { MeshHost } from "./meshHost.ts";
import type { MeshOptions } from "./meshOptions.ts";
import { askAdmin } from "./providers/yggdrasil/adminSocket.ts";
import { YggdrasilAdapter } from "./providers/yggdrasil/yggdrasilAdapter.ts";
import type { ServiceManager } from "./serviceManager.ts";

const YGGDRASIL = MeshProvider.YGGDRASIL;
const { UP, DOWN, UNRESPONSIVE } = MeshProviderState;
/** A daemon dials anew after a minute. */
const LIMIT_MS = 90_000;

/** What systemd does with the unit of a node. */
function managerOf(node: () => YggdrasilNode): ServiceManager {
  return {
    hasUnit: async () => true,
    async restart() {
      await node().kill();
      await node().start();
    },
  };
}

const optionsOf = (node: YggdrasilNode): MeshOptions => ({
  isOff: false,
  yggdrasil: { socket: null, configPath: node.configPath, unit: "node.service" },
  probes: [],
});

const problem = yggdrasilProblem();
describe.skipIf(problem)(`an agent beside a real Yggdrasil${problem ? ` (${problem})` : ""}`, () => {
  let lab: YggdrasilLab;
  let tester: TestAgent;
  let mesh: AgentClient["mesh"];
  let agent: AgentClient["agent"];
  let hub: YggdrasilNode;
  let second: YggdrasilNode;
  let own: YggdrasilNode;

  const step = inOrder({
    begin: async () => {
      [lab, tester] = [new YggdrasilLab(), new TestAgent()];
      [hub, second] = await Promise.all([lab.node("hub"), lab.node("second")]);
      own = await lab.node("own", { peers: [`${hub.uri}?priority=1`], listen: null });
      const meshPorts = { services: managerOf(() => own), timing: { firstLookMs: 0, figuresMs: 500 } };
      await tester.start({ clock: systemClock, mesh: optionsOf(own), meshPorts });
      ({ mesh, agent } = tester.connect());
    },
    end: async () => {
      await tester.close();
      await lab.close();
    },
  });

  /** What the agent tells by itself, until it is so. */
  async function told(isSo: (report: MeshProviderReport) => boolean, limitMs = LIMIT_MS): Promise<MeshProviderReport> {
    const ended = AbortSignal.timeout(limitMs);
    const seen: string[] = [];
    // Made here, so that it tells who waited.
    const late = new Error(`not told within ${limitMs} ms`);
    try {
      for await (const { observation } of mesh.watchMesh({}, { signal: ended })) {
        const report = observation?.providers.find(({ provider }) => provider === YGGDRASIL);
        if (report && isSo(report)) return report;
        if (report)
          seen.push(`${MeshProviderState[report.state]} ${report.peers.map(({ uri, up }) => `${uri} ${up}`)}`);
      }
    } catch (error) {
      late.message += `: ${error}\n${seen.slice(-10).join("\n")}`;
    }
    throw late;
  }

  const upKeys = ({ peers }: MeshProviderReport) => peers.filter(({ up }) => up).map(({ key }) => key);
  const isUp = (report: MeshProviderReport) => report.state === UP && upKeys(report).includes(hub.key);

  /** A machine that is busy with others is late now and then, and not each time. */
  async function inTime(limitMs: number, attempt: () => Promise<number>): Promise<void> {
    const tookMs: number[] = [];
    for (let tried = 0; tried < 5; tried += 1) {
      tookMs.push(await attempt());
      if (Math.min(...tookMs) < limitMs) return;
    }
    expect(Math.min(...tookMs)).toBeLessThan(limitMs);
  }

  async function audited(): Promise<string[]> {
    const { entries } = await agent.listAudit({ limit: 100, ascending: true });
    return entries.map(({ action, outcome, detail }) => `${action} ${outcome}: ${detail}`);
  }

  step("sees who it is and who its peers are, first whole and then as it changes", async () => {
    const report = await told(isUp);
    expect(report).toMatchObject({ generation: "0.4.5", self: { key: own.key, address: yggdrasilAddress(own.key) } });
    expect(report.capabilities).toEqual(expect.arrayContaining(["peers", "add-peer", "remove-peer", "restart"]));
    expect(report.peers).toMatchObject([{ key: hub.key, uri: hub.uri, up: true, inbound: false, configured: true }]);
    const messages: WatchMeshResponse[] = [];
    for await (const message of mesh.watchMesh({}, { signal: AbortSignal.timeout(LIMIT_MS) })) {
      messages.push(message);
      if (messages.length === 2) break;
    }
    expect(messages.map(({ sequence }) => sequence)).toEqual([1n, 2n]);
    expect(messages[0]?.settings).toBeDefined();
    const { observation } = await mesh.getMesh({});
    expect(observation).toMatchObject({ host: "alpha", sessionId: messages[0]?.observation?.sessionId });
    expect(observation!.sequence).toBeGreaterThanOrEqual(messages[1]!.observation!.sequence);
  });

  step("tells within 3 s that a peer was killed, keeps its key, and tells when it is back", async () => {
    await inTime(3_000, async () => {
      await told(isUp);
      const before = performance.now();
      await hub.kill();
      const lost = await told((report) => report.peers.some(({ uri, up }) => uri === hub.uri && !up));
      const tookMs = performance.now() - before;
      expect(lost).toMatchObject({ state: UP, peers: [{ key: hub.key, up: false, configured: true }] });
      await hub.start();
      expect(upKeys(await told(isUp))).toEqual([hub.key]);
      return tookMs;
    });
  });

  step("tells a daemon that was killed from one that hangs, within 3.5 s, and restarts it", async () => {
    await inTime(3_500, async () => {
      await told(isUp);
      const before = performance.now();
      await own.hang();
      const hung = await told(({ state }) => state !== UP);
      const tookMs = performance.now() - before;
      expect(hung).toMatchObject({
        state: UNRESPONSIVE,
        self: { key: own.key },
        peers: [],
        detail: expect.stringContaining("does not answer"),
      });
      expect(await outcomeOf(mesh.addPeer({ provider: YGGDRASIL, uri: second.uri }))).toBe("DEADLINE_EXCEEDED");
      own.resume();
      return tookMs;
    });
    await inTime(3_500, async () => {
      await told(isUp);
      const before = performance.now();
      await own.kill();
      const down = await told(({ state }) => state !== UP);
      const tookMs = performance.now() - before;
      const peers = [{ key: hub.key, up: false, configured: true }];
      expect(down).toMatchObject({ state: DOWN, self: { key: own.key }, peers });
      expect(await outcomeOf(mesh.addPeer({ provider: YGGDRASIL, uri: second.uri }))).toBe("NOT_FOUND");
      await own.start();
      const back = await told(isUp);
      expect(back.since).toBeDefined();
      return tookMs;
    });
  });

  step(
    "adds a peer: first what it would do, then for good, also for a daemon that starts anew; and removes it",
    async () => {
      await told(isUp);
      const uri = `${second.uri}?priority=2`;
      const asked = { provider: YGGDRASIL, uri, reason: "more ways" };
      const dry = await mesh.addPeer({ ...asked, dryRun: true });
      expect(dry).toMatchObject({
        effects: [expect.stringContaining(`dials ${second.uri}`), expect.anything(), expect.anything()],
      });
      expect([dry.peer, upKeys(await told(isUp))]).toEqual([undefined, [hub.key]]);
      const { peer } = await mesh.addPeer(asked);
      expect(peer).toMatchObject({ key: second.key, uri: second.uri, up: true, configured: true });
      expect(await outcomeOf(mesh.addPeer(asked))).toBe("ALREADY_EXISTS");

      const hasBoth = (report: MeshProviderReport) => isUp(report) && upKeys(report).includes(second.key);
      await own.kill();
      await told(({ state }) => state === DOWN);
      await own.start();
      expect((await told(hasBoth)).peers).toHaveLength(2);

      expect(await outcomeOf(mesh.removePeer({ ...asked, uri: hub.uri.replace(/\d+$/, "9") }))).toBe("NOT_FOUND");
      const { effects } = await mesh.removePeer({ ...asked, uri: second.uri });
      expect(effects[0]).toBe(`The link to ${second.uri} ends.`);
      expect(upKeys(await told((report) => !upKeys(report).includes(second.key)))).toEqual([hub.key]);
      const log = await audited();
      expect(log.filter((line) => line.startsWith("mesh.peer"))).toEqual(
        expect.arrayContaining([
          `mesh.peer.add done: yggdrasil ${second.uri}, dry run, reason: more ways`,
          `mesh.peer.add started: yggdrasil ${second.uri}, reason: more ways`,
          `mesh.peer.add done: yggdrasil ${second.uri}, reason: more ways`,
          `mesh.peer.remove done: yggdrasil ${second.uri}, reason: more ways`,
        ]),
      );
      expect(log.join()).not.toContain("priority");
    },
  );

  step("does not take away the last peer unless it is allowed to", async () => {
    await told(isUp);
    const asked = { provider: YGGDRASIL, uri: second.uri };
    await mesh.addPeer(asked);
    await hub.kill();
    await told((report) => upKeys(report).join() === second.key);
    expect(await outcomeOf(mesh.removePeer(asked))).toBe("WOULD_LOCK_OUT");
    expect(await outcomeOf(mesh.removePeer({ ...asked, dryRun: true }))).toBe("WOULD_LOCK_OUT");
    const dry = await mesh.removePeer({ ...asked, dryRun: true, allowCutOff: true });
    expect(dry.effects.at(-1)).toContain("the host would leave the mesh");
    expect(upKeys(await told(({ state }) => state === UP))).toEqual([second.key]);
    await mesh.removePeer({ ...asked, allowCutOff: true });
    expect((await told((report) => upKeys(report).length === 0)).peers).toMatchObject([{ key: hub.key, up: false }]);
    await hub.start();
    // By the URI as it is shown: what it lacks is in the configuration, and dialled at once rather than in its own time.
    const adapter = new YggdrasilAdapter({
      ...{ options: optionsOf(own).yggdrasil, directory: join(lab.directory, "again"), services: managerOf(() => own) },
      nowMs: () => performance.now(),
    });
    const peer = { uri: hub.uri, interfaceName: "" };
    let isBack = false;
    // Who dials before the other listens dials again in its own time, after a minute.
    for (let tried = 0; !isBack && tried < 5; tried += 1) {
      await adapter.removePeer(peer, AbortSignal.timeout(30_000));
      await adapter.addPeer(peer, AbortSignal.timeout(30_000));
      isBack = await told(isUp, 10_000).then(
        () => true,
        () => false,
      );
    }
    expect(isBack).toBe(true);
  });

  step(
    "says that a daemon until 0.4.7 does not let go of the peers of its configuration, and leaves them alone",
    async () => {
      await own.stop();
      await own.start();
      const asked = { provider: YGGDRASIL, uri: hub.uri, allowCutOff: true };
      await told(isUp);
      expect(await outcomeOf(mesh.removePeer(asked))).toBe("HOST_UNSUPPORTED");
      // What the sentence rests on: the daemon agrees, and the link stays.
      const values = { request: "removepeer", arguments: { uri: `${hub.uri}?priority=1` } };
      const answer = await askAdmin({ kind: "unix", path: own.socketPath }, values, AbortSignal.timeout(30_000));
      expect(answer).toMatchObject({ status: "success" });
      const later = await told((report) => isUp(report) && Number(report.peers[0]?.uptime?.seconds) >= 3);
      expect(upKeys(later)).toEqual([hub.key]);
    },
  );

  step("refuses what is no request", async () => {
    const add = (over: object) => outcomeOf(mesh.addPeer({ provider: YGGDRASIL, uri: "tcp://192.0.2.1:1", ...over }));
    expect(await add({ provider: MeshProvider.UNSPECIFIED })).toBe("INVALID_ARGUMENT");
    expect(await add({ provider: 77 })).toBe("INVALID_ARGUMENT");
    expect(await add({ provider: MeshProvider.BATMAN })).toBe("HOST_UNSUPPORTED");
    expect(await add({ uri: "file:///etc/passwd" })).toBe("INVALID_ARGUMENT");
    expect(await add({ interfaceName: "a b" })).toBe("INVALID_ARGUMENT");
    expect(await add({ reason: "x".repeat(501) })).toBe("INVALID_ARGUMENT");
    expect(await outcomeOf(mesh.decideHealing({ runId: "", decision: 1 }))).toBe("INVALID_ARGUMENT");
    expect(await outcomeOf(mesh.decideHealing({ runId: "x", decision: 0 }))).toBe("INVALID_ARGUMENT");
    expect(await outcomeOf(mesh.configureHealing({}))).toBe("INVALID_ARGUMENT");
    expect(await outcomeOf(mesh.configureHealing({ settings: { mode: 9 as HealingMode } }))).toBe("INVALID_ARGUMENT");
    expect((await agent.handshake({ clientName: "test", apiMin: 1, apiMax: 3 })).role).toBe(Role.ADMIN);
  });
});

const isRoot = process.geteuid?.() === 0 && existsSync("/dev/net/tun");
const tunProblem = problem ?? (isRoot ? null : "needs root and /dev/net/tun");
describe.skipIf(tunProblem)(
  `nodes with interfaces in namespaces of their own${tunProblem ? ` (${tunProblem})` : ""}`,
  () => {
    const name = `wlygg${process.pid}`;
    const ip = (...words: string[]) =>
      execFileSync("ip", words, { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });
    let lab: YggdrasilLab;
    beforeEach(() => {
      lab = new YggdrasilLab();
    });
    afterEach(() => lab.close());
    beforeAll(() => {
      for (const side of ["a", "b"]) {
        ip("netns", "add", `${name}${side}`);
        ip("-n", `${name}${side}`, "link", "set", "lo", "up");
      }
      ip("-n", `${name}a`, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", `${name}b`);
      for (const [side, address] of Object.entries({ a: "10.79.0.1/24", b: "10.79.0.2/24" })) {
        ip("-n", `${name}${side}`, "addr", "add", address, "dev", "eth0");
        ip("-n", `${name}${side}`, "link", "set", "eth0", "up");
      }
    });
    afterAll(() => {
      for (const side of ["a", "b"]) ip("netns", "del", `${name}${side}`);
    });

    it("tells the interface, its MTU, and ways with the neighbour that they begin at", async () => {
      const namespace = (side: string) => `/run/netns/${name}${side}`;
      const far = await lab.node("far", { listen: "10.79.0.1", interfaceName: "ygg0", namespace: namespace("a") });
      const near = await lab.node("near", {
        peers: [far.uri],
        listen: null,
        interfaceName: "ygg0",
        namespace: namespace("b"),
      });
      const host = new MeshHost({
        ...{ stateDir: lab.directory, hostName: "near", clock: systemClock, log: pino({ level: "silent" }) },
        ...{ options: optionsOf(near), services: managerOf(() => near), timing: { firstLookMs: 0 } },
      });
      host.start();
      await host.whenActive();
      try {
        // Whoever sends something makes the daemon look for the way there.
        const send = ["bash", "-c", `echo x > /dev/udp/${yggdrasilAddress(far.key)}/9`];
        const trySend = () => spawnSync("nsenter", [`--net=${namespace("b")}`, ...send], { stdio: "ignore" });
        const report = async () => (await host.refresh()).providers.find(({ provider }) => provider === YGGDRASIL);
        const waysAfterTraffic = async () => {
          trySend();
          const found = (await report())?.routes.filter(({ destinationKey }) => destinationKey === far.key) ?? [];
          return found.map(({ nextHopKey, best }) => ({ nextHopKey, best }));
        };
        const way = { nextHopKey: far.key, best: true };
        await expect.poll(waysAfterTraffic, { timeout: LIMIT_MS }).toContainEqual(way);
        // It takes what the system gave it.
        const mtuBytes = Number(/ mtu (\d+) /.exec(ip("-n", `${name}b`, "-o", "link", "show", "ygg0"))?.[1]);
        expect(await report()).toMatchObject({
          ...{ state: UP, interfaceName: "ygg0", mtuBytes },
          peers: [{ key: far.key, uri: far.uri, up: true, configured: true, port: 1n }],
        });
      } finally {
        await host.close();
      }
    });
  },
);
