import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { HealingDecision } from "@wardline/api/wardline/agent/v1/mesh";
import { Role } from "@wardline/api/wardline/v1/host";
import {
  HealingAction,
  HealingMode,
  HealingOutcome,
  HealingSettingsSchema,
  HealingState,
  MeshObservationSchema,
  MeshProvider,
  MeshProviderReportSchema,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AuditLine, executorPorts, meshAdapter } from "../../testing/meshExecutorLab.ts";
import { SimulatedClock } from "../../testing/simulatedClock.ts";
import type { HealingOrder, MeshProviderAdapter } from "../ports.ts";
import { LocalHealing } from "./localHealing.ts";
import { MeshExecutor } from "./meshExecutor.ts";

const MAIN = fileURLToPath(new URL("../../testing/meshExecutorMain.ts", import.meta.url));
const URI = "tls://192.0.2.1:443";
const signal = new AbortController().signal;

let stateDir: string;
let lines: AuditLine[];
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "wardline-healing-"));
  lines = [];
});
afterEach(() => rmSync(stateDir, { recursive: true }));

function order(change: Partial<HealingOrder> = {}): HealingOrder {
  return {
    ...{ id: "run/1", runId: "run", target: "daemon/yggdrasil/a", peerUri: "", term: 3n, dryRun: false },
    ...{ action: HealingAction.RESTART_DAEMON, provider: MeshProvider.YGGDRASIL },
    ...{ expiresAtMs: Date.now() + 20_000, approvedBy: "the loop", ...change },
  };
}

function open(...adapters: MeshProviderAdapter[]): Promise<MeshExecutor> {
  return MeshExecutor.open(executorPorts(stateDir, adapters, lines));
}

/** Everything that is asked of it, in words. */
function recording(peers: readonly string[] = []) {
  const calls: string[] = [];
  const adapter = meshAdapter({
    restartDaemon: async () => void calls.push("restart"),
    addPeer: async ({ uri }) => void calls.push(`add ${uri}`),
    removePeer: async ({ uri }) => void calls.push(`remove ${uri}`),
    configuredPeer: async (shown) => {
      const uri = peers.find((each) => each.startsWith(shown));
      return uri === undefined ? null : { uri, interfaceName: "" };
    },
  });
  return { calls, adapter };
}

