/** The systemd units: what systemd says about them, and whether what they leave to the agent is enough for it. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FlowProcess } from "@wardline/api/wardline/v1/flow";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mountBpffs } from "../linux/bpf/libbpf.ts";
import { AgentLab, allowPorts } from "../testing/agentLab.ts";
import { AGENT_FROM_SOURCE, AgentProcess } from "../testing/agentProcess.ts";
import { HOST_ADDRESS, kernelLabProblem, PEER_ADDRESS } from "../testing/kernelLab.ts";

const UNITS = fileURLToPath(new URL("../../../assets/systemd", import.meta.url));
const NAMES = ["wardline-agent.service", "wardline-boot.service"] as const;
const AGENT = "/usr/lib/wardline/wardline-agent";

function unit(name: (typeof NAMES)[number]): string {
  return readFileSync(join(UNITS, name), "utf8");
}

function setting(text: string, key: string): string {
  return new RegExp(`^${key}=(.*)$`, "m").exec(text)?.[1] ?? "";
}

const analyze = spawnSync("systemd-analyze", ["--version"]).status === 0;

describe("the units", () => {
  it.skipIf(!analyze)(`are valid${analyze ? "" : " (needs systemd-analyze)"}`, () => {
    const directory = mkdtempSync(join(tmpdir(), "wardline-units-"));
    try {
      // The program is not installed here; everything else is judged as it is.
      for (const name of NAMES) writeFileSync(join(directory, name), unit(name).replaceAll(AGENT, "/bin/true"));
      const paths = NAMES.map((name) => join(directory, name));
      const environment = { ...process.env, SYSTEMD_UNIT_PATH: `${directory}:` };
      const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", ...paths], { env: environment });
      expect({ status, stderr: String(stderr) }).toEqual({ status: 0, stderr: "" });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it.skipIf(!analyze)(`are no more exposed than they have to be${analyze ? "" : " (needs systemd-analyze)"}`, () => {
    for (const name of NAMES) {
      // In tenths: the agent has 3.0 ("OK"). Fails above the threshold.
      const line = ["security", "--offline=true", "--no-pager", "--threshold=31", join(UNITS, name)];
      const { status, stdout } = spawnSync("systemd-analyze", line);
      expect({ status, exposure: status === 0 ? "" : String(stdout) }).toEqual({ status: 0, exposure: "" });
    }
  });

  it("boot before the network, and start the agent after that", () => {
    const boot = unit("wardline-boot.service");
    expect(setting(boot, "ExecStart")).toBe(`${AGENT} boot`);
    expect(setting(boot, "DefaultDependencies")).toBe("no");
    expect(setting(boot, "Before").split(" ")).toContain("network-pre.target");
    expect(setting(boot, "Wants")).toBe("network-pre.target");
    const agent = unit("wardline-agent.service");
    expect([setting(agent, "Wants"), setting(agent, "After")]).toEqual(Array(2).fill("wardline-boot.service"));
  });
});

const problem = kernelLabProblem() ?? (spawnSync("setpriv", ["--version"]).status === 0 ? null : "needs setpriv");

describe.skipIf(problem)(`the capabilities of the units${problem ? ` (${problem})` : ""}`, { timeout: 240_000 }, () => {
  let lab: AgentLab;
  beforeEach(() => {
    lab = new AgentLab();
    mkdirSync(lab.kernel.bpffsDir);
    // As systemd has done at boot.
    mountBpffs(lab.kernel.bpffsDir);
  });
  afterEach(() => lab.close(), 30_000);

  function confined(name: (typeof NAMES)[number]): readonly string[] {
    const names = setting(unit(name), "CapabilityBoundingSet").split(" ");
    const kept = names.map((capability) => `+${capability.replace("CAP_", "").toLowerCase()}`);
    return ["setpriv", "--no-new-privs", `--bounding-set=-all,${kept.join(",")}`];
  }

  /** The process of the first flow that belongs to it. */
  async function processOf(pid: number): Promise<FlowProcess | undefined> {
    for await (const { flows } of lab.connect().watchFlows({ history: 1_000 })) {
      const owned = flows.find((flow) => flow.process?.pid === pid);
      if (owned) return owned.process;
    }
    return undefined;
  }

  it("are enough to apply, to judge by workload, and to boot", async () => {
    const host = await lab.kernel.startSocketPeer("host");
    const peer = await lab.kernel.startSocketPeer("peer");
    await host.listenTcp(8080);
    await host.listenTcp(9090);
    const reach = (port: number) => peer.connectTcp(`${port}`, HOST_ADDRESS[4], port, 200);
    lab.kernel.makeCgroup("db.service");
    const command = [...confined("wardline-agent.service"), ...AGENT_FROM_SOURCE];
    lab.agent = await AgentProcess.start(command, lab.options);
    await lab.applyAndConfirm(0n, allowPorts(8080));
    await lab.applyAndConfirm(1n, allowPorts(8080, 9999));
    await lab.connect().setQuarantine({ subjectKey: "db" });
    expect([await reach(8080), await reach(9090)]).toEqual(["ok", "timeout"]);
    expect((await lab.status()).problems).toEqual([expect.stringContaining("db is in quarantine")]);
    // Whose program it is stands in a link that only CAP_SYS_PTRACE may read.
    await host.connectTcp("out", PEER_ADDRESS[4], 9, 200);
    const owner = await processOf(host.pid);
    expect(owner).toMatchObject({ executable: realpathSync(process.execPath), userName: "root" });
    await lab.loseKernel();
    mountBpffs(lab.kernel.bpffsDir);
    const [program = "", word = ""] = AGENT_FROM_SOURCE;
    const [first = "", ...rest] = [...confined("wardline-boot.service"), program, word, "boot", ...lab.options];
    expect(JSON.parse(String(execFileSync(first, rest)))).toMatchObject({ generation: 3, problems: [] });
    expect([await reach(8080), await reach(9090)]).toEqual(["ok", "timeout"]);
  });
});
