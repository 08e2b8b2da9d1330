import { create } from "@bufbuild/protobuf";
import { MemberState } from "@wardline/api/wardline/v1/cluster";
import {
  MeshObservationSchema,
  MeshPeerSchema,
  MeshProbeSchema,
  type MeshProviderReport,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  fromWireHealingRun,
  fromWireHealingSettings,
  toWireHealingKnowledge,
  toWireHealingRun,
  toWireHealingSettings,
} from "../../wire/healing.ts";
import { expectedRate, learn, medianRepairTimeMs, successRate } from "./knowledge.ts";
import { HealingLoop } from "./loop.ts";
import { emptyMemory, isFlapping, noteFlap } from "./memory.ts";
import {
  HealingAction,
  HealingMode,
  HealingState,
  type HealingWorld,
  type KnowledgeEntry,
  MAX_REPAIR_TIMES,
  MAX_STEPS,
  MeshFault,
  MeshProvider,
  USUAL_HEALING_SETTINGS,
} from "./model.ts";
import { withStep } from "./run-edit.ts";
import { checkHealingSettings, encodeKeptRun, parseHealingSettings, parseKeptRun, parseKnowledge } from "./saving.ts";
import { HealingLab } from "./testing/healing-lab.ts";
import { keyOf, SimulatedMesh } from "./testing/mesh-world.ts";
import { isFineLoss, isLossy, isPoor, isSlow, isStale, LIMITS } from "./thresholds.ts";

const T0 = 1_700_000_000_000;

function probing(loss: number, extra: { readonly sent?: number; readonly latencyMs?: number } = {}): HealingWorld {
  const { sent = 100, latencyMs = 1 } = extra;
  const shared = { address: "192.0.2.2", provider: MeshProvider.IP, reachable: true };
  const probe = create(MeshProbeSchema, { ...shared, targetHost: "b", loss, sent, received: sent, latencyMs });
  const a = create(MeshObservationSchema, { host: "a", probes: [probe] });
  return { hosts: [{ host: "a", observation: a, receivedAtMs: 0, member: MemberState.HEALTHY }] };
}

/** Faults that are told after so long with the same world. */
function faultsAfter(world: HealingWorld, ms: number): string[] {
  const loop = new HealingLoop({ scope: { kind: "cluster" }, coordinator: "a", term: 1n });
  for (let atMs = T0; atMs <= T0 + ms; atMs += 500) {
    loop.observe({ ...world, hosts: world.hosts.map((host) => ({ ...host, receivedAtMs: atMs })) }, atMs);
  }
  return loop.runs().map(({ fault }) => MeshFault[fault]);
}

