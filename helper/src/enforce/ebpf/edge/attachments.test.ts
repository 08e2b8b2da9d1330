import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { attachTcx, interfaceLinkInfo, tcxPrograms } from "../../../linux/bpf/interfaceHooks.ts";
import { cgroupLinkInfo, loadObject, openPin, programInfo, unmount } from "../../../linux/bpf/libbpf.ts";
import { InterfaceList } from "../../../linux/network/interfaces.ts";
import { inNetworkNamespace } from "../../../linux/network/namespace.ts";
import { countUnreachables, EdgeLab, HOST_ADDRESS, inNamespace } from "../../../testing/edgeLab.ts";
import { type HandProgramOptions, handProgram } from "../../../testing/handProgram.ts";
import { kernelLabProblem, readBpfObject } from "../../../testing/kernelLab.ts";
import type { SocketPeer } from "../../../testing/socketPeer.ts";
import { EbpfEnforcer } from "../ebpfEnforcer.ts";
import { LAYOUT_VERSION } from "../layout.ts";

const ENFORCER_MAIN = fileURLToPath(new URL("../../../testing/enforcerProcessMain.ts", import.meta.url));
const problem = kernelLabProblem();
const NOTHING: HandProgramOptions = { rules: [] };
const CLOSED_PORT = 7900;

/** Filters have an order of their own: their priority. */
const NOT_FOR_FILTERS = (): void => {};

const HOWS = [
  ["tcx", undefined],
  ["tc filter", "filter" as const],
] as const;

