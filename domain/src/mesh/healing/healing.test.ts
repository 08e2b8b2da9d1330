import { create } from "@bufbuild/protobuf";
import { MeshObservationSchema, MeshProvider, MeshProviderState } from "@wardline/api/wardline/v1/mesh";
import { describe, expect, it } from "vitest";
import type { Fleet, FleetHost } from "./fleet.ts";
import { HealingAction, HealingMode, HealingOutcome, HealingState, MeshFault } from "./model.ts";
import { partsOf } from "./monitor-meshes.ts";
import { HealingLab, START_MS } from "./testing/healing-lab.ts";
import { SimulatedMesh, uriOf } from "./testing/mesh-world.ts";

const NAMES = ["a", "b", "c", "d", "e"];
const RING: [string, string][] = [
  ["a", "b"],
  ["b", "c"],
  ["c", "d"],
  ["d", "e"],
  ["e", "a"],
];

function lab(options: ConstructorParameters<typeof HealingLab>[1] = {}, links = RING) {
  const made = new HealingLab(new SimulatedMesh(NAMES, links), options);
  made.run(30_000);
  expect(made.all()).toEqual([]);
  return made;
}

function only(made: HealingLab) {
  const runs = made.all();
  const names = runs.map(({ fault, target, state }) => `${MeshFault[fault]} ${target} ${HealingState[state]}`);
  expect(names.join(", ")).toBe(names[0]);
  expect(made.violations()).toEqual([]);
  return runs[0]!;
}

