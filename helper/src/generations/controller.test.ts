import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DiscoveredEndpoint } from "@wardline/domain/cluster";
import { ErrorCode } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { BackendName } from "../enforce/enforcer.ts";
import { EnforcerSession } from "../enforce/enforcerSession.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { FakeEnforcer, FakeKernel } from "../testing/fakeEnforcer.ts";
import { FakeEngine, fakeProgram } from "../testing/fakeEngine.ts";
import { GenerationContexts } from "./contexts.ts";
import { GenerationController } from "./controller.ts";
import type { ApplyRequest, Caller } from "./controllerTypes.ts";
import { StateStore } from "./stateStore.ts";

const accept = async () => {};
const OLD: Caller = { actor: "root (0)", connectionOrder: 1 };
const FRESH: Caller = { actor: "root (0)", connectionOrder: 2 };

let stateDir: string;
let clock: FakeClock;
let kernel: FakeKernel;
let automatic: string[];
/** What DNS says at the moment. */
let domainAddresses: ReadonlyMap<string, readonly string[]>;
/** What the cluster knows at the moment. */
let discovered: readonly DiscoveredEndpoint[];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "wardline-controller-"));
  clock = new FakeClock();
  kernel = new FakeKernel();
  automatic = [];
  domainAddresses = new Map();
  discovered = [];
});
afterEach(() => rmSync(stateDir, { recursive: true, force: true }));

async function start(bootId = "boot-1", backend: BackendName = "ebpf") {
  const enforcer = new FakeEnforcer(clock, kernel, backend);
  const store = new StateStore(stateDir);
  await store.prepareDirectory();
  const controller = new GenerationController({
    enforcer: new EnforcerSession(enforcer),
    engine: new FakeEngine(),
    contexts: new GenerationContexts(),
    hostName: "alpha",
    store,
    clock,
    bootId,
    newestConnection: () => 1,
    circumstances: async () => ({ domainAddresses }),
    discovered: () => discovered,
    recordAutomatic: (action, detail) => automatic.push(`${action}: ${detail}`),
  });
  await controller.start();
  return { controller, enforcer };
}

const readFake = FakeEngine.prototype.read;

/** The kernel keeps its maps over a restart and loses them at a reboot. */
async function reboot() {
  kernel = new FakeKernel();
  return start("boot-2");
}

function request(text: string, base: number, over: Partial<ApplyRequest> = {}): ApplyRequest {
  return {
    files: [{ path: "a.yaml", text }],
    mode: "enforce",
    expectedProgramDigest: fakeProgram(text).digest,
    baseGeneration: base,
    confirmWithinMs: 10_000,
    reason: "test",
    ...over,
  };
}

async function applyAndConfirm(controller: GenerationController, text: string, base: number): Promise<number> {
  const { pending } = await controller.apply(request(text, base), OLD, accept);
  const { number, programDigest } = pending.generation;
  await controller.confirm(number, programDigest, FRESH, accept);
  return number;
}

function code(expected: ErrorCode) {
  return expect.objectContaining({ name: "Failure", code: expected });
}

