/**
 * Five real Yggdrasil nodes on hosts in a cluster, broken as the world breaks them. The loop is set to act; what is asserted is
 * what a person sees: which fault, what was done, and whether it was verified.
 */
import { writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { HealingAction, HealingOutcome, HealingPhase, type HealingRun } from "@wardline/api/wardline/v1/mesh";
import { describe, expect, it } from "vitest";
import { shareBetweenTests } from "../cluster/tries.ts";
import type { FleetHost } from "../fleet/fleet-host.ts";
import { skipReason } from "../harness.ts";
import {
  describeRun,
  ENDED,
  HealingMode,
  HealingState,
  HealingWatch,
  isNewSince,
  LINGERING,
  MeshFault,
  timesOf,
} from "./healing-watch.ts";
import { MeshFleet, meshFleetProblem } from "./mesh-fleet.ts";
import { meshUri, putYggdrasil, startYggdrasil, YGGDRASIL_SOCKET, YGGDRASIL_UNIT } from "./yggdrasil-member.ts";

const problem = meshFleetProblem();
const LIMIT_MS = 400_000;
const CALM_LIMIT_MS = 240_000;
/** Of one wait. */
const PATIENCE_MS = 150_000;
/** Long: most of these tests are not about who leads, and a machine that is busy with others loses short leases. */
const LEASE_MS = 9_000;
/** Of a link, up and down; most are over long before. */
const MOST_FLAPS = 40;
const FLAPS_AFTERWARDS = 4;
const CONTROL = ["yggdrasilctl", `-endpoint=unix://${YGGDRASIL_SOCKET}`];

describe.skipIf(problem !== null)(
  `faults in a mesh of five${skipReason(problem)}`,
  { timeout: LIMIT_MS, retry: 1 },
  () => {
    let mesh: MeshFleet;
    let watch: HealingWatch;
    const node = (number: number): FleetHost => mesh.host(`node-${number}`);
    let injectedAtMs = 0;

    shareBetweenTests({
      make: async () => {
        const made = { mesh: await MeshFleet.start({ leaseMs: LEASE_MS }), watch: new HealingWatch() };
        try {
          await made.watch.setMode(made.mesh.host("node-1"), HealingMode.ACT, made.mesh.hosts);
        } catch (error) {
          await made.mesh.close();
          throw error;
        }
        return made;
      },
      begin: async (made) => {
        ({ mesh, watch } = made);
        await mesh.repair();
        await watch.untilCalm(mesh.hosts, CALM_LIMIT_MS);
        injectedAtMs = Date.now();
      },
      close: async (made) => {
        made.watch.close();
        await made.mesh.close();
      },
    });

    const isNew = (run: HealingRun): boolean => isNewSince(run, injectedAtMs);
    const isAbout = (run: HealingRun, ...hosts: readonly FleetHost[]): boolean =>
      hosts.every(({ name }) => run.hosts.includes(name));
    const ended = (
      fault: MeshFault,
      what: string,
      on: FleetHost,
      ...about: readonly FleetHost[]
    ): Promise<HealingRun> =>
      watch.untilRun(
        what,
        on,
        (run) => isNew(run) && run.fault === fault && isAbout(run, ...about) && ENDED.has(run.state),
        PATIENCE_MS,
      );
    /** What hosts were told to do; what came of it is another step. */
    const actionsOf = (run: HealingRun): readonly HealingAction[] =>
      run.steps
        .filter(({ phase, outcome }) => phase === HealingPhase.EXECUTE && outcome === HealingOutcome.UNSPECIFIED)
        .map(({ action }) => action);

    it("restarts a daemon that was killed, verifies that its links are back, and writes the act into the host's audit log", async () => {
      await mesh.killDaemon(node(3));
      const run = await ended(MeshFault.DAEMON_DOWN, "the daemon is healed", node(1), node(3));
      expect(describeRun(run)).toContain("HEALED");
      expect(actionsOf(run)).toContain(HealingAction.RESTART_DAEMON);
      expect(run.cause).toMatch(/node-3/);
      expect(timesOf(run, injectedAtMs).repairMs).toBeGreaterThanOrEqual(5_000);
      expect(await node(3).mainPid(YGGDRASIL_UNIT)).toBeGreaterThan(0);
      // Its neighbours lost their peers at the same time: one fault, one run. A peer that stays away afterwards is another one.
      const { detectionMs } = timesOf(run, injectedAtMs);
      const isAtOnce = (each: HealingRun): boolean =>
        isNew(each) &&
        each.id !== run.id &&
        isAbout(each, node(3)) &&
        !LINGERING.has(each.fault) &&
        timesOf(each, injectedAtMs).detectionMs < 5_000;
      // Those that were heard before the daemon's own host are explained by it as soon as that one is, and nothing is done about them.
      const isExplained = (each: HealingRun): boolean =>
        timesOf(each, injectedAtMs).detectionMs <= detectionMs &&
        each.state === HealingState.CLEARED &&
        actionsOf(each).length === 0;
      const others = (await watch.runs(node(1))).filter(isAtOnce);
      expect(others.filter((each) => !isExplained(each)).map(describeRun)).toEqual([]);
      const { entries, chainValid } = await watch.agent(node(3)).agent.listAudit({ limit: 1_000 });
      expect(chainValid).toBe(true);
      const acts = entries.filter(({ actor }) => actor === "healing, decided by the loop");
      expect(acts.map(({ detail }) => detail).join("\n")).toMatch(/daemon\/yggdrasil\/node-3/);
    });

    it("ends a daemon that hangs and starts it anew", async () => {
      const before = await node(4).mainPid(YGGDRASIL_UNIT);
      await mesh.hangDaemon(node(4));
      const run = await ended(MeshFault.DAEMON_HUNG, "the daemon is healed", node(1), node(4));
      expect(describeRun(run)).toContain("HEALED");
      expect(await node(4).mainPid(YGGDRASIL_UNIT)).not.toBe(before);
    });

    it("peers again after a line was dead for a while, sooner than the daemon itself", async () => {
      // Not of the nodes before: three ups and downs in a minute are flapping, and that is left alone.
      await mesh.setFaults([{ from: node(1), to: node(5), meshOnly: true }]);
      const isIt = (each: HealingRun) =>
        isNew(each) && each.fault === MeshFault.PEER_DOWN && isAbout(each, node(1), node(5));
      const { id } = await watch.untilRun("it is seen", node(1), isIt);
      await mesh.setFaults([]);
      const isOver = (each: HealingRun) => each.id === id && ENDED.has(each.state);
      const run = await watch.untilRun("the peer is healed", node(1), isOver, PATIENCE_MS);
      expect(describeRun(run)).toMatch(/HEALED|CLEARED/);
      if (run.state === HealingState.HEALED) expect(actionsOf(run)).toContain(HealingAction.REPEER);
    });

    it("says that it could not heal a line that carries nothing", async () => {
      // Both have two others: where one was left with a single peer, the loop would give it another.
      await mesh.setFaults([{ from: node(1), to: node(3), meshOnly: true }]);
      const isIt = (each: HealingRun) =>
        isNew(each) && each.fault === MeshFault.PEER_DOWN && isAbout(each, node(1), node(3));
      const isGivenUp = (each: HealingRun) => isIt(each) && each.state === HealingState.ESCALATED;
      const run = await watch.untilRun("a person is asked", node(3), isGivenUp, PATIENCE_MS);
      expect(run.timeToRepair).toBeUndefined();
      const runs = (await watch.runs(node(3))).filter(isIt);
      expect(runs.filter(({ state }) => state === HealingState.HEALED).map(describeRun)).toEqual([]);
    });

    it("tells a host that is gone from a host whose links are down, and heals nothing there", async () => {
      const gone = node(5);
      await gone.linkDown();
      const run = await watch.untilRun(
        "the host is gone",
        node(1),
        (each) => isNew(each) && each.fault === MeshFault.HOST_GONE && isAbout(each, gone),
      );
      expect(actionsOf(run).filter((action) => action !== HealingAction.ASK_PERSON)).toEqual([]);
      await gone.linkUp();
      const after = await watch.untilRun("it is back", node(1), ({ id, state }) => id === run.id && ENDED.has(state));
      expect([HealingState.CLEARED, HealingState.ESCALATED]).toContain(after.state);
    });

    it("sees loss in one direction only, and says in which", async () => {
      // Half of them would be three in a row every few seconds: a way that comes and goes.
      await mesh.setFaults([{ from: node(1), to: node(3), bothWays: false, lossPercent: 30 }]);
      const run = await watch.untilRun(
        "the loss is seen",
        node(2),
        (each) =>
          isNew(each) &&
          [MeshFault.ASYMMETRIC_LOSS, MeshFault.LINK_DEGRADED].includes(each.fault) &&
          isAbout(each, node(1), node(3)),
        PATIENCE_MS,
      );
      expect(actionsOf(run)).not.toContain(HealingAction.RESTART_DAEMON);
    });

    it("recognises two halves, does nothing in the half without a majority, and sees them merge", async () => {
      const halves = [node(1), node(2), node(3)].flatMap((from) => [node(4), node(5)].map((to) => ({ from, to })));
      await mesh.setFaults(halves);
      const run = await watch.untilRun(
        "the partition is seen",
        node(1),
        (each) => isNew(each) && each.fault === MeshFault.PARTITION && isAbout(each, node(4), node(5)),
        PATIENCE_MS,
      );
      await watch.untilProblem(node(4));
      await mesh.setFaults([]);
      await watch.untilRun("the halves merged", node(1), ({ id, state }) => id === run.id && ENDED.has(state));
    });

    it("does not heal in a storm what flaps every three seconds", async () => {
      const [dialled] = mesh.dialledBy(node(2));
      if (!dialled) throw new Error("nobody is dialled");
      const isIt = (run: HealingRun) => isNew(run) && isAbout(run, node(2), dialled);
      const tell = (verb: string) => node(2).run([...CONTROL, verb, `uri=${meshUri(dialled)}`]);
      let flapping: HealingRun | undefined;
      let triedBefore = 0;
      try {
        for (let [turn, after] = [0, 0]; turn < MOST_FLAPS && after < FLAPS_AFTERWARDS; turn++) {
          // A daemon of 0.4 closes a connection only when it is told so about a peer that it was just given anew.
          for (const verb of turn % 2 === 0 ? ["removepeer", "addpeer", "removepeer"] : ["addpeer"]) await tell(verb);
          await setTimeout(3_000);
          if (flapping) after += 1;
          const runs = (await watch.runs(node(1)).catch(() => [])).filter(isIt);
          flapping ??= runs.find(({ fault }) => fault === MeshFault.LINK_FLAPPING);
          if (after === 0) triedBefore = runs.flatMap(actionsOf).length;
        }
      } finally {
        await tell("addpeer");
      }
      const runs = (await watch.runs(node(1))).filter(isIt);
      expect(flapping, runs.map(describeRun).join("\n")).toBeDefined();
      // One try before it was known to flap, and none after.
      expect(triedBefore).toBeLessThanOrEqual(1);
      expect(runs.flatMap(actionsOf).length, runs.map(describeRun).join("\n")).toBe(triedBefore);
    });

    it("reports an action that fails as failed, and asks a person", async () => {
      const unit = node(5).path(`/etc/systemd/system/${YGGDRASIL_UNIT}`);
      writeFileSync(unit, "[Service]\nExecStart=/nonexistent/yggdrasil\nRestart=no\n");
      await node(5).systemctl("daemon-reload");
      await mesh.killDaemon(node(5));
      try {
        const run = await ended(MeshFault.DAEMON_DOWN, "the run ends", node(1), node(5));
        expect(describeRun(run)).toContain("ESCALATED");
        expect(run.steps.map(({ outcome }) => outcome)).toContain(HealingOutcome.FAILED);
      } finally {
        await putBack(node(5));
      }
    });

    it("never takes an action without effect for a repair", async () => {
      const unit = node(4).path(`/etc/systemd/system/${YGGDRASIL_UNIT}`);
      writeFileSync(unit, "[Service]\nExecStart=/bin/sleep 3600\nRestart=no\n");
      await node(4).systemctl("daemon-reload");
      await mesh.killDaemon(node(4));
      try {
        const run = await ended(MeshFault.DAEMON_DOWN, "the run ends", node(1), node(4));
        expect(describeRun(run)).toContain("ESCALATED");
        expect(run.steps.map(({ outcome }) => outcome)).toContain(HealingOutcome.DONE);
        expect(run.timeToRepair).toBeUndefined();
      } finally {
        await node(4).systemctl("stop", YGGDRASIL_UNIT);
        await putBack(node(4));
      }
    });

    it("goes on with another healer when the one at work is killed in the middle", async () => {
      const leader = await mesh.cluster?.leader();
      if (!leader) throw new Error("nobody leads");
      const [victim] = mesh.hosts.filter(({ name }) => name !== leader.name && name !== "node-1");
      const witness = mesh.hosts.find(({ name }) => name !== leader.name && name !== victim?.name);
      if (!victim || !witness) throw new Error("no host is left");
      await mesh.killDaemon(victim);
      await watch.untilRun(
        "the healer is at work",
        leader,
        (run) =>
          isNew(run) &&
          run.fault === MeshFault.DAEMON_DOWN &&
          isAbout(run, victim) &&
          (run.state === HealingState.EXECUTING || run.state === HealingState.VERIFYING),
      );
      await leader.killAgent();
      watch.forget(leader);
      const run = await ended(MeshFault.DAEMON_DOWN, "another ends it", witness, victim);
      expect(describeRun(run)).toMatch(/HEALED|CLEARED/);
      // At most once, whoever ordered it.
      expect(actionsOf(run).filter((action) => action === HealingAction.RESTART_DAEMON).length).toBeLessThanOrEqual(1);
      await leader.agentAnswers();
    });

    it("does nothing but tell where it may only observe", async () => {
      await watch.setMode(node(1), HealingMode.OBSERVE, mesh.hosts);
      try {
        await mesh.killDaemon(node(3));
        const run = await watch.untilRun(
          "the fault is told",
          node(1),
          (each) => isNew(each) && each.fault === MeshFault.DAEMON_DOWN && isAbout(each, node(3)),
        );
        await setTimeout(8_000);
        expect(await node(3).mainPid(YGGDRASIL_UNIT)).toBe(0);
        await startYggdrasil(node(3));
        const over = await watch.untilRun(
          "it went by itself",
          node(1),
          ({ id, state }) => id === run.id && state === HealingState.CLEARED,
        );
        expect(actionsOf(over)).toEqual([]);
      } finally {
        await watch.setMode(node(1), HealingMode.ACT, mesh.hosts);
      }
    });

    async function putBack(host: FleetHost): Promise<void> {
      const identity = mesh.identities.get(host.name);
      if (!identity) throw new Error("a host without an identity");
      putYggdrasil(host, { identity, peers: mesh.dialledBy(host) });
      await startYggdrasil(host);
    }
  },
);