describe("single faults", () => {
  it("heals a killed daemon, verified, in under 15 s, and says each step", () => {
    const made = lab();
    made.mesh.host("b").daemon = MeshProviderState.DOWN;
    made.run(3_000);
    expect(only(made)).toMatchObject({ fault: MeshFault.DAEMON_DOWN, target: "daemon/yggdrasil/b" });
    expect(only(made).cause).toContain("That explains 1 link that went down.");
    made.run(20_000);
    const run = only(made);
    expect(run).toMatchObject({ state: HealingState.HEALED, approvedBy: "the loop" });
    expect(run.detectedAtMs - run.firstSymptomAtMs).toBeLessThan(3_000);
    expect(run.timeToRepairMs).toBeLessThan(15_000);
    expect(made.actions().map(({ action, host }) => [action, host])).toEqual([[HealingAction.RESTART_DAEMON, "b"]]);
    expect(made.loop.knowledge()).toMatchObject([{ tried: 1, healed: 1, repairTimesMs: [run.timeToRepairMs] }]);
  });

  it("calls a cut link by its name, and lets another way replace it where it was one of two", () => {
    const made = lab();
    made.mesh.link("a", "b").isCut = true;
    made.run(3_000);
    expect(only(made).fault).toBe(MeshFault.PEER_DOWN);
    made.run(180_000);
    const run = only(made);
    expect(run.state).toBe(HealingState.HEALED);
    expect(made.actions().map(({ action, host }) => [action, host])).toEqual([
      [HealingAction.REPEER, "a"],
      [HealingAction.ADD_PEER, "a"],
    ]);
    const [repeer, addPeer] = made.sent;
    expect(addPeer!.atMs - repeer!.atMs).toBeGreaterThanOrEqual(60_000);
  });

  it("takes a peer back that did not help, and hands over to a person", () => {
    const made = lab();
    made.mesh.effect = ({ action }) => (action === HealingAction.REMOVE_PEER ? "works" : "nothing");
    made.mesh.link("a", "b").isCut = true;
    made.run(400_000);
    const run = only(made);
    expect(run.state).toBe(HealingState.ESCALATED);
    expect(run.endedAtMs).toBeNull();
    expect(made.sent.at(-1)!.order.action).toBe(HealingAction.REMOVE_PEER);
    expect(run.steps.map(({ sentence }) => sentence).join("\n")).toContain("It did not help and is taken back");
    expect(made.loop.knowledge().every(({ healed }) => healed === 0)).toBe(true);
  });

  it("explains the links of a host that is gone by the host, and asks a person", () => {
    const made = lab();
    Object.assign(made.mesh.host("c"), { isGone: true, goneAtMs: made.nowMs });
    made.run(3_000);
    expect(only(made)).toMatchObject({ fault: MeshFault.HOST_GONE, target: "host/c" });
    made.run(60_000);
    expect(only(made).state).toBe(HealingState.ESCALATED);
    expect(made.actions()).toEqual([]);
    made.mesh.host("c").isGone = false;
    made.run(60_000);
    expect(only(made).endedAtMs).not.toBeNull();
  });

  it("takes hosts that went together for one fault, and sees them come back one by one", () => {
    const made = lab();
    for (const name of ["c", "d"]) Object.assign(made.mesh.host(name), { isGone: true, goneAtMs: made.nowMs });
    made.run(6_000);
    expect(only(made)).toMatchObject({ fault: MeshFault.PARTITION, target: "part/c/d" });
    expect(only(made).cause).toContain("c and d are cut off from the others, or gone");
    made.run(60_000);
    expect(made.actions()).toEqual([]);
    made.mesh.host("c").isGone = false;
    made.run(30_000);
    expect(made.open().map(({ hosts }) => hosts[0])).toEqual(["d"]);
    made.mesh.host("d").isGone = false;
    made.run(60_000);
    expect(made.open()).toEqual([]);
    expect(made.violations()).toEqual([]);
  });

  it("calls a daemon that hangs so to the end, though it was ended on the way", () => {
    const made = lab({ actMs: 4_000 });
    made.mesh.host("b").daemon = MeshProviderState.UNRESPONSIVE;
    made.run(6_000);
    expect(only(made).state).toBe(HealingState.EXECUTING);
    made.mesh.host("b").daemon = MeshProviderState.DOWN;
    made.run(30_000);
    expect(only(made)).toMatchObject({ fault: MeshFault.DAEMON_HUNG, state: HealingState.HEALED });
  });

  it("tells an agent that is gone from its host", () => {
    const made = lab();
    Object.assign(made.mesh.host("c"), { isAgentGone: true, goneAtMs: made.nowMs });
    made.run(30_000);
    expect(only(made)).toMatchObject({ fault: MeshFault.AGENT_GONE, state: HealingState.ESCALATED });
  });

  it("joins two parts again, and knows a partition from its links", () => {
    const links: [string, string][] = [
      ["a", "b"],
      ["b", "c"],
      ["c", "d"],
      ["d", "e"],
      ["e", "c"],
      ["a", "d"],
    ];
    const made = lab({}, links);
    made.mesh.link("b", "c").isCut = true;
    made.mesh.link("a", "d").isCut = true;
    made.run(3_000);
    expect(only(made)).toMatchObject({ fault: MeshFault.PARTITION, target: "partition/yggdrasil" });
    made.run(30_000);
    expect(made.actions().map(({ action }) => action)).toEqual([HealingAction.ADD_PEER]);
    const run = made.all().find(({ fault }) => fault === MeshFault.PARTITION)!;
    expect(run.state).toBe(HealingState.HEALED);
    expect(made.violations()).toEqual([]);
  });

  it("takes the silence of an agent between two parts for no cut: its daemon still carries what they send", () => {
    const told = (host: string, ...keys: string[]): FleetHost => {
      const peers = keys.map((key) => ({ key, up: true }));
      const report = { provider: MeshProvider.YGGDRASIL, state: MeshProviderState.UP, peers };
      const observation = create(MeshObservationSchema, { host, providers: [report] });
      return { host, observation, isFresh: true, isSilent: false } as unknown as FleetHost;
    };
    const fleet = { ownerOf: (_: MeshProvider, key: string) => key } as unknown as Fleet;
    const parts = (...hosts: FleetHost[]) => partsOf(fleet, hosts, MeshProvider.YGGDRASIL);
    // Of `c` nothing is heard.
    expect(parts(told("a", "c"), told("b", "c"))).toEqual([["a", "b"]]);
    expect(parts(told("a", "c"), told("b", "d"))).toEqual([["a"], ["b"]]);
  });

  it("names versions that cannot peer as the cause of a partition", () => {
    const made = lab();
    made.mesh.host("a").generation = "0.4.5";
    made.mesh.host("b").generation = "0.4.5";
    made.run(20_000);
    expect(only(made)).toMatchObject({ fault: MeshFault.VERSION_SPLIT, state: HealingState.ESCALATED });
    expect(made.actions()).toEqual([]);
  });

  it("sees loss in one direction as that", () => {
    const made = lab();
    made.mesh.losses.set("a b", 0.1);
    made.run(15_000);
    expect(only(made)).toMatchObject({ fault: MeshFault.ASYMMETRIC_LOSS, state: HealingState.WATCHING });
    made.mesh.losses.set("b a", 0.1);
    made.run(5_000);
    expect(only(made).fault).toBe(MeshFault.LINK_DEGRADED);
  });

  it("takes loss that was tested for as a fault at once, and calls it one-sided only when the other end had its time", () => {
    const made = lab();
    made.mesh.losses.set("a b", 0.3);
    made.run(5_000);
    expect(made.all(), "untested it may be bad luck").toEqual([]);
    made.mesh.losses.clear();
    made.run(5_000);
    made.mesh.losses.set("a b", 0.3);
    made.mesh.proven.add("a b");
    made.run(1_000, 100);
    expect(only(made).fault).toBe(MeshFault.LINK_DEGRADED);
    made.run(10_000);
    expect(only(made).fault).toBe(MeshFault.ASYMMETRIC_LOSS);
    made.mesh.losses.set("b a", 0.3);
    made.mesh.proven.add("b a");
    made.run(1_000);
    expect(only(made).fault).toBe(MeshFault.LINK_DEGRADED);
  });

  it("begins nothing for loss that was tested for and is below the limit, or gone before the other end could say the same", () => {
    const made = lab();
    made.mesh.losses.set("a b", 0.09);
    made.mesh.proven.add("a b");
    made.run(60_000);
    expect(made.all()).toEqual([]);
    for (let turn = 0; turn < 20; turn += 1) {
      made.mesh.losses.set("a b", 0.3);
      made.run(400, 100);
      made.mesh.losses.clear();
      made.run(10_000);
    }
    expect(made.all()).toEqual([]);
    expect(made.actions()).toEqual([]);
  });

  it("does not touch the store, and lets the leader step down from a member that is down", () => {
    const made = lab();
    const up = { isUp: true, detail: "" };
    made.mesh.storeMembers = [
      { endpoint: "https://a:2379", host: "a", isUp: false, detail: "" },
      { endpoint: "https://b:2379", host: "b", ...up },
    ];
    made.run(10_000);
    expect(only(made).fault).toBe(MeshFault.STORE_MEMBER_DOWN);
    expect(made.actions().map(({ action, host }) => [action, host])).toEqual([[HealingAction.REELECT, "a"]]);
  });
});

