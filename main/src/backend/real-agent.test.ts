import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { FileState } from "@wardline/api/wardline/console/v1/policies";
import { ApplyStep, ReceiptOutcome } from "@wardline/api/wardline/console/v1/ship";
import { BackendKind } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode } from "@wardline/domain/errors";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UnixSocketDialer } from "./agent/unix-dialer.ts";
import { collect, startTestConsole, type TestConsole } from "./testing/console.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const agentEntry = join(root, "helper/src/main.ts");
const missing = existsSync(agentEntry) ? "" : " (skipped: no agent in this checkout)";

const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: default}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress:
    - ports: [{protocol: TCP, port: 443}]
`;

/** The agent as it is run in development, without any effect on this machine: the observe backend. */
describe.skipIf(missing !== "")(`with a real agent${missing}`, () => {
  let directory: string;
  let socketPath: string;
  let agent: ChildProcess | null = null;
  let output = "";
  let tester: TestConsole | null = null;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "wardline-real-agent-"));
    socketPath = join(directory, "run", "agent.sock");
  });

  afterEach(async () => {
    await tester?.close();
    tester = null;
    await stopAgent();
    rmSync(directory, { recursive: true, force: true });
  });

  function startAgent() {
    const args = ["agent", "run", "--backend", "observe", "--host-name", "alpha", "--socket", socketPath];
    output = "";
    agent = spawn(join(root, "bin/wardline"), [...args, "--state-dir", join(directory, "agent")], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [agent.stdout, agent.stderr]) stream?.on("data", (chunk) => (output += String(chunk)));
  }

  async function stopAgent(signal: NodeJS.Signals = "SIGTERM") {
    if (!agent || agent.exitCode !== null) return;
    const ended = new Promise((resolve) => agent?.once("exit", resolve));
    agent.kill(signal);
    await ended;
    agent = null;
  }

  function startConsole() {
    tester = startTestConsole(undefined, { dialer: new UnixSocketDialer(socketPath) });
    return tester;
  }

  async function host() {
    for await (const message of tester?.hosts.watchHosts({}) ?? []) {
      const [first] = message.hosts;
      if (first) return first;
    }
    throw new Error("no host");
  }

  async function connected() {
    await expect
      .poll(async () => (await host()).reachability, { timeout: 15_000, message: output })
      .toBe(Reachability.CONNECTED);
  }

  it("goes from nothing to an enforced and confirmed state, and back", async () => {
    startAgent();
    const { policies, ship } = startConsole();
    await connected();
    expect(await host()).toMatchObject({
      name: "alpha",
      local: true,
      status: { info: { backend: BackendKind.OBSERVE } },
    });
    await expect.poll(async () => (await host()).declared).toBe(true);

    await policies.saveFile({ path: "web.yaml", text: POLICY });
    const plan = await ship.plan({});
    expect(plan.hosts[0]?.error).toBeUndefined();
    expect(plan.planId).not.toBe("");
    const confirmWithin = { seconds: 30n };
    const refused = await collect(ship.apply({ planId: plan.planId, mode: EnforcementMode.ENFORCE, confirmWithin }));
    expect(refused[1]?.error?.code).toBe(ErrorCode.OBSERVE_ONLY);

    const steps = await collect(ship.apply({ planId: plan.planId, mode: EnforcementMode.OBSERVE, confirmWithin }));
    expect(steps[1]).toMatchObject({ step: ApplyStep.PENDING });
    const generation = steps[1]?.pending?.generation?.number ?? 0n;
    await ship.confirm({ hostId: "local", generation });
    await expect.poll(fileStates).toEqual([FileState.ENFORCED, FileState.ENFORCED]);
    expect((await ship.plan({})).hosts[0]?.unchanged).toBe(true);

    await ship.rollback({ hostId: "local", generation, reason: "test" });
    await expect.poll(fileStates).toEqual([FileState.NEW, FileState.NEW]);
    const { receipts } = await ship.listReceipts({});
    expect(receipts.map(({ outcome }) => outcome)).toEqual([ReceiptOutcome.ROLLED_BACK, ReceiptOutcome.FAILED]);
  });

  it("says why there is no agent, connects when it comes, and keeps what it knew when it dies", async () => {
    startConsole();
    await expect.poll(async () => (await host()).reachability).toBe(Reachability.NO_AGENT);
    expect((await host()).problem?.message).toContain("there is no socket");
    startAgent();
    await connected();
    const before = await host();
    await stopAgent("SIGKILL");
    await expect.poll(async () => (await host()).reachability).toBe(Reachability.LOST);
    const after = await host();
    expect(after.status?.info?.name).toBe(before.status?.info?.name);
    await expect.poll(async () => (await host()).problem?.message).toContain("nobody listens");
    startAgent();
    await connected();
  });

  async function fileStates() {
    for await (const message of tester?.policies.watchWorkspace({}) ?? [])
      return message.files.map(({ state }) => state);
    throw new Error("no workspace");
  }
});
