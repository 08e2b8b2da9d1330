import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ErrorCode } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuditTrail } from "../audit/audited.ts";
import { AuditLog } from "../audit/auditLog.ts";
import { acquireFileLock } from "../linux/fileLock.ts";
import { FakeClock } from "../testing/fakeClock.ts";
import { FakeEnforcer, FakeKernel } from "../testing/fakeEnforcer.ts";
import { FakeEngine, fakeProgram } from "../testing/fakeEngine.ts";
import { GenerationContexts } from "./contexts.ts";
import { GenerationController } from "./controller.ts";
import { StateStore } from "./stateStore.ts";
import { withoutNames } from "./switching.ts";

const problem = process.platform !== "linux" ? "needs Linux" : process.geteuid?.() !== 0 ? "needs root" : null;
const OLD = { actor: "root (0)", connectionOrder: 1 };
const FRESH = { actor: "root (0)", connectionOrder: 2 };
const SUBJECT = { actor: "root (0)", role: "admin", action: "apply", argumentDigest: "" } as const;

describe.skipIf(problem)(`a full disk${problem ? ` (${problem})` : ""}`, () => {
  let stateDir: string;
  let clock: FakeClock;
  let enforcer: FakeEnforcer;
  let controller: GenerationController;
  let audit: AuditLog;
  let trail: AuditTrail;

  beforeEach(async () => {
    stateDir = mkdtempSync(join(tmpdir(), "wardline-full-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k", "wardline-test", stateDir]);
    clock = new FakeClock();
    await open(new FakeKernel());
  });

  async function open(kernel: FakeKernel): Promise<void> {
    enforcer = new FakeEnforcer(clock, kernel);
    const store = new StateStore(stateDir);
    await store.prepareDirectory();
    audit = await AuditLog.open(join(stateDir, "audit"), () => clock.wallMs());
    trail = new AuditTrail(audit, () => clock.wallMs());
    controller = new GenerationController({
      enforcer,
      engine: new FakeEngine(),
      contexts: new GenerationContexts(),
      hostName: "alpha",
      store,
      clock,
      bootId: "boot-1",
      newestConnection: () => 1,
      circumstances: async () => withoutNames(clock.wallMs()),
      recordAutomatic: (action, detail) => void trail.automatic(action, detail),
    });
    await controller.start();
  }

  afterEach(async () => {
    await controller.close();
    await audit.close();
    execFileSync("umount", [stateDir]);
    rmSync(stateDir, { recursive: true });
  });

  function apply(text: string, base: number) {
    const request = {
      files: [{ path: "a.yaml", text }],
      mode: "enforce",
      expectedProgramDigest: fakeProgram(text).digest,
      baseGeneration: base,
      confirmWithinMs: 10_000,
      reason: "",
    } as const;
    return trail.around(SUBJECT, "", (accept) => controller.apply(request, OLD, accept));
  }

  /** Takes all space but `freeBytes` (in whole pages). */
  function fill(freeBytes: number): void {
    const path = join(stateDir, "ballast");
    writeFileSync(path, "");
    let size = 256 * 1024;
    for (;;) {
      try {
        writeFileSync(path, Buffer.alloc(size));
        break;
      } catch {
        size -= 4096;
      }
    }
    writeFileSync(path, Buffer.alloc(Math.max(0, size - freeBytes)));
  }

  const diskFull = expect.objectContaining({ code: ErrorCode.DISK_FULL });

  it("refuses an apply that cannot be audited or recorded; nothing changes and nothing half-written stays", async () => {
    await apply("one", 0);
    await controller.confirm(1, fakeProgram("one").digest, FRESH, async () => {});
    const before = enforcer.state();
    for (const freeBytes of [0, 4096, 8192]) {
      fill(freeBytes);
      await expect(apply("x".repeat(20_000), 1)).rejects.toEqual(diskFull);
      expect(enforcer.deciding()).toBe(1);
      expect(enforcer.state().mode).toBe(before.mode);
      expect(controller.pending).toBeNull();
      expect(readdirSync(join(stateDir, "generations")).filter((name) => name !== "1")).toEqual([]);
      expect(readdirSync(stateDir).filter((name) => name.endsWith(".new"))).toEqual([]);
    }
    rmSync(join(stateDir, "ballast"));
    expect((await apply("x".repeat(20_000), 1)).pending.generation.number).toBe(2);
    expect((await audit.list({ limit: 100 })).chainValid).toBe(true);
  });

  it("rolls back when the time runs out although nothing can be written, and says so later", async () => {
    await apply("one", 0);
    fill(0);
    await clock.advance(10_000);
    expect(enforcer.deciding()).toBe(0);
    expect(controller.pending).toBeNull();
    await expect.poll(() => [...controller.problems, ...audit.problems].join()).toMatch(/full.*restart will settle/);
    rmSync(join(stateDir, "ballast"));
    await apply("two", 0);
    expect((await audit.list({ limit: 100 })).entries.map(({ action, outcome }) => `${action} ${outcome}`)).toContain(
      "rollback.expired automatic",
    );
    expect(controller.problems).toEqual([]);
  });

  it("does not keep the agent from starting and leaving what nobody confirmed", async () => {
    await apply("one", 0);
    fill(0);
    const lock = acquireFileLock(join(stateDir, "agent.lock"));
    expect(lock).toHaveProperty("release");
    if ("release" in lock) lock.release();
    await controller.close();
    await audit.close();
    await open(enforcer.kernel);
    expect(enforcer.deciding()).toBe(0);
    expect(controller.enforced.number).toBe(0);
    expect(controller.problems).toEqual([expect.stringContaining("full")]);
  });

  it("refuses a confirmation that cannot be recorded, and the deadline stays", async () => {
    await apply("one", 0);
    fill(0);
    const confirming = controller.confirm(1, fakeProgram("one").digest, FRESH, async () => {});
    await expect(confirming).rejects.toEqual(diskFull);
    expect(controller.pending?.generation.number).toBe(1);
    await clock.advance(10_000);
    expect(enforcer.deciding()).toBe(0);
  });
});