describe("what holds the loop back", () => {
  it.each([
    [true, []],
    [false, [MeshFault.LINK_FLAPPING]],
  ])("calls ways that the mesh looks for anew no flapping: a link went down = %s", (isDown, faults) => {
    const made = lab();
    made.mesh.paths.set("a c", true);
    made.run(5_000);
    made.mesh.link("a", "b").isCut = isDown;
    for (const isThere of [false, true, false, true, false, true]) {
      made.mesh.paths.set("a c", isThere);
      made.run(1_000, 100);
    }
    const paths = made.all().filter(({ target }) => target.startsWith("path/"));
    expect(paths.map(({ fault }) => fault)).toEqual(faults);
  });

  it("does nothing about a link that flaps every 3 s, for ten minutes", () => {
    const made = lab();
    const link = made.mesh.link("a", "b");
    for (let ms = 0; ms < 600_000; ms += 3_000) {
      link.isCut = !link.isCut;
      made.run(3_000);
    }
    link.isCut = false;
    expect(only(made).fault).toBe(MeshFault.LINK_FLAPPING);
    expect(made.sent).toEqual([]);
    expect(only(made).steps.map(({ sentence }) => sentence)).toContain(
      "It goes up and down: nothing is done before it was quiet for a minute.",
    );
    made.run(59_000);
    expect(only(made).endedAtMs).toBeNull();
    made.run(10_000);
    expect(only(made).state).toBe(HealingState.CLEARED);
  });

  it("acts only where somebody said so", () => {
    for (const mode of [HealingMode.OBSERVE, HealingMode.SUGGEST]) {
      const made = lab({ settings: { mode } });
      made.mesh.host("b").daemon = MeshProviderState.DOWN;
      made.run(60_000);
      expect(made.actions()).toEqual([]);
      const expected = mode === HealingMode.OBSERVE ? HealingState.WATCHING : HealingState.WAITING_FOR_APPROVAL;
      expect(only(made).state).toBe(expected);
      // What waits was gone through without effect first.
      expect(made.sent.map(({ order }) => order.dryRun)).toEqual(mode === HealingMode.OBSERVE ? [] : [true]);
    }
    const made = lab({ settings: { askBefore: [HealingAction.RESTART_DAEMON] } });
    made.mesh.host("b").daemon = MeshProviderState.DOWN;
    made.run(30_000);
    expect(only(made).state).toBe(HealingState.WAITING_FOR_APPROVAL);
    made.approve(only(made).id);
    made.run(20_000);
    expect(only(made)).toMatchObject({ state: HealingState.HEALED, approvedBy: "alice" });
  });

  it("never calls healed what had no effect, and stops after three failures in a row", () => {
    const made = lab();
    made.mesh.effect = () => "nothing";
    for (let time = 0; time < 6; time += 1) {
      made.mesh.host("b").daemon = MeshProviderState.DOWN;
      made.run(120_000);
      made.mesh.host("b").daemon = MeshProviderState.UP;
      made.run(120_000);
    }
    expect(made.all().every(({ state }) => state === HealingState.ESCALATED)).toBe(true);
    expect(made.actions()).toHaveLength(3);
    expect(made.all().at(-1)!.steps.at(-2)!.sentence).toContain("3 actions in a row did not help");
    expect(made.violations()).toEqual([]);
  });

  it("keeps to the number of actions in an hour", () => {
    const made = lab({ settings: { actionsPerHour: 2, cooldownMs: 10_000 } });
    for (const name of ["b", "c", "d"]) {
      made.mesh.host(name).daemon = MeshProviderState.DOWN;
      made.run(60_000);
    }
    expect(made.actions()).toHaveLength(2);
    expect(made.open()).toMatchObject([{ target: "daemon/yggdrasil/d", state: HealingState.WATCHING }]);
    made.run(3_600_000, 5_000);
    expect(made.actions()).toHaveLength(3);
    expect(made.violations()).toEqual([]);
  });

  it("does nothing while something is in the way, and goes on after that", () => {
    const made = lab();
    const { world } = made.mesh;
    made.mesh.world = (nowMs) => ({ ...world.call(made.mesh, nowMs), obstacle: "The store has no majority." });
    made.mesh.host("b").daemon = MeshProviderState.DOWN;
    made.run(60_000);
    expect(made.sent).toEqual([]);
    expect(only(made).steps.at(-1)!.sentence).toBe("The store has no majority.");
    made.mesh.world = world;
    made.run(30_000);
    expect(only(made).state).toBe(HealingState.HEALED);
  });

  it("leaves a run that a person stopped alone until its symptom was gone", () => {
    const made = lab({ settings: { mode: HealingMode.SUGGEST } });
    made.mesh.host("b").daemon = MeshProviderState.DOWN;
    made.run(10_000);
    const { id } = only(made);
    made.take(made.loop.decide({ runId: id, decision: "stop", by: "alice", reason: "maintenance" }, made.nowMs));
    made.run(60_000);
    expect(only(made).state).toBe(HealingState.STOPPED);
    expect(() => made.approve(id)).toThrow(/ended/);
    made.mesh.host("b").daemon = MeshProviderState.UP;
    made.run(30_000);
    made.mesh.host("b").daemon = MeshProviderState.DOWN;
    made.run(10_000);
    expect(made.all()).toHaveLength(2);
  });

  it("restarts no hung daemon over which the host is reached", () => {
    const made = lab();
    const { world } = made.mesh;
    made.mesh.world = (nowMs) => {
      const seen = world.call(made.mesh, nowMs);
      return { ...seen, hosts: seen.hosts.map((host) => ({ ...host, carriers: [1] })) };
    };
    made.mesh.host("b").daemon = MeshProviderState.UNRESPONSIVE;
    made.run(30_000);
    expect(only(made).state).toBe(HealingState.ESCALATED);
    expect(made.sent).toEqual([]);
  });
});

