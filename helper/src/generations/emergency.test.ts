import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ErrorCode } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ControllerLab, FRESH, OLD } from "../testing/controllerLab.ts";
import { FakeEnforcer } from "../testing/fakeEnforcer.ts";
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

function damageIndex(): void {
  writeFileSync(join(lab.stateDir, "index.json"), "{");
}

describe("the emergency brake", () => {
  it("is pulled at once, whatever the disk and the queue of changes are doing", async () => {
    const { controller } = await lab.start();
    const stuck = Promise.withResolvers<void>();
    const apply = controller.apply(lab.request("one", 0), OLD, () => stuck.promise);
    await expect.poll(() => lab.kernel.attached).toBe(true);
    const braking = lab.brake(controller, "closed");
    await expect.poll(() => lab.kernel.emergency).toBe("closed");
    expect(controller.emergency).toBeNull();
    stuck.resolve();
    await Promise.all([apply, braking]);
    expect(controller.emergency).toMatchObject({ state: "closed", actor: "root (0)", reason: "test" });
    expect(lab.accepted).toEqual(["even unrecorded"]);
  });

  it("works while a confirmation is pending, and stays over confirm, rollback and the next apply", async () => {
    const { controller } = await lab.start();
    const { pending } = await controller.apply(lab.request("one", 0), OLD, lab.accept);
    await lab.brake(controller, "open");
    expect(lab.kernel.emergency).toBe("open");
    await controller.confirm(1, pending.generation.programDigest, FRESH, lab.accept);
    await lab.applyAndConfirm(controller, "two", 1);
    await controller.rollback(2, lab.accept);
    expect(lab.kernel.emergency).toBe("open");
    expect(controller.emergency?.state).toBe("open");
    await lab.brake(controller, "none");
    expect(lab.kernel.emergency).toBe("none");
    expect(controller.emergency).toBeNull();
  });

  it("is kept over a restart and a reboot, and pulled before anything is loaded", async () => {
    const first = await lab.start();
    await lab.applyAndConfirm(first.controller, "one", 0);
    await lab.brake(first.controller, "closed");
    const again = await lab.start();
    expect(again.controller.emergency).toMatchObject({ state: "closed", actor: "root (0)" });
    const order: string[] = [];
    vi.spyOn(FakeEnforcer.prototype, "setEmergency").mockImplementation(function (this: FakeEnforcer, emergency) {
      order.push(emergency);
      this.kernel.emergency = emergency;
    });
    vi.spyOn(FakeEnforcer.prototype, "activate").mockImplementation(() => {
      order.push("activate");
      return 1;
    });
    const booted = await lab.reboot();
    expect(order).toEqual(["closed", "activate"]);
    expect(booted.controller.emergency?.state).toBe("closed");
  });

  it("takes the datapath's word over the disk's: a full disk may not know of it", async () => {
    const first = await lab.start();
    await lab.applyAndConfirm(first.controller, "one", 0);
    vi.spyOn(StateStore.prototype, "writeIndex").mockRejectedValueOnce(new Error("full"));
    await lab.brake(first.controller, "closed");
    expect(first.controller.problems).toEqual([expect.stringContaining("full")]);
    const { controller } = await lab.start();
    expect(lab.kernel.emergency).toBe("closed");
    expect(controller.emergency?.state).toBe("closed");
    // Known to the disk from then on.
    await lab.reboot();
    expect(lab.kernel.emergency).toBe("closed");
  });

  it("is let go the same way, and a full disk writes it later", async () => {
    const { controller } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    await lab.brake(controller, "closed");
    vi.spyOn(StateStore.prototype, "writeIndex").mockRejectedValueOnce(new Error("full"));
    await lab.brake(controller, "none");
    expect(lab.kernel.emergency).toBe("none");
    await controller.catchUp();
    expect(controller.problems).toEqual([]);
    await lab.reboot();
    expect(lab.kernel.emergency).toBe("none");
  });

  it("is kept in the kernel when the record is damaged", async () => {
    const first = await lab.start();
    await lab.applyAndConfirm(first.controller, "one", 0);
    await lab.brake(first.controller, "closed");
    damageIndex();
    const { controller } = await lab.start();
    expect(lab.kernel.emergency).toBe("closed");
    expect(controller.emergency?.state).toBe("closed");
  });

  it("ends with a release", async () => {
    const { controller } = await lab.start();
    await lab.brake(controller, "open");
    await controller.release(lab.accept);
    expect(lab.kernel.emergency).toBe("none");
    expect(controller.emergency).toBeNull();
    await lab.brake(controller, "closed");
    expect(lab.kernel).toMatchObject({ emergency: "closed", attached: true });
  });

  it("says so when the datapath cannot, and records nothing", async () => {
    const { controller, enforcer } = await lab.start();
    enforcer.setEmergency = () => {
      throw new Error("cannot");
    };
    await expect(lab.brake(controller, "closed")).rejects.toThrow("cannot");
    expect(controller.emergency).toBeNull();
    expect(lab.accepted).toEqual([]);
  });
});