describe("limits, exactly on them", () => {
  it("belong to the bad side, in the functions and in what comes of them", () => {
    expect([isLossy(0.1), isLossy(0.0999), isLossy(undefined)]).toEqual([true, false, false]);
    expect([isFineLoss(0.05), isFineLoss(0.0501), isFineLoss(undefined)]).toEqual([true, false, false]);
    expect([isSlow(500), isSlow(499.9)]).toEqual([true, false]);
    expect([isPoor(0.3), isPoor(0.301), isPoor(undefined)]).toEqual([true, false, false]);
    expect([isStale(0, 15_000), isStale(0, 14_999)]).toEqual([true, false]);
    expect(faultsAfter(probing(0.1), 20_000)).toEqual(["LINK_DEGRADED"]);
    expect(faultsAfter(probing(0.0999), 20_000)).toEqual([]);
    expect(faultsAfter(probing(0, { latencyMs: 500 }), 20_000)).toEqual(["LINK_DEGRADED"]);
    expect(faultsAfter(probing(0, { latencyMs: 499 }), 20_000)).toEqual([]);
  });

  it("are measured on enough echoes, and for long enough", () => {
    expect(faultsAfter(probing(1, { sent: LIMITS.fewestEchoes }), 20_000)).toEqual(["LINK_DEGRADED"]);
    expect(faultsAfter(probing(1, { sent: LIMITS.fewestEchoes - 1 }), 20_000)).toEqual([]);
    expect(faultsAfter(probing(1), 10_000)).toEqual(["LINK_DEGRADED"]);
    expect(faultsAfter(probing(1), 9_500)).toEqual([]);
  });

  it("of flapping: the third change within a minute begins it, a minute without any ends it", () => {
    const memory = emptyMemory();
    noteFlap(memory, "x", true, T0);
    noteFlap(memory, "x", false, T0 + 30_000);
    expect(isFlapping(memory, "x", T0 + 30_000)).toBe(false);
    const late = structuredClone(memory);
    noteFlap(late, "x", true, T0 + 60_000);
    expect(isFlapping(late, "x", T0 + 60_000)).toBe(false);
    noteFlap(memory, "x", true, T0 + 59_999);
    expect(isFlapping(memory, "x", T0 + 59_999)).toBe(true);
    expect(isFlapping(memory, "x", T0 + 119_998)).toBe(true);
    expect(isFlapping(memory, "x", T0 + 119_999)).toBe(false);
  });

  it("of settings are told by name", () => {
    const usual = USUAL_HEALING_SETTINGS;
    expect(checkHealingSettings({ ...usual, holdMs: 1_000, actionsPerHour: 120, cooldownMs: 10_000 })).toBeTruthy();
    const wrong = [
      { holdMs: 999 },
      { holdMs: Number.NaN },
      { actionsPerHour: 121 },
      { actionsPerHour: 0 },
      { cooldownMs: 9_999 },
      { mode: 9 },
      { mode: HealingMode.UNSPECIFIED },
      { askBefore: [99] },
    ];
    for (const change of wrong) {
      expect(() => checkHealingSettings({ ...usual, ...change })).toThrow(/can be|has to be/);
      expect(parseHealingSettings({ ...usual, ...change })).toBeNull();
    }
    expect(fromWireHealingSettings(undefined)).toEqual(usual);
    const other = { ...usual, mode: HealingMode.ACT, askBefore: [HealingAction.REPEER], holdMs: 1_500 };
    expect(fromWireHealingSettings(toWireHealingSettings(other))).toEqual(other);
  });
});

describe("what worked", () => {
  const outcome = fc.record({ isHealed: fc.boolean(), repairTimeMs: fc.integer({ min: 1, max: 600_000 }) });

  it("stays bounded, counts what was verified, and can neither forbid nor allow anything", () => {
    fc.assert(
      fc.property(fc.array(outcome, { maxLength: 300 }), (outcomes) => {
        let entries: KnowledgeEntry[] = [];
        const about = { fault: MeshFault.PEER_DOWN, action: HealingAction.REPEER };
        for (const each of outcomes) entries = learn(entries, { ...about, ...each });
        const [entry] = entries;
        const rate = expectedRate(entry);
        const isBounded = !entry || (entry.tried <= 64 && entry.repairTimesMs.length <= MAX_REPAIR_TIMES);
        return rate >= 0.2 && rate <= 0.8 && isBounded && (entry?.healed ?? 0) <= (entry?.tried ?? 0);
      }),
      { seed: 20_261_121, numRuns: 100 },
    );
    expect(successRate(undefined)).toBeNull();
    const entry = { fault: 1, action: 2, tried: 4, healed: 3, repairTimesMs: [9, 1, 5, 2] };
    expect(medianRepairTimeMs(entry)).toBe(3.5);
    expect(successRate(entry)).toBe(0.75);
    expect(toWireHealingKnowledge(entry)).toMatchObject({ tried: 4, healed: 3 });
  });

  it("turns the order round where the second idea works and the first does not, and asks a person last", () => {
    const bad = { tried: 20, healed: 0, repairTimesMs: [] };
    const good = { tried: 20, healed: 20, repairTimesMs: [] };
    const fault = MeshFault.PEER_DOWN;
    for (const [repeer, addPeer, first] of [
      [bad, good, HealingAction.ADD_PEER],
      [good, bad, HealingAction.REPEER],
    ] as const) {
      const mesh = new SimulatedMesh(
        ["a", "b", "c", "d"],
        [
          ["a", "b"],
          ["b", "c"],
          ["c", "d"],
          ["d", "a"],
        ],
      );
      const lab = new HealingLab(mesh);
      const knowledge = [
        { fault, action: HealingAction.REPEER, ...repeer },
        { fault, action: HealingAction.ADD_PEER, ...addPeer },
      ];
      const saved = { ...lab.loop.save(), knowledge };
      lab.loop = new HealingLoop({ scope: { kind: "cluster" }, coordinator: "a", term: 1n, saved });
      lab.run(5_000);
      mesh.link("a", "b").isCut = true;
      lab.run(10_000);
      const [run] = lab.all();
      expect(run!.candidates[0]!.action).toBe(first);
      expect(run!.candidates.at(-1)!.action).toBe(HealingAction.ASK_PERSON);
      expect(new Set(run!.candidates.map(({ action }) => action)).size).toBe(3);
    }
  });
});