describe("apply and confirm", () => {
  it("flips with a deadline and keeps the generation when it is confirmed", async () => {
    const { controller, enforcer } = await start();
    const { pending } = await controller.apply(request("one", 0), OLD, accept);
    expect(pending.generation.number).toBe(1);
    expect(pending.previous.number).toBe(0);
    expect(enforcer.deciding()).toBe(1);
    await controller.confirm(1, pending.generation.programDigest, FRESH, accept);
    await clock.advance(60_000);
    expect(enforcer.deciding()).toBe(1);
    expect(controller.pending).toBeNull();
    expect(automatic).toEqual([]);
  });

  it("rolls back by itself when nobody confirms, and says so", async () => {
    const { controller, enforcer } = await start();
    await applyAndConfirm(controller, "one", 0);
    await controller.apply(request("two", 1), OLD, accept);
    await clock.advance(9_999);
    expect(enforcer.deciding()).toBe(2);
    await clock.advance(1);
    expect(enforcer.deciding()).toBe(1);
    expect(controller.enforced.number).toBe(1);
    const told = ["rollback.expired: generation 2 was not confirmed in time; back to 1"];
    await expect.poll(() => automatic).toEqual(told);
    await expect(controller.confirm(2, fakeProgram("two").digest, FRESH, accept)).rejects.toEqual(
      code(ErrorCode.NOTHING_PENDING),
    );
  });

  it.each([
    ["back", -86_400_000],
    ["forward", 86_400_000],
  ])("keeps its deadline when the wall clock jumps %s", async (_name, jumpMs) => {
    const { controller, enforcer } = await start();
    await controller.apply(request("one", 0), OLD, accept);
    clock.wallOffsetMs += jumpMs;
    await clock.advance(5_000);
    clock.wallOffsetMs -= 2 * jumpMs;
    await clock.advance(4_999);
    expect(enforcer.deciding()).toBe(1);
    await clock.advance(1);
    expect(enforcer.deciding()).toBe(0);
  });

  it("refuses a confirmation over a connection that is older than the flip", async () => {
    const { controller } = await start();
    const { pending } = await controller.apply(request("one", 0), OLD, accept);
    const { programDigest } = pending.generation;
    await expect(controller.confirm(1, programDigest, OLD, accept)).rejects.toEqual(code(ErrorCode.PERMISSION_DENIED));
    expect((await controller.confirm(1, programDigest, FRESH, accept)).number).toBe(1);
  });

  it("refuses a confirmation of another generation or digest", async () => {
    const { controller } = await start();
    await controller.apply(request("one", 0), OLD, accept);
    const conflict = code(ErrorCode.GENERATION_CONFLICT);
    await expect(controller.confirm(2, fakeProgram("one").digest, FRESH, accept)).rejects.toEqual(conflict);
    await expect(controller.confirm(1, fakeProgram("two").digest, FRESH, accept)).rejects.toEqual(conflict);
  });

  it("lets only one of two applies at the same time through", async () => {
    const { controller, enforcer } = await start();
    const results = await Promise.allSettled([
      controller.apply(request("one", 0), OLD, accept),
      controller.apply(request("two", 0), OLD, accept),
    ]);
    expect(results.map((result) => result.status)).toEqual(["fulfilled", "rejected"]);
    expect(results[1]).toMatchObject({ reason: { code: ErrorCode.CONFIRMATION_PENDING } });
    expect(enforcer.state().programDigest).toBe(fakeProgram("one").digest);
  });

  it.each([
    ["another base generation", { baseGeneration: 7 }, ErrorCode.GENERATION_CONFLICT],
    ["another digest", { expectedProgramDigest: fakeProgram("other").digest }, ErrorCode.PLAN_STALE],
    ["no digest", { expectedProgramDigest: "" }, ErrorCode.INVALID_ARGUMENT],
    ["too little time", { confirmWithinMs: 4_999 }, ErrorCode.INVALID_ARGUMENT],
    ["too much time", { confirmWithinMs: 3_600_001 }, ErrorCode.INVALID_ARGUMENT],
    ["time that is no number", { confirmWithinMs: Number.NaN }, ErrorCode.INVALID_ARGUMENT],
    ["policies with errors", { files: [{ path: "a", text: "bad" }] }, ErrorCode.POLICY_INVALID],
  ])("refuses %s and changes nothing", async (_name, over, expected) => {
    const { controller, enforcer } = await start();
    const accepted: string[] = [];
    const attempt = controller.apply(request("one", 0, over), OLD, async () => void accepted.push("effect"));
    await expect(attempt).rejects.toEqual(code(expected));
    expect(accepted).toEqual([]);
    expect(enforcer.state().generation).toBe(0);
    expect(readdirSync(join(stateDir, "generations"))).toEqual([]);
  });

  it("changes nothing when the audit log cannot take the entry, the slot cannot be filled or the flip fails", async () => {
    const { controller, enforcer } = await start();
    const refuse = async () => Promise.reject(new Error("full"));
    await expect(controller.apply(request("one", 0), OLD, refuse)).rejects.toThrow("full");
    enforcer.prepareFailure = new Error("verifier");
    await expect(controller.apply(request("one", 0), OLD, accept)).rejects.toThrow("verifier");
    enforcer.prepareFailure = null;
    enforcer.activateFailure = new Error("flip");
    await expect(controller.apply(request("one", 0), OLD, accept)).rejects.toThrow("flip");
    enforcer.activateFailure = null;
    expect(controller.pending).toBeNull();
    expect(enforcer.deciding()).toBe(0);
    // The failed flip used up its number: a record on disk may already have named it.
    expect(await applyAndConfirm(controller, "one", 0)).toBe(2);
  });
});

