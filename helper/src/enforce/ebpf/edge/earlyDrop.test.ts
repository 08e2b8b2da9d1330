import { readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { EdgeLab, HOST_ADDRESS, inNamespace, PEER_ADDRESS } from "../../../testing/edgeLab.ts";
import { type HandProgramOptions, handProgram } from "../../../testing/handProgram.ts";
import { kernelLabProblem, readBpfObject } from "../../../testing/kernelLab.ts";
import type { SocketPeer } from "../../../testing/socketPeer.ts";
import type { EnforcementMode } from "../../enforcer.ts";
import type { EbpfEnforcerConfig } from "../config.ts";
import { EbpfEnforcer } from "../ebpfEnforcer.ts";
import { LAYOUT_VERSION } from "../layout.ts";

const TCP = 6;
const UDP = 17;
const problem = kernelLabProblem();

function denied(family: 4 | 6): HandProgramOptions {
  const named = {
    direction: "ingress",
    remote: PEER_ADDRESS[family],
    protocol: TCP,
    port: 1,
    verdict: "deny",
  } as const;
  return { rules: [named], otherwise: { ingress: "deny", egress: "deny" } };
}

/** The peer is named, and one port is open to it. */
function oneOpenPort(family: 4 | 6): HandProgramOptions {
  return {
    rules: [{ direction: "ingress", remote: PEER_ADDRESS[family], protocol: UDP, port: 7001, verdict: "allow" }],
  };
}

describe.skipIf(problem !== null)(`early drop${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: EdgeLab;
  let enforcer: EbpfEnforcer;
  let host: SocketPeer;
  let peer: SocketPeer;

  function make(more: Partial<EbpfEnforcerConfig> = {}): EbpfEnforcer {
    return new EbpfEnforcer({
      cgroupRoot: lab.kernel.cgroupRoot,
      bpffsDir: lab.kernel.bpffsDir,
      objectBytes: readBpfObject(),
      networkNamespace: lab.kernel.hostNamespace,
      earlyDrop: { interfaces: ["eth0"] },
      ...more,
    });
  }

  async function apply(
    options: HandProgramOptions,
    mode: EnforcementMode = "enforce",
    fallbackAfterMs: number | null = null,
  ): Promise<void> {
    const prepared = await enforcer.prepare(handProgram(options), enforcer.state().generation + 1);
    enforcer.activate(prepared, { mode, fallbackAfterMs });
  }

  /** What the early drop took while something was done. */
  async function dropsWhile(run: () => Promise<unknown>): Promise<number> {
    const before = enforcer.earlyDrops();
    await run();
    return Number(enforcer.earlyDrops() - before);
  }

  function pins(): readonly string[] {
    const tree = join(lab.kernel.bpffsDir, `layout-${LAYOUT_VERSION}`);
    return readdirSync(tree).filter((name) => name.startsWith("early_"));
  }

  beforeEach(async () => {
    lab = new EdgeLab();
    enforcer = make();
    await enforcer.open();
    host = await lab.kernel.startSocketPeer("host");
    peer = await lab.kernel.startSocketPeer("peer");
    await host.listenUdp(7001);
  });

  afterEach(async () => {
    await enforcer.open();
    await enforcer.release();
    await lab.close();
  });

  describe.each([4, 6] as const)("IPv%s", (family) => {
    const ask = (): Promise<string> => peer.askUdp(HOST_ADDRESS[family], 7001, 16, 50);

    it("takes what the tables deny altogether, before anything else sees it", async () => {
      await apply(denied(family));
      const counted = (): bigint => enforcer.readCounters().reduce((sum, { packets }) => sum + packets, 0n);
      const before = counted();
      expect(await dropsWhile(ask)).toBe(1);
      expect(counted()).toBe(before);
      expect(await host.countUdp(7001)).toBe(0);
    });

    it("leaves a source alone that one port is open to, and everybody whom no rule names", async () => {
      await apply(oneOpenPort(family));
      expect(await dropsWhile(ask)).toBe(0);
      expect(await host.countUdp(7001)).toBe(1);
      await apply({ rules: [] });
      expect(await dropsWhile(ask)).toBe(0);
    });

    it("obeys the mode, the emergency brake and the deadline", async () => {
      await apply(denied(family), "observe");
      expect(await dropsWhile(ask)).toBe(0);
      expect(await host.countUdp(7001)).toBe(1);
      await apply(denied(family));
      enforcer.setEmergency("open");
      expect(await dropsWhile(ask)).toBe(0);
      enforcer.setEmergency("none");
      expect(await dropsWhile(ask)).toBe(1);
      await apply(oneOpenPort(family));
      // Long enough for a busy machine to find it enforced before.
      await apply(denied(family), "enforce", 4_000);
      expect(await dropsWhile(ask)).toBe(1);
      await expect.poll(() => enforcer.state().expired).toBe(true);
      expect(await dropsWhile(ask)).toBe(0);
    });

    it("takes no ICMP: its errors may belong to live flows", async () => {
      await apply(denied(family));
      expect(await dropsWhile(async () => lab.kernel.ping("peer", HOST_ADDRESS[family]))).toBe(0);
    });
  });

  it("says where it runs, and why where it does not", async () => {
    expect(enforcer.edgeInterfaces()).toEqual(["eth0 (early drop)"]);
    await enforcer.close();
    lab.hostIp("link", "add", "br0", "type", "bridge");
    lab.hostIp("link", "set", "eth1", "master", "br0");
    enforcer = make({ earlyDrop: { interfaces: ["lo", "eth1", "br0", "wan0"] } });
    await enforcer.open();
    expect(enforcer.edgeInterfaces()).toEqual(["br0 (early drop, generic XDP)"]);
    expect(enforcer.problems()).toEqual([
      "Nothing is dropped early on lo: loopback is never filtered.",
      "Nothing is dropped early on eth1: it is a port of another interface, which may pass packets on to others.",
      "Nothing is dropped early on wan0: there is no such interface.",
    ]);
    expect(pins()).toHaveLength(1);
    lab.addInterface("wan0", "10.79.0.2", "10.79.0.1");
    await vi.waitFor(() => expect(enforcer.edgeInterfaces()).toContain("wan0 (early drop)"), { timeout: 40_000 });
  });

  it("comes back when somebody removes its pin, and its link with it", async () => {
    await apply(denied(4));
    const [name = ""] = pins();
    unlinkSync(join(lab.kernel.bpffsDir, `layout-${LAYOUT_VERSION}`, name));
    await vi.waitFor(() => expect(pins()).toEqual([name]), { timeout: 40_000 });
    expect(await dropsWhile(() => peer.askUdp(HOST_ADDRESS[4], 7001, 16, 50))).toBe(1);
  });

  it("is adopted with its sources by the next process, and gone when it is no longer wanted", async () => {
    await apply(denied(4));
    const ask = (): Promise<string> => peer.askUdp(HOST_ADDRESS[4], 7001, 16, 50);
    await enforcer.close();
    enforcer = make();
    await enforcer.open();
    expect(await dropsWhile(ask)).toBe(1);
    await enforcer.close();
    enforcer = make({ earlyDrop: null });
    await enforcer.open();
    expect(pins()).toEqual([]);
    expect(inNamespace(lab.kernel.hostNamespace, "ip", "link", "show", "eth0")).not.toContain("xdp");
    await apply(denied(6));
    await enforcer.close();
    // Turned on again: the sources of the tables that are in force are known once the agent names them.
    enforcer = make();
    await enforcer.open();
    expect(await dropsWhile(ask)).toBe(0);
    enforcer.recall(handProgram(denied(6)), enforcer.state().generation);
    expect(await dropsWhile(() => peer.askUdp(HOST_ADDRESS[6], 7001, 16, 50))).toBe(1);
    expect(await dropsWhile(ask)).toBe(0);
  });
});
