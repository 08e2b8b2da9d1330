/** A controller on doubles of kernel, clock and engine, with a state directory that outlives it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BackendName, Emergency } from "../enforce/enforcer.ts";
import { EnforcerSession } from "../enforce/enforcerSession.ts";
import { GenerationContexts } from "../generations/contexts.ts";
import { GenerationController } from "../generations/controller.ts";
import type { Accept, ApplyRequest, Caller, StartFailure } from "../generations/controllerTypes.ts";
import type { QuarantineRequest } from "../generations/quarantines.ts";
import { StateStore } from "../generations/stateStore.ts";
import { FakeClock } from "./fakeClock.ts";
import { FakeEnforcer, FakeKernel } from "./fakeEnforcer.ts";
import { FakeEngine, fakeProgram } from "./fakeEngine.ts";

/** A connection from before every flip, and one from after. */
export const OLD: Caller = { actor: "root (0)", connectionOrder: 1 };
export const FRESH: Caller = { actor: "root (0)", connectionOrder: 2 };

interface Start {
  readonly bootId?: string;
  readonly backend?: BackendName;
  readonly onStartFailure?: StartFailure;
  readonly engine?: FakeEngine;
}

export class ControllerLab {
  readonly stateDir = mkdtempSync(join(tmpdir(), "wardline-controller-"));
  readonly clock = new FakeClock();
  readonly #started: GenerationController[] = [];
  kernel = new FakeKernel();
  /** `action: detail` of what the agent did by itself. */
  automatic: string[] = [];
  /** Every entry that was accepted, `even unrecorded` when it may not be refused. */
  accepted: string[] = [];

  readonly accept: Accept = async (options) => {
    this.accepted.push(options?.evenWhenUnrecorded ? "even unrecorded" : "recorded");
  };

  async start({
    bootId = "boot-1",
    backend = "ebpf",
    onStartFailure = "closed",
    engine = new FakeEngine(),
  }: Start = {}) {
    const enforcer = new FakeEnforcer(this.clock, this.kernel, backend);
    const store = new StateStore(this.stateDir);
    await store.prepareDirectory();
    const contexts = new GenerationContexts();
    const controller = new GenerationController({
      enforcer: new EnforcerSession(enforcer),
      engine,
      contexts,
      hostName: "alpha",
      store,
      clock: this.clock,
      bootId,
      newestConnection: () => 1,
      circumstances: async () => ({ domainAddresses: new Map() }),
      recordAutomatic: (action, detail) => this.automatic.push(`${action}: ${detail}`),
      onStartFailure,
    });
    this.#started.push(controller);
    await controller.start();
    return { controller, enforcer, store, contexts };
  }

  /** The kernel keeps its maps over a restart and loses them at a reboot. */
  reboot(over: Start = {}) {
    this.kernel = new FakeKernel();
    return this.start({ bootId: "boot-2", ...over });
  }

  request(text: string, base: number, over: Partial<ApplyRequest> = {}): ApplyRequest {
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

  async applyAndConfirm(
    controller: GenerationController,
    text: string,
    base: number,
    over: Partial<ApplyRequest> = {},
  ): Promise<number> {
    const { pending } = await controller.apply(this.request(text, base, over), OLD, this.accept);
    const { number, programDigest } = pending.generation;
    await controller.confirm(number, programDigest, FRESH, this.accept);
    return number;
  }

  quarantine(controller: GenerationController, subject: string, over: Partial<QuarantineRequest> = {}): Promise<void> {
    const usual = { lifted: false, managementCidrs: [], managementPorts: [22], reason: "" };
    return controller.setQuarantine({ subject, ...usual, ...over }, OLD, this.accept);
  }

  brake(controller: GenerationController, emergency: Emergency): Promise<void> {
    return controller.setEmergency(emergency, OLD, "test", this.accept);
  }

  /** Waits for what is still written: a directory that fills again cannot be removed. */
  async close(): Promise<void> {
    await Promise.all(this.#started.map((controller) => controller.close()));
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}
