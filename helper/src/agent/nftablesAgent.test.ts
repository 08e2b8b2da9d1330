/** The verbs of a real agent where eBPF cannot be used: the same promises on one nftables table. */
import { execFileSync } from "node:child_process";
import { Emergency } from "@wardline/api/wardline/v1/host";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { outcomeOf } from "../testing/agentClient.ts";
import { AgentLab, allowPorts } from "../testing/agentLab.ts";
import { HOST_ADDRESS, kernelLabProblem, PEER_ADDRESS } from "../testing/kernelLab.ts";
import { nftablesProblem } from "../testing/nftablesLab.ts";
import type { SocketPeer } from "../testing/socketPeer.ts";
import { chooseBackend } from "./backend.ts";
import { systemClock } from "./clock.ts";

const problem = kernelLabProblem() ?? nftablesProblem();

describe.skipIf(problem)(`an agent on nftables${problem ? ` (${problem})` : ""}`, { timeout: 240_000 }, () => {
  let lab: AgentLab;
  let peer: SocketPeer;

  beforeEach(async () => {
    lab = new AgentLab();
    const [host, other] = await Promise.all([lab.kernel.startSocketPeer("host"), lab.kernel.startSocketPeer("peer")]);
    peer = other;
    await Promise.all([22, 8080, 9090].map((port) => host.listenTcp(port)));
  }, 240_000);
  afterEach(() => lab.close(), 240_000);

  const reach = (port: number) => peer.connectTcp(`${port}`, HOST_ADDRESS[4], port, 200);
  const tables = () =>
    execFileSync("nsenter", [`--net=${lab.kernel.hostNamespace}`, "nft", "list", "tables"]).toString();
  /** What a reboot leaves of an nftables table: nothing. */
  async function loseTable(): Promise<void> {
    await lab.agent?.end("SIGKILL");
    execFileSync("nsenter", [`--net=${lab.kernel.hostNamespace}`, "nft", "flush", "ruleset"]);
  }

  it("is not what guards one cgroup alone, and says so", async () => {
    const options = { backend: "nftables", cgroupRoot: lab.kernel.cgroupRoot, bpffsDir: lab.kernel.bpffsDir } as const;
    const rest = { stateDir: lab.stateDir, edge: false, earlyDrop: [] };
    await expect(chooseBackend({ ...options, ...rest }, systemClock)).rejects.toThrow(/cannot guard one cgroup alone/);
    // Nor is it what `auto` falls back to there: this machine's own namespace is never touched.
    const chosen = await chooseBackend({ ...options, ...rest, backend: "auto", cgroupRoot: "/nowhere" }, systemClock);
    expect([chosen.enforcer.name, chosen.reason]).toEqual([
      "observe",
      expect.stringMatching(/eBPF cannot.*one cgroup/),
    ]);
    await chosen.enforcer.close();
  });

  it("panics, quarantines its host, boots and is uninstalled", async () => {
    expect((await lab.startOnNftables()).ready.backend).toBe("nftables");
    await lab.applyAndConfirm(0n, allowPorts(22, 8080));
    expect([await reach(8080), await reach(9090)]).toEqual(["ok", "timeout"]);
    await lab.connect().setEmergency({ emergency: Emergency.CLOSED });
    expect([await peer.exchange("8080", 200), await reach(8080)]).toEqual(["timeout", "timeout"]);
    await lab.connect().setEmergency({ emergency: Emergency.NONE });
    expect(await reach(8080)).toBe("ok");

    await lab.connect().setQuarantine({ subjectKey: "alpha", managementCidrs: [PEER_ADDRESS[4]] });
    expect([await peer.exchange("8080", 200), await reach(8080), await reach(22)]).toEqual([
      "timeout",
      "timeout",
      "ok",
    ]);
    // It cannot treat a workload otherwise than its host, and says so instead of doing something like it.
    expect(await outcomeOf(lab.connect().setQuarantine({ subjectKey: "db" }))).toBe("POLICY_UNSUPPORTED");

    await loseTable();
    expect(await reach(9090)).toBe("ok");
    const booted = await lab.runOnNftables("boot");
    expect(booted).toMatchObject({ exitCode: 0 });
    expect(JSON.parse(booted.stdout)).toMatchObject({ backend: "nftables", generation: 2, problems: [] });
    expect([await reach(8080), await reach(22)]).toEqual(["timeout", "ok"]);

    expect(tables()).toContain("inet wardline");
    expect((await lab.runOnNftables("uninstall")).stdout).toMatch(/Removed the nftables table "inet wardline"/);
    expect(tables()).toBe("");
    expect([await reach(8080), await reach(9090)]).toEqual(["ok", "ok"]);
  });
});