describe("a leader that goes in the middle", () => {
  it("looks first at what an order without an answer did", () => {
    for (const effect of ["works", "unanswered"] as const) {
      const made = lab();
      made.mesh.effect = () => effect;
      made.mesh.host("b").daemon = MeshProviderState.DOWN;
      made.run(4_000);
      expect(made.sent).toHaveLength(1);
      made.newLeader("c");
      made.run(2_000);
      expect(only(made)).toMatchObject({ state: HealingState.VERIFYING, coordinator: "c", term: "2" });
      made.run(25_000);
      expect(made.sent).toHaveLength(1);
      if (effect === "works") expect(only(made).state).toBe(HealingState.HEALED);
      made.mesh.effect = () => "works";
      made.run(60_000);
      expect(only(made).state).toBe(HealingState.HEALED);
      expect(made.sent).toHaveLength(effect === "works" ? 1 : 2);
    }
  });

  it("goes on with a link whose key only the leader before had seen", () => {
    const made = lab();
    made.mesh.link("a", "b").isCut = true;
    made.run(4_000);
    const { id } = only(made);
    made.newLeader("c");
    made.run(20_000);
    expect(only(made).id).toBe(id);
  });

  it("does not act on a link that flapped before it led", () => {
    const made = lab();
    const link = made.mesh.link("a", "b");
    for (let turn = 0; turn < 9; turn += 1) {
      link.isCut = !link.isCut;
      made.run(3_000);
    }
    expect(only(made).fault).toBe(MeshFault.LINK_FLAPPING);
    made.newLeader("c");
    made.run(55_000);
    expect(made.sent).toEqual([]);
    made.run(20_000);
    expect(made.actions().map(({ peerUri }) => peerUri)).toEqual([uriOf("b")]);
    expect(only(made).fault).toBe(MeshFault.PEER_DOWN);
  });
});