describe("on a host of its own", () => {
  const host = (report: Partial<MeshProviderReport>, atMs: number): HealingWorld => {
    const whole = { provider: MeshProvider.YGGDRASIL, state: MeshProviderState.UP, ...report } as MeshProviderReport;
    const providers = [create(MeshProviderReportSchema, whole)];
    const observation = create(MeshObservationSchema, { host: "a", providers });
    return { hosts: [{ host: "a", observation, receivedAtMs: atMs }] };
  };
  const peer = (up: boolean, extra: object = {}) =>
    create(MeshPeerSchema, { uri: "tls://b:443", key: up ? keyOf("b") : "", up, configured: true, ...extra });
  const loopOf = () => new HealingLoop({ scope: { kind: "host", host: "a" }, coordinator: "a", term: 0n });

  it("looks after the peers that it dials, and leaves those that came in to the other side", () => {
    const loop = loopOf();
    const incoming = (up: boolean) => peer(up, { uri: "", key: keyOf("c"), inbound: true, configured: false });
    loop.observe(host({ peers: [peer(true), incoming(true)] }, T0), T0);
    for (let ms = 1_000; ms <= 20_000; ms += 1_000) loop.observe(host({ peers: [peer(true)] }, T0 + ms), T0 + ms);
    expect(loop.runs().map(({ fault }) => fault)).toEqual([MeshFault.REDUNDANCY_LOST]);
    for (let ms = 21_000; ms <= 30_000; ms += 1_000) loop.observe(host({ peers: [peer(false)] }, T0 + ms), T0 + ms);
    const [run] = loop.runs();
    expect(run).toMatchObject({ fault: MeshFault.PEER_DOWN, term: "0", hosts: ["a"] });
    expect(run!.candidates.map(({ action }) => action)).toEqual([HealingAction.REPEER, HealingAction.ASK_PERSON]);
  });

  it("takes a peer that somebody removed for removed, and one that was found and vanished for lost", () => {
    const loop = loopOf();
    const found = peer(true, { uri: "", configured: false });
    const kept = peer(true, { uri: "tls://d:443", key: keyOf("d") });
    loop.observe(host({ peers: [peer(true), kept] }, T0), T0);
    for (let ms = 1_000; ms <= 8_000; ms += 1_000) loop.observe(host({ peers: [kept] }, T0 + ms), T0 + ms);
    expect(loop.runs()).toEqual([]);
    const other = loopOf();
    other.observe(host({ peers: [found, kept] }, T0), T0);
    for (let ms = 1_000; ms <= 8_000; ms += 1_000) other.observe(host({ peers: [kept] }, T0 + ms), T0 + ms);
    expect(other.runs().map(({ fault }) => fault)).toEqual([MeshFault.PEER_DOWN]);
  });

  it("lets batman-adv choose another gateway where one is left", () => {
    const loop = new HealingLoop({
      ...{ scope: { kind: "host", host: "a" } as const, coordinator: "a", term: 0n },
      saved: { settings: { ...USUAL_HEALING_SETTINGS, mode: HealingMode.ACT }, runs: [], knowledge: [] },
    });
    const { BATMAN: provider } = MeshProvider;
    const gateways = (...best: boolean[]) => best.map((isBest, index) => ({ key: `gw${index}`, best: isBest }));
    const world = (atMs: number, ...best: boolean[]) => host({ provider, gateways: gateways(...best) as never }, atMs);
    loop.observe(world(T0, true, false), T0);
    const orders = [1, 2, 3, 4, 5, 6, 7].flatMap((second) => {
      const atMs = T0 + second * 1_000;
      return loop.observe(world(atMs, false), atMs).orders;
    });
    expect(orders).toMatchObject([{ action: HealingAction.SWITCH_GATEWAY, target: "gateway/batman/a", host: "a" }]);
  });

  it("takes no silence for health: an agent that just started has not looked yet", () => {
    const loop = loopOf();
    for (let ms = 0; ms <= 5_000; ms += 1_000) loop.observe(host({ state: MeshProviderState.DOWN }, T0 + ms), T0 + ms);
    const observation = create(MeshObservationSchema, { host: "a" });
    for (let ms = 6_000; ms <= 30_000; ms += 1_000) {
      loop.observe({ hosts: [{ host: "a", observation, receivedAtMs: T0 + ms }] }, T0 + ms);
    }
    expect(loop.runs()).toMatchObject([{ fault: MeshFault.DAEMON_DOWN, endedAtMs: null }]);
    for (let ms = 31_000; ms <= 36_000; ms += 1_000) loop.observe(host({}, T0 + ms), T0 + ms);
    expect(loop.runs()).toMatchObject([{ state: HealingState.CLEARED, endedAtMs: T0 + 36_000 }]);
  });

  it("says nothing of a mesh that is not there, and does not guess from one that it does not understand", () => {
    const loop = loopOf();
    for (let ms = 0; ms <= 20_000; ms += 1_000) {
      loop.observe(host({ state: MeshProviderState.ABSENT }, T0 + ms), T0 + ms);
    }
    expect(loop.runs()).toEqual([]);
    for (let ms = 21_000; ms <= 40_000; ms += 1_000) {
      loop.observe(host({ state: MeshProviderState.UNSUPPORTED, peers: [] }, T0 + ms), T0 + ms);
    }
    const [run] = loop.runs();
    expect(run).toMatchObject({ fault: MeshFault.DAEMON_UNSUPPORTED, state: HealingState.ESCALATED });
    expect(run!.candidates.map(({ action }) => action)).toEqual([HealingAction.ASK_PERSON]);
  });
});

