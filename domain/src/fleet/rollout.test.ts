import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode, Failure } from "../errors/index.ts";
import {
  beginRollout,
  hasEnded,
  type NewRollout,
  nextStep,
  planStages,
  type RolloutEvent,
  type RolloutProgress,
  reduceRollout,
} from "./rollout.ts";

function codeOf(body: () => unknown): ErrorCode | null {
  try {
    body();
    return null;
  } catch (error) {
    if (error instanceof Failure) return error.code;
    throw error;
  }
}

const ids = (count: number) => Array.from({ length: count }, (_, index) => `h${index}`);

const risingPercents = fc
  .uniqueArray(fc.integer({ min: 1, max: 99 }), { maxLength: 6 })
  .map((percents) => [...percents.sort((a, b) => a - b), 100]);

describe("planStages", () => {
  it.each([
    [100, [1, 10, 100], [1, 9, 90]],
    [12, [1, 10, 100], [1, 11]],
    [3, [1, 10, 100], [1, 2]],
    [3, [], [3]],
    [1, [1, 50, 100], [1]],
    [1000, [10, 100], [100, 900]],
    [0, [10, 100], []],
  ])("%i hosts by %j become %j", (count, stagePercents, sizes) => {
    const stages = planStages({ hostIds: ids(count), stagePercents, canaryHostIds: [] });
    expect(stages.map((stage) => stage.length)).toEqual(sizes);
  });

  it("takes the named hosts first, alone", () => {
    const hostIds = ids(20);
    const named = { hostIds, canaryHostIds: ["h7", "h3"] };
    expect(planStages({ ...named, stagePercents: [1, 50, 100] })[0]).toEqual(["h7", "h3"]);
    expect(planStages({ ...named, stagePercents: [1, 50, 100] }).map(({ length }) => length)).toEqual([2, 8, 10]);
    expect(planStages({ ...named, stagePercents: [] }).map(({ length }) => length)).toEqual([2, 18]);
  });

  it.each([
    ["falling", [50, 10, 100], []],
    ["twice the same", [10, 10, 100], []],
    ["not all at the end", [10, 50], []],
    ["more than all", [10, 101], []],
    ["a fraction", [0.5, 100], []],
    ["nothing", [0, 100], []],
    ["too many", ids(21).map((_, index) => index + 80), []],
    ["a canary that does not change", [100], ["stranger"]],
  ])("refuses %s", (_why, stagePercents, canaryHostIds) => {
    const request = { hostIds: ids(5), stagePercents, canaryHostIds };
    expect(codeOf(() => planStages(request))).toBe(ErrorCode.INVALID_ARGUMENT);
  });

  it("puts every host in exactly one stage, canaries in the first, no stage empty, none beyond its share", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), risingPercents, fc.nat(5), (count, stagePercents, canaryCount) => {
        const hostIds = ids(count);
        const canaryHostIds = hostIds.toReversed().slice(0, canaryCount);
        const stages = planStages({ hostIds, stagePercents, canaryHostIds });
        expect(stages.flat().toSorted()).toEqual(hostIds.toSorted());
        expect(stages.every((stage) => stage.length > 0)).toBe(true);
        expect(stages.length).toBeLessThanOrEqual(stagePercents.length + 1);
        if (canaryHostIds.length > 0) expect(stages[0]).toEqual(canaryHostIds);
        else if (stages.length > 1) {
          expect(stages[0]?.length).toBeLessThanOrEqual(Math.max(1, (count * 99) / 100));
        }
      }),
    );
  });
});

/** Does what it is told, at random, and keeps what must never happen. */
function play(rollout: NewRollout, choices: readonly number[]): { progress: RolloutProgress; log: RolloutEvent[] } {
  let progress = beginRollout(rollout);
  const log: RolloutEvent[] = [];
  const passed = new Set<number>();
  let confirmedByOthers = new Set<string>();
  for (const choice of choices) {
    const event = chooseEvent(progress, choice);
    if (event === null) break;
    log.push(event);
    const before = progress;
    progress = reduceRollout(progress, event);
    if (event.kind === "gates-passed") passed.add(event.stage);
    if (event.kind === "confirmed" && nextStep(before).kind !== "confirm") {
      confirmedByOthers = new Set([...confirmedByOthers, event.hostId]);
    }
    checkAlways(before, progress, passed, confirmedByOthers);
  }
  return { progress, log };
}