describe.skipIf(problem !== null).each(HOWS)(
  `attachments by %s${problem === null ? "" : ` (${problem})`}`,
  (label, how) => {
    let lab: EdgeLab;
    let enforcer: EbpfEnforcer;
    let peer: SocketPeer;

    function make(objectBytes: Uint8Array = readBpfObject()): EbpfEnforcer {
      return new EbpfEnforcer({
        cgroupRoot: lab.kernel.cgroupRoot,
        bpffsDir: lab.kernel.bpffsDir,
        objectBytes,
        networkNamespace: lab.kernel.hostNamespace,
        edge: { isInner: () => false, ...(how === undefined ? {} : { how }) },
      });
    }

    async function denyAll(): Promise<void> {
      const prepared = await enforcer.prepare(handProgram(NOTHING), enforcer.state().generation + 1);
      enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
    }

    function pins(): readonly string[] {
      const tree = join(lab.kernel.bpffsDir, `layout-${LAYOUT_VERSION}`);
      return readdirSync(tree).filter((name) => name.startsWith("edge_"));
    }

    const tc = (...words: string[]): string => inNamespace(lab.kernel.hostNamespace, "tc", ...words);
    const covered = (...names: string[]): readonly string[] => names.map((name) => `${name} (${label})`);

    const becomes = (names: readonly string[]): Promise<void> =>
      vi.waitFor(() => expect(enforcer.edgeInterfaces()).toEqual(names), { timeout: 40_000 });

    beforeEach(async () => {
      lab = new EdgeLab();
      enforcer = make();
      await enforcer.open();
      peer = await lab.kernel.startSocketPeer("peer");
    });

    afterEach(async () => {
      await enforcer.open();
      await enforcer.release();
      await lab.close();
    });

    it("come to a new interface, follow its name, and go with it", async () => {
      await denyAll();
      expect(enforcer.edgeInterfaces()).toEqual(covered("eth0", "eth1"));
      const before = pins();
      lab.addInterface("lan0", "10.79.0.2", "10.79.0.1");
      await becomes(covered("eth0", "eth1", "lan0"));
      expect(await peer.connectTcp("closed", "10.79.0.2", CLOSED_PORT)).toBe("timeout");

      lab.hostIp("link", "set", "lan0", "down");
      lab.hostIp("link", "set", "lan0", "name", "uplink");
      lab.hostIp("link", "set", "uplink", "up");
      await becomes(covered("eth0", "eth1", "uplink"));
      expect(await peer.connectTcp("closed", "10.79.0.2", CLOSED_PORT)).toBe("timeout");

      lab.hostIp("link", "del", "uplink");
      await becomes(covered("eth0", "eth1"));
      expect(pins()).toEqual(before);
      expect(enforcer.problems()).toEqual([]);
    });

    it("move to the bridge when an interface becomes its port, and back", async () => {
      lab.hostIp("link", "add", "br0", "type", "bridge");
      lab.hostIp("link", "set", "eth1", "master", "br0");
      await becomes(covered("eth0", "br0"));
      lab.hostIp("link", "set", "eth1", "nomaster");
      await becomes(covered("eth0", "eth1", "br0"));
    });

    it("survive a process that ends, and are adopted and not made anew", async () => {
      await denyAll();
      const unreachables = countUnreachables(lab.kernel.peerNamespace, 4);
      await enforcer.close();
      expect(await peer.connectTcp("closed", HOST_ADDRESS[4], CLOSED_PORT)).toBe("timeout");
      const before = pins();
      enforcer = make();
      await enforcer.open();
      expect(enforcer.origin).toBe("adopted");
      expect(pins()).toEqual(before);
      expect(await peer.connectTcp("closed", HOST_ADDRESS[4], CLOSED_PORT)).toBe("timeout");
      expect(countUnreachables(lab.kernel.peerNamespace, 4)).toBe(unreachables);
    });

    it("are put back when somebody removes them, and do not end with their pins", async () => {
      await denyAll();
      const tree = join(lab.kernel.bpffsDir, `layout-${LAYOUT_VERSION}`);
      const before = pins();
      const filters = (): string => tc("filter", "show", "dev", "eth0", "ingress");
      if (how === "filter") {
        tc("filter", "del", "dev", "eth0", "ingress");
        expect(filters()).toBe("");
        await vi.waitFor(() => expect(filters()).toContain("wardline"), { timeout: 40_000 });
      } else {
        for (const name of before) unlinkSync(join(tree, name));
        expect(await peer.connectTcp("closed", HOST_ADDRESS[4], CLOSED_PORT)).toBe("timeout");
        await vi.waitFor(() => expect(pins()).toEqual(before), { timeout: 40_000 });
      }
      await enforcer.close();
      expect(await peer.connectTcp("closed", HOST_ADDRESS[4], CLOSED_PORT)).toBe("timeout");
    });

    it("stay when the file system of their pins is unmounted, and are pinned again", async () => {
      await denyAll();
      const before = pins();
      unmount(lab.kernel.bpffsDir);
      expect(await peer.connectTcp("closed", HOST_ADDRESS[4], CLOSED_PORT)).toBe("timeout");
      await vi.waitFor(() => expect(pins()).toEqual(before), { timeout: 40_000 });
      await enforcer.close();
      expect(await peer.connectTcp("closed", HOST_ADDRESS[4], CLOSED_PORT)).toBe("timeout");
    });

    it("leave nothing of their own behind, and everything of others", async () => {
      tc("qdisc", "replace", "dev", "eth1", "clsact");
      tc("filter", "add", "dev", "eth1", "ingress", "prio", "7", "u32", "match", "u32", "0", "0", "classid", "1:1");
      await denyAll();
      const foreign = (): string => tc("filter", "show", "dev", "eth1", "ingress");
      expect(foreign()).toContain("pref 7");
      await enforcer.release();
      expect(existsSync(join(lab.kernel.bpffsDir, `layout-${LAYOUT_VERSION}`))).toBe(false);
      expect(tc("qdisc", "show", "dev", "eth0")).not.toContain("clsact");
      expect(tc("filter", "show", "dev", "eth0", "ingress")).toBe("");
      expect(foreign()).toContain("pref 7");
      expect(foreign()).not.toContain("wardline");
      expect(await peer.connectTcp("closed", HOST_ADDRESS[4], CLOSED_PORT)).toBe("ECONNREFUSED");
    });

    const itWithLinks = how === undefined ? it : NOT_FOR_FILTERS;
    itWithLinks("stand before the programs of others, and leave those in place", async () => {
      await enforcer.release();
      const foreign = loadObject(readBpfObject(), { maxEntries: new Map(), reuse: new Map() });
      const list = new InterfaceList(lab.kernel.hostNamespace);
      const index = list.read().find(({ name }) => name === "eth0")?.index ?? 0;
      list.close();
      const inHost = <T>(run: () => T): T => inNetworkNamespace(lab.kernel.hostNamespace, run);
      const foreignFd = foreign.programFd("wardline_edge_out_l3");
      const link = inHost(() => attachTcx(foreignFd, index, "ingress")) ?? -1;
      await enforcer.open();
      const running = (): readonly number[] => inHost(() => tcxPrograms(index, "ingress"));
      const own = programInfo(
        openPin(join(lab.kernel.bpffsDir, `layout-${LAYOUT_VERSION}`, "wardline_edge_l2")) ?? -1,
      ).id;
      expect(running()).toEqual([own, programInfo(foreignFd).id]);
      await enforcer.release();
      // The kernel lets go of a program a moment after its link.
      await expect.poll(running).toEqual([programInfo(foreignFd).id]);
      closeSync(link);
      foreign.close();
    });

    it("go when the edge is turned off", async () => {
      await denyAll();
      await enforcer.close();
      const { kernel } = lab;
      const off = new EbpfEnforcer({
        cgroupRoot: kernel.cgroupRoot,
        bpffsDir: kernel.bpffsDir,
        objectBytes: readBpfObject(),
        networkNamespace: kernel.hostNamespace,
        edge: null,
      });
      await off.open();
      expect(pins()).toEqual([]);
      expect(await peer.connectTcp("closed", HOST_ADDRESS[4], CLOSED_PORT)).toBe("ECONNREFUSED");
      expect(off.limits.join(" ")).toContain("closed ports");
      await off.close();
    });

    it("get new programs in place when the agent is upgraded, without one packet let through", async () => {
      await denyAll();
      const unreachables = countUnreachables(lab.kernel.peerNamespace, 4);
      await peer.startUdp(HOST_ADDRESS[4], CLOSED_PORT);
      const linkIds = how === undefined ? readLinkIds() : [];
      await enforcer.close();
      enforcer = make(Buffer.concat([readBpfObject(), Buffer.from([0])]));
      await enforcer.open();
      expect(enforcer.origin).toBe("upgraded");
      await denyAll();
      expect(await peer.stopUdp(51)).toBeGreaterThan(50);
      expect(countUnreachables(lab.kernel.peerNamespace, 4)).toBe(unreachables);
      if (how !== undefined) return;
      expect(readLinkIds()).toEqual(linkIds);
      const tree = join(lab.kernel.bpffsDir, `layout-${LAYOUT_VERSION}`);
      const wanted = programInfo(openPin(join(tree, "wardline_edge_l2")) ?? -1).id;
      for (const name of pins().filter((pin) => /^edge_\d/.test(pin)))
        expect(interfaceLinkInfo(openPin(join(tree, name)) ?? -1).programId).toBe(wanted);
    });

    function readLinkIds(): readonly number[] {
      const tree = join(lab.kernel.bpffsDir, `layout-${LAYOUT_VERSION}`);
      return pins().map((name) => cgroupLinkInfo(openPin(join(tree, name)) ?? -1).id);
    }
  },
);

