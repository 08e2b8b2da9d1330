import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { HAND_DECISION, type HandProgramOptions, handProgram } from "../../testing/handProgram.ts";
import { HOST_ADDRESS, KernelLab, kernelLabProblem, PEER_ADDRESS, readBpfObject } from "../../testing/kernelLab.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import type { EnforcementMode, FlowEvent } from "../enforcer.ts";
import { EbpfEnforcer } from "./ebpfEnforcer.ts";

const TCP = 6;
const UDP = 17;
/** Long enough for a busy machine to find it enforced before. */
const DEADLINE_MS = 4_000;
const problem = kernelLabProblem();

/** Allowed: peer to host 7001/tcp and 7001/udp, host to peer 8001/tcp and 8001/udp. Everything else is denied. */
const ONE_PORT_EACH_WAY: HandProgramOptions = {
  rules: [TCP, UDP].flatMap((protocol) => [
    { direction: "ingress" as const, remote: null, protocol, port: 7001, verdict: "allow" as const },
    { direction: "egress" as const, remote: null, protocol, port: 8001, verdict: "allow" as const },
  ]),
};
const NOTHING: HandProgramOptions = { rules: [] };
const EVERYTHING: HandProgramOptions = { rules: [], otherwise: { ingress: "allow", egress: "allow" } };