function chooseEvent(progress: RolloutProgress, choice: number): RolloutEvent | null {
  const step = nextStep(progress);
  if (choice % 23 === 22) return { kind: "stopped", confirmedToo: choice % 2 === 0 };
  if (progress.phase === "waiting") return { kind: "continued", stage: progress.stage };
  if (step.kind === "nothing") return null;
  const kindsOf = {
    send: ["sending", "sending", "sending", "failed"],
    watch: ["gates-passed", "gates-passed", "gate-closed", "lost", "rolled-back", "confirmed"],
    confirm: ["confirmed", "confirmed", "confirmed", "rolled-back", "lost"],
    "roll-back": ["rolled-back", "rolled-back", "lost", "not-left"],
    await: ["flipped", "flipped", "flipped", "failed", "not-sent", "rolled-back", "confirmed"],
  }[step.kind];
  const kind = kindsOf[choice % kindsOf.length] ?? "failed";
  if (kind === "gates-passed" || kind === "gate-closed") return { kind, stage: progress.stage };
  const hostId = step.hostIds[choice % step.hostIds.length] ?? "";
  const phase = progress.hosts.find(({ id }) => id === hostId)?.phase;
  if (step.kind === "await" && phase === "pending") return { kind: "rolled-back", hostId };
  if (step.kind === "roll-back") {
    if (phase === "confirmed") return { kind: kind === "rolled-back" ? kind : "not-left", hostId };
    return { kind: kind === "not-left" ? "lost" : kind, hostId } as RolloutEvent;
  }
  return { kind, hostId } as RolloutEvent;
}

function checkAlways(
  before: RolloutProgress,
  progress: RolloutProgress,
  passed: ReadonlySet<number>,
  byOthers: ReadonlySet<string>,
): void {
  const { hosts, stage } = progress;
  const staged = hosts.filter(({ isAside }) => !isAside);
  // Never more than one stage open: those before are complete, those after have not begun.
  if (progress.phase === "running" || progress.phase === "waiting") {
    expect(staged.filter((host) => host.stage < stage).every(({ phase }) => phase === "confirmed")).toBe(true);
    expect(staged.filter((host) => host.stage > stage).every(({ phase }) => phase === "waiting")).toBe(true);
  }
  // Nobody is told to confirm before the gates.
  const step = nextStep(progress);
  if (step.kind === "confirm") {
    expect(progress.phase).toBe("running");
    expect(passed.has(stage)).toBe(true);
  }
  for (const host of staged.filter(({ phase, id }) => phase === "confirmed" && !byOthers.has(id))) {
    expect(passed.has(host.stage)).toBe(true);
  }
  // After a failure no host is begun.
  if (before.phase === "halted" || before.phase === "stopped") {
    expect(["halted", "stopped"]).toContain(progress.phase);
    const under = (each: RolloutProgress) => each.hosts.filter(({ phase }) => phase === "applying").length;
    expect(under(progress)).toBeLessThanOrEqual(under(before));
    expect(hosts.some(({ phase }) => phase === "waiting" || phase === "away")).toBe(false);
  }
  expect(progress.phase === "done" && staged.some(({ phase }) => phase !== "confirmed")).toBe(false);
}

const rollouts = fc
  .tuple(fc.integer({ min: 1, max: 12 }), risingPercents, fc.nat(3), fc.boolean())
  .map(([count, stagePercents, canaries, isAutomatic]): NewRollout => {
    const hostIds = ids(count);
    const stages = planStages({ hostIds, stagePercents, canaryHostIds: hostIds.slice(0, Math.min(canaries, count)) });
    return { stages, isAutomatic, aside: [{ id: "far", phase: "away" }] };
  });