describe("rollback", () => {
  it("leaves the pending generation at once", async () => {
    const { controller, enforcer } = await start();
    await applyAndConfirm(controller, "one", 0);
    await controller.apply(request("two", 1), OLD, accept);
    expect((await controller.rollback(2, accept)).number).toBe(1);
    expect(enforcer.deciding()).toBe(1);
    await clock.advance(60_000);
    expect(enforcer.deciding()).toBe(1);
  });

  it("leaves the confirmed generation for the one before, once", async () => {
    const { controller, enforcer } = await start();
    await applyAndConfirm(controller, "one", 0);
    await applyAndConfirm(controller, "two", 1);
    await expect(controller.rollback(1, accept)).rejects.toEqual(code(ErrorCode.GENERATION_CONFLICT));
    expect((await controller.rollback(2, accept)).number).toBe(1);
    expect(enforcer.state()).toMatchObject({ generation: 1, mode: "enforce", deadlineBootMs: null });
    await expect(controller.rollback(1, accept)).rejects.toEqual(code(ErrorCode.NOT_FOUND));
    expect(await applyAndConfirm(controller, "three", 1)).toBe(3);
  });

  it("returns from the first generation to none, also after a reboot", async () => {
    const first = await start();
    await applyAndConfirm(first.controller, "one", 0);
    const { controller, enforcer } = await reboot();
    expect(enforcer.deciding()).toBe(1);
    expect((await controller.rollback(1, accept)).number).toBe(0);
    expect(enforcer.deciding()).toBe(0);
  });

  it("fills the slot again when a failed apply has overwritten it", async () => {
    const { controller, enforcer } = await start();
    await applyAndConfirm(controller, "one", 0);
    await applyAndConfirm(controller, "two", 1);
    enforcer.activateFailure = new Error("flip");
    await expect(controller.apply(request("three", 2), OLD, accept)).rejects.toThrow("flip");
    enforcer.activateFailure = null;
    await controller.rollback(2, accept);
    expect(enforcer.state()).toMatchObject({
      generation: 1,
      programDigest: fakeProgram("one").digest,
      mode: "enforce",
    });
  });
});

