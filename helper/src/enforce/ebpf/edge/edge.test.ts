import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { countUnreachables } from "../../../testing/edgeLab.ts";
import { HAND_DECISION, type HandProgramOptions, handProgram } from "../../../testing/handProgram.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../../../testing/kernelLab.ts";
import type { SocketPeer } from "../../../testing/socketPeer.ts";
import type { EnforcementMode, FlowEvent } from "../../enforcer.ts";
import { EbpfEnforcer } from "../ebpfEnforcer.ts";

const TCP = 6;
const UDP = 17;
const problem = kernelLabProblem();
const CLOSED_PORT = 7900;

const NOTHING: HandProgramOptions = { rules: [] };
const EVERYTHING: HandProgramOptions = { rules: [], otherwise: { ingress: "allow", egress: "allow" } };

describe.skipIf(problem !== null).each([
  ["tcx", undefined],
  ["tc filters", "filter" as const],
])(`packets without a socket, judged by %s${problem === null ? "" : ` (${problem})`}`, (_, how) => {
  let lab: KernelLab;
  let enforcer: EbpfEnforcer;
  let host: SocketPeer;
  let peer: SocketPeer;
  let generation = 0;
  let events: FlowEvent[] = [];

  async function apply(options: HandProgramOptions, mode: EnforcementMode = "enforce"): Promise<void> {
    generation += 1;
    const prepared = await enforcer.prepare(handProgram(options), generation);
    enforcer.activate(prepared, { mode, fallbackAfterMs: null });
    drained();
    events = [];
  }

  function drained(): readonly FlowEvent[] {
    enforcer.drainEvents();
    return events;
  }

  function packetsOf(decision: number): number {
    return Number(enforcer.readCounters()[decision]?.packets ?? 0n);
  }

  beforeAll(async () => {
    lab = new KernelLab();
    enforcer = new EbpfEnforcer({
      cgroupRoot: lab.cgroupRoot,
      bpffsDir: lab.bpffsDir,
      objectBytes: readBpfObject(),
      networkNamespace: lab.hostNamespace,
      edge: { isInner: () => false, ...(how === undefined ? {} : { how }) },
    });
    await enforcer.open();
    enforcer.onEvents((more) => void events.push(...more));
    host = await lab.startSocketPeer("host");
    peer = await lab.startSocketPeer("peer");
    await host.listenTcp(7001);
    await host.listenUdp(7001);
    const web = await lab.startSocketPeer("host", lab.makeCgroup("system.slice/web.service"));
    await web.listenTcp(7005);
    await peer.listenTcp(8001);
    await peer.listenUdp(8001);
  });

  afterEach(() => {
    if (enforcer.state().emergency !== "none") enforcer.setEmergency("none");
  });

  afterAll(async () => {
    await enforcer.release();
    await lab.close();
  });

  it("covers the interfaces of the namespace and nothing else", () => {
    expect(enforcer.edgeInterfaces()).toEqual([`eth0 (${how === undefined ? "tcx" : "tc filter"})`]);
    expect(enforcer.problems()).toEqual([]);
  });

  describe.each([4, 6] as const)("IPv%s", (family) => {
    const toHost = HOST_ADDRESS[family];
    const toPeer = PEER_ADDRESS[family];
    const icmp = family === 4 ? 1 : 58;
    const echoRequest = (family === 4 ? 8 : 128) << 8;

    it("answers nothing for closed ports under default deny, counts and reports", async () => {
      await apply(EVERYTHING);
      expect(await peer.connectTcp("closed", toHost, CLOSED_PORT)).toBe("ECONNREFUSED");
      const before = countUnreachables(lab.peerNamespace, family);
      await peer.askUdp(toHost, CLOSED_PORT, 16, 50);
      expect(countUnreachables(lab.peerNamespace, family)).toBe(before + 1);

      await apply(NOTHING);
      expect(await peer.connectTcp("closed", toHost, CLOSED_PORT)).toBe("timeout");
      await peer.askUdp(toHost, CLOSED_PORT, 16, 50);
      expect(countUnreachables(lab.peerNamespace, family)).toBe(before + 1);
      const denied = drained();
      expect(new Set(denied.map(({ protocol }) => protocol))).toEqual(new Set([TCP, UDP]));
      for (const event of denied)
        expect(event).toMatchObject({
          kind: "deny",
          hook: "edge",
          enforced: "deny",
          direction: "ingress",
          sourceAddress: toPeer,
          destinationAddress: toHost,
          destinationPort: CLOSED_PORT,
          decision: HAND_DECISION.ingress,
          set: 0,
          process: null,
        });
      expect(packetsOf(HAND_DECISION.ingress)).toBeGreaterThanOrEqual(2);
    });

    it("lets what policy allows reach a closed port, so that the kernel answers", async () => {
      await apply({
        rules: [{ direction: "ingress", remote: null, protocol: TCP, port: CLOSED_PORT, verdict: "allow" }],
      });
      expect(await peer.connectTcp("closed", toHost, CLOSED_PORT)).toBe("ECONNREFUSED");
      expect(packetsOf(HAND_DECISION.firstRule)).toBe(1);
    });

    it("leaves a port to the workload that listens on it, and to nobody else's policy", async () => {
      await apply({
        rules: [{ direction: "ingress", remote: null, protocol: TCP, port: 7005, verdict: "allow", set: 1 }],
        workloads: [{ kind: "systemdUnit", unit: "web.service" }],
      });
      expect(await peer.connectTcp("workload", toHost, 7005)).toBe("ok");
      expect(await peer.connectTcp("host", toHost, 7001)).toBe("timeout");
      await peer.disconnect("workload");
      const hooks = drained().map(
        ({ kind, hook, set, destinationPort }) => `${kind} ${hook} ${set} ${destinationPort}`,
      );
      expect(hooks).toContain("start socket 1 7005");
      expect(hooks).toContain("deny socket 0 7001");
      expect(hooks.filter((hook) => hook.includes("edge"))).toEqual([]);
      // Datagrams have a port of their own: nobody in the workload is bound to this one.
      await peer.askUdp(toHost, 7005, 16, 50);
      expect(drained()).toContainEqual(expect.objectContaining({ kind: "deny", hook: "edge", set: 0, protocol: UDP }));
    });

    it("answers ping as policy says, and takes the answers to its own", async () => {
      await apply(NOTHING);
      expect(lab.ping("peer", toHost)).toBe("silence");
      expect(drained()).toContainEqual(
        expect.objectContaining({ hook: "edge", protocol: icmp, destinationPort: echoRequest, sourceAddress: toPeer }),
      );
      await apply({
        rules: [{ direction: "ingress", remote: null, protocol: icmp, port: echoRequest, verdict: "allow" }],
      });
      expect(lab.ping("peer", toHost)).toBe("answered");
      await apply({
        rules: [{ direction: "egress", remote: null, protocol: icmp, port: echoRequest, verdict: "allow" }],
      });
      expect(lab.ping("host", toPeer)).toBe("answered");
      expect(lab.ping("peer", toHost)).toBe("silence");
    });
  });
});