describe("an order on its host", () => {
  it("is carried out once, audited, and answered the same again, also after a restart", async () => {
    const { calls, adapter } = recording();
    const executor = await open(adapter);
    const [first, twin] = await Promise.all([executor.execute(order(), signal), executor.execute(order(), signal)]);
    expect(first).toMatchObject({ outcome: HealingOutcome.DONE, evidence: ["Yggdrasil: up, 0 of 0 peers up"] });
    expect(twin).toEqual(first);
    expect((await executor.execute(order(), signal)).outcome).toBe(HealingOutcome.DONE);
    const later = await open(adapter);
    expect((await later.execute(order(), signal)).outcome).toBe(HealingOutcome.DONE);
    expect(later.interrupted()).toEqual([]);
    expect(calls).toEqual(["restart"]);
    expect(lines.map(([action, outcome]) => `${action} ${outcome}`)).toEqual([
      "mesh.heal.restart-daemon started",
      "mesh.heal.restart-daemon done",
    ]);
    expect(statSync(join(stateDir, "mesh/orders.json")).mode & 0o777).toBe(0o600);
  });

  it("is refused when it is late, of an older term, unknown, or called back", async () => {
    const { calls, adapter } = recording();
    const executor = await open(adapter);
    const refused = async (change: Partial<HealingOrder>, stop = signal) => {
      const { outcome, sentence } = await executor.execute(order(change), stop);
      expect(outcome).toBe(HealingOutcome.SKIPPED);
      return sentence;
    };
    expect(await refused({ id: "late/1", expiresAtMs: Date.now() })).toContain("too late");
    expect(await refused({ id: "x; rm -rf/1" })).toContain("no order that this agent knows");
    expect(await refused({ id: "ask/1", action: HealingAction.ASK_PERSON })).toContain("no order that");
    expect(await refused({ id: "back/1" }, AbortSignal.abort())).toContain("called back");
    expect(calls).toEqual([]);
    await executor.execute(order({ id: "new/1", term: 7n }), signal);
    const again = await open(adapter);
    const old = await again.execute(order({ id: "old/1", term: 6n }), signal);
    expect(old).toMatchObject({
      outcome: HealingOutcome.SKIPPED,
      sentence: expect.stringContaining("term 7 was seen"),
    });
    expect(calls).toEqual(["restart"]);
    expect(lines.filter(([, outcome]) => outcome === "refused")).toHaveLength(5);
  });

  it("is one at a time for a target, and does not wait for another target", async () => {
    let underWay = 0;
    let most = 0;
    const gate = Promise.withResolvers<void>();
    const adapter = meshAdapter({
      async restartDaemon() {
        underWay += 1;
        most = Math.max(most, underWay);
        await gate.promise;
        underWay -= 1;
      },
      addPeer: async () => gate.resolve(),
    });
    const executor = await open(adapter);
    const both = ["r/1", "r/2"].map((id) => executor.execute(order({ id }), signal));
    const other = { id: "s/1", action: HealingAction.ADD_PEER, peerUri: URI, target: "link/x" };
    await executor.execute(order(other), signal);
    expect((await Promise.all(both)).map(({ outcome }) => outcome)).toEqual([1, 1]);
    expect(most).toBe(1);
  });

  it("says what is not possible, what failed, and what a dry run would do", async () => {
    const failing = meshAdapter({
      restartDaemon: () => Promise.reject(new Failure({ code: ErrorCode.DEADLINE_EXCEEDED, message: "Too slow." })),
    });
    const executor = await open(failing);
    const outcomeOf = async (change: Partial<HealingOrder>) => (await executor.execute(order(change), signal)).outcome;
    expect(await outcomeOf({ id: "a/1" })).toBe(HealingOutcome.FAILED);
    expect(await outcomeOf({ id: "a/2", action: HealingAction.ADD_PEER, peerUri: URI })).toBe(
      HealingOutcome.NOT_POSSIBLE,
    );
    expect(await outcomeOf({ id: "a/3", provider: MeshProvider.BATMAN })).toBe(HealingOutcome.NOT_POSSIBLE);
    expect(await outcomeOf({ id: "a/4", action: HealingAction.REELECT })).toBe(HealingOutcome.NOT_POSSIBLE);
    expect(lines.filter(([, outcome]) => outcome === "failed")).toHaveLength(4);
    const { calls, adapter } = recording();
    const dry = await (await open(adapter)).execute(order({ id: "a/5", dryRun: true }), signal);
    expect(dry.outcome).toBe(HealingOutcome.DONE);
    expect(dry.sentence).toBe("It can be done: to restart the daemon of Yggdrasil on a.");
    expect(calls).toEqual([]);
  });

  it("gives peers back with their secrets, and takes out none that it did not add", async () => {
    const { calls, adapter } = recording([`${URI}?password=secret`]);
    const executor = await open(adapter);
    const peer = (id: string, action: HealingAction, peerUri: string) =>
      executor.execute(order({ id, action, peerUri, target: "link/x" }), signal);
    await peer("p/1", HealingAction.REPEER, URI);
    expect(calls).toEqual([`remove ${URI}?password=secret`, `add ${URI}?password=secret`]);
    expect((await peer("p/2", HealingAction.ADD_PEER, URI)).outcome).toBe(HealingOutcome.SKIPPED);
    expect((await peer("p/3", HealingAction.REMOVE_PEER, URI)).outcome).toBe(HealingOutcome.SKIPPED);
    expect((await peer("p/4", HealingAction.ADD_PEER, "file:///etc/passwd")).outcome).toBe(HealingOutcome.SKIPPED);
    expect((await peer("p/5", HealingAction.ADD_PEER, "tls://192.0.2.9:443")).outcome).toBe(HealingOutcome.DONE);
    expect((await peer("p/6", HealingAction.REMOVE_PEER, "tls://192.0.2.9:443")).outcome).toBe(HealingOutcome.DONE);
    expect(readFileSync(join(stateDir, "mesh/orders.json"), "utf8")).not.toContain("secret");
    expect(JSON.stringify(lines)).not.toContain("secret");
  });

  it("does not go on blindly where the journal is damaged", async () => {
    const { calls, adapter } = recording();
    await (await open(adapter)).execute(order(), signal);
    const path = join(stateDir, "mesh/orders.json");
    writeFileSync(path, readFileSync(path, "utf8").slice(0, 40));
    const executor = await open(adapter);
    expect(executor.problem).toContain("orders.json.damaged");
    expect(existsSync(`${path}.damaged`)).toBe(true);
    const again = await executor.execute(order({ expiresAtMs: Date.now() + 15_000 }), signal);
    expect(again).toMatchObject({ outcome: HealingOutcome.SKIPPED });
    expect(calls).toEqual(["restart"]);
  });

  it.each([
    ["intended", 0],
    ["acted", 1],
  ])(
    "counts as interrupted when the agent is killed once it is %s, and is never carried out again",
    async (step, acts) => {
      const actsPath = join(stateDir, "acts");
      writeFileSync(actsPath, "");
      const words = ["--no-warnings", MAIN, stateDir, step, actsPath, "run/1"];
      const child = spawn(process.execPath, words, { stdio: ["ignore", "pipe", "inherit"] });
      const ended = new Promise((resolve) => child.once("exit", (_, by) => resolve(by)));
      for await (const line of createInterface({ input: child.stdout })) if (line === step) child.kill("SIGKILL");
      expect(await ended).toBe("SIGKILL");
      const { calls, adapter } = recording();
      const executor = await open(adapter);
      expect(executor.interrupted()).toMatchObject([{ orderId: "run/1", outcome: HealingOutcome.INTERRUPTED }]);
      const again = await executor.execute(order(), signal);
      expect(again.outcome).toBe(HealingOutcome.INTERRUPTED);
      expect(calls).toEqual([]);
      expect(readFileSync(actsPath, "utf8").split("\n").length - 1).toBe(acts);
      expect((await executor.execute(order({ id: "run/0", term: 2n }), signal)).sentence).toContain("term 3 was seen");
    },
  );
});

