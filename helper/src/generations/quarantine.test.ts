import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ControllerLab, FRESH, OLD } from "../testing/controllerLab.ts";
import type { FakeEnforcer } from "../testing/fakeEnforcer.ts";
import { fakeProgram } from "../testing/fakeEngine.ts";
import { StateStore } from "./stateStore.ts";

let lab: ControllerLab;
beforeEach(() => {
  lab = new ControllerLab();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await lab.close();
});

function code(expected: ErrorCode) {
  return expect.objectContaining({ name: "Failure", code: expected });
}

const CUT_HOST = "\ncut Host/alpha ";
const CUT_DB = "\ncut Workload/shop/db ";
const holds = (enforcer: FakeEnforcer, text: string) =>
  expect(enforcer.state()).toMatchObject({
    programDigest: fakeProgram(text).digest,
    mode: "enforce",
    deadlineBootMs: null,
  });

describe("quarantine", () => {
  it("is a new generation of the same policies, confirmed from the start; lifting it another one", async () => {
    const { controller, enforcer } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    await lab.quarantine(controller, "db", { reason: "odd traffic" });
    holds(enforcer, `one${CUT_DB}`);
    expect(controller.enforced).toMatchObject({ number: 2, appliedBy: "root (0)" });
    expect(controller.quarantines).toMatchObject([
      { subjectKey: "Workload/shop/db", match: { unit: "db.service" }, actor: "root (0)", reason: "odd traffic" },
    ]);
    expect(await controller.enforcedFiles()).toEqual([{ path: "a.yaml", text: "one" }]);
    await lab.quarantine(controller, "Workload/shop/db", { lifted: true });
    holds(enforcer, "one");
    expect(controller.quarantines).toEqual([]);
    expect(lab.accepted.slice(-2)).toEqual(["even unrecorded", "recorded"]);
  });

  it("does nothing the second time, and changes who may come in", async () => {
    const { controller, enforcer } = await lab.start();
    await lab.quarantine(controller, "Host/alpha", { managementCidrs: ["192.0.2.1/32"] });
    const before = enforcer.state();
    await lab.quarantine(controller, "alpha", { managementCidrs: ["192.0.2.1/32"], reason: "again" });
    expect(enforcer.state()).toEqual(before);
    await lab.quarantine(controller, "alpha");
    holds(enforcer, `${CUT_HOST}\nobserved`);
    await lab.quarantine(controller, "db", { lifted: true });
    expect(controller.enforced.number).toBe(2);
  });

  it("is enforced on a host that has no policies, and over policies that are only observed", async () => {
    const { controller, enforcer } = await lab.start();
    await lab.quarantine(controller, "Host/alpha");
    holds(enforcer, `${CUT_HOST}\nobserved`);
    await lab.applyAndConfirm(controller, "one", 1, { mode: "observe" });
    holds(enforcer, `one${CUT_HOST}\nobserved`);
    expect(controller.enforced.mode).toBe("observe");
    await lab.quarantine(controller, "Host/alpha", { lifted: true });
    expect(enforcer.state()).toMatchObject({ programDigest: fakeProgram("one").digest, mode: "observe" });
  });

  it("stays over apply, rollback, refresh, restart and reboot", async () => {
    const { controller, enforcer } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    await lab.applyAndConfirm(controller, "two", 1);
    await lab.quarantine(controller, "db");
    holds(enforcer, `two${CUT_DB}`);
    expect((await controller.rollback(3, lab.accept)).number).toBe(4);
    holds(enforcer, `one${CUT_DB}`);
    await lab.applyAndConfirm(controller, `three until=${lab.clock.wallMs() + 1000};`, 4);
    await lab.clock.advance(1000);
    await controller.refresh("a policy has expired");
    holds(enforcer, `three ${CUT_DB}`);
    const again = await lab.start();
    holds(again.enforcer, `three ${CUT_DB}`);
    expect(again.controller.problems).toEqual([]);
    const booted = await lab.reboot();
    holds(booted.enforcer, `three ${CUT_DB}`);
    expect(booted.controller.quarantines).toMatchObject([{ subjectKey: "Workload/shop/db" }]);
    await booted.controller.rollback(6, lab.accept);
    holds(booted.enforcer, `one${CUT_DB}`);
  });

  it("does not wait for a confirmation: it leaves the pending generation first, and says so", async () => {
    const { controller, enforcer } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    const { pending } = await controller.apply(lab.request("two", 1), OLD, lab.accept);
    await lab.quarantine(controller, "db");
    holds(enforcer, `one${CUT_DB}`);
    expect(controller.pending).toBeNull();
    expect(lab.automatic).toEqual(["rollback.quarantine: generation 2 was left for a quarantine; back to 1"]);
    await expect(controller.confirm(2, pending.generation.programDigest, FRESH, lab.accept)).rejects.toEqual(
      code(ErrorCode.NOTHING_PENDING),
    );
    await lab.clock.advance(60_000);
    holds(enforcer, `one${CUT_DB}`);
  });

  it("is lifted only when nothing waits for confirmation", async () => {
    const { controller, enforcer } = await lab.start();
    await lab.quarantine(controller, "db");
    await controller.apply(lab.request("one", 1), OLD, lab.accept);
    const lifting = lab.quarantine(controller, "db", { lifted: true });
    await expect(lifting).rejects.toEqual(code(ErrorCode.CONFIRMATION_PENDING));
    expect(enforcer.state().programDigest).toBe(fakeProgram(`one${CUT_DB}`).digest);
    await lab.clock.advance(10_000);
    holds(enforcer, `${CUT_DB}\nobserved`);
  });

  it.each([
    ["an unknown name", { subject: "dv" }, ErrorCode.NOT_FOUND],
    ["another host", { subject: "Host/beta" }, ErrorCode.NOT_FOUND],
    ["a workload of nobody", { subject: "shop/web" }, ErrorCode.NOT_FOUND],
    ["management of a workload", { subject: "db", managementCidrs: ["192.0.2.1/32"] }, ErrorCode.INVALID_ARGUMENT],
  ])("refuses %s and changes nothing", async (_name, { subject, ...over }, expected) => {
    const { controller, enforcer } = await lab.start();
    await expect(lab.quarantine(controller, subject, over)).rejects.toEqual(code(expected));
    expect(enforcer.state().generation).toBe(0);
    expect(lab.accepted).toEqual([]);
  });

  it("names what was probably meant", async () => {
    const { controller } = await lab.start();
    const attempt = lab.quarantine(controller, "shop/dv");
    await expect(attempt).rejects.toMatchObject({
      hint: expect.stringMatching(/Did you mean shop\/db\? .*Host\/alpha/),
    });
  });

  it("is refused by a host that only observes", async () => {
    const { controller } = await lab.start({ backend: "observe" });
    await expect(lab.quarantine(controller, "Host/alpha")).rejects.toEqual(code(ErrorCode.OBSERVE_ONLY));
  });

  it("takes effect on a full disk, says that it is not written, and is written when there is space", async () => {
    const { controller, enforcer } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    const full = () => Promise.reject(new Error("The disk is full."));
    const writeGeneration = vi.spyOn(StateStore.prototype, "writeGeneration").mockImplementation(full);
    const writeIndex = vi.spyOn(StateStore.prototype, "writeIndex").mockImplementation(full);
    await lab.quarantine(controller, "db");
    holds(enforcer, `one${CUT_DB}`);
    expect(controller.problems).toEqual([expect.stringContaining("full")]);
    await lab.quarantine(controller, "Host/alpha");
    holds(enforcer, `one${CUT_DB}${CUT_HOST}`);
    writeGeneration.mockRestore();
    writeIndex.mockRestore();
    await controller.catchUp();
    expect(controller.problems).toEqual([]);
    holds((await lab.reboot()).enforcer, `one${CUT_DB}${CUT_HOST}`);
  });

  it("is not lost to an apply that comes before it could be written, and a crash after that", async () => {
    const { controller, enforcer } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    const full = () => Promise.reject(new Error("The disk is full."));
    const writeGeneration = vi.spyOn(StateStore.prototype, "writeGeneration").mockImplementation(full);
    const writeIndex = vi.spyOn(StateStore.prototype, "writeIndex").mockImplementation(full);
    await lab.quarantine(controller, "db");
    writeIndex.mockRestore();
    // There is room for the next generation, and not for the one that it may have to return to.
    await expect(controller.apply(lab.request("two", 2), OLD, lab.accept)).rejects.toThrow("full");
    holds(enforcer, `one${CUT_DB}`);
    expect(controller.pending).toBeNull();
    writeGeneration.mockRestore();
    await controller.apply(lab.request("two", 2), OLD, lab.accept);
    const booted = await lab.reboot();
    expect(booted.controller.problems).toEqual([]);
    holds(booted.enforcer, `one${CUT_DB}`);
  });

  it("changes nothing when the slot cannot be filled, and is not lost when the flip fails", async () => {
    const { controller, enforcer } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    enforcer.prepareFailure = new Error("verifier");
    await expect(lab.quarantine(controller, "db")).rejects.toThrow("verifier");
    holds(enforcer, "one");
    enforcer.prepareFailure = null;
    enforcer.activateFailure = new Error("flip");
    await expect(lab.quarantine(controller, "db")).rejects.toThrow("flip");
    expect(controller.quarantines).toEqual([]);
    holds((await lab.reboot()).enforcer, "one");
  });

  it("is known again when only the index was damaged", async () => {
    const first = await lab.start();
    await lab.quarantine(first.controller, "db");
    writeFileSync(join(lab.stateDir, "index.json"), "{");
    const { controller, enforcer } = await lab.start();
    expect(controller.quarantines).toMatchObject([{ subjectKey: "Workload/shop/db" }]);
    await lab.applyAndConfirm(controller, "two", 1);
    holds(enforcer, `two${CUT_DB}`);
  });

  it("reads records from before there was such a thing", async () => {
    const { controller, store } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    const stored = await store.readGeneration(1);
    const { atUnixMs, domainAddresses, discovered } = stored.circumstances;
    rmSync(join(lab.stateDir, "generations/1"), { recursive: true });
    await store.writeGeneration({ ...stored, circumstances: { atUnixMs, domainAddresses, discovered } as never });
    expect((await store.readGeneration(1)).circumstances).toMatchObject({ quarantines: [], observesPolicies: false });
  });
});
