/** Who decides on healing on a host that is alone, joins a cluster, and leaves it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Role } from "@wardline/api/wardline/v1/host";
import {
  HealingAction,
  HealingMode,
  HealingOutcome,
  HealingState,
  MeshProvider,
  MeshProviderState,
} from "@wardline/api/wardline/v1/mesh";
import { ErrorCode } from "@wardline/domain/errors";
import { USUAL_HEALING_SETTINGS } from "@wardline/domain/mesh/healing";
import { toWireHealingSettings } from "@wardline/domain/wire";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { systemClock } from "../agent/clock.ts";
import { type AuditLine, executorPorts, meshAdapter } from "../testing/meshExecutorLab.ts";
import { HealingDesk } from "./healingDesk.ts";
import { HostHealing, type HostHealingPorts } from "./hostHealing.ts";
import { MeshHost } from "./meshHost.ts";
import { NO_MESH } from "./meshOptions.ts";

const log = pino({ enabled: false });
const ACT = toWireHealingSettings({ ...USUAL_HEALING_SETTINGS, mode: HealingMode.ACT, holdMs: 1_000 });
const ASKER = { actor: "alice (1000) on a", role: Role.ADMIN };
const accept = async () => {};

let stateDir: string;
let calls: string[];
let daemon: MeshProviderState;
let isAlone: boolean;
let tell: () => void;
let desk: HealingDesk;
let mesh: MeshHost;
let healing: HostHealing;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "wardline-host-healing-"));
  calls = [];
  daemon = MeshProviderState.UP;
  isAlone = true;
  const lines: AuditLine[] = [];
  const plain = meshAdapter({
    restartDaemon: async () => {
      calls.push("restart");
      daemon = MeshProviderState.UP;
    },
  });
  const adapter = { ...plain, read: async (signal: AbortSignal) => ({ ...(await plain.read(signal)), state: daemon }) };
  const plan = { provider: MeshProvider.YGGDRASIL, isPresent: () => true, load: async () => adapter };
  const options = { ...NO_MESH, isOff: false };
  const timing = { firstLookMs: 1, presentMs: 50 };
  desk = new HealingDesk();
  mesh = new MeshHost({ stateDir, hostName: "a", clock: systemClock, log, options, plans: [plan], timing });
  const cluster: ReturnType<HostHealingPorts["cluster"]> = {
    isAlone: () => isAlone,
    onChange: (listener) => {
      tell = listener;
      return () => {};
    },
    stepDown: async () => void calls.push("step down"),
  };
  const trail = executorPorts(stateDir, [], lines).trail as HostHealingPorts["trail"];
  const common = { stateDir, hostName: "a", clock: systemClock, log, trail };
  healing = new HostHealing({ ...common, mesh, desk, cluster: () => cluster });
  mesh.start();
  healing.start();
});
afterEach(async () => {
  await healing.close();
  await mesh.close();
  rmSync(stateDir, { recursive: true });
});

const until = (isReached: () => boolean) => vi.waitUntil(isReached, { timeout: 60_000, interval: 20 });
const order = (id: string, action = HealingAction.RESTART_DAEMON) => ({
  ...{ id, runId: "run", action, target: "daemon/yggdrasil/a", provider: MeshProvider.YGGDRASIL, peerUri: "" },
  ...{ term: 3n, dryRun: false, expiresAtMs: Date.now() + 20_000, approvedBy: "the loop" },
});
const { signal } = new AbortController();

describe("healing on a host", () => {
  it("is its own while it is alone, and nobody's while a cluster that it is in does not run", async () => {
    await until(() => desk.coordinator() === "a");
    await desk.configure(ACT, ASKER, accept);
    daemon = MeshProviderState.DOWN;
    await until(() => desk.runs()[0]?.state === HealingState.HEALED);
    expect(calls).toEqual(["restart"]);
    isAlone = false;
    tell();
    await until(() => desk.coordinator() === "");
    expect(desk.problem()).toContain("is in a cluster");
    expect(desk.runs()).toHaveLength(1);
    await expect(desk.configure(ACT, ASKER, accept)).rejects.toMatchObject({ code: ErrorCode.STORE_UNAVAILABLE });
    isAlone = true;
    tell();
    await until(() => desk.coordinator() === "a");
    expect(desk.problem()).toBe("");
  });

  it("is the leader's in a cluster: its orders are carried out, once each", async () => {
    isAlone = false;
    await expect(healing.executor.execute(order("run/1"), signal)).resolves.toMatchObject({
      outcome: HealingOutcome.DONE,
    });
    await healing.executor.execute(order("run/1"), signal);
    expect(calls).toEqual(["restart"]);
    await healing.executor.execute(order("run/2", HealingAction.REELECT), signal);
    expect(calls).toEqual(["restart", "step down"]);
    expect(await healing.interrupted()).toEqual([]);
    expect(desk.coordinator()).toBe("");
  });
});