const ASKER = { actor: "alice (1000)", role: Role.ADMIN };
const accept = async () => {};

describe("a host that decides for itself", () => {
  const clock = new SimulatedClock();
  let state = MeshProviderState.UP;
  let listeners = new Set<(kind: "state" | "figures") => void>();
  let opened: LocalHealing[] = [];
  const underWay = new Set<Promise<unknown>>();
  let stuck = Promise.withResolvers<void>();
  beforeEach(() => {
    state = MeshProviderState.UP;
    listeners = new Set();
    opened = [];
    underWay.clear();
    stuck = Promise.withResolvers();
  });
  afterEach(async () => {
    for (const healing of opened) await healing.close();
  });

  const view = {
    observation: () =>
      create(MeshObservationSchema, {
        host: "a",
        providers: [create(MeshProviderReportSchema, { provider: MeshProvider.YGGDRASIL, state })],
      }),
    onChange(listener: (kind: "state" | "figures") => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };

  function become(next: MeshProviderState): void {
    state = next;
    for (const listener of listeners) listener("state");
  }

  async function local(restartDaemon: () => Promise<void> = async () => become(MeshProviderState.UP)) {
    const adapter = meshAdapter({ restartDaemon });
    const executor = await MeshExecutor.open({ ...executorPorts(stateDir, [adapter], lines), clock });
    const watched = {
      problem: executor.problem,
      interrupted: () => executor.interrupted(),
      execute(given: HealingOrder, stop: AbortSignal) {
        const carriedOut = executor.execute(given, stop);
        underWay.add(carriedOut);
        return carriedOut.finally(() => underWay.delete(carriedOut));
      },
    };
    const ports = { stateDir, hostName: "a", clock, log: { warn: () => {} }, view, executor: watched };
    const healing = await LocalHealing.open(ports);
    opened.push(healing);
    return healing;
  }

  /** Simulated time; what the disk and the acts need of the real one is waited for, but for an act that is stuck. */
  async function pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      await clock.advance(1_000);
      for (const healing of opened) await healing.settled();
      await Promise.race([Promise.all(underWay), stuck.promise]);
      for (const healing of opened) await healing.settled();
    }
  }

  const act = create(HealingSettingsSchema, { mode: HealingMode.ACT });

  it("heals its own daemon where it may, and remembers across a restart what worked", async () => {
    const healing = await local();
    healing.start();
    expect(await healing.configure(act, ASKER, accept)).toMatchObject({ mode: HealingMode.ACT, actionsPerHour: 12 });
    const told: (readonly string[])[] = [];
    healing.onChange((runIds) => told.push(runIds));
    become(MeshProviderState.DOWN);
    await pass(20);
    const [run] = healing.runs();
    expect(run).toMatchObject({ state: HealingState.HEALED, coordinator: "a", term: 0n });
    expect(told.flat()).toContain(run!.id);
    expect(lines.map(([, outcome]) => outcome)).toEqual(["started", "done"]);
    await healing.close();
    const next = await local();
    expect(next.runs()).toEqual(healing.runs());
    expect(next.settings()).toEqual(healing.settings());
    expect(next.knowledge()).toMatchObject([{ tried: 1, healed: 1 }]);
    next.start();
    await next.resetKnowledge(ASKER, accept);
    expect(next.knowledge()).toEqual([]);
  });

  it("suggests unless told otherwise, and does what a person approves", async () => {
    const healing = await local();
    healing.start();
    become(MeshProviderState.DOWN);
    await pass(6);
    const [run] = healing.runs();
    expect(run!.state).toBe(HealingState.WAITING_FOR_APPROVAL);
    const decision = { runId: run!.id, decision: HealingDecision.APPROVE, candidate: null, reason: "now" } as const;
    await expect(healing.decide({ ...decision, runId: "nobody" }, ASKER, accept)).rejects.toMatchObject({
      code: ErrorCode.NOT_FOUND,
    });
    await healing.decide(decision, ASKER, accept);
    await pass(12);
    expect(healing.runs()[0]).toMatchObject({ state: HealingState.HEALED, approvedBy: "alice (1000)" });
  });

  it("looks first, after a restart in the middle of an act", async () => {
    const healing = await local(() => {
      stuck.resolve();
      return new Promise(() => {});
    });
    healing.start();
    await healing.configure(act, ASKER, accept);
    become(MeshProviderState.DOWN);
    await pass(4);
    expect(healing.runs()[0]!.state).toBe(HealingState.EXECUTING);
    healing.pause();
    const next = await local();
    next.start();
    await pass(2);
    expect(next.runs()[0]).toMatchObject({ state: HealingState.VERIFYING });
    become(MeshProviderState.UP);
    await pass(7);
    expect(next.runs()[0]!.state).toBe(HealingState.HEALED);
  });

  it("believes nothing of a damaged file, and says so", async () => {
    const healing = await local();
    await healing.configure(act, ASKER, accept);
    await healing.close();
    const path = join(stateDir, "mesh/healing.json");
    writeFileSync(path, readFileSync(path, "utf8").replace('"actionsPerHour":12', '"actionsPerHour":1e9'));
    const next = await local();
    expect(next.settings().mode).toBe(HealingMode.SUGGEST);
    expect(next.problem()).toContain("healing.json.damaged");
  });

  it("does nothing that it cannot write down", async () => {
    const healing = await local();
    healing.start();
    await healing.configure(act, ASKER, accept);
    rmSync(join(stateDir, "mesh"), { recursive: true });
    become(MeshProviderState.DOWN);
    await pass(10);
    expect(healing.problem()).toContain("cannot be written down");
    expect(lines).toEqual([]);
    expect(state).toBe(MeshProviderState.DOWN);
    await expect(healing.configure(act, ASKER, accept)).rejects.toBeInstanceOf(Failure);
  });
});
