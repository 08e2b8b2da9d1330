import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { monotonicTimeNs } from "../../../linux/bootClock.ts";
import type { NetworkInterface } from "../../../linux/network/interfaces.ts";
import { EdgeLab, FAR_ADDRESS, HOST_ADDRESS, PEER_ADDRESS } from "../../../testing/edgeLab.ts";
import { HAND_DECISION, type HandProgramOptions, type HandRule, handProgram } from "../../../testing/handProgram.ts";
import { kernelLabProblem, readBpfObject } from "../../../testing/kernelLab.ts";
import type { SocketPeer } from "../../../testing/socketPeer.ts";
import type { EnforcementMode, FlowEvent } from "../../enforcer.ts";
import { EbpfEnforcer } from "../ebpfEnforcer.ts";
import { leadsIntoNamespace } from "./interfaceRules.ts";

const TCP = 6;
const UDP = 17;
const FRAGMENT_DECISION = 5;
const EMERGENCY_DECISION = 8;
const problem = kernelLabProblem();

const NOTHING: HandProgramOptions = { rules: [] };

/** From the peer to far, and nothing back. */
function through(protocol: number, port: number, family: 4 | 6): readonly HandRule[] {
  return [
    { direction: "ingress", remote: PEER_ADDRESS[family], protocol, port, verdict: "allow" },
    { direction: "egress", remote: FAR_ADDRESS[family], protocol, port, verdict: "allow" },
  ];
}