describe.skipIf(problem !== null)(`the edge without its process${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: EdgeLab;
  let agent: ChildProcess;

  beforeEach(async () => {
    lab = new EdgeLab();
    const { cgroupRoot, bpffsDir, hostNamespace } = lab.kernel;
    const args = ["--no-warnings", ENFORCER_MAIN, cgroupRoot, bpffsDir, JSON.stringify(NOTHING), hostNamespace];
    agent = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    if (agent.stdout !== null) await once(agent.stdout, "data");
  });

  afterEach(async () => {
    const { cgroupRoot, bpffsDir, hostNamespace } = lab.kernel;
    const objectBytes = readBpfObject();
    const enforcer = new EbpfEnforcer({ cgroupRoot, bpffsDir, objectBytes, networkNamespace: hostNamespace });
    await enforcer.open();
    await enforcer.release();
    await lab.close();
  });

  it("goes on judging after SIGKILL", async () => {
    const peer = await lab.kernel.startSocketPeer("peer");
    const unreachables = countUnreachables(lab.kernel.peerNamespace, 4);
    await peer.startUdp(HOST_ADDRESS[4], CLOSED_PORT);
    const exited = once(agent, "exit");
    agent.kill("SIGKILL");
    await exited;
    expect(await peer.connectTcp("closed", HOST_ADDRESS[4], CLOSED_PORT)).toBe("timeout");
    expect(await peer.stopUdp(51)).toBeGreaterThan(50);
    expect(countUnreachables(lab.kernel.peerNamespace, 4)).toBe(unreachables);
  });
});
