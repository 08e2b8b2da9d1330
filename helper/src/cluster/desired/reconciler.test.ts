import { readFileSync } from "node:fs";
import { join } from "node:path";
import { create, fromJsonString } from "@bufbuild/protobuf";
import { ConfirmSetRequestSchema } from "@wardline/api/wardline/agent/v1/cluster";
import { type DesiredHead, type SyncReport, SyncReportSchema, SyncState } from "@wardline/api/wardline/v1/cluster";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { bootMs } from "../../agent/clock.ts";
import type { GenerationController } from "../../generations/controller.ts";
import { ControllerLab } from "../../testing/controllerLab.ts";
import {
  LAB_KEYS,
  LabNode,
  LeadOffice,
  policyKey,
  type RequestOptions,
  requestOf,
  SILENT,
  writeOf,
} from "../../testing/desiredLab.ts";
import { FakeEngine } from "../../testing/fakeEngine.ts";
import { MemoryClusterStore, MemoryStoreState } from "../../testing/memoryClusterStore.ts";
import { Reconciler } from "./reconciler.ts";
import { RECONCILE_CHECKPOINTS, type ReconcileCheckpoint } from "./types.ts";

/** `vi.waitFor` alone gives up after a second, which a busy machine may take for anything. */
const PATIENTLY = { timeout: 60_000 } as const;

const ALICE = { actor: "alice" };

let lab: ControllerLab;
let state: MemoryStoreState;
let leader: LabNode;
let versions: Map<string, bigint>;
let closers: (() => Promise<unknown>)[];
/** The host's way to the store. */
let way: { isCut: boolean; forProofs: "fine" | "cut" | "cut by policy" };

beforeEach(async () => {
  lab = new ControllerLab();
  state = new MemoryStoreState(lab.clock);
  versions = new Map();
  closers = [];
  way = { isCut: false, forProofs: "fine" };
  leader = new LabNode(new LeadOffice(), "a", new MemoryClusterStore(state), { clock: lab.clock });
  await leader.lead.take();
});
afterEach(async () => {
  for (const close of closers.reverse()) await close();
  await leader.close();
  await lab.close();
});

const down = () => new Failure({ code: ErrorCode.STORE_UNAVAILABLE, message: "no way to the store", retryable: true });

/** Writes one policy; its comment is what the double of the engine looks at. */
async function write(port: number, comment = "", options: RequestOptions = {}, name = "web"): Promise<DesiredHead> {
  const more = comment === "" ? "" : `# ${comment}\n`;
  const { head, written } = await leader.set.write(
    requestOf([writeOf(name, port, versions.get(name) ?? 0n, more)], options),
    ALICE,
  );
  for (const { key, version } of written) if (key === policyKey(name)) versions.set(name, version);
  if (!head) throw new Error("no head");
  return head;
}

const decide = (head: DesiredHead, rollBack = false) =>
  leader.set.confirm(
    create(ConfirmSetRequestSchema, { setNumber: head.setNumber, digest: head.digest, rollBack }),
    ALICE,
  );

interface Host {
  readonly controller: GenerationController;
  readonly reconciler: Reconciler;
  readonly automatic: string[];
  close(): Promise<void>;
}

/** An agent that starts on what the one before left: the kernel, its disk, the store. */
async function host(checkpoint?: (step: ReconcileCheckpoint) => Promise<void>): Promise<Host> {
  const { controller } = await lab.start();
  const link = {
    call: async <T>(run: () => T) => {
      if (way.isCut) throw down();
      return run();
    },
    pass: async () => {
      if (way.isCut) throw down();
    },
  };
  const store = new MemoryClusterStore(state, link);
  const own = new LabNode(new LeadOffice(), "alpha", store, { clock: lab.clock });
  const automatic: string[] = [];
  const reconciler = new Reconciler({
    store,
    keys: LAB_KEYS,
    replica: own.replica,
    controller,
    engine: new FakeEngine(),
    clock: lab.clock,
    log: SILENT,
    hostName: "alpha",
    stateDir: lab.stateDir,
    freshProof: async () => {
      const isCutByPolicy = way.forProofs === "cut by policy" && (await textInForce(controller)).includes("# cut");
      if (way.isCut || way.forProofs === "cut" || isCutByPolicy) throw down();
      return own.replica.state?.head ?? null;
    },
    recordAutomatic: (action, detail) => automatic.push(`${action}: ${detail}`),
    ...(checkpoint === undefined ? {} : { checkpoint }),
  });
  await reconciler.start();
  let isClosed = false;
  const close = async () => {
    if (isClosed) return;
    isClosed = true;
    await reconciler.close();
    await own.close();
    await controller.close();
  };
  closers.push(close);
  return { controller, reconciler, automatic, close };
}