describe("restart and reboot", () => {
  it("adopts the confirmed generation", async () => {
    const first = await start();
    await applyAndConfirm(first.controller, "one", 0);
    await first.controller.close();
    const { controller, enforcer } = await start();
    expect(controller.enforced).toMatchObject({ number: 1, appliedBy: "root (0)" });
    expect(enforcer.deciding()).toBe(1);
    expect(controller.problems).toEqual([]);
    expect(enforcer.recalled).toEqual([1]);
    expect(await controller.enforcedFiles()).toEqual([{ path: "a.yaml", text: "one" }]);
  });

  it("leaves a pending generation first", async () => {
    const first = await start();
    await applyAndConfirm(first.controller, "one", 0);
    await first.controller.apply(request("two", 1), OLD, accept);
    const { controller, enforcer } = await start();
    expect(enforcer.state()).toMatchObject({ generation: 1, deadlineBootMs: null });
    expect(controller.pending).toBeNull();
    expect(automatic).toEqual([expect.stringContaining("rollback.restart: generation 2")]);
    automatic = [];
    await start();
    expect(automatic).toEqual([]);
  });

  it("is safe without the agent: the datapath falls back by itself, and the next start settles it", async () => {
    const first = await start();
    await applyAndConfirm(first.controller, "one", 0);
    await first.controller.apply(request("two", 1), OLD, accept);
    await first.controller.close();
    await clock.advance(10_499);
    expect(first.enforcer.deciding()).toBe(2);
    await clock.advance(1);
    expect(first.enforcer.deciding()).toBe(1);
    const { controller, enforcer } = await start();
    expect(enforcer.state()).toMatchObject({ generation: 1, expired: false, deadlineBootMs: null });
    expect(controller.enforced.number).toBe(1);
  });

  it("loads the confirmed generation from disk after a reboot, not the pending one", async () => {
    const first = await start();
    await applyAndConfirm(first.controller, "one", 0);
    await first.controller.apply(request("two", 1), OLD, accept);
    const { controller, enforcer } = await reboot();
    expect(enforcer.state()).toMatchObject({
      generation: 1,
      programDigest: fakeProgram("one").digest,
      mode: "enforce",
    });
    expect(controller.enforced.number).toBe(1);
    expect(await applyAndConfirm(controller, "three", 1)).toBe(3);
  });

  it("finishes a confirmation that was on disk and not yet in the datapath", async () => {
    const first = await start();
    const { pending } = await first.controller.apply(request("one", 0), OLD, accept);
    first.enforcer.confirm = () => {
      throw new Error("killed here");
    };
    await expect(first.controller.confirm(1, pending.generation.programDigest, FRESH, accept)).rejects.toThrow(
      "killed here",
    );
    const { enforcer } = await start();
    expect(enforcer.state()).toMatchObject({ generation: 1, deadlineBootMs: null });
  });

  it("finishes such a confirmation also when the datapath has fallen back meanwhile", async () => {
    const first = await start();
    const { pending } = await first.controller.apply(request("one", 0), OLD, accept);
    first.enforcer.confirm = () => {};
    await first.controller.confirm(1, pending.generation.programDigest, FRESH, accept);
    await clock.advance(60_000);
    expect(first.enforcer.deciding()).toBe(0);
    const { enforcer } = await start();
    expect(enforcer.state()).toMatchObject({ generation: 1, deadlineBootMs: null, mode: "enforce" });
  });

  it("leaves the generation when the datapath fell back while the confirmation was being written", async () => {
    const { controller, enforcer } = await start();
    const { pending } = await controller.apply(request("one", 0), OLD, accept);
    const slow = async () => {
      kernel.deadlineBootMs = 0;
    };
    const confirming = controller.confirm(1, pending.generation.programDigest, FRESH, slow);
    await expect(confirming).rejects.toEqual(code(ErrorCode.NOTHING_PENDING));
    expect(enforcer.deciding()).toBe(0);
    expect(controller.enforced.number).toBe(0);
    expect((await start()).controller.enforced.number).toBe(0);
  });

  it("says that the host cannot enforce when only the observe backend is left", async () => {
    const first = await start();
    await applyAndConfirm(first.controller, "one", 0);
    kernel = new FakeKernel();
    const { controller } = await start("boot-2", "observe");
    expect(controller.enforced.number).toBe(0);
    expect(controller.problems).toEqual([expect.stringContaining("only observes")]);
    await expect(controller.apply(request("two", 0), OLD, accept)).rejects.toEqual(code(ErrorCode.OBSERVE_ONLY));
    kernel = new FakeKernel();
    expect((await start("boot-3")).enforcer.state()).toMatchObject({ generation: 1, mode: "enforce" });
  });

  it("keeps only the generations that it may need", async () => {
    const { controller } = await start();
    for (const [position, text] of ["one", "two", "three", "four"].entries()) {
      await applyAndConfirm(controller, text, position);
    }
    expect(readdirSync(join(stateDir, "generations")).sort()).toEqual(["3", "4"]);
  });
});

describe("damaged records", () => {
  function damage(path: string): void {
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace('"confirmed":1', '"confirmed":9').replace("one", "eno"));
  }

  it.each(["index.json", "generations/1/state.json"])("keeps what is enforced when %s is damaged", async (name) => {
    const first = await start();
    await applyAndConfirm(first.controller, "one", 0);
    damage(join(stateDir, name));
    const { controller, enforcer } = await start();
    expect(enforcer.deciding()).toBe(1);
    expect(controller.enforced).toMatchObject({ number: 1, mode: "enforce", stateDigest: "" });
    expect(controller.problems).toEqual([expect.stringContaining("damaged")]);
    await expect(controller.rollback(1, accept)).rejects.toEqual(code(ErrorCode.NOT_FOUND));
    expect(await applyAndConfirm(controller, "two", 1)).toBe(2);
    expect(controller.problems).toEqual([]);
  });

  it("leaves a pending generation even when the record of the confirmed one is damaged", async () => {
    const first = await start();
    await applyAndConfirm(first.controller, "one", 0);
    await first.controller.apply(request("two", 1), OLD, accept);
    damage(join(stateDir, "generations/1/state.json"));
    const { controller, enforcer } = await start();
    expect(enforcer.state()).toMatchObject({ generation: 1, deadlineBootMs: null });
    expect(controller.problems).toHaveLength(1);
    expect(automatic).toEqual([expect.stringContaining("generation 2")]);
  });

  it("keeps what is enforced when the state directory was emptied", async () => {
    const first = await start();
    await applyAndConfirm(first.controller, "one", 0);
    rmSync(stateDir, { recursive: true });
    const { controller, enforcer } = await start();
    expect(enforcer.deciding()).toBe(1);
    expect(controller.problems).toEqual([expect.stringContaining("knows nothing")]);
    expect(await applyAndConfirm(controller, "two", 1)).toBe(2);
  });
});

