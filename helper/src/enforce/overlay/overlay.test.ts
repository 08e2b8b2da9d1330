import { BUILTIN_DECISIONS } from "@wardline/domain/policy";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type HandProgramOptions, handProgram } from "../../testing/handProgram.ts";
import { HOST_ADDRESS, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../../testing/kernelLab.ts";
import { nftablesEnforcerInside, nftablesProblem } from "../../testing/nftablesLab.ts";
import { FAR_NODE, HOST_NODE, OverlayLab, THIRD_NODE } from "../../testing/overlayLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import { EbpfEnforcer } from "../ebpf/ebpfEnforcer.ts";
import type { EnforcementMode, FlowEvent } from "../enforcer.ts";
import type { NftablesEnforcer } from "../nftables/nftablesEnforcer.ts";

const [TCP, UDP, ICMPV6] = [6, 17, 58];
const SPOOFED = BUILTIN_DECISIONS.spoofedOverlay.index;
const problem = kernelLabProblem();
const EVERYTHING: HandProgramOptions = { rules: [], otherwise: { ingress: "allow", egress: "allow" } };
/** Of the node, and of nobody else. */
const NODE_ONLY: HandProgramOptions = {
  rules: [TCP, UDP].map((protocol) => {
    return { direction: "ingress" as const, remote: FAR_NODE, protocol, port: 7001, verdict: "allow" as const };
  }),
};

const nftProblem = problem ?? nftablesProblem();

describe.skipIf(nftProblem !== null)(
  `addresses of the overlay, by nftables${nftProblem === null ? "" : ` (${nftProblem})`}`,
  () => {
    let lab: OverlayLab;
    let enforcer: NftablesEnforcer;
    let host: SocketPeer;
    let peer: SocketPeer;
    let far: SocketPeer;

    async function apply(options: HandProgramOptions): Promise<void> {
      const prepared = await enforcer.prepare(handProgram(options), enforcer.state().generation + 1);
      enforcer.activate(prepared, { mode: "enforce", fallbackAfterMs: null });
    }

    const spoofed = (): number =>
      Number(enforcer.readCounters().find(({ decision }) => decision === SPOOFED)?.packets ?? 0n);

    beforeAll(async () => {
      lab = new OverlayLab();
      enforcer = nftablesEnforcerInside(lab.kernel.hostNamespace);
      await enforcer.open();
      host = await lab.kernel.startSocketPeer("host");
      peer = await lab.kernel.startSocketPeer("peer");
      far = await lab.startFar();
      await host.listenTcp(7001);
      await far.listenUdp(8001);
    });

    afterAll(async () => {
      await enforcer.release();
      await lab.close();
    });

    it("count as a node's on the overlay's interface alone, in and out", async () => {
      enforcer.setOverlay(lab.interface("eth1"));
      await apply(NODE_ONLY);
      expect(await far.connectTcp("node", HOST_NODE, 7001)).toBe("ok");
      expect(spoofed()).toBe(0);
      expect(await peer.connectTcp("claim", HOST_NODE, 7001, 400, FAR_NODE)).toBe("timeout");
      expect(spoofed()).toBeGreaterThan(0);
      await apply(EVERYTHING);
      expect(await host.askUdp(FAR_NODE, 8001)).toBe("ok");
      expect(await peer.connectTcp("through the host", THIRD_NODE, 8001, 300, FAR_NODE)).toBe("timeout");
      const before = spoofed();
      expect(before).toBeGreaterThan(0);
      enforcer.setOverlay(null);
      expect(await host.askUdp(FAR_NODE, 8001)).not.toBe("ok");
      expect(await far.exchange("node", 300)).not.toBe("ok");
      expect(spoofed()).toBeGreaterThan(before);
    });

    it("keep their interface in the table, which another process finds", async () => {
      enforcer.setOverlay(lab.interface("eth1"));
      await enforcer.close();
      expect(await far.connectTcp("without an agent", HOST_NODE, 7001)).toBe("ok");
      enforcer = nftablesEnforcerInside(lab.kernel.hostNamespace);
      await enforcer.open();
      expect(enforcer.heldOverlay()).toEqual({ name: "eth1" });
    });
  },
);

describe.skipIf(problem !== null).each([
  ["sockets alone", null],
  ["sockets and interfaces", { isInner: () => false }],
] as const)(`addresses of the overlay, at %s${problem === null ? "" : ` (${problem})`}`, (_, edge) => {
  let lab: OverlayLab;
  let enforcer: EbpfEnforcer;
  let host: SocketPeer;
  let peer: SocketPeer;
  let far: SocketPeer;
  const events: FlowEvent[] = [];

  const newEnforcer = (): EbpfEnforcer => {
    const { cgroupRoot, bpffsDir, hostNamespace } = lab.kernel;
    return new EbpfEnforcer({
      cgroupRoot,
      bpffsDir,
      objectBytes: readBpfObject(),
      networkNamespace: hostNamespace,
      edge,
    });
  };

  async function apply(options: HandProgramOptions, mode: EnforcementMode = "enforce"): Promise<void> {
    const prepared = await enforcer.prepare(handProgram(options), enforcer.state().generation + 1);
    enforcer.activate(prepared, { mode, fallbackAfterMs: null });
  }

  function drained(): readonly FlowEvent[] {
    enforcer.drainEvents();
    return events.splice(0);
  }

  const spoofed = (): number => Number(enforcer.readCounters()[SPOOFED]?.packets ?? 0n);

  beforeAll(async () => {
    lab = new OverlayLab();
    enforcer = newEnforcer();
    await enforcer.open();
    enforcer.onEvents((more) => void events.push(...more));
    host = await lab.kernel.startSocketPeer("host");
    peer = await lab.kernel.startSocketPeer("peer");
    far = await lab.startFar();
    await host.listenTcp(7001);
    await host.listenUdp(7001);
    await far.listenTcp(8001);
    await far.listenUdp(8001);
    await peer.listenUdp(8002);
  });

  afterEach(() => {
    drained();
    enforcer.setOverlay(null);
  });

  afterAll(async () => {
    await enforcer.release();
    await lab.close();
  });

  it("count as a node's on the overlay's interface alone", async () => {
    enforcer.setOverlay(lab.interface("eth1"));
    await apply(NODE_ONLY);
    expect(await far.connectTcp("node", HOST_NODE, 7001)).toBe("ok");
    expect(await far.askUdp(HOST_NODE, 7001)).toBe("ok");
    const arrived = await host.countUdp(7001);
    expect(spoofed()).toBe(0);
    drained();

    expect(await peer.connectTcp("claim", HOST_NODE, 7001, 400, FAR_NODE)).toBe("timeout");
    expect(await peer.askUdp(HOST_NODE, 7001, 16, 400, FAR_NODE)).toBe("timeout");
    expect(await host.countUdp(7001)).toBe(arrived);
    expect(spoofed()).toBeGreaterThanOrEqual(2);
    const denials = drained().filter(({ decision }) => decision === SPOOFED);
    for (const protocol of [TCP, UDP])
      expect(denials.find((event) => event.protocol === protocol)).toMatchObject({
        ...{ kind: "deny", verdict: "deny", enforced: "deny", direction: "ingress" },
        ...{ sourceAddress: FAR_NODE, destinationAddress: HOST_NODE, destinationPort: 7001 },
        hook: edge === null ? "socket" : "edge",
      });
  });

  it("are forged to any address and by any protocol, even where everything is allowed", async () => {
    enforcer.setOverlay(lab.interface("eth1"));
    await apply(EVERYTHING);
    expect(await peer.connectTcp("to another address", HOST_ADDRESS[6], 7001, 400, FAR_NODE)).toBe("timeout");
    expect(spoofed()).toBeGreaterThan(0);
    expect(await peer.connectTcp("with its own", HOST_ADDRESS[6], 7001)).toBe("ok");
    expect(await peer.connectTcp("over IPv4", HOST_ADDRESS[4], 7001)).toBe("ok");
    if (edge === null) return;
    const before = spoofed();
    expect(await peer.connectTcp("through the host", THIRD_NODE, 8001, 300, FAR_NODE)).toBe("timeout");
    expect(spoofed()).toBeGreaterThan(before);
  });

  it("end kept verdicts when the interface is no longer the overlay's, and not for good", async () => {
    enforcer.setOverlay(lab.interface("eth1"));
    await apply(NODE_ONLY);
    expect(await far.connectTcp("kept", HOST_NODE, 7001)).toBe("ok");
    for (let times = 0; times < 20; times++) expect(await far.exchange("kept")).toBe("ok");
    enforcer.setOverlay(lab.interface("eth0"));
    expect(await far.exchange("kept", 300)).not.toBe("ok");
    expect(spoofed()).toBeGreaterThan(0);
    enforcer.setOverlay(lab.interface("eth1"));
    expect(await far.connectTcp("again", HOST_NODE, 7001)).toBe("ok");
  });

  it("are forged wherever they come from on a host without an overlay", async () => {
    await apply(EVERYTHING);
    expect(await far.connectTcp("node", HOST_NODE, 7001)).toBe("timeout");
    expect(spoofed()).toBeGreaterThan(0);
    expect(enforcer.heldOverlay()).toBeNull();
  });

  it("are not sent to but through the overlay's interface", async () => {
    enforcer.setOverlay(lab.interface("eth1"));
    await apply(EVERYTHING);
    expect(await host.askUdp(FAR_NODE, 8001)).toBe("ok");
    expect(await host.connectTcp("out", FAR_NODE, 8001)).toBe("ok");
    drained();
    enforcer.setOverlay(lab.interface("eth0"));
    expect(await host.askUdp(FAR_NODE, 8001)).not.toBe("ok");
    expect(await host.connectTcp("astray", FAR_NODE, 8001)).not.toBe("ok");
    const [event] = drained().filter(({ decision }) => decision === SPOOFED);
    expect(event).toMatchObject({
      kind: "deny",
      direction: "egress",
      destinationAddress: FAR_NODE,
      destinationPort: 8001,
    });
    expect(await host.askUdp(PEER_ADDRESS[6], 8002)).toBe("ok");
  });

  it("are reported and pass while the host only observes", async () => {
    await apply(EVERYTHING, "observe");
    expect(await far.connectTcp("node", HOST_NODE, 7001)).toBe("ok");
    const [event] = drained().filter(({ decision }) => decision === SPOOFED);
    expect(event).toMatchObject({ kind: "deny", verdict: "deny", enforced: "allow", sourceAddress: FAR_NODE });
  });

  it("cannot ping", async () => {
    await apply(EVERYTHING);
    expect(lab.kernel.ping("host", PEER_ADDRESS[6])).toBe("answered");
    drained();
    expect(lab.kernel.ping("host", FAR_NODE)).not.toBe("answered");
    const found = drained().filter(({ decision }) => decision === SPOOFED);
    expect(found[0]).toMatchObject({ protocol: ICMPV6, destinationAddress: FAR_NODE });
  });

  it("keep their interface when the agent restarts", async () => {
    enforcer.setOverlay(lab.interface("eth1"));
    await apply(NODE_ONLY);
    await enforcer.close();
    expect(await far.connectTcp("without an agent", HOST_NODE, 7001)).toBe("ok");
    expect(await peer.connectTcp("claim", HOST_NODE, 7001, 300, FAR_NODE)).toBe("timeout");
    enforcer = newEnforcer();
    await enforcer.open();
    enforcer.onEvents((more) => void events.push(...more));
    expect(enforcer.heldOverlay()).toEqual({ index: lab.interface("eth1").index });
  });
});
