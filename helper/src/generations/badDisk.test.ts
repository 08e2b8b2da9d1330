/** A disk that takes the records and refuses to make their names stay, or takes its time. */
import { readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ControllerLab, FRESH, OLD } from "../testing/controllerLab.ts";
import { refuseDirectorySyncs } from "../testing/unsyncedDirectory.ts";
import { toWirePending } from "./generationMessage.ts";

let lab: ControllerLab;
/** Called instead of the next sync of the state directory; `null` = the disk works. */
let onRefusal: (() => void) | null;
let restore: () => void;

beforeEach(async () => {
  lab = new ControllerLab();
  onRefusal = null;
  const { ino } = statSync(lab.stateDir);
  restore = await refuseDirectorySyncs((inode) => {
    const refusal = inode === ino ? onRefusal : null;
    if (refusal !== null) onRefusal = null;
    refusal?.();
    return refusal !== null;
  });
});
afterEach(async () => {
  restore();
  await lab.close();
});

const refuseOnce = () => {
  onRefusal = () => {};
};
/** The index that counted cannot come back either. */
const refuseAndLoseFormer = () => {
  onRefusal = () => {
    for (const name of readdirSync(lab.stateDir)) if (name.endsWith(".former")) rmSync(join(lab.stateDir, name));
  };
};

describe("a record whose place is not on disk", () => {
  it("leaves nothing of an apply that was refused for it", async () => {
    const { controller, enforcer, store } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    refuseOnce();
    await expect(controller.apply(lab.request("two", 1), OLD, lab.accept)).rejects.toThrow("EIO");
    expect(enforcer.deciding()).toBe(1);
    expect(await store.readIndex()).toMatchObject({ kind: "read", index: { confirmed: 1, pending: null } });
    await controller.close();
    const after = await lab.reboot();
    expect(after.controller.enforced.number).toBe(1);
    expect(lab.automatic).toEqual([]);
  });

  it("leaves a change pending whose confirmation was refused for it, also for a restart", async () => {
    const { controller, enforcer, store } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    const { pending } = await controller.apply(lab.request("two", 1), OLD, lab.accept);
    const { number, programDigest } = pending.generation;
    refuseOnce();
    await expect(controller.confirm(number, programDigest, FRESH, lab.accept)).rejects.toThrow("EIO");
    expect(controller.pending?.generation.number).toBe(2);
    expect(await store.readIndex()).toMatchObject({ index: { confirmed: 1, pending: { generation: 2 } } });
    await controller.close();
    const after = await lab.reboot();
    expect(after.controller.enforced.number).toBe(1);
    expect(after.enforcer.deciding()).toBe(1);
    expect(enforcer.deciding()).toBe(2);
  });

  it("is said and written again where it cannot be taken back", async () => {
    const { controller, store } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    refuseAndLoseFormer();
    await expect(controller.apply(lab.request("two", 1), OLD, lab.accept)).rejects.toThrow("could not be put back");
    expect(controller.problems).toEqual([expect.stringContaining("A restart would follow it")]);
    expect(await store.readIndex()).toMatchObject({ index: { pending: { generation: 2 } } });
    await controller.catchUp();
    expect(controller.problems).toEqual([]);
    expect(await store.readIndex()).toMatchObject({ index: { confirmed: 1, pending: null } });
  });
});

describe("a disk that is slow", () => {
  it("costs nobody time to confirm: the time begins when the change is in force", async () => {
    const { controller, enforcer, store } = await lab.start();
    const write = store.writeIndex.bind(store);
    store.writeIndex = async (...record) => {
      await lab.clock.advance(12_000);
      return write(...record);
    };
    const { pending } = await controller.apply(lab.request("one", 0), OLD, lab.accept);
    store.writeIndex = write;
    expect(toWirePending(pending, lab.clock).remaining).toMatchObject({ seconds: 10n, nanos: 0 });
    await lab.clock.advance(9_999);
    expect(enforcer.deciding()).toBe(1);
    const { number, programDigest } = pending.generation;
    await controller.confirm(number, programDigest, FRESH, lab.accept);
    expect(controller.enforced.number).toBe(1);
  });

  it("does not lengthen it either", async () => {
    const { controller, enforcer } = await lab.start();
    await controller.apply(lab.request("one", 0), OLD, lab.accept);
    await lab.clock.advance(10_000);
    expect(enforcer.deciding()).toBe(0);
    await vi.waitFor(() => expect(controller.pending).toBeNull());
  });
});

describe("a release that fails half-way", () => {
  it("leaves the records of what may still be enforced: a restart would open the host", async () => {
    const { controller, enforcer, store } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    enforcer.release = async () => {
      throw new Error("a map is in use");
    };
    await expect(controller.release(lab.accept)).rejects.toThrow("a map is in use");
    expect(await store.readIndex()).toMatchObject({ index: { confirmed: 1 } });
    await controller.setEmergency("closed", OLD, "", lab.accept);
    await controller.setEmergency("none", OLD, "", lab.accept);
    await controller.close();
    const after = await lab.reboot();
    expect(after.controller.enforced.number).toBe(1);
    expect(after.enforcer.deciding()).toBe(1);
  });

  it("leaves a brake that can be lifted: it is in the kernel, although nothing is open there", async () => {
    const { controller, enforcer } = await lab.start();
    await lab.applyAndConfirm(controller, "one", 0);
    await controller.setEmergency("closed", OLD, "", lab.accept);
    enforcer.release = async () => {
      await enforcer.close();
      throw new Error("a map is in use");
    };
    await expect(controller.release(lab.accept)).rejects.toThrow("a map is in use");
    expect(enforcer.kernel.emergency).toBe("closed");
    await controller.setEmergency("none", OLD, "", lab.accept);
    expect(enforcer.kernel.emergency).toBe("none");
  });
});
