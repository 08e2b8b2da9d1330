/** Boot, the verbs that cut off, and uninstall: a real agent on a real kernel, judged by real sockets. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Emergency } from "@wardline/api/wardline/v1/host";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EbpfEnforcer } from "../enforce/ebpf/ebpfEnforcer.ts";
import { CGROUP_HOOKS } from "../enforce/ebpf/layout.ts";
import { attachedPrograms } from "../linux/bpf/attached.ts";
import { outcomeOf } from "../testing/agentClient.ts";
import { AgentLab, allowPorts } from "../testing/agentLab.ts";
import { HOST_ADDRESS, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../testing/kernelLab.ts";
import type { SocketPeer } from "../testing/socketPeer.ts";

const problem = kernelLabProblem();
const suite = describe.skipIf(problem);
const because = problem ? ` (${problem})` : "";

let lab: AgentLab;
let host: SocketPeer;
let peer: SocketPeer;

async function open(): Promise<void> {
  lab = new AgentLab();
  [host, peer] = await Promise.all([lab.kernel.startSocketPeer("host"), lab.kernel.startSocketPeer("peer")]);
  await Promise.all([22, 8080, 9090].map((port) => host.listenTcp(port)));
}

const reach = (port: number, family: 4 | 6 = 4) =>
  peer.connectTcp(`${port}/${family}`, HOST_ADDRESS[family], port, 200);
const leave = (port: number) => host.connectTcp(`out ${port}`, PEER_ADDRESS[4], port, 200);

suite(`the emergency brake of a real agent${because}`, { timeout: 240_000 }, () => {
  beforeEach(open, 240_000);
  afterEach(() => lab.close(), 240_000);

  it("closes and opens at once, while a confirmation waits, over SIGKILL and a reboot", async () => {
    await lab.start();
    await lab.applyAndConfirm(0n, allowPorts(8080));
    await lab.apply(1n, 30_000, allowPorts(8080, 9090));
    expect([await reach(8080), await reach(9090)]).toEqual(["ok", "ok"]);
    const { status } = await lab.connect().setEmergency({ emergency: Emergency.CLOSED, reason: "test" });
    expect(status).toMatchObject({
      emergency: Emergency.CLOSED,
      problems: [expect.stringContaining("nothing passes")],
    });
    expect([await peer.exchange("8080/4", 200), await reach(8080), await reach(8080, 6)]).toEqual(
      Array(3).fill("timeout"),
    );
    await lab.agent?.end("SIGKILL");
    expect(await reach(8080)).toBe("timeout");
    await lab.start();
    expect(await reach(8080)).toBe("timeout");
    expect(await lab.status()).toMatchObject({ emergency: Emergency.CLOSED, enforced: { number: 1n } });
    await lab.loseKernel();
    expect(await reach(8080)).toBe("ok");
    await lab.start();
    expect(await reach(8080)).toBe("timeout");
    await lab.connect().setEmergency({ emergency: Emergency.OPEN });
    expect([await reach(8080), await reach(9090)]).toEqual(["ok", "ok"]);
    await lab.connect().setEmergency({ emergency: Emergency.NONE });
    expect([await reach(8080), await reach(9090)]).toEqual(["ok", "timeout"]);
  });
});

suite(`quarantine by a real agent${because}`, { timeout: 240_000 }, () => {
  beforeEach(open, 240_000);
  afterEach(() => lab.close(), 240_000);

  it("ends open connections of a host with their next packet, but for management, until it is lifted", async () => {
    await lab.start();
    await lab.applyAndConfirm(0n, allowPorts(22, 8080));
    expect([await reach(8080), await reach(22), await reach(8080, 6)]).toEqual(["ok", "ok", "ok"]);
    const { status } = await lab.connect().setQuarantine({ subjectKey: "alpha", managementCidrs: [PEER_ADDRESS[4]] });
    expect(status).toMatchObject({ enforced: { number: 2n }, quarantines: [{ subjectKey: "Host/alpha" }] });
    expect([await peer.exchange("8080/4", 200), await peer.exchange("8080/6", 200), await reach(8080)]).toEqual(
      Array(3).fill("timeout"),
    );
    // The session of who does this goes on, and a new one opens.
    expect([await peer.exchange("22/4", 400), await reach(22), await reach(22, 6)]).toEqual(["ok", "ok", "timeout"]);
    expect(await leave(22)).not.toBe("ok");
    await lab.connect().setQuarantine({ subjectKey: "Host/alpha", lifted: true });
    expect([await reach(8080), await reach(9090)]).toEqual(["ok", "timeout"]);
  });

  it("is a policy of its own in the flows, and stays over apply, SIGKILL and reboot", async () => {
    await lab.start();
    await lab.applyAndConfirm(0n, allowPorts(8080));
    await lab.connect().setQuarantine({ subjectKey: "alpha" });
    expect(await reach(8080)).toBe("timeout");
    const namedInFlows = async () => {
      for await (const { flows } of lab.connect().watchFlows({ history: 100 }, { timeoutMs: 60_000 })) {
        const decided = flows.flatMap(({ decision }) => decision?.policyKeys ?? []);
        const found = decided.find((key) => key.startsWith("wardline.io/"));
        if (found !== undefined) return found;
      }
      return null;
    };
    expect(await namedInFlows()).toBe("wardline.io/quarantine/Host/alpha");
    await lab.applyAndConfirm(2n, allowPorts(8080, 9090));
    expect([await reach(8080), await reach(9090)]).toEqual(["timeout", "timeout"]);
    await lab.agent?.end("SIGKILL");
    await lab.start();
    expect(await reach(8080)).toBe("timeout");
    await lab.loseKernel();
    await lab.start();
    expect([await reach(8080), (await lab.status()).quarantines.length]).toEqual(["timeout", 1]);
  });

  it("cuts off a workload alone, found by its cgroup", async () => {
    const cgroup = lab.kernel.makeCgroup("db.service");
    const db = await lab.kernel.startSocketPeer("host", cgroup);
    await db.listenTcp(5432);
    await lab.start();
    await lab.applyAndConfirm(0n, allowPorts(8080, 5432));
    expect([await reach(5432), await reach(8080)]).toEqual(["ok", "ok"]);
    await lab.connect().setQuarantine({ subjectKey: "db" });
    expect([await peer.exchange("5432/4", 200), await reach(5432), await reach(8080)]).toEqual([
      "timeout",
      "timeout",
      "ok",
    ]);
    expect(await outcomeOf(lab.connect().setQuarantine({ subjectKey: "dv" }))).toBe("NOT_FOUND");
  });
});

suite(`the status of a real agent${because}`, { timeout: 240_000 }, () => {
  beforeEach(open, 240_000);
  afterEach(() => lab.close(), 240_000);

  it("says why this backend, what the kernel was asked, and which programs of others run at its hooks", async () => {
    const cgroupRoot = lab.kernel.makeCgroup("inner");
    await lab.start("--cgroup-root", cgroupRoot);
    const { info, foreignPrograms, emergency, quarantines } = await lab.status();
    expect(info).toMatchObject({ cgroupRoot, backendReason: expect.stringContaining(cgroupRoot) });
    expect(info?.capabilities.map(({ name, available }) => [name, available])).toContainEqual(["cgroup2", true]);
    expect(info?.backendLimits.length).toBeGreaterThan(0);
    expect({ emergency, quarantines }).toEqual({ emergency: Emergency.NONE, quarantines: [] });
    const ours = attachedPrograms(cgroupRoot, CGROUP_HOOKS).length;
    expect(foreignPrograms.length).toBeLessThan(ours);
    await lab.agent?.end("SIGTERM");
    // Another agent above: its programs run here too, and ours cannot let through what they drop.
    const pins = join(lab.kernel.directory, "other");
    const other = new EbpfEnforcer({
      cgroupRoot: lab.kernel.cgroupRoot,
      bpffsDir: pins,
      objectBytes: readBpfObject(),
    });
    await other.open();
    await lab.start("--cgroup-root", cgroupRoot);
    const found = (await lab.status()).foreignPrograms;
    expect(found.length).toBe(attachedPrograms(cgroupRoot, CGROUP_HOOKS).length - ours + foreignPrograms.length);
    expect(found.map(({ hook }) => hook)).toEqual(expect.arrayContaining(["ingress", "egress"]));
    expect(found.some(({ name }) => name.startsWith("wardline"))).toBe(true);
    await other.release();
    expect(await lab.run("uninstall")).toMatchObject({ exitCode: 1 });
    await lab.agent?.end("SIGTERM");
    await lab.run("uninstall", "--cgroup-root", cgroupRoot);
  });
});

suite(`boot${because}`, { timeout: 240_000 }, () => {
  beforeEach(open, 240_000);
  afterEach(() => lab.close(), 240_000);

  it("puts the last confirmed policies in force without an agent, and the agent adopts them", async () => {
    await lab.start();
    await lab.applyAndConfirm(0n, allowPorts(8080));
    await lab.apply(1n, 3_600_000, allowPorts(8080, 9090));
    await lab.loseKernel();
    expect(await reach(9090)).toBe("ok");
    const { exitCode, stdout, stderr } = await lab.run("boot");
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.not.stringContaining("wardline: ") });
    expect(JSON.parse(stdout)).toMatchObject({ booted: true, backend: "ebpf", generation: 1, problems: [] });
    expect([await reach(8080), await reach(9090), await reach(9090, 6)]).toEqual(["ok", "timeout", "timeout"]);
    await lab.start();
    expect(await lab.status()).toMatchObject({ enforced: { number: 1n }, attached: true, problems: [] });
    expect([await peer.exchange("8080/4"), await reach(9090)]).toEqual(["ok", "timeout"]);
  });

  it("closes a host whose record is damaged, says so, and panic off lets it be repaired", async () => {
    await lab.start();
    await lab.applyAndConfirm(0n, allowPorts(8080));
    await lab.loseKernel();
    writeFileSync(join(lab.stateDir, "index.json"), "{");
    const { exitCode, stdout, stderr } = await lab.run("boot");
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/wardline: .*damaged.*was closed.*wardline panic off/);
    expect(JSON.parse(stdout)).toMatchObject({ emergency: "closed" });
    expect([await reach(8080), await leave(8080)]).not.toContain("ok");
    await lab.start();
    expect(await reach(8080)).toBe("timeout");
    await lab.connect().setEmergency({ emergency: Emergency.NONE });
    await lab.applyAndConfirm(0n, allowPorts(8080));
    expect([await reach(8080), await reach(9090)]).toEqual(["ok", "timeout"]);
    expect((await lab.status()).problems).toEqual([]);
  });

  it("leaves it open where the operator chose that, and does nothing on a host that enforces nothing", async () => {
    expect(await lab.run("boot")).toMatchObject({ exitCode: 0 });
    expect(await reach(9090)).toBe("ok");
    await lab.loseKernel();
    writeFileSync(join(lab.stateDir, "index.json"), "{");
    const { exitCode, stderr } = await lab.run("boot", "--boot-failure", "open");
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining("it is open") });
    expect(await reach(9090)).toBe("ok");
  });
});

/** Files as a member of a cluster has them. */
function beAMember(): void {
  mkdirSync(join(lab.stateDir, "cluster", "tls"), { recursive: true });
  writeFileSync(join(lab.stateDir, "cluster", "config.json"), "{}");
}