async function textInForce(controller: GenerationController): Promise<string> {
  return (await controller.enforcedFiles()).map(({ text }) => text).join("\n");
}

const portInForce = async ({ controller }: Host) => /port: (\d+)/.exec(await textInForce(controller))?.[1] ?? null;

/** Waits for a report, moving the clock by `stepMs` each time it is looked. */
async function reported(one: Host, over: Partial<SyncReport>, stepMs = 0): Promise<void> {
  await vi.waitFor(
    async () => {
      if (stepMs > 0) await lab.clock.advance(stepMs);
      expect(one.reconciler.report).toMatchObject(over);
    },
    { timeout: 60_000, interval: 5 },
  );
}

function reportInStore(): SyncReport | null {
  const item = state.get(LAB_KEYS.report("alpha"));
  return item && fromJsonString(SyncReportSchema, Buffer.from(item.value).toString("utf8"));
}

describe("a host that follows", () => {
  it("is its own master until there is a set, then puts it in force, keeps it and says so", async () => {
    const one = await host();
    await reported(one, { state: SyncState.IDLE, activeSetNumber: 0n });
    expect(one.reconciler.followsCluster()).toBe(false);
    const head = await write(80);
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 1n, seenSetNumber: 1n, activeDigest: head.digest });
    expect(one.reconciler.followsCluster()).toBe(true);
    expect(one.controller.pending).toBeNull();
    expect(one.controller.enforced).toMatchObject({ appliedBy: "cluster", reason: "set 1 of alice", mode: "enforce" });
    expect(await textInForce(one.controller)).toContain("port: 80");
    expect(one.automatic).toEqual(["cluster.apply: set 1 of alice"]);
    await vi.waitFor(
      () => expect(reportInStore()).toMatchObject({ state: SyncState.ACTIVE, activeSetNumber: 1n }),
      PATIENTLY,
    );
    expect(reportInStore()).toMatchObject({ host: "alpha", generation: BigInt(one.controller.enforced.number) });
    expect(reportInStore()?.took).toBeDefined();
  });

  it("writes its report only when something changed", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    await vi.waitFor(() => expect(reportInStore()?.activeSetNumber).toBe(1n), PATIENTLY);
    const { version } = state.get(LAB_KEYS.report("alpha")) ?? {};
    await lab.clock.advance(60_000);
    expect(state.get(LAB_KEYS.report("alpha"))?.version).toBe(version);
  });

  it("that was away while much changed applies once", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 1n });
    const { number } = one.controller.enforced;
    way.isCut = true;
    for (let change = 1; change <= 100; change++) await write(80 + change);
    await reported(one, { state: SyncState.CUT_OFF, activeSetNumber: 1n }, 1_000);
    expect(one.reconciler.followsCluster()).toBe(true);
    expect(await portInForce(one)).toBe("80");
    way.isCut = false;
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 101n }, 500);
    expect(one.controller.enforced.number).toBe(number + 1);
    expect(await portInForce(one)).toBe("180");
  });

  it("follows the mode, and a set that says the same in another number costs nothing", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    const { number } = one.controller.enforced;
    await write(80, "", { mode: EnforcementMode.OBSERVE });
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 2n });
    expect(one.controller.enforced).toMatchObject({ mode: "observe", number: number + 1 });
    await write(81, "", { mode: EnforcementMode.OBSERVE, confirmWithinMs: 60_000 }).then((head) => decide(head, true));
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 4n });
    expect(await portInForce(one)).toBe("80");
  });

  it("refuses what it cannot do, stays at what it had, and tries the next set", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    await write(81, "bad for this host");
    await reported(one, { state: SyncState.REFUSED, activeSetNumber: 1n, seenSetNumber: 2n });
    expect(one.reconciler.report.problem).toMatchObject({ code: ErrorCode.POLICY_INVALID });
    expect(one.automatic.at(-1)).toContain("cluster.refused: set 2");
    expect(await portInForce(one)).toBe("80");
    await lab.clock.advance(60_000);
    expect(one.automatic.filter((line) => line.startsWith("cluster.refused"))).toHaveLength(1);
    await write(82);
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 3n });
  });

  it("waits for a person's own change that is pending", async () => {
    const one = await host();
    const { pending } = await one.controller.apply(
      lab.request("mine", 0),
      { actor: "root (0)", connectionOrder: 1 },
      lab.accept,
    );
    await write(80);
    await reported(one, { state: SyncState.APPLYING, seenSetNumber: 1n });
    const { number, programDigest } = pending.generation;
    await one.controller.confirm(number, programDigest, { actor: "root (0)", connectionOrder: 2 }, lab.accept);
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 1n });
  });
});