describe("a roll-out", () => {
  it("never opens two stages, confirms before the gates, or begins anything after a failure", () => {
    fc.assert(
      fc.property(rollouts, fc.array(fc.nat(1000), { maxLength: 120 }), (rollout, choices) => {
        play(rollout, choices);
      }),
      { numRuns: 500 },
    );
  });

  it("comes to an end when hosts answer", () => {
    fc.assert(
      fc.property(rollouts, (rollout) => {
        // 2: sending, gates-passed is 0; the first choice of every step is the good one.
        const { progress } = play(rollout, Array(400).fill(0));
        expect(progress.phase).toBe("done");
        expect(progress.hosts.filter(({ isAside }) => !isAside).every(({ phase }) => phase === "confirmed")).toBe(true);
        expect(progress.hosts.find(({ id }) => id === "far")?.phase).toBe("away");
        expect(hasEnded(progress)).toBe(true);
      }),
    );
  });

  const two: NewRollout = { stages: [["a", "b"], ["c"]], isAutomatic: true, aside: [] };
  const after = (rollout: NewRollout, ...events: RolloutEvent[]) => events.reduce(reduceRollout, beginRollout(rollout));
  const flipped = (hostId: string): RolloutEvent[] => [
    { kind: "sending", hostId },
    { kind: "flipped", hostId },
  ];

  it("rolls the others of the stage back when one fails, and begins nobody else", () => {
    const progress = after(two, ...flipped("a"), { kind: "sending", hostId: "b" }, { kind: "failed", hostId: "b" });
    expect(progress.phase).toBe("halted");
    expect(nextStep(progress)).toEqual({ kind: "roll-back", hostIds: ["a"] });
    expect(progress.hosts.map(({ phase }) => phase)).toEqual(["pending", "failed", "not-started"]);
    expect(hasEnded(progress)).toBe(false);
    expect(hasEnded(reduceRollout(progress, { kind: "rolled-back", hostId: "a" }))).toBe(true);
  });

  it("waits for a lost host to end by itself and sends it nothing", () => {
    const lost = after(two, ...flipped("a"), ...flipped("b"), { kind: "lost", hostId: "a" });
    expect(lost.phase).toBe("halted");
    expect(nextStep(lost)).toEqual({ kind: "roll-back", hostIds: ["b"] });
    const left = reduceRollout(lost, { kind: "rolled-back", hostId: "b" });
    expect(nextStep(left)).toEqual({ kind: "await", hostIds: ["a"] });
  });

  it("waits for a person between stages unless it is automatic, and goes on once", () => {
    const manual = after(
      { ...two, isAutomatic: false },
      ...flipped("a"),
      ...flipped("b"),
      { kind: "gates-passed", stage: 0 },
      { kind: "confirmed", hostId: "a" },
      { kind: "confirmed", hostId: "b" },
    );
    expect([manual.phase, manual.stage, nextStep(manual).kind]).toEqual(["waiting", 1, "nothing"]);
    const on = reduceRollout(manual, { kind: "continued", stage: 1 });
    expect(nextStep(on)).toEqual({ kind: "send", hostIds: ["c"] });
    expect(() => reduceRollout(on, { kind: "continued", stage: 1 })).toThrow("cannot happen");
  });

  it("returns what was confirmed too when it is stopped so, and what was away is not waited for", () => {
    const events: RolloutEvent[] = [
      ...flipped("a"),
      { kind: "gates-passed", stage: 0 },
      { kind: "confirmed", hostId: "a" },
    ];
    const rollout: NewRollout = { stages: [["a"]], isAutomatic: true, aside: [{ id: "far", phase: "away" }] };
    const done = after(rollout, ...events);
    expect(done.phase).toBe("done");
    const stopped = reduceRollout(done, { kind: "stopped", confirmedToo: true });
    expect(nextStep(stopped)).toEqual({ kind: "roll-back", hostIds: ["a"] });
    expect(stopped.hosts[1]?.phase).toBe("not-started");
    const kept = reduceRollout(done, { kind: "stopped", confirmedToo: false });
    expect([kept.phase, nextStep(kept).kind]).toEqual(["done", "nothing"]);
  });

  it("begins a host that was away only when the others have it", () => {
    const rollout: NewRollout = { stages: [["a"]], isAutomatic: true, aside: [{ id: "far", phase: "away" }] };
    expect(() => after(rollout, { kind: "sending", hostId: "far" })).toThrow("cannot happen");
    const done = after(
      rollout,
      ...flipped("a"),
      { kind: "gates-passed", stage: 0 },
      { kind: "confirmed", hostId: "a" },
      ...flipped("far"),
      { kind: "confirmed", hostId: "far" },
    );
    expect([done.phase, done.hosts[1]?.phase]).toEqual(["done", "confirmed"]);
  });
});