describe.skipIf(problem !== null)(`real sockets${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: KernelLab;
  let enforcer: EbpfEnforcer;
  let host: SocketPeer;
  let peer: SocketPeer;
  let generation = 0;
  let events: FlowEvent[] = [];

  async function apply(
    options: HandProgramOptions,
    mode: EnforcementMode = "enforce",
    fallbackAfterMs: number | null = null,
  ) {
    generation += 1;
    const prepared = await enforcer.prepare(handProgram(options), generation);
    enforcer.activate(prepared, { mode, fallbackAfterMs });
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
    enforcer = new EbpfEnforcer({ cgroupRoot: lab.cgroupRoot, bpffsDir: lab.bpffsDir, objectBytes: readBpfObject() });
    await enforcer.open();
    enforcer.onEvents((more) => void events.push(...more));
    host = await lab.startSocketPeer("host");
    peer = await lab.startSocketPeer("peer");
    for (const port of [7001, 7002]) {
      await host.listenTcp(port);
      await host.listenUdp(port);
      await peer.listenTcp(port + 1000);
      await peer.listenUdp(port + 1000);
    }
  });

  afterEach(() => {
    enforcer.drainEvents();
    events = [];
  });

  afterAll(async () => {
    await enforcer.release();
    await lab.close();
  });

  describe.each([4, 6] as const)("IPv%s", (family) => {
    const toHost = HOST_ADDRESS[family];
    const toPeer = PEER_ADDRESS[family];

    it("passes what is allowed and its replies, and nothing else, under default deny both ways", async () => {
      await apply(ONE_PORT_EACH_WAY);
      expect(await peer.connectTcp("in", toHost, 7001)).toBe("ok");
      expect(await peer.connectTcp("no", toHost, 7002)).toBe("timeout");
      expect(await host.connectTcp("out", toPeer, 8001)).toBe("ok");
      expect(await host.connectTcp("no", toPeer, 8002)).toBe("timeout");
      expect(await peer.askUdp(toHost, 7001)).toBe("ok");
      expect(await peer.askUdp(toHost, 7002)).toBe("timeout");
      expect(await host.askUdp(toPeer, 8001)).toBe("ok");
      expect(await host.askUdp(toPeer, 8002)).toBe("EPERM");
      await Promise.all([peer.disconnect("in"), host.disconnect("out")]);

      const all = drained();
      const denied = all.filter((event) => event.kind === "deny");
      expect(denied.every((event) => event.enforced === "deny" && event.verdict === "deny")).toBe(true);
      const deniedPorts = new Set(
        denied.map((event) => `${event.direction} ${event.protocol} ${event.destinationPort}`),
      );
      expect(deniedPorts).toEqual(new Set(["ingress 6 7002", "egress 6 8002", "ingress 17 7002", "egress 17 8002"]));
      expect(all.filter((event) => event.kind === "start" && event.protocol === TCP)).toHaveLength(2);
      const ends = all.filter((event) => event.kind === "end" && event.protocol === TCP);
      expect(ends.map((event) => event.destinationPort).sort()).toEqual([7001, 8001]);
      // Handshake, echo and close: more packets than the first one alone.
      expect(ends.every((event) => event.packets >= 6n && event.bytes > 300n)).toBe(true);
      const incoming = ends.find((event) => event.destinationPort === 7001);
      expect(incoming).toMatchObject({
        direction: "ingress",
        sourceAddress: toPeer,
        destinationAddress: toHost,
        generation,
        decision: HAND_DECISION.firstRule,
        verdict: "allow",
      });
      expect(packetsOf(HAND_DECISION.firstRule)).toBeGreaterThan(5);
    });

    it("kills a flow that lost its permission on its next packet, and keeps one that did not", async () => {
      await apply({
        rules: [7001, 7002].map((port) => ({
          direction: "ingress" as const,
          remote: null,
          protocol: TCP,
          port,
          verdict: "allow" as const,
        })),
      });
      expect(await peer.connectTcp("kept", toHost, 7001)).toBe("ok");
      expect(await peer.connectTcp("revoked", toHost, 7002)).toBe("ok");
      await apply(ONE_PORT_EACH_WAY);
      expect(await peer.exchange("kept")).toBe("ok");
      expect(await peer.exchange("revoked")).toBe("timeout");
      expect(drained()).toContainEqual(expect.objectContaining({ kind: "deny", destinationPort: 7002, generation }));
      enforcer.revert();
      expect(await peer.exchange("kept")).toBe("ok");
      // TCP sends it again by itself once the road is open.
      expect(await peer.exchange("revoked", 4000)).toBe("ok");
      await Promise.all([peer.disconnect("kept"), peer.disconnect("revoked")]);
    });

    it("lets everything pass in observe mode and reports what it would have denied, once for each flow", async () => {
      await apply(NOTHING, "observe");
      expect(await peer.connectTcp("seen", toHost, 7002)).toBe("ok");
      expect(await peer.exchange("seen")).toBe("ok");
      const reported = drained().filter((event) => event.protocol === TCP && event.kind !== "end");
      expect(reported).toHaveLength(1);
      expect(reported[0]).toMatchObject({ kind: "deny", verdict: "deny", enforced: "allow", destinationPort: 7002 });
      await peer.disconnect("seen");
    });

    it("answers ping by the rule of the echo request, in both directions", async () => {
      const protocol = family === 4 ? 1 : 58;
      const request = (family === 4 ? 8 : 128) << 8;
      await apply({ rules: [{ direction: "egress", remote: null, protocol, port: request, verdict: "allow" }] });
      expect(lab.ping("host", toPeer)).toBe("answered");
      await apply(NOTHING);
      expect(lab.ping("host", toPeer)).toBe("refused");
    });

    it("sends and takes datagrams larger than the link", async () => {
      await apply(ONE_PORT_EACH_WAY);
      expect(await host.askUdp(toPeer, 8001, 6000)).toBe("ok");
      expect(await peer.askUdp(toHost, 7001, 6000)).toBe("ok");
    });
  });

  it("allows loopback and counts it without an event", async () => {
    await apply(NOTHING);
    expect(await host.connectTcp("own", "127.0.0.1", 7002)).toBe("ok");
    expect(await host.connectTcp("own6", HOST_ADDRESS[6], 7002)).toBe("ok");
    await Promise.all([host.disconnect("own"), host.disconnect("own6")]);
    expect(packetsOf(1)).toBeGreaterThan(10);
    expect(drained()).toEqual([]);
  });

  it("applies IPv4 policy to IPv4-mapped addresses", async () => {
    await apply(NOTHING);
    expect(await host.connectTcp("mapped", `::ffff:${PEER_ADDRESS[4]}`, 8001)).toBe("timeout");
    await apply(ONE_PORT_EACH_WAY);
    expect(await host.connectTcp("mapped", `::ffff:${PEER_ADDRESS[4]}`, 8001)).toBe("ok");
    await host.disconnect("mapped");
  });

  it("judges a connection older than the agent by its lower port", async () => {
    await apply(EVERYTHING);
    expect(await peer.connectTcp("old", HOST_ADDRESS[4], 7001)).toBe("ok");
    expect(await peer.connectTcp("old-denied", HOST_ADDRESS[4], 7002)).toBe("ok");
    await enforcer.release();
    expect(await peer.exchange("old")).toBe("ok");
    await enforcer.open();
    enforcer.onEvents((more) => void events.push(...more));
    await apply(ONE_PORT_EACH_WAY);
    expect(await peer.exchange("old")).toBe("ok");
    expect(await peer.exchange("old-denied")).toBe("timeout");
    expect(drained()).toContainEqual(
      expect.objectContaining({ kind: "start", direction: "ingress", destinationPort: 7001 }),
    );
    await Promise.all([peer.disconnect("old"), peer.disconnect("old-denied")]);
  });

  it("falls back in the kernel when the deadline passes", async () => {
    await apply(ONE_PORT_EACH_WAY);
    await apply(NOTHING, "enforce", DEADLINE_MS);
    expect(await peer.connectTcp("early", HOST_ADDRESS[4], 7001, 200)).toBe("timeout");
    expect(enforcer.state()).toMatchObject({ expired: false, generation, previousGeneration: generation - 1 });
    await expect(enforcer.prepare(handProgram(EVERYTHING), generation + 1)).rejects.toThrow(/confirm/i);
    await expect.poll(() => enforcer.state().expired).toBe(true);
    expect(await peer.connectTcp("late", HOST_ADDRESS[4], 7001)).toBe("ok");
    expect(() => enforcer.confirm()).toThrow(/over/);
    await peer.disconnect("late");
    expect(enforcer.revert()).toMatchObject({ generation: generation - 1, expired: false, deadlineBootMs: null });
    expect(await peer.connectTcp("after", HOST_ADDRESS[4], 7001)).toBe("ok");
    await peer.disconnect("after");
  });

  it("gives a workload its own rules, also when its cgroup appears later", async () => {
    await apply({
      rules: [{ direction: "egress", remote: null, protocol: TCP, port: 8002, verdict: "allow", set: 1 }],
      workloads: [{ kind: "systemdUnit", unit: "web.service" }],
    });
    const cgroup = lab.makeCgroup("system.slice/web.service/inner");
    enforcer.refreshWorkloads();
    const web = await lab.startSocketPeer("host", cgroup);
    expect(await web.connectTcp("web", PEER_ADDRESS[4], 8002)).toBe("ok");
    expect(await host.connectTcp("other", PEER_ADDRESS[4], 8002)).toBe("timeout");
    expect(drained()).toContainEqual(expect.objectContaining({ kind: "start", destinationPort: 8002, set: 1 }));
    await web.disconnect("web");
  });

  it("accounts for every event of a flood exactly: sent = delivered + lost", async () => {
    await apply(EVERYTHING);
    enforcer.drainEvents();
    events = [];
    const before = enforcer.losses();
    expect(await peer.floodTcp(HOST_ADDRESS[4], 7001, 300)).toBe("ok");
    const delivered = drained().filter(({ destinationPort }) => destinationPort === 7001);
    const after = enforcer.losses();
    const starts = delivered.filter((event) => event.kind === "start").length;
    const ends = delivered.filter((event) => event.kind === "end").length;
    expect({ starts, ends, lost: after.ringFull - before.ringFull }).toEqual({ starts: 300, ends: 300, lost: 0n });
  });
});