describe("refresh", () => {
  const until = (delayMs: number) => `until=${clock.wallMs() + delayMs};`;
  const files = (text: string) => expect.objectContaining({ files: [{ path: "a.yaml", text }] });
  const stored = (number: number) => new StateStore(stateDir).readGeneration(number);

  it("ends a policy at its time, and a rollback still returns to the generation before the apply", async () => {
    const { controller, enforcer } = await start();
    await applyAndConfirm(controller, "one", 0);
    const text = `two ${until(60_000)}`;
    await applyAndConfirm(controller, text, 1);
    await controller.refresh("a look");
    expect(enforcer.deciding()).toBe(2);
    await clock.advance(60_000);
    await controller.refresh("a policy has expired");
    expect(enforcer.state()).toMatchObject({
      generation: 3,
      programDigest: fakeProgram("two ").digest,
      mode: "enforce",
    });
    expect(controller.enforced).toMatchObject({ number: 3, programDigest: fakeProgram("two ").digest });
    expect(await stored(3)).toEqual(files(text));
    expect(automatic).toEqual(["refresh: a policy has expired: generation 3 takes over from 2"]);
    expect((await controller.rollback(3, accept)).number).toBe(1);
    expect(enforcer.deciding()).toBe(1);
  });

  it("keeps a refreshed generation over a restart and a reboot", async () => {
    const first = await start();
    await applyAndConfirm(first.controller, `one ${until(1_000)}`, 0);
    await clock.advance(1_000);
    await first.controller.refresh("a policy has expired");
    const again = await start();
    expect(again.controller.problems).toEqual([]);
    expect(again.enforcer.state()).toMatchObject({ generation: 2, programDigest: fakeProgram("one ").digest });
    const booted = await reboot();
    expect(booted.enforcer.state()).toMatchObject({ generation: 2, programDigest: fakeProgram("one ").digest });
  });

  it("adopts what was compiled before a policy expired, and ends it then", async () => {
    const first = await start();
    const text = `one ${until(1_000)}`;
    await applyAndConfirm(first.controller, text, 0);
    await clock.advance(5_000);
    const { controller, enforcer } = await start();
    expect(controller.problems).toEqual([]);
    expect(enforcer.state().programDigest).toBe(fakeProgram(text).digest);
    await controller.refresh("a policy has expired");
    expect(enforcer.state().programDigest).toBe(fakeProgram("one ").digest);
  });

  it("waits while a confirmation is pending", async () => {
    const { controller, enforcer } = await start();
    const text = `one ${until(1_000)}`;
    const { pending } = await controller.apply(request(text, 0), OLD, accept);
    await clock.advance(2_000);
    await controller.refresh("a policy has expired");
    expect(enforcer.state().programDigest).toBe(fakeProgram(text).digest);
    await controller.confirm(1, pending.generation.programDigest, FRESH, accept);
    await controller.refresh("a policy has expired");
    expect(enforcer.state().programDigest).toBe(fakeProgram("one ").digest);
  });

  it("looks names up at the apply, follows them, and loads the same tables after a reboot without DNS", async () => {
    domainAddresses = new Map([["a.test", ["192.0.2.1"]]]);
    const first = await start();
    const { pending } = await first.controller.apply(request("name=a.test;", 0), OLD, accept);
    const named = fakeProgram("name=a.test;,192.0.2.1").digest;
    expect(first.enforcer.state().programDigest).toBe(named);
    await first.controller.confirm(1, pending.generation.programDigest, FRESH, accept);
    domainAddresses = new Map([["a.test", ["192.0.2.2"]]]);
    await first.controller.refresh("addresses of domain names have changed");
    const moved = fakeProgram("name=a.test;,192.0.2.2").digest;
    expect(first.enforcer.state().programDigest).toBe(moved);
    domainAddresses = new Map();
    const { controller, enforcer } = await reboot();
    expect(controller.problems).toEqual([]);
    expect(enforcer.state().programDigest).toBe(moved);
  });

  it("follows what the cluster discovers, and loads the same tables after a reboot without a cluster", async () => {
    const known = (address: string): DiscoveredEndpoint => {
      const fields = { namespace: "default", name: "db", instance: address, labels: new Map(), addresses: [address] };
      return { kind: "service", ...fields };
    };
    discovered = [known("10.0.0.5")];
    const first = await start();
    const { pending } = await first.controller.apply(
      request("discovered;", 0, { expectedProgramDigest: fakeProgram("discovered;").digest }),
      OLD,
      accept,
    );
    expect(first.enforcer.state().programDigest).toBe(fakeProgram("discovered;10.0.0.5").digest);
    await first.controller.confirm(1, pending.generation.programDigest, FRESH, accept);
    discovered = [known("10.0.0.6")];
    await first.controller.refresh("what the cluster knows has changed");
    const moved = fakeProgram("discovered;10.0.0.6").digest;
    expect(first.enforcer.state().programDigest).toBe(moved);
    discovered = [];
    const { controller, enforcer } = await reboot();
    expect(controller.problems).toEqual([]);
    expect(enforcer.state()).toMatchObject({ programDigest: moved, generation: 2 });
  });

  it("is nothing that anybody decided: a plan and a rollback from before it still hold, and none from before that", async () => {
    const { controller } = await start();
    await applyAndConfirm(controller, "one", 0);
    await applyAndConfirm(controller, "discovered;", 1);
    for (const address of ["10.0.0.5", "10.0.0.6"]) {
      const fields = { namespace: "default", name: "db", instance: "", labels: new Map(), addresses: [address] };
      discovered = [{ kind: "service", ...fields }];
      await controller.refresh("what the cluster knows has changed");
    }
    expect(controller.enforced).toMatchObject({ number: 4, reason: "test", appliedBy: "root (0)" });
    await expect(controller.rollback(1, accept)).rejects.toEqual(code(ErrorCode.GENERATION_CONFLICT));
    await expect(controller.apply(request("three", 1), OLD, accept)).rejects.toEqual(
      code(ErrorCode.GENERATION_CONFLICT),
    );
    discovered = [];
    expect(await applyAndConfirm(controller, "three", 2)).toBe(5);
    await expect(controller.rollback(3, accept)).rejects.toEqual(code(ErrorCode.GENERATION_CONFLICT));
    expect((await controller.rollback(5, accept)).number).toBe(4);
    expect(await applyAndConfirm(controller, "three", 2)).toBe(6);
    discovered = [
      { kind: "member", namespace: "", name: "", instance: "", labels: new Map(), addresses: ["10.0.0.7"] },
    ];
    expect(await applyAndConfirm(controller, "discovered;", 6)).toBe(7);
    discovered = [];
    await controller.refresh("what the cluster knows has changed");
    expect((await controller.rollback(7, accept)).number).toBe(6);
  });

  it("loads what was accepted once, also when a newer version finds an error in it", async () => {
    const first = await start();
    const text = `one ${until(1_000)}`;
    await applyAndConfirm(first.controller, text, 0);
    vi.spyOn(FakeEngine.prototype, "read").mockImplementation((files) => ({ ...readFake(files), ok: false }));
    const { controller, enforcer } = await reboot();
    expect(controller.problems).toEqual([]);
    expect(enforcer.state()).toMatchObject({ generation: 1, programDigest: fakeProgram(text).digest, mode: "enforce" });
    await clock.advance(1_000);
    await controller.refresh("a policy has expired");
    expect(enforcer.state().programDigest).toBe(fakeProgram("one ").digest);
    await expect(controller.apply(request("two", 2), OLD, accept)).rejects.toEqual(code(ErrorCode.POLICY_INVALID));
    vi.restoreAllMocks();
  });

  it("changes nothing when the slot cannot be filled", async () => {
    const { controller, enforcer } = await start();
    await applyAndConfirm(controller, `one ${until(1_000)}`, 0);
    await clock.advance(1_000);
    enforcer.prepareFailure = new Error("verifier");
    await expect(controller.refresh("a policy has expired")).rejects.toThrow("verifier");
    expect(enforcer.deciding()).toBe(1);
    enforcer.prepareFailure = null;
    await controller.refresh("a policy has expired");
    expect(enforcer.deciding()).toBe(2);
  });
});

describe("release", () => {
  it("ends enforcement and starts again with the next apply", async () => {
    const { controller, enforcer } = await start();
    await applyAndConfirm(controller, "one", 0);
    await controller.release(accept);
    expect(kernel).toMatchObject({ attached: false, active: 0 });
    expect(controller.enforced.number).toBe(0);
    expect(await applyAndConfirm(controller, "two", 0)).toBe(2);
    expect(enforcer.state()).toMatchObject({ attached: true, generation: 2 });
  });
});