describe("a host that was enforcing and cannot be brought up", () => {
  const lose: Record<string, () => void> = {
    "the index is damaged": damageIndex,
    "the record of the generation is gone": () => rmSync(join(lab.stateDir, "generations"), { recursive: true }),
    "the program is refused": () =>
      void vi.spyOn(FakeEnforcer.prototype, "prepare").mockRejectedValue(new Error("verifier")),
  };

  it.each(Object.keys(lose))("is closed when %s", async (what) => {
    const first = await lab.start();
    await lab.applyAndConfirm(first.controller, "one", 0);
    lose[what]?.();
    const { controller } = await lab.reboot();
    expect(lab.kernel.emergency).toBe("closed");
    expect(controller.problems).toEqual([expect.stringMatching(/was closed.*wardline panic off/)]);
    expect(lab.automatic).toEqual([expect.stringContaining("emergency.start: closed")]);
    vi.restoreAllMocks();
    await lab.brake(controller, "none");
    expect(await lab.applyAndConfirm(controller, "two", 0)).toBeGreaterThan(0);
    expect(controller.problems).toEqual([]);
  });

  it.each(Object.keys(lose))(
    "does not start open the next time either when %s and nobody repaired it",
    async (what) => {
      const first = await lab.start();
      await lab.applyAndConfirm(first.controller, "one", 0);
      lose[what]?.();
      const { controller } = await lab.reboot();
      await lab.brake(controller, "none");
      expect(controller.problems.join()).toMatch(/not recorded until policies are applied again/);
      await lab.reboot();
      expect(lab.kernel.emergency).toBe("closed");
      vi.restoreAllMocks();
      const again = await lab.start();
      await lab.brake(again.controller, "none");
      const base = again.controller.enforced.number;
      await lab.applyAndConfirm(again.controller, "two", base);
      expect(again.controller.problems).toEqual([]);
      const repaired = await lab.reboot();
      expect(repaired.enforcer.state().programDigest).toBe(fakeProgram("two").digest);
      expect(lab.kernel.emergency).toBe("none");
    },
  );

  it("keeps a closed brake over a reboot although its policies cannot be loaded", async () => {
    const first = await lab.start();
    await lab.applyAndConfirm(first.controller, "one", 0);
    lose["the program is refused"]?.();
    const { controller } = await lab.reboot({ onStartFailure: "open" });
    await lab.brake(controller, "closed");
    await lab.reboot({ onStartFailure: "open" });
    expect(lab.kernel.emergency).toBe("closed");
  });

  it("stays open when the operator chose that, and says so", async () => {
    const first = await lab.start();
    await lab.applyAndConfirm(first.controller, "one", 0);
    damageIndex();
    const { controller } = await lab.reboot({ onStartFailure: "open" });
    expect(lab.kernel.emergency).toBe("none");
    expect(controller.problems).toEqual([expect.stringContaining("it is open")]);
  });

  it("is not closed when it only observed, or when there was nothing", async () => {
    const first = await lab.start();
    await lab.applyAndConfirm(first.controller, "one", 0, { mode: "observe" });
    vi.spyOn(FakeEnforcer.prototype, "prepare").mockRejectedValue(new Error("verifier"));
    await lab.reboot();
    expect(lab.kernel.emergency).toBe("none");
    vi.restoreAllMocks();
    rmSync(lab.stateDir, { recursive: true });
    await lab.reboot();
    expect(lab.kernel.emergency).toBe("none");
  });

  it("opens again by itself when the next start succeeds", async () => {
    const first = await lab.start();
    await lab.applyAndConfirm(first.controller, "one", 0);
    lose["the program is refused"]?.();
    await lab.reboot();
    vi.restoreAllMocks();
    const { controller, enforcer } = await lab.start({ bootId: "boot-2" });
    expect(lab.kernel.emergency).toBe("none");
    expect(enforcer.state()).toMatchObject({ generation: 1, programDigest: fakeProgram("one").digest });
    expect(controller.emergency).toBeNull();
    expect(controller.problems).toEqual([]);
  });

  it("says when it could not even be closed", async () => {
    const first = await lab.start();
    await lab.applyAndConfirm(first.controller, "one", 0);
    damageIndex();
    vi.spyOn(FakeEnforcer.prototype, "setEmergency").mockImplementation(() => {
      throw new Error("cannot");
    });
    const { controller } = await lab.reboot();
    expect(controller.problems).toEqual([expect.stringMatching(/it is open, because it could not be closed: cannot/)]);
  });
});

describe("confirming twice", () => {
  it("succeeds for what is confirmed, and for nothing else", async () => {
    const { controller } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    const { digest } = fakeProgram("one");
    expect((await controller.confirm(1, digest, FRESH, lab.accept)).number).toBe(1);
    await expect(controller.confirm(1, fakeProgram("x").digest, FRESH, lab.accept)).rejects.toEqual(
      code(ErrorCode.NOTHING_PENDING),
    );
    await expect(controller.confirm(0, "", FRESH, lab.accept)).rejects.toEqual(code(ErrorCode.NOTHING_PENDING));
  });
});