describe("what is written down", () => {
  function someRun() {
    const lab = new HealingLab(
      new SimulatedMesh(
        ["a", "b", "c"],
        [
          ["a", "b"],
          ["b", "c"],
          ["c", "a"],
        ],
      ),
    );
    lab.run(5_000);
    lab.mesh.host("b").daemon = MeshProviderState.DOWN;
    lab.run(20_000);
    return lab.all()[0]!;
  }

  it("goes over the wire and back", () => {
    const run = someRun();
    const { work: _, ...shown } = run;
    expect(run.state).toBe(HealingState.HEALED);
    expect(fromWireHealingRun(toWireHealingRun(run))).toEqual(shown);
  });

  it("fits the place that it has, and is still a run", () => {
    let run = someRun();
    const evidence = Array.from({ length: 20 }, () => "e".repeat(400));
    for (let step = 0; step < 200; step += 1) {
      run = withStep(run, { atMs: step, phase: 5, sentence: `${step}`, evidence });
    }
    expect(run.steps).toHaveLength(MAX_STEPS);
    expect(run.steps[0]!.sentence).toContain("Yggdrasil on b does not run");
    for (const most of [500_000, 64_000, 20_000, 6_000]) {
      const text = encodeKeptRun(run, most);
      expect(text.length).toBeLessThanOrEqual(most);
      expect(parseKeptRun(JSON.parse(text))?.work.orders).toEqual(run.work.orders);
    }
  });

  it("is judged when it is read", () => {
    const run = JSON.parse(JSON.stringify(someRun()));
    expect(parseKeptRun(run)).toEqual(run);
    // As it was written before orders said what they were for.
    const [{ target, ...order }] = run.work.orders;
    expect(target).toBe(run.target);
    expect(parseKeptRun({ ...run, work: { ...run.work, orders: [order] } })?.work.orders).toEqual([order]);
    const wrong = [
      { fault: 99 },
      { id: "x".repeat(301) },
      { confidence: 2 },
      { steps: "none" },
      { firstSymptomAtMs: -1 },
      { term: "one" },
      { work: null },
      { work: { ...run.work, orders: [{}] } },
      { work: { ...run.work, orders: [{ ...run.work.orders[0], target: 7 }] } },
    ];
    for (const change of wrong) expect(parseKeptRun({ ...run, ...change })).toBeNull();
    for (const strange of [null, 1, "x", [], { __proto__: run }]) expect(parseKeptRun(strange)).toBeNull();
    expect(parseKnowledge([{ fault: 1, action: 2, tried: 1, healed: 2, repairTimesMs: [] }, null])).toEqual([]);
  });
});
