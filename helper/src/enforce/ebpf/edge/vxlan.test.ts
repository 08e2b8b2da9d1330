import { execFileSync, spawnSync } from "node:child_process";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EdgeLab, HOST_ADDRESS, PEER_ADDRESS } from "../../../testing/edgeLab.ts";
import { type HandProgramOptions, handProgram } from "../../../testing/handProgram.ts";
import { kernelLabProblem, readBpfObject } from "../../../testing/kernelLab.ts";
import type { FlowEvent } from "../../enforcer.ts";
import { EbpfEnforcer } from "../ebpfEnforcer.ts";

/** Makes one in a namespace of its own, which goes with the process. */
function vxlanProblem(): string | null {
  const words = ["--net", "ip", "link", "add", "vx0", "type", "vxlan", "id", "5", "dstport", "4789"];
  return spawnSync("unshare", words).status === 0 ? null : "needs VXLAN in the kernel";
}

const problem = kernelLabProblem() ?? vxlanProblem();
const [ICMP, ECHO_REQUEST] = [1, 8 << 8];
const [HOST_INSIDE, PEER_INSIDE] = ["10.90.0.2", "10.90.0.1"];

describe.skipIf(problem !== null)(`a tunnel of the kernel${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: EdgeLab;
  let enforcer: EbpfEnforcer;
  const events: FlowEvent[] = [];

  function addTunnel(side: "host" | "peer", remote: string, address: string): void {
    const ip = (...words: string[]) => execFileSync("ip", ["-n", `${lab.kernel.name}-${side}`, ...words]);
    const kind = ["type", "vxlan", "id", "5", "remote", remote, "dstport", "4789", "dev", "eth0"];
    ip("link", "add", "vx0", ...kind);
    ip("addr", "add", `${address}/24`, "dev", "vx0");
    ip("link", "set", "vx0", "up");
  }

  async function apply(options: HandProgramOptions): Promise<void> {
    const prepared = await enforcer.prepare(handProgram(options), enforcer.state().generation + 1);
    enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
  }

  beforeEach(async () => {
    lab = new EdgeLab();
    enforcer = new EbpfEnforcer({
      cgroupRoot: lab.kernel.cgroupRoot,
      bpffsDir: lab.kernel.bpffsDir,
      objectBytes: readBpfObject(),
      networkNamespace: lab.kernel.hostNamespace,
      edge: {},
    });
    await enforcer.open();
    enforcer.onEvents((more) => void events.push(...more));
    addTunnel("host", PEER_ADDRESS[4], HOST_INSIDE);
    addTunnel("peer", HOST_ADDRESS[4], PEER_INSIDE);
    await vi.waitFor(() => expect(enforcer.edgeInterfaces()).toContain("vx0 (tcx)"), { timeout: 40_000 });
  });

  afterEach(async () => {
    await enforcer.release();
    await lab.close();
  });

  it("takes its packets before any hook of its socket; what they carry is judged at its interface", async () => {
    await apply({
      rules: [{ direction: "ingress", remote: null, protocol: ICMP, port: ECHO_REQUEST, verdict: "allow" }],
    });
    expect(lab.kernel.ping("peer", HOST_INSIDE)).toBe("answered");
    await apply({ rules: [] });
    expect(lab.kernel.ping("peer", HOST_INSIDE)).toBe("silence");
    enforcer.drainEvents();
    expect(events).toContainEqual(
      expect.objectContaining({ kind: "deny", hook: "edge", protocol: ICMP, sourceAddress: PEER_INSIDE }),
    );
  });
});
