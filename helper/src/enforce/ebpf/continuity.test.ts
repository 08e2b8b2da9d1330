import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type HandProgramOptions, handProgram } from "../../testing/handProgram.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, readBpfObject } from "../../testing/kernelLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import { EbpfEnforcer } from "./ebpfEnforcer.ts";
import { LAYOUT_VERSION } from "./layout.ts";

const ENFORCER_MAIN = fileURLToPath(new URL("../../testing/enforcerProcessMain.ts", import.meta.url));
const UDP = 17;
const PATIENTLY = { timeout: 40_000 };
const TREE = `layout-${LAYOUT_VERSION}`;
const problem = kernelLabProblem();

const ALLOW_7001: HandProgramOptions = {
  rules: [{ direction: "ingress", remote: null, protocol: UDP, port: 7001, verdict: "allow" }],
};

describe.skipIf(problem !== null)(`enforcement without its process${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: KernelLab;
  let host: SocketPeer;
  let allowedSender: SocketPeer;
  let deniedSender: SocketPeer;
  let agent: ChildProcess | null = null;
  let enforcer: EbpfEnforcer | null = null;

  function makeEnforcer(objectBytes = readBpfObject()): EbpfEnforcer {
    enforcer = new EbpfEnforcer({ cgroupRoot: lab.cgroupRoot, bpffsDir: lab.bpffsDir, objectBytes });
    return enforcer;
  }

  async function startAgent(): Promise<ChildProcess> {
    const args = ["--no-warnings", ENFORCER_MAIN, lab.cgroupRoot, lab.bpffsDir, JSON.stringify(ALLOW_7001)];
    agent = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    if (agent.stdout !== null) await once(agent.stdout, "data");
    return agent;
  }

  function trees(): readonly string[] {
    return readdirSync(lab.bpffsDir)
      .filter((name) => name.startsWith("layout-"))
      .sort();
  }

  async function killAgent(): Promise<void> {
    if (agent === null) return;
    const exited = once(agent, "exit");
    agent.kill("SIGKILL");
    await exited;
    agent = null;
  }

  beforeEach(async () => {
    lab = new KernelLab();
    [host, allowedSender, deniedSender] = await Promise.all([
      lab.startSocketPeer("host"),
      lab.startSocketPeer("peer"),
      lab.startSocketPeer("peer"),
    ]);
    await host.listenUdp(7001);
    await host.listenUdp(7002);
  });

  afterEach(async () => {
    await killAgent();
    enforcer ??= makeEnforcer();
    await enforcer.open();
    await enforcer.release();
    enforcer = null;
    await lab.close();
  });

  it("leaks nothing and drops nothing wrongly over SIGKILL, adoption, upgrade and a flip", async () => {
    await startAgent();
    await allowedSender.startUdp(HOST_ADDRESS[4], 7001);
    await deniedSender.startUdp(HOST_ADDRESS[4], 7002);
    await expect.poll(() => host.countUdp(7001), PATIENTLY).toBeGreaterThan(0);
    await killAgent();
    const before = await host.countUdp(7001);
    await expect.poll(() => host.countUdp(7001), PATIENTLY).toBeGreaterThan(before + 100);

    const adopting = makeEnforcer();
    const state = await adopting.open();
    expect(adopting.origin).toBe("adopted");
    const digest = handProgram(ALLOW_7001).digest;
    expect(state).toMatchObject({ attached: true, generation: 1, mode: "enforce", programDigest: digest });
    // What happened while no process was there is in the counters and waits in the ring.
    expect(adopting.readCounters()[16]?.packets ?? 0n).toBeGreaterThan(50n);
    await adopting.close();

    // The same programs in another file: as an upgrade of the agent would bring.
    const upgrading = makeEnforcer(Buffer.concat([readBpfObject(), Buffer.from([0])]));
    expect(await upgrading.open()).toMatchObject({
      attached: true,
      generation: 1,
      mode: "enforce",
      programDigest: digest,
    });
    expect(upgrading.origin).toBe("upgraded");
    const prepared = await upgrading.prepare(handProgram(ALLOW_7001), 2);
    upgrading.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
    await upgrading.close();

    const again = makeEnforcer(Buffer.concat([readBpfObject(), Buffer.from([0])]));
    expect((await again.open()).generation).toBe(2);
    expect(again.origin).toBe("adopted");

    const [allowedSent, deniedSent] = await Promise.all([allowedSender.stopUdp(201), deniedSender.stopUdp(201)]);
    expect(allowedSent).toBeGreaterThan(200);
    expect(deniedSent).toBeGreaterThan(200);
    expect(await host.countUdp(7002)).toBe(0);
    await expect.poll(() => host.countUdp(7001), PATIENTLY).toBe(allowedSent);
  });

  it("repairs a link whose pin was deleted, and replaces a tree that lost a map without opening", async () => {
    await startAgent();
    await killAgent();
    const tree = join(lab.bpffsDir, TREE);
    unlinkSync(join(tree, "link_ingress"));
    // The kernel lets go of a link a moment after its pin.
    await expect
      .poll(async () => {
        await allowedSender.askUdp(HOST_ADDRESS[4], 7002);
        return await host.countUdp(7002);
      }, PATIENTLY)
      .toBe(1);
    const repaired = makeEnforcer();
    expect((await repaired.open()).attached).toBe(true);
    await allowedSender.askUdp(HOST_ADDRESS[4], 7002);
    expect(await host.countUdp(7002)).toBe(1);
    await repaired.close();

    unlinkSync(join(tree, "wl_slots"));
    const rebuilt = makeEnforcer();
    expect(await rebuilt.open()).toMatchObject({ attached: true, generation: 0 });
    expect(rebuilt.origin).toBe("created");
    // The broken tree goes on deciding until the new one does.
    expect(await allowedSender.askUdp(HOST_ADDRESS[4], 7002)).toBe("timeout");
    expect(trees()).toEqual([TREE, `${TREE}-broken`]);
    rebuilt.activate(await rebuilt.prepare(handProgram(ALLOW_7001), 3), { mode: "enforce", fallbackAfterMs: null });
    expect(trees()).toEqual([TREE]);
    expect(await allowedSender.askUdp(HOST_ADDRESS[4], 7002)).toBe("timeout");
    expect(await allowedSender.askUdp(HOST_ADDRESS[4], 7001)).toBe("ok");
  });

  it("replaces a tree of another layout without opening: that one decides until the new one does", async () => {
    await startAgent();
    await killAgent();
    const older = `layout-${LAYOUT_VERSION - 1}`;
    renameSync(join(lab.bpffsDir, TREE), join(lab.bpffsDir, older));
    await allowedSender.startUdp(HOST_ADDRESS[4], 7001);
    await deniedSender.startUdp(HOST_ADDRESS[4], 7002);
    const replacing = makeEnforcer();
    expect(await replacing.open()).toMatchObject({ attached: true, generation: 0 });
    expect(replacing.origin).toBe("created");
    expect(trees()).toEqual([older, TREE]);
    await expect.poll(() => host.countUdp(7001), PATIENTLY).toBeGreaterThan(100);
    replacing.activate(await replacing.prepare(handProgram(ALLOW_7001), 2), { mode: "enforce", fallbackAfterMs: null });
    expect(trees()).toEqual([TREE]);
    const sofar = await host.countUdp(7001);
    await expect.poll(() => host.countUdp(7001), PATIENTLY).toBeGreaterThan(sofar + 100);
    const [allowedSent, deniedSent] = await Promise.all([allowedSender.stopUdp(201), deniedSender.stopUdp(201)]);
    expect(deniedSent).toBeGreaterThan(200);
    await expect.poll(() => host.countUdp(7001), PATIENTLY).toBe(allowedSent);
    expect(await host.countUdp(7002)).toBe(0);
  });

  it("removes everything on release", async () => {
    await startAgent();
    await killAgent();
    const releasing = makeEnforcer();
    await releasing.open();
    await releasing.release();
    expect(existsSync(join(lab.bpffsDir, TREE))).toBe(false);
    expect(await allowedSender.askUdp(HOST_ADDRESS[4], 7002)).toBe("ok");
  });
});