it("counts the time to repair from the first symptom to the end of verification", () => {
  const made = lab({ actMs: 3_000 });
  const atMs = made.nowMs;
  made.mesh.host("b").daemon = MeshProviderState.DOWN;
  made.run(30_000);
  const run = only(made);
  expect(run.firstSymptomAtMs).toBe(atMs + 500);
  expect(run.endedAtMs! - run.firstSymptomAtMs).toBe(run.timeToRepairMs);
  // Settled 2 s, the act 3 s, the hold time 5 s.
  expect(run.timeToRepairMs).toBe(10_000);
  expect(run.steps.find(({ outcome }) => outcome === HealingOutcome.DONE)!.atMs).toBe(atMs + 5_500);
  expect(START_MS).toBeLessThan(atMs);
});

it("counts the repair of a daemon from its own first symptom, when its link was open for flapping long before", () => {
  const made = lab();
  const link = made.mesh.link("a", "b");
  for (let turn = 0; turn < 9; turn += 1) {
    link.isCut = !link.isCut;
    made.run(3_000);
  }
  link.isCut = false;
  made.run(25_000);
  expect(only(made).fault).toBe(MeshFault.LINK_FLAPPING);
  const atMs = made.nowMs;
  made.mesh.host("b").daemon = MeshProviderState.DOWN;
  made.run(30_000);
  const run = made.all().find(({ fault }) => fault === MeshFault.DAEMON_DOWN)!;
  expect(run.state).toBe(HealingState.HEALED);
  expect(run.firstSymptomAtMs).toBeGreaterThanOrEqual(atMs);
  expect(run.timeToRepairMs).toBeLessThan(15_000);
});
