/** The real executable from installation to removal, under 1,000 probes a second of each kind. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { BackendKind } from "@wardline/api/wardline/v1/host";
import { DesiredStateSchema, EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { CGROUP_HOOKS } from "@wardline/helper/enforce/ebpf/layout";
import { attachedPrograms } from "@wardline/helper/linux/bpf/attached";
import { connectAgent } from "@wardline/helper/testing/agentClient";
import { TrafficProbes } from "@wardline/helper/testing/trafficProbes";
import { installOnHost, rollBackOnHost } from "@wardline/main/backend/lifecycle/install";
import { AgentPackage } from "@wardline/main/backend/lifecycle/manifest";
import { checkoutPackage } from "@wardline/main/backend/lifecycle/package-location";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Fleet, fleetProblem } from "../fleet/fleet.ts";
import { CHECKOUT } from "../fleet/machine-root.ts";
import { hostNamespace } from "../fleet/names.ts";
import { type ProgramResult, runToEnd } from "../fleet/run-program.ts";
import { skipReason } from "../harness.ts";
import { AgentPackages, BUILT_AGENT, builtAgentProblem } from "./agent-packages.ts";
import { AGENT, LifecycleLab, Progress } from "./lifecycle-lab.ts";

const problem = fleetProblem() ?? builtAgentProblem();
const NO_OPTIONS = { force: false, operators: [], admins: [] };
const ALLOWED = 7001;
const DENIED = 7002;

describe.skipIf(problem !== null)(`the real agent${skipReason(problem)}`, { timeout: 240_000 }, () => {
  let fleet: Fleet;
  let lab: LifecycleLab;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "wardline-real-agent-"));
    fleet = await Fleet.start({ hosts: [{ name: "bare-1", agent: "none" }] });
    lab = new LifecycleLab(fleet, fleet.host("bare-1"));
  }, 240_000);
  afterAll(async () => {
    await fleet?.close();
    rmSync(directory, { recursive: true, force: true });
  }, 240_000);

  /** The command line of the person whose home the fleet has made. */
  function wardline(...words: readonly string[]): Promise<ProgramResult> {
    return runToEnd(join(CHECKOUT, "bin/wardline"), [...words, "--state-dir", join(directory, "state")], {
      environment: { ...process.env, HOME: fleet.home.directory },
      timeoutMs: 180_000,
    });
  }

  /** SSH and one more port may come in, and nothing else. */
  async function enforce(): Promise<bigint> {
    const { name, address, agentSocket } = lab.machine;
    const ports = [22, ALLOWED].flatMap((port) => [`{port: ${port}}`, `{protocol: UDP, port: ${port}}`]).join(", ");
    const files = [
      `apiVersion: wardline.io/v1\nkind: Host\nmetadata: {name: ${name}, labels: {app: web}}\nspec: {addresses: ["${address[4]}", "${address[6]}"]}\n`,
      `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web}\nspec:\n  podSelector: {matchLabels: {app: web}}\n  policyTypes: [Ingress]\n  ingress: [{ports: [${ports}]}]\n`,
    ].map((text, index) => ({ path: `${index}.yaml`, text }));
    const { agent, close } = connectAgent(agentSocket);
    const state = create(DesiredStateSchema, { files });
    const { programDigest } = await agent.check({ state });
    const { generation } = await agent.apply({
      state,
      mode: EnforcementMode.ENFORCE,
      expectedProgramDigest: programDigest,
      baseGeneration: 0n,
      confirmWithin: durationFromMs(60_000),
    });
    close();
    const fresh = connectAgent(agentSocket);
    await fresh.agent.confirm({ generation: generation?.number ?? 0n, programDigest });
    fresh.close();
    return generation?.number ?? 0n;
  }

  it("is installed, upgraded and rolled back with no packet leaked and none wrongly dropped, and removed", async () => {
    const built = new AgentPackage(checkoutPackage());
    const { version, build, signedBy } = await built.manifest();
    expect(signedBy).toBe("this checkout's own key");
    const identity = ["--user", "deploy", "--identity-file", fleet.home.keys.deploy.path];
    await wardline("host", "add", "bare-1", "--no-check", ...identity);
    const installed = await wardline("host", "install", "--hosts", "bare-1", "--format", "json");
    const { job } = JSON.parse(installed.stdout) as { job: { hosts: { steps: { name: string; text: string }[] }[] } };
    expect(job.hosts[0]?.steps.at(-1)).toMatchObject({ name: "handshake", text: `${version} (${build}) answers` });
    expect(installed.stderr).toMatch(/bare-1 {2}upload {5}Uploading the agent, \d+ of 4\d MB/);
    const generation = await enforce();

    // The same program in another file: the end of an executable is not looked at.
    const program = Buffer.concat([readFileSync(BUILT_AGENT), Buffer.from("another file")]);
    const other = new AgentPackages(directory).pack(program, { version, build });
    const probes = await TrafficProbes.start(
      {
        directory,
        cgroupRoot: lab.machine.place.cgroup,
        hostNamespace: `/run/netns/${hostNamespace(lab.machine.place.slot, lab.machine.place.index)}`,
        peerNamespace: "/proc/self/ns/net",
        hostAddress: lab.machine.address,
      },
      ALLOWED,
      DENIED,
    );
    try {
      const before = await lab.agentPid();
      const second = new Progress();
      const upgrade = await probes.during(() =>
        installOnHost(lab.ports(other), lab.host("deploy"), NO_OPTIONS, second),
      );
      expect(second.text("handshake")).toContain(`enforcing generation ${generation} as before`);
      expect({ leaked: upgrade.leaked, dropped: upgrade.dropped }).toEqual({ leaked: 0, dropped: 0 });
      expect(upgrade.tried).toBeGreaterThan(1_000);
      expect(await lab.agentPid()).not.toBe(before);

      const back = await probes.during(() => rollBackOnHost(lab.ports(built), lab.host("deploy"), new Progress()));
      expect({ leaked: back.leaked, dropped: back.dropped }).toEqual({ leaked: 0, dropped: 0 });
      const { agent, close } = connectAgent(lab.machine.agentSocket);
      const { status } = await agent.getStatus({});
      close();
      expect(status).toMatchObject({ attached: true, enforced: { number: generation }, problems: [] });
      expect(status?.info?.backend).toBe(BackendKind.EBPF);

      // That the probes see what is not enforced any more.
      const open = await probes.during(async () => {
        const removed = await wardline("host", "uninstall", "--hosts", "bare-1", "--yes");
        expect(removed.stdout).toContain("✓ bare-1  Removed");
        await new Promise((resolve) => setTimeout(resolve, 300));
      });
      expect([open.leaked > 0, open.dropped]).toEqual([true, 0]);
    } finally {
      await probes.close();
    }
    expect([AGENT, "/var/lib/wardline/index.json"].map((path) => lab.exists(path))).toEqual([false, false]);
    const pins = lab.exists("/sys/fs/bpf/wardline") ? readdirSync(lab.machine.path("/sys/fs/bpf/wardline")) : [];
    const programs = () => attachedPrograms(lab.machine.place.cgroup, CGROUP_HOOKS);
    expect(pins).toEqual([]);
    await expect
      .poll(() => programs().filter(({ name }) => name.startsWith("wardline")), { timeout: 40_000 })
      .toEqual([]);
  });
});