describe("a set that cuts the host off", () => {
  it("returns by itself, twice, and is refused then; the next set is tried", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    way.forProofs = "cut by policy";
    await write(81, "cut");
    await reported(one, { state: SyncState.REFUSED, activeSetNumber: 1n }, 500);
    expect(one.reconciler.report.problem?.code).toBe(ErrorCode.WOULD_LOCK_OUT);
    expect(one.automatic.filter((line) => line.startsWith("cluster.rollback"))).toHaveLength(2);
    expect(await portInForce(one)).toBe("80");
    expect(one.controller.pending).toBeNull();
    await vi.waitFor(() => expect(reportInStore()?.state).toBe(SyncState.REFUSED), PATIENTLY);
    await write(82);
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 3n });
  });

  it("is not blamed when the store itself is away", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    way.forProofs = "cut";
    await write(81);
    const code = ErrorCode.STORE_UNAVAILABLE;
    const away = { state: SyncState.APPLYING, seenSetNumber: 2n, activeSetNumber: 1n, problem: { code } };
    // It is tried again and again, and for as long as one try takes it is in force.
    await vi.waitFor(
      async () => {
        await lab.clock.advance(1_000);
        expect(one.reconciler.report).toMatchObject(away);
        expect(await portInForce(one)).toBe("80");
      },
      { ...PATIENTLY, interval: 5 },
    );
    way.forProofs = "fine";
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 2n }, 1_000);
  });
});