suite(`uninstall${because}`, { timeout: 240_000 }, () => {
  beforeEach(open, 240_000);
  afterEach(() => lab.close(), 240_000);

  const ours = () => attachedPrograms(lab.kernel.cgroupRoot, CGROUP_HOOKS);
  const mounts = () => readFileSync("/proc/self/mounts", "utf8");

  it("leaves nothing of ours, and lets everything pass", async () => {
    await lab.start();
    await lab.applyAndConfirm(0n, allowPorts(8080));
    const before = ours().length;
    await lab.agent?.end("SIGKILL");
    expect(await reach(9090)).toBe("timeout");
    beAMember();
    const { exitCode, stdout, stderr } = await lab.run("uninstall");
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toMatch(/Removed the kernel programs .*\nRemoved the mount .*\nRemoved the socket/);
    expect([await reach(8080), await reach(9090)]).toEqual(["ok", "ok"]);
    // The kernel lets go of links a moment after their pins.
    await expect.poll(() => ours().filter(({ name }) => name.startsWith("wardline"))).toEqual([]);
    expect(ours().length).toBeLessThan(before);
    expect(mounts()).not.toContain(lab.kernel.directory);
    expect(readdirSync(lab.kernel.directory).filter((name) => name !== "ping")).toEqual([]);
    const again = await lab.run("uninstall");
    expect(again).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("nothing of Wardline") });
  });

  it("keeps records on request, and what they say does not come back", async () => {
    await lab.start();
    await lab.applyAndConfirm(0n, allowPorts(8080));
    await lab.agent?.end("SIGTERM");
    beAMember();
    expect(await lab.run("uninstall", "--keep-state")).toMatchObject({ exitCode: 0 });
    expect(readdirSync(join(lab.stateDir, "cluster"))).toEqual(["config.json", "tls"]);
    expect(readdirSync(lab.stateDir)).toContain("audit");
    await lab.start();
    expect(await lab.status()).toMatchObject({ enforced: { number: 0n }, problems: [] });
    expect(await reach(9090)).toBe("ok");
  });

  it("refuses while an agent runs or a change waits, and touches no file that is not ours", async () => {
    await lab.start();
    await lab.apply(0n, 3_600_000, allowPorts(8080));
    const running = await lab.run("uninstall");
    expect(running).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/another agent \(process \d+\)/) });
    await lab.agent?.end("SIGKILL");
    const waiting = await lab.run("uninstall");
    expect(waiting).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/generation 1 waits/) });
    expect(await reach(9090)).toBe("timeout");
    await lab.start();
    await lab.agent?.end("SIGTERM");
    writeFileSync(join(lab.stateDir, "notes.txt"), "mine");
    expect(await lab.run("uninstall")).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("other files") });
    expect(readdirSync(lab.stateDir)).toEqual(["notes.txt"]);
    rmSync(lab.stateDir, { recursive: true });
  });
});
