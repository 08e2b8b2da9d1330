import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Drift, EnvironmentColor, EnvironmentSchema } from "@wardline/api/wardline/console/v1/hosts";
import { type Rollout, RolloutHostState, RolloutState } from "@wardline/api/wardline/console/v1/rollout";
import { ChangeKind } from "@wardline/api/wardline/console/v1/ship";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, describe, expect, it } from "vitest";
import type { BackendOptions } from "../../backend.ts";
import type { TestConsole } from "../../testing/console.ts";
import { type TestFleet, testFleet } from "../../testing/fleet.ts";

const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-all, namespace: default}
spec: {podSelector: {}, policyTypes: [Ingress]}
`;

const WAIT = { timeout: 15_000, interval: 20 };
const consoles: TestConsole[] = [];

afterEach(async () => {
  for (const each of consoles.splice(0)) await each.close();
});

async function startConsole(fleet: TestFleet, options: Partial<BackendOptions> = {}): Promise<TestConsole> {
  const tester = fleet.start(options);
  consoles.push(tester);
  return tester;
}

async function ready(fleet: TestFleet, options: Partial<BackendOptions> = {}) {
  const tester = await startConsole(fleet, options);
  await fleet.connected(tester);
  await tester.policies.saveFile({ path: "deny.yaml", text: POLICY });
  return tester;
}

const USUAL = {
  mode: EnforcementMode.ENFORCE,
  confirmWithin: durationFromMs(10_000),
  gates: { watchFor: durationFromMs(100), denialsAboveForecast: 0 },
  automatic: true,
};

async function begin(tester: TestConsole, over: object = {}) {
  const plan = await tester.ship.plan({});
  const typed = `apply to ${tester.backend.registry.hosts.length} hosts`;
  const { rolloutId } = await tester.rollouts.startRollout({ planId: plan.planId, ...USUAL, typed, ...over });
  return rolloutId;
}

async function shown(tester: TestConsole, id: string): Promise<Rollout> {
  for await (const { rollouts } of tester.rollouts.watchRollouts({})) {
    const found = rollouts.find((rollout) => rollout.id === id);
    if (found) return found;
  }
  throw new Error("the stream ended");
}

const statesOf = (rollout: Rollout) =>
  Object.fromEntries(rollout.hosts.map(({ hostName, state }) => [hostName, RolloutHostState[state]]));

async function ended(tester: TestConsole, id: string): Promise<Rollout> {
  let rollout: Rollout | null = null;
  await expect
    .poll(async () => {
      rollout = await shown(tester, id);
      return rollout.endedAt !== undefined;
    }, WAIT)
    .toBe(true);
  return rollout as unknown as Rollout;
}

async function failureOf(call: Promise<unknown>) {
  return call.then(
    () => null,
    (error: unknown) => failureFromConnectError(error),
  );
}

const NAMES = ["beta", "gamma", "delta"];

describe("a roll-out", () => {
  it("brings every host to the state, stage by stage, with a receipt from each", async () => {
    const fleet = testFleet(NAMES);
    const tester = await ready(fleet);
    const id = await begin(tester, { stagePercents: [1, 50, 100], canaryHostIds: ["gamma"], reason: "test" });
    const rollout = await ended(tester, id);
    expect(RolloutState[rollout.state]).toBe("DONE");
    expect(statesOf(rollout)).toEqual({
      alpha: "CONFIRMED",
      beta: "CONFIRMED",
      gamma: "CONFIRMED",
      delta: "CONFIRMED",
    });
    expect(rollout.hosts.map(({ hostName, stage }) => [hostName, stage])).toEqual([
      ["gamma", 0],
      ["alpha", 1],
      ["beta", 2],
      ["delta", 2],
    ]);
    for (const { hostName, receipt } of rollout.hosts) {
      const agent = fleet.agent(hostName);
      expect(receipt?.generation).toMatchObject({ number: 1n, programDigest: expect.stringMatching(/^[0-9a-f]{64}$/) });
      expect(receipt?.appliedAt && receipt.confirmedAt).toBeTruthy();
      // Confirmed over a connection that was opened after the flip, and by one login.
      expect(agent.confirmedOver).toEqual([2]);
      expect(agent.applied[0]).toMatchObject({ baseGeneration: 0n, reason: "test" });
    }
    const receipts = (await tester.ship.listReceipts({})).receipts;
    expect(receipts.map(({ outcome }) => outcome)).toEqual([2, 2, 2, 2]);
    const again = await ended(tester, await begin(tester, { typed: "" }));
    expect(Object.values(statesOf(again))).toEqual(["UNCHANGED", "UNCHANGED", "UNCHANGED", "UNCHANGED"]);
  });

  it("waits for a person between stages, and goes on once", async () => {
    const tester = await ready(testFleet(NAMES));
    const id = await begin(tester, { stagePercents: [25, 100], automatic: false });
    await expect.poll(async () => (await shown(tester, id)).state, WAIT).toBe(RolloutState.WAITING);
    const waiting = await shown(tester, id);
    expect(waiting).toMatchObject({ stage: 1, explanation: expect.stringContaining("Stage 2 has 3 hosts") });
    expect(Object.values(statesOf(waiting)).filter((state) => state === "WAITING")).toHaveLength(3);
    expect((await failureOf(tester.rollouts.continueRollout({ rolloutId: id, stage: 0 })))?.code).toBe(
      ErrorCode.INVALID_ARGUMENT,
    );
    await tester.rollouts.continueRollout({ rolloutId: id, stage: 1 });
    expect((await ended(tester, id)).state).toBe(RolloutState.DONE);
    const twice = await failureOf(tester.rollouts.continueRollout({ rolloutId: id, stage: 1 }));
    expect(twice?.code).toBe(ErrorCode.INVALID_ARGUMENT);
  });

  it("halts at one failure: the others of the stage return, and no further stage begins", async () => {
    const fleet = testFleet(NAMES);
    const tester = await ready(fleet);
    fleet.agent("beta").applyFailure = new Failure({ code: ErrorCode.DISK_FULL, message: "The disk is full." });
    const id = await begin(tester, { stagePercents: [50, 100] });
    const rollout = await ended(tester, id);
    expect(rollout).toMatchObject({ state: RolloutState.HALTED, explanation: expect.stringContaining("disk is full") });
    expect(statesOf(rollout)).toEqual({
      alpha: "ROLLED_BACK",
      beta: "FAILED",
      gamma: "NOT_STARTED",
      delta: "NOT_STARTED",
    });
    expect(fleet.agent("alpha").status().enforced?.number).toBe(0n);
    expect(fleet.agent("gamma").applied).toEqual([]);
    // And once it is repaired, again for those that do not have it.
    fleet.agent("beta").applyFailure = null;
    const { rolloutId } = await tester.rollouts.retryRollout({ rolloutId: id, typed: "apply to 4 hosts" });
    expect(Object.values(statesOf(await ended(tester, rolloutId)))).toEqual(Array(4).fill("CONFIRMED"));
  });

  it("does not confirm a host that cannot be reached anew, and says so", async () => {
    const fleet = testFleet(["beta"]);
    const tester = await ready(fleet);
    const id = await begin(tester, { confirmWithin: durationFromMs(5_000), gates: { watchFor: durationFromMs(300) } });
    const beta = fleet.agent("beta");
    await expect.poll(() => beta.applied.length, WAIT).toBe(1);
    beta.dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "No route to beta." });
    beta.dropConnections();
    const rollout = await ended(tester, id);
    expect(rollout.state).toBe(RolloutState.HALTED);
    expect(statesOf(rollout)).toEqual({ alpha: "ROLLED_BACK", beta: "ROLLED_BACK" });
    const lost = rollout.hosts.find(({ hostName }) => hostName === "beta");
    expect(lost?.error?.message).toContain("No route to beta");
    expect(lost?.error?.hint).toContain("returned by itself");
    expect(beta.confirmedOver).toEqual([]);
  });

  it("rolls a stage back whose denials exceed the forecast", async () => {
    const fleet = testFleet(["beta"]);
    const tester = await ready(fleet);
    const gates = { watchFor: durationFromMs(3_000), denialsAboveForecast: 60 };
    const id = await begin(tester, { gates });
    const beta = fleet.agent("beta");
    await expect.poll(() => beta.status().pending, WAIT).toBeDefined();
    await expect.poll(async () => (await shown(tester, id)).hosts[1]?.state, WAIT).toBe(RolloutHostState.PENDING);
    beta.deniedPackets = 500;
    beta.changes.notify();
    const rollout = await ended(tester, id);
    expect(rollout.state).toBe(RolloutState.HALTED);
    expect(rollout.explanation).toContain("beta denied 500 packets");
    expect(statesOf(rollout)).toEqual({ alpha: "ROLLED_BACK", beta: "ROLLED_BACK" });
    expect(rollout.hosts[1]?.receipt?.deniedPackets).toBe(500n);
  });

  it("is stopped: what waits returns, with what was confirmed when that is asked", async () => {
    const fleet = testFleet(NAMES);
    const tester = await ready(fleet);
    const id = await begin(tester, { stagePercents: [50, 100], automatic: false });
    await expect.poll(async () => (await shown(tester, id)).state, WAIT).toBe(RolloutState.WAITING);
    await tester.rollouts.stopRollout({ rolloutId: id, confirmedToo: false, reason: "enough" });
    const stopped = await ended(tester, id);
    expect(stopped).toMatchObject({ state: RolloutState.STOPPED, explanation: "Stopped. enough" });
    expect(statesOf(stopped)).toEqual({
      alpha: "CONFIRMED",
      beta: "CONFIRMED",
      gamma: "NOT_STARTED",
      delta: "NOT_STARTED",
    });
    await tester.rollouts.stopRollout({ rolloutId: id, confirmedToo: true, reason: "all" });
    await expect.poll(async () => statesOf(await shown(tester, id)).alpha, WAIT).toBe("ROLLED_BACK");
    expect(statesOf(await ended(tester, id)).beta).toBe("ROLLED_BACK");
    expect(fleet.agent("alpha").status().enforced?.number).toBe(0n);
    expect((await failureOf(tester.rollouts.stopRollout({ rolloutId: id, confirmedToo: true })))?.code).toBe(
      ErrorCode.INVALID_ARGUMENT,
    );
  });

  it("says which host somebody else was faster on, and returns the others", async () => {
    const fleet = testFleet(["beta"]);
    const tester = await ready(fleet);
    const plan = await tester.ship.plan({});
    const other = await fleet.agent("beta").dial();
    const { generation } = await other.client.apply({
      mode: EnforcementMode.ENFORCE,
      expectedProgramDigest: "e".repeat(64),
    });
    await other.client.confirm({ generation: generation?.number ?? 0n });
    const { rolloutId } = await tester.rollouts.startRollout({
      planId: plan.planId,
      ...USUAL,
      typed: "apply to 2 hosts",
    });
    const rollout = await ended(tester, rolloutId);
    expect(statesOf(rollout)).toEqual({ alpha: "ROLLED_BACK", beta: "FAILED" });
    expect(rollout.hosts[1]?.error).toMatchObject({ code: ErrorCode.GENERATION_CONFLICT, host: "beta" });
    expect(rollout.hosts[1]?.error?.message).toContain("Generation 1 was applied by");
  });

  it("needs the typed words for several hosts and for a red one, and names them", async () => {
    const red = create(EnvironmentSchema, { name: "production", color: EnvironmentColor.RED });
    const fleet = testFleet(["beta"], { beta: red });
    const tester = await ready(fleet);
    const missing = await failureOf(begin(tester, { typed: "yes" }));
    expect(missing).toMatchObject({ code: ErrorCode.CONFIRMATION_REQUIRED, hint: "Type: apply to 2 hosts" });
    const { planId } = await tester.ship.plan({ hostIds: ["beta"] });
    const one = await failureOf(tester.rollouts.startRollout({ planId, ...USUAL }));
    expect(one).toMatchObject({ code: ErrorCode.CONFIRMATION_REQUIRED, hint: "Type: apply to beta" });
    const applied = await failureOf(
      (async () => {
        for await (const _ of tester.ship.apply({ planId, ...USUAL }));
      })(),
    );
    expect(applied?.code).toBe(ErrorCode.CONFIRMATION_REQUIRED);
    expect(fleet.agent("beta").applied).toEqual([]);
  });

  it.each([
    ["stages that fall", { stagePercents: [50, 10, 100] }],
    ["no time to confirm", { gates: { watchFor: durationFromMs(9_000) } }],
    ["no mode", { mode: EnforcementMode.UNSPECIFIED }],
    ["a stranger as canary", { canaryHostIds: ["nobody"] }],
  ])("is refused with %s", async (_why, over) => {
    const fleet = testFleet(["beta"]);
    const tester = await ready(fleet);
    expect((await failureOf(begin(tester, over)))?.code).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(fleet.agent("alpha").applied).toEqual([]);
  });
});

describe("a host that is away", () => {
  async function rolledOutWithout(fleet: TestFleet) {
    const tester = await ready(fleet);
    const beta = fleet.agent("beta");
    beta.dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "No route to beta." });
    beta.dropConnections();
    const isAway = async () => (await tester.ship.plan({})).hosts.find(({ hostId }) => hostId === "beta")?.away;
    await expect.poll(isAway, WAIT).toBe(true);
    const plan = await tester.ship.plan({});
    const planned = plan.hosts.find(({ hostId }) => hostId === "beta");
    expect([ErrorCode.HOST_UNREACHABLE, ErrorCode.AGENT_UNREACHABLE]).toContain(planned?.error?.code);
    expect(planned?.accessChanges.length).toBeGreaterThan(0);
    expect(plan.fileChanges.map(({ kind }) => kind)).toEqual([ChangeKind.ADDED]);
    const id = await begin(tester, { catchUp: true });
    const rollout = await ended(tester, id);
    expect(statesOf(rollout)).toEqual({ alpha: "CONFIRMED", beta: "AWAY" });
    expect(rollout.explanation).toContain("1 host could not be reached");
    return { tester, beta, id };
  }

  it("gets the state when it returns, watched and confirmed like the others", async () => {
    const fleet = testFleet(["beta"]);
    const { tester, beta, id } = await rolledOutWithout(fleet);
    const { registry, services } = tester.backend;
    const drift = () => Drift[services.hosts.describe(registry.byId("beta")).drift];
    expect(drift()).toBe("BEHIND");
    beta.dialFailure = null;
    await expect.poll(async () => statesOf(await shown(tester, id)).beta, WAIT).toBe("CONFIRMED");
    await expect.poll(drift, WAIT).toBe("NONE");
    expect(beta.confirmedOver).toHaveLength(1);
    expect(beta.applied[0]).toMatchObject({ mode: EnforcementMode.ENFORCE });
  });

  it("is left alone when somebody else has changed it meanwhile", async () => {
    const fleet = testFleet(["beta"]);
    const { tester, beta, id } = await rolledOutWithout(fleet);
    beta.dialFailure = null;
    const other = await beta.dial();
    beta.dialFailure = new Failure({ code: ErrorCode.HOST_UNREACHABLE, message: "No route to beta." });
    const files = [{ path: "other.yaml", text: "# other\n" }];
    const { generation } = await other.client.apply({ state: { files }, expectedProgramDigest: "e".repeat(64) });
    await other.client.confirm({ generation: generation?.number ?? 0n });
    beta.dialFailure = null;
    await expect.poll(async () => statesOf(await shown(tester, id)).beta, WAIT).toBe("FAILED");
    const rollout = await shown(tester, id);
    const host = rollout.hosts.find(({ hostName }) => hostName === "beta");
    expect(host?.error).toMatchObject({ code: ErrorCode.GENERATION_CONFLICT });
    expect(beta.applied).toHaveLength(1);
  });

  it("is not waited for any more after the roll-out is stopped", async () => {
    const fleet = testFleet(["beta"]);
    const { tester, beta, id } = await rolledOutWithout(fleet);
    await tester.rollouts.stopRollout({ rolloutId: id, reason: "no" });
    await expect.poll(async () => statesOf(await shown(tester, id)).beta, WAIT).toBe("NOT_STARTED");
    beta.dialFailure = null;
    const isBack = () =>
      fleet.connected(tester).then(
        () => true,
        () => false,
      );
    await expect.poll(isBack, WAIT).toBe(true);
    expect((await shown(tester, id)).state).toBe(RolloutState.DONE);
    expect(beta.applied).toEqual([]);
  });
});

describe("a console that ends during a roll-out", () => {
  // Every step that is written is followed by the end of the console; the next one goes on from what it finds.
  it.each(["sending", "flipped", "gates-passed", "confirmed"] as const)(
    "is followed by one that goes on after %s",
    async (kind) => {
      const fleet = testFleet(NAMES);
      let kill: (() => void) | null = null;
      const first = await ready(fleet, {
        onRolloutStep: (event) => {
          if (event.kind !== kind) return;
          kill?.();
          kill = null;
        },
      });
      const closed = new Promise<void>((resolve) => {
        kill = () => void first.backend.close().then(resolve);
      });
      const id = await begin(first, { stagePercents: [50, 100] });
      await closed;
      const next = await startConsole(fleet, { stateDir: first.stateDir });
      const rollout = await ended(next, id);
      expect([RolloutState[rollout.state], statesOf(rollout)]).toEqual([
        "DONE",
        { alpha: "CONFIRMED", beta: "CONFIRMED", gamma: "CONFIRMED", delta: "CONFIRMED" },
      ]);
      for (const agent of fleet.agents.values()) expect(agent.status().pending).toBeUndefined();
      await next.backend.close();
    },
  );

  it("leaves what nobody confirms to the host, and the next one says so", async () => {
    const fleet = testFleet(["beta"]);
    const first = await ready(fleet);
    const id = await begin(first, { gates: { watchFor: durationFromMs(5_000) } });
    await expect.poll(async () => statesOf(await shown(first, id)).beta, WAIT).toBe("PENDING");
    await first.backend.close();
    for (const agent of fleet.agents.values()) agent.expire();
    const next = await startConsole(fleet, { stateDir: first.stateDir });
    const rollout = await ended(next, id);
    expect(rollout.state).toBe(RolloutState.HALTED);
    expect(Object.values(statesOf(rollout))).toEqual(["ROLLED_BACK", "ROLLED_BACK"]);
    for (const agent of fleet.agents.values()) expect(agent.confirmedOver).toEqual([]);
    await next.backend.close();
  });
});