describe("a set that waits for confirmation", () => {
  it("is in force with its deadline, and kept once the cluster keeps it", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    const head = await write(81, "", { confirmWithinMs: 60_000 });
    await reported(one, { state: SyncState.PENDING, activeSetNumber: 2n });
    expect(one.controller.pending?.deadlineBootMs).toBeLessThanOrEqual(bootMs(lab.clock) + 63_000);
    expect(one.controller.pending?.deadlineBootMs).toBeGreaterThanOrEqual(bootMs(lab.clock) + 55_000);
    await decide(head);
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 2n });
    expect(one.controller.pending).toBeNull();
    expect(await portInForce(one)).toBe("81");
  });

  it("is left when it is taken back", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    const head = await write(81, "", { confirmWithinMs: 60_000 });
    await reported(one, { state: SyncState.PENDING });
    await decide(head, true);
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 3n });
    expect(await portInForce(one)).toBe("80");
  });

  it("is left by a host that hears nothing, and put in force again when it was confirmed meanwhile", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    const head = await write(81, "", { confirmWithinMs: 20_000 });
    await reported(one, { state: SyncState.PENDING });
    way.isCut = true;
    await decide(head);
    await vi.waitFor(
      async () => {
        await lab.clock.advance(1_000);
        expect(await portInForce(one)).toBe("80");
      },
      { timeout: 60_000 },
    );
    await reported(one, { state: SyncState.CUT_OFF }, 1_000);
    way.isCut = false;
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 2n }, 500);
    expect(await portInForce(one)).toBe("81");
  });

  it("is not kept without a proof over a fresh connection, although it is confirmed", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    const head = await write(81, "cut", { confirmWithinMs: 20_000 });
    await reported(one, { state: SyncState.PENDING });
    way.forProofs = "cut by policy";
    await decide(head);
    await reported(one, { state: SyncState.REFUSED, activeSetNumber: 1n }, 1_000);
    expect(await portInForce(one)).toBe("80");
  });

  it("is not worth it for a host that comes late: it takes the newest confirmed one", async () => {
    await write(80);
    await write(90, "", {}, "db");
    await write(81, "", { confirmWithinMs: 20_000 });
    await lab.clock.advance(19_000);
    const one = await host();
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 2n, seenSetNumber: 3n });
    const text = await textInForce(one.controller);
    expect([text.includes("port: 80}"), text.includes("port: 81}"), text.includes("port: 90}")]).toEqual([
      true,
      false,
      true,
    ]);
  });

  it("is put in force by a host whose clock is wrong, when it sees it come", async () => {
    const { wallOffsetMs } = lab.clock;
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    // The double has one clock: the head is given the time of a leader whose clock is an hour behind.
    lab.clock.wallOffsetMs = wallOffsetMs - 3_600_000;
    const writing = write(81, "", { confirmWithinMs: 60_000 });
    await writing.then(() => {
      lab.clock.wallOffsetMs = wallOffsetMs;
    });
    await reported(one, { state: SyncState.PENDING, activeSetNumber: 2n });
    expect(one.controller.pending?.deadlineBootMs).toBeGreaterThan(bootMs(lab.clock) + 50_000);
    await one.close();
    const late = await host();
    await reported(late, { state: SyncState.ACTIVE, activeSetNumber: 1n, seenSetNumber: 2n });
  });

  it("that was the first leaves the host its own master again", async () => {
    const one = await host();
    const head = await write(80, "", { confirmWithinMs: 20_000 });
    await reported(one, { state: SyncState.PENDING });
    expect(one.reconciler.followsCluster()).toBe(true);
    await decide(head, true);
    await reported(one, { state: SyncState.IDLE, activeSetNumber: 0n });
    expect(one.reconciler.followsCluster()).toBe(false);
    expect(one.controller.enforced.number).toBe(0);
  });

  it("is put in force again after a quarantine, which comes first", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    const head = await write(81, "", { confirmWithinMs: 60_000 });
    await reported(one, { state: SyncState.PENDING });
    const { number } = one.controller.pending?.generation ?? {};
    await lab.quarantine(one.controller, "shop/db");
    await vi.waitFor(() => expect(one.controller.pending?.generation.number).toBeGreaterThan(number ?? 0), PATIENTLY);
    expect(one.controller.quarantines).toHaveLength(1);
    await decide(head);
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 2n });
    expect(one.controller.quarantines).toHaveLength(1);
  });
});

describe("a person on the host", () => {
  const rollback = ({ controller }: Host) => controller.rollback(controller.enforced.number, lab.accept);

  it("who returns it to the generation before is not fought, not after a restart either, until there is a newer set", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    await write(81);
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 2n });
    await rollback(one);
    await reported(one, { state: SyncState.ROLLED_BACK, activeSetNumber: 1n, seenSetNumber: 2n });
    expect(one.reconciler.report.problem?.message).toContain("Somebody on this host left set 2");
    await lab.clock.advance(60_000);
    expect(await portInForce(one)).toBe("80");
    await one.close();
    const next = await host();
    await reported(next, { state: SyncState.ROLLED_BACK, activeSetNumber: 1n });
    await write(82);
    await reported(next, { state: SyncState.ACTIVE, activeSetNumber: 3n });
  });

  it("who leaves a pending set is not fought, although it is confirmed later", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    const head = await write(81, "", { confirmWithinMs: 60_000 });
    await reported(one, { state: SyncState.PENDING });
    await rollback(one);
    await reported(one, { state: SyncState.ROLLED_BACK, activeSetNumber: 1n });
    await decide(head);
    await lab.clock.advance(5_000);
    expect(one.reconciler.report.state).toBe(SyncState.ROLLED_BACK);
    expect(await portInForce(one)).toBe("80");
  });

  it("who ended the agent, returned it and started it is not fought", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    await write(81);
    await reported(one, { state: SyncState.ACTIVE, activeSetNumber: 2n });
    await one.close();
    const { controller } = await lab.start();
    await controller.rollback(controller.enforced.number, lab.accept);
    await controller.close();
    const next = await host();
    await reported(next, { state: SyncState.ROLLED_BACK, activeSetNumber: 1n });
  });
});