describe.skipIf(problem !== null)(`forwarded packets${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: EdgeLab;
  let enforcer: EbpfEnforcer;
  let peer: SocketPeer;
  let far: SocketPeer;
  let generation = 0;
  let events: FlowEvent[] = [];
  let skewNs = 0n;
  let isInner: (entry: NetworkInterface) => boolean = () => false;

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

  /** Makes the enforcer look at every interface again. */
  function classify(rule: (entry: NetworkInterface) => boolean): void {
    isInner = rule;
    for (let polls = 0; polls < 50; polls++) enforcer.pollInterfaces();
  }

  beforeAll(async () => {
    lab = new EdgeLab();
    enforcer = new EbpfEnforcer({
      cgroupRoot: lab.kernel.cgroupRoot,
      bpffsDir: lab.kernel.bpffsDir,
      objectBytes: readBpfObject(),
      monotonicNs: () => monotonicTimeNs() + skewNs,
      networkNamespace: lab.kernel.hostNamespace,
      edge: { isInner: (entry) => isInner(entry) },
    });
    await enforcer.open();
    enforcer.onEvents((more) => void events.push(...more));
    peer = await lab.kernel.startSocketPeer("peer");
    far = await lab.startFar();
    await far.listenTcp(9001);
    await far.listenUdp(9001);
    await far.listenTcp(9002);
    await peer.listenTcp(8001);
  });

  afterEach(() => enforcer.setEmergency("none"));

  afterAll(async () => {
    await enforcer.release();
    await lab.close();
  });

  describe.each([4, 6] as const)("IPv%s", (family) => {
    const toFar = FAR_ADDRESS[family];
    const toPeer = PEER_ADDRESS[family];

    it("need to be allowed in from their source and out to their destination", async () => {
      const [inward, outward] = through(TCP, 9001, family) as [HandRule, HandRule];
      await apply(NOTHING);
      expect(await peer.connectTcp("none", toFar, 9001)).toBe("timeout");
      const addresses = { sourceAddress: toPeer, destinationAddress: toFar, destinationPort: 9001 };
      expect(drained()[0]).toMatchObject({ ...addresses, kind: "deny", hook: "edge", direction: "ingress" });

      await apply({ rules: [inward] });
      expect(await peer.connectTcp("in only", toFar, 9001)).toBe("timeout");
      expect(drained()[0]).toMatchObject({
        ...addresses,
        kind: "deny",
        hook: "edge",
        direction: "egress",
        decision: HAND_DECISION.egress,
      });

      await apply({ rules: [outward] });
      expect(await peer.connectTcp("out only", toFar, 9001)).toBe("timeout");
      expect(drained()[0]).toMatchObject({ ...addresses, direction: "ingress", decision: HAND_DECISION.ingress });

      await apply({ rules: [inward, outward] });
      expect(await peer.connectTcp("both", toFar, 9001)).toBe("ok");
      expect(await peer.connectTcp("other port", toFar, 9002)).toBe("timeout");
      expect(await far.connectTcp("back", toPeer, 8001)).toBe("timeout");
      await peer.disconnect("both");
    });

    it("are followed as flows: answers pass, start and end are reported once", async () => {
      await apply({ rules: [...through(TCP, 9001, family), ...through(UDP, 9001, family)] });
      expect(await peer.connectTcp("flow", toFar, 9001)).toBe("ok");
      expect(await peer.exchange("flow")).toBe("ok");
      expect(await peer.askUdp(toFar, 9001)).toBe("ok");
      await peer.disconnect("flow");
      const ofTcp = (): readonly FlowEvent[] => drained().filter(({ protocol }) => protocol === TCP);
      await expect.poll(() => ofTcp().map(({ kind }) => kind)).toEqual(["start", "end"]);
      const [, end] = ofTcp();
      expect(end).toMatchObject({ hook: "edge", sourceAddress: toPeer, destinationAddress: toFar, verdict: "allow" });
      expect(Number(end?.packets)).toBeGreaterThanOrEqual(8);
    });

    it("end when they fall silent", async () => {
      await apply({ rules: through(UDP, 9001, family) });
      expect(await peer.askUdp(toFar, 9001)).toBe("ok");
      skewNs = 300_000_000_000n;
      enforcer.sweep();
      skewNs = 0n;
      const ends = drained().filter(({ kind, protocol }) => kind === "end" && protocol === UDP);
      const end = { hook: "edge", sourceAddress: toPeer, destinationPort: 9001, packets: 2n };
      expect(ends).toContainEqual(expect.objectContaining(end));
    });

    it("lose a flow with its permission, and keep one that has it still", async () => {
      await apply({ rules: [...through(TCP, 9001, family), ...through(TCP, 9002, family)] });
      expect(await peer.connectTcp("kept", toFar, 9001)).toBe("ok");
      expect(await peer.connectTcp("lost", toFar, 9002)).toBe("ok");
      await apply({ rules: through(TCP, 9001, family) });
      expect(await peer.exchange("kept")).toBe("ok");
      expect(await peer.exchange("lost")).toBe("timeout");
      expect(drained()).toContainEqual(expect.objectContaining({ kind: "deny", hook: "edge", destinationPort: 9002 }));
      await Promise.all([peer.disconnect("kept"), peer.disconnect("lost")]);
    });

    it("pass in observe mode and are reported once for each flow", async () => {
      await apply(NOTHING, "observe");
      expect(await peer.connectTcp("seen", toFar, 9001)).toBe("ok");
      expect(await peer.exchange("seen")).toBe("ok");
      const denied = drained().filter(({ kind }) => kind === "deny");
      expect(denied).toHaveLength(1);
      expect(denied[0]).toMatchObject({ hook: "edge", verdict: "deny", enforced: "allow" });
      await peer.disconnect("seen");
    });

    it("obey the emergency brake", async () => {
      await apply({ rules: through(TCP, 9001, family) });
      enforcer.setEmergency("closed");
      expect(await peer.connectTcp("closed", toFar, 9001)).toBe("timeout");
      expect(drained()[0]).toMatchObject({ hook: "edge", decision: EMERGENCY_DECISION });
      enforcer.setEmergency("open");
      expect(await peer.connectTcp("open", toFar, 9002)).toBe("ok");
      await peer.disconnect("open");
    });

    it("cannot be judged in fragments, and are denied then", async () => {
      await apply({ rules: through(UDP, 9001, family) });
      expect(await peer.askUdp(toFar, 9001, 1200)).toBe("ok");
      expect(await peer.askUdp(toFar, 9001, 6000)).toBe("timeout");
      expect(drained()).toContainEqual(expect.objectContaining({ hook: "edge", decision: FRAGMENT_DECISION }));
    });

    it("answer a ping that is allowed through", async () => {
      const protocol = family === 4 ? 1 : 58;
      const request = (family === 4 ? 8 : 128) << 8;
      await apply(NOTHING);
      expect(lab.kernel.ping("peer", toFar)).toBe("silence");
      await apply({ rules: through(protocol, request, family) });
      expect(lab.kernel.ping("peer", toFar)).toBe("answered");
    });
  });

  describe("to a container", () => {
    let container: SocketPeer;

    beforeAll(async () => {
      container = await lab.startFar(lab.kernel.makeCgroup("system.slice/web.service"));
      await container.listenTcp(9005);
      await container.listenUdp(9005);
      classify((entry) => leadsIntoNamespace(entry) && entry.name === "eth1");
    });

    afterAll(() => classify(() => false));

    it("are left to the socket there, which knows whose it is", async () => {
      await apply({
        rules: [{ direction: "ingress", remote: null, protocol: TCP, port: 9005, verdict: "allow", set: 1 }],
        workloads: [{ kind: "systemdUnit", unit: "web.service" }],
      });
      expect(await peer.connectTcp("in", FAR_ADDRESS[4], 9005)).toBe("ok");
      const starts = drained().filter(({ kind }) => kind === "start");
      expect(starts).toHaveLength(1);
      expect(starts[0]).toMatchObject({ hook: "socket", set: 1, destinationPort: 9005 });
      expect(drained().filter(({ kind }) => kind === "deny")).toEqual([]);
      expect(await peer.askUdp(FAR_ADDRESS[4], 9005)).toBe("timeout");
      expect(drained()).toContainEqual(expect.objectContaining({ kind: "deny", hook: "socket", set: 1 }));
      await peer.disconnect("in");
    });

    it("come back to it after address translation", async () => {
      lab.masquerade();
      await peer.listenUdp(8005);
      await apply({
        rules: [{ direction: "egress", remote: null, protocol: UDP, port: 8005, verdict: "allow", set: 1 }],
        workloads: [{ kind: "systemdUnit", unit: "web.service" }],
      });
      expect(await container.askUdp(PEER_ADDRESS[4], 8005)).toBe("ok");
      expect(drained().filter(({ kind }) => kind === "deny")).toEqual([]);
      // What did not go out before is judged as the host's own.
      expect(await peer.connectTcp("host", HOST_ADDRESS[4], 8999)).toBe("timeout");
    });
  });
});