describe("an agent that ends", () => {
  it.each(RECONCILE_CHECKPOINTS)("at %s goes on rightly with the next start", async (step) => {
    const first = await host();
    await write(80);
    await reported(first, { state: SyncState.ACTIVE, activeSetNumber: 1n });
    await first.close();
    let reached = () => {};
    const isReached = new Promise<void>((resolve) => {
      reached = resolve;
    });
    // From there on it does nothing any more: what a kill leaves.
    let isDead = false;
    const dying = await host(async (at) => {
      if (at !== step || !(await new Promise((resolve) => resolve(state.get(LAB_KEYS.set(2n)) !== null)))) return;
      isDead = true;
      reached();
      await new Promise(() => {});
    });
    await write(81);
    await isReached;
    expect(isDead).toBe(true);
    closers.pop();
    void dying.controller.close();
    const next = await host();
    await reported(next, { state: SyncState.ACTIVE, activeSetNumber: 2n });
    expect(await portInForce(next)).toBe("81");
    expect(next.controller.pending).toBeNull();
    await vi.waitFor(() => expect(reportInStore()?.activeSetNumber).toBe(2n), PATIENTLY);
    const record = JSON.parse(readFileSync(join(lab.stateDir, "cluster", "desired.json"), "utf8"));
    expect(record).toMatchObject({ follows: true, left: "0" });
    expect(record.applied[0]).toMatchObject({ setNumber: "2" });
  });

  it("while a set is pending puts it in force again with the time that is left", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    const head = await write(81, "", { confirmWithinMs: 60_000 });
    await reported(one, { state: SyncState.PENDING });
    await one.close();
    await lab.clock.advance(20_000);
    const next = await host();
    await reported(next, { state: SyncState.PENDING, activeSetNumber: 2n });
    expect(next.controller.pending?.deadlineBootMs).toBeLessThanOrEqual(bootMs(lab.clock) + 43_000);
    await decide(head);
    await reported(next, { state: SyncState.ACTIVE, activeSetNumber: 2n });
  });

  it("and finds at its start what should be enforced does nothing", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    const { number } = one.controller.enforced;
    await one.close();
    const next = await host();
    await reported(next, { state: SyncState.ACTIVE, activeSetNumber: 1n });
    expect(next.controller.enforced.number).toBe(number);
    expect(next.automatic).toEqual([]);
  });

  it("is known to follow before the store can be reached", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    await one.close();
    way.isCut = true;
    const next = await host();
    expect(next.reconciler.followsCluster()).toBe(true);
    await reported(next, { state: SyncState.CUT_OFF });
    expect(await portInForce(next)).toBe("80");
  });

  it("hands a pending set on to the reconciler after it in the same agent", async () => {
    const one = await host();
    await write(80);
    await reported(one, { state: SyncState.ACTIVE });
    const head = await write(81, "", { confirmWithinMs: 60_000 });
    await reported(one, { state: SyncState.PENDING });
    const { number } = one.controller.pending?.generation ?? {};
    await one.reconciler.close();
    const own = new LabNode(new LeadOffice(), "alpha", new MemoryClusterStore(state), { clock: lab.clock });
    const again = new Reconciler({
      store: own.store,
      keys: LAB_KEYS,
      replica: own.replica,
      controller: one.controller,
      engine: new FakeEngine(),
      clock: lab.clock,
      log: SILENT,
      hostName: "alpha",
      stateDir: lab.stateDir,
      freshProof: async () => own.replica.state?.head ?? null,
      recordAutomatic: () => {},
    });
    await again.start();
    closers.push(async () => {
      await again.close();
      await own.close();
    });
    await vi.waitFor(() => expect(again.report.state).toBe(SyncState.PENDING), PATIENTLY);
    expect(one.controller.pending?.generation.number).toBe(number);
    await decide(head);
    await vi.waitFor(
      () => expect(again.report).toMatchObject({ state: SyncState.ACTIVE, activeSetNumber: 2n }),
      PATIENTLY,
    );
    expect(one.controller.enforced.number).toBe(number);
  });
});
