import { BUILTIN_DECISIONS, type Direction, type Verdict } from "@wardline/domain/policy";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { lookupElement, updateElement } from "../../linux/bpf/libbpf.ts";
import { type HandProgramOptions, handProgram } from "../../testing/handProgram.ts";
import { kernelLabProblem } from "../../testing/kernelLab.ts";
import { ProgramRunner } from "../../testing/programRunner.ts";
import { addressBytes, echo, icmpError, ipv4, ipv6, TCP_FLAG, tcp, udp } from "../../testing/rawPacket.ts";
import type { EnforcementMode, FlowEvent } from "../enforcer.ts";
import { FLOW, FLOW_KEY } from "./layout.ts";

const LOCAL = "198.51.100.1";
const REMOTE = "203.0.113.9";
const LOCAL6 = "2001:db8::1";
const REMOTE6 = "2001:db8:9::9";
const { syn, ack, fin, rst } = TCP_FLAG;
const problem = kernelLabProblem();

function allow(direction: Direction, protocol: number, port: number, verdict: Verdict = "allow") {
  return { direction, remote: null, protocol, port, verdict };
}

describe.skipIf(problem !== null)(`packets made by hand${problem === null ? "" : ` (${problem})`}`, () => {
  let runner: ProgramRunner;
  let generation = 0;
  const events: FlowEvent[] = [];

  async function apply(options: HandProgramOptions, mode: EnforcementMode = "enforce"): Promise<void> {
    generation += 1;
    const prepared = await runner.enforcer.prepare(handProgram(options), generation);
    runner.enforcer.activate(prepared, { mode, fallbackAfterMs: null });
  }

  /** True when the packet passes. */
  function passes(direction: Direction, packet: Buffer, options = {}): boolean {
    return runner.run(direction, packet, options).returnValue === 1;
  }

  /** The decision that counted the packet. */
  function decisionOf(direction: Direction, packet: Buffer, options = {}): number {
    const before = runner.enforcer.readCounters();
    passes(direction, packet, options);
    const after = runner.enforcer.readCounters();
    return after.findIndex((counter, index) => counter.packets !== before[index]?.packets);
  }

  function drained(): readonly FlowEvent[] {
    runner.enforcer.drainEvents();
    return events.splice(0);
  }

  const out = (payload: Buffer, protocol: number, options = {}) => ipv4(LOCAL, REMOTE, protocol, payload, options);
  const into = (payload: Buffer, protocol: number, options = {}) => ipv4(REMOTE, LOCAL, protocol, payload, options);
  const into6 = (payload: Buffer, protocol: number, extensions = [] as Parameters<typeof ipv6>[4], hopLimit = 64) =>
    ipv6(REMOTE6, LOCAL6, protocol, payload, extensions, hopLimit);

  beforeAll(async () => {
    runner = new ProgramRunner();
    await runner.open();
    runner.enforcer.onEvents((more) => void events.push(...more));
  });

  beforeEach(() => void drained());

  afterAll(() => runner.close());

  it("judges an echo reply as its request, whoever sent it", async () => {
    await apply({ rules: [allow("egress", 1, 8 << 8)] });
    expect(passes("egress", out(echo(8, 7), 1))).toBe(true);
    expect(passes("ingress", into(echo(0, 7), 1))).toBe(true);
    // The kernel's own answer to a ping that no program sees on its way in.
    expect(passes("egress", out(echo(0, 9), 1))).toBe(false);
    await apply({ rules: [allow("ingress", 1, 8 << 8)] });
    expect(passes("egress", out(echo(0, 10), 1))).toBe(true);
    expect(passes("egress", out(echo(8, 11), 1))).toBe(false);
  });

  it("lets ICMP errors pass that quote a live flow, and asks policy about others", async () => {
    await apply({ rules: [allow("egress", 17, 53)] });
    const query = ipv4(LOCAL, REMOTE, 17, udp(5000, 53));
    const unknown = ipv4(LOCAL, REMOTE, 17, udp(5001, 53));
    expect(passes("egress", query)).toBe(true);
    expect(decisionOf("ingress", into(icmpError(3, 3, query), 1))).toBe(BUILTIN_DECISIONS.pathMtu.index);
    expect(passes("ingress", into(icmpError(3, 3, query), 1))).toBe(true);
    expect(passes("ingress", into(icmpError(3, 3, unknown), 1))).toBe(false);
    expect(passes("ingress", into(icmpError(3, 4, unknown), 1)), "fragmentation needed").toBe(true);
    const query6 = ipv6(LOCAL6, REMOTE6, 17, udp(5000, 53));
    expect(passes("egress", query6)).toBe(true);
    expect(passes("ingress", into6(icmpError(1, 4, query6), 58))).toBe(true);
    expect(passes("ingress", into6(icmpError(1, 4, ipv6(LOCAL6, REMOTE6, 17, udp(1, 53))), 58))).toBe(false);
    expect(passes("ingress", into6(icmpError(2, 0, Buffer.alloc(8)), 58)), "packet too big").toBe(true);
  });

  it("lets neighbour discovery pass only from the link itself", async () => {
    await apply({ rules: [] });
    const solicitation = icmpError(135, 0, addressBytes(LOCAL6));
    expect(decisionOf("ingress", into6(solicitation, 58, [], 255))).toBe(BUILTIN_DECISIONS.neighborDiscovery.index);
    expect(passes("ingress", into6(solicitation, 58, [], 255))).toBe(true);
    expect(passes("ingress", into6(solicitation, 58, [], 254))).toBe(false);
  });

  describe.each(["enforce", "observe"] as const)("packets that cannot be judged, in %s mode", (mode) => {
    const options = { type: 60, bytes: Buffer.from([0, 0, 0, 0, 0, 0, 0, 0]) };
    const hop = (flags: number) => ({ type: 44, bytes: Buffer.from([0, 0, flags >> 8, flags & 255, 0, 0, 0, 1]) });
    const routing = (left: number) => ({ type: 43, bytes: Buffer.from([0, 0, 0, left, 0, 0, 0, 0]) });
    const chain = (length: number) => Array.from({ length }, () => options);
    const opening = tcp(40_000, 80, syn);
    const reported: FlowEvent[] = [];

    beforeAll(async () => {
      await apply({ rules: [], otherwise: { ingress: "allow", egress: "allow" } }, mode);
      // The limit of repeated events refills: the suite for the other mode sent the same packets.
      await new Promise((resolve) => setTimeout(resolve, 1100));
    });

    it.each([
      ["header length under 20 bytes", "malformed", into(opening, 6, { headerWords: 4 }), {}],
      ["total length over the packet's", "malformed", into(opening, 6, { totalLength: 900 }), {}],
      ["TCP data offset under 5", "malformed", into(tcp(40_000, 80, syn, 4), 6), {}],
      ["cut inside the ports", "malformed", into(opening.subarray(0, 3), 6), {}],
      ["IPv6 in an IPv4 frame", "malformed", into6(opening, 6), { etherType: 0x0800 }],
      ["first fragment", "fragment", into(opening, 6, { fragment: 0x2000 }), {}],
      ["later fragment", "fragment", into(opening, 6, { fragment: 100 }), {}],
      ["IPv6 fragment", "fragment", into6(opening, 6, [hop(1)]), {}],
      ["nine extension headers", "extensionHeader", into6(opening, 6, chain(9)), {}],
      ["routing header with segments left", "extensionHeader", into6(opening, 6, [routing(1)]), {}],
      ["another protocol than IP", "notIp", into(opening, 6), { etherType: 0x0806 }],
    ] as const)("%s: %s", (_, builtin, packet, run) => {
      expect(decisionOf("ingress", packet, run)).toBe(BUILTIN_DECISIONS[builtin].index);
      expect(passes("ingress", packet, run)).toBe(mode === "observe");
      reported.push(...drained());
    });

    it("are reported with what was done to them and who sent them", () => {
      expect(new Set(reported.map((event) => event.decision))).toEqual(new Set([4, 5, 6, 7]));
      const enforced = mode === "enforce" ? "deny" : "allow";
      expect(reported.every((event) => event.kind === "deny" && event.verdict === "deny")).toBe(true);
      expect(new Set(reported.map((event) => event.enforced))).toEqual(new Set([enforced]));
      expect(reported.find((event) => event.decision === 5)).toMatchObject({
        sourceAddress: REMOTE,
        direction: "ingress",
      });
    });

    it.each([
      ["eight extension headers", into6(opening, 6, chain(8))],
      ["an atomic fragment", into6(opening, 6, [hop(0)])],
      ["a finished routing header", into6(opening, 6, [routing(0)])],
    ] as const)("reads through %s", (_, packet) => {
      expect(passes("ingress", packet)).toBe(true);
      drained();
    });
  });

  it("takes loopback by its interface, not by what an address claims", async () => {
    await apply({ rules: [] });
    const ours = ipv6(LOCAL6, LOCAL6, 17, udp(1, 2));
    expect(passes("ingress", ours, { ifindex: 1 })).toBe(true);
    expect(passes("egress", ours)).toBe(true);
    expect(passes("ingress", ours)).toBe(false);
    expect(passes("ingress", ipv4("127.0.0.1", LOCAL, 17, udp(1, 2)))).toBe(false);
  });

  it("keeps a flow when a forged opening of the other direction is denied", async () => {
    await apply({ rules: [allow("egress", 6, 9000)] });
    expect(passes("egress", out(tcp(3000, 9000, syn), 6))).toBe(true);
    expect(passes("ingress", into(tcp(9000, 3000, syn | ack), 6))).toBe(true);
    expect(passes("ingress", into(tcp(9000, 3000, syn), 6))).toBe(false);
    // By its lower port this would be taken for a connection to our port 3000, and be denied.
    expect(passes("ingress", into(tcp(9000, 3000, ack), 6))).toBe(true);
    expect(drained().filter((event) => event.kind === "start")).toHaveLength(1);
  });

  it("keeps a revoked flow denied, whatever its ports suggest", async () => {
    await apply({ rules: [allow("ingress", 6, 8443)], otherwise: { ingress: "deny", egress: "allow" } });
    expect(passes("ingress", into(tcp(1024, 8443, syn), 6))).toBe(true);
    expect(passes("egress", out(tcp(8443, 1024, syn | ack), 6))).toBe(true);
    await apply({ rules: [], otherwise: { ingress: "deny", egress: "allow" } });
    for (let packet = 0; packet < 3; packet++) expect(passes("ingress", into(tcp(1024, 8443, ack), 6))).toBe(false);
    expect(passes("egress", out(tcp(8443, 1024, ack), 6))).toBe(false);
    const reported = drained();
    expect(reported.filter((event) => event.kind === "end")).toHaveLength(1);
    expect(reported.some((event) => event.kind === "deny" && event.direction === "ingress")).toBe(true);
  });

  it("reports one end for a reset, and a flow that goes on after a forged one", async () => {
    await apply({ rules: [allow("egress", 6, 443)] });
    passes("egress", out(tcp(6000, 443, syn), 6));
    passes("ingress", into(tcp(443, 6000, syn | ack), 6));
    passes("ingress", into(tcp(443, 6000, rst), 6));
    passes("ingress", into(tcp(443, 6000, rst), 6));
    expect(drained().map((event) => event.kind)).toEqual(["start", "end"]);
    passes("egress", out(tcp(6000, 443, ack), 6));
    expect(drained().map((event) => event.kind)).toEqual(["start"]);
    passes("egress", out(tcp(6000, 443, fin | ack), 6));
    passes("ingress", into(tcp(443, 6000, fin | ack), 6));
    passes("egress", out(tcp(6000, 443, ack), 6));
    const [end, ...more] = drained();
    expect(more).toEqual([]);
    // Its own three packets: those up to the reset are in the first end.
    expect(end).toMatchObject({
      kind: "end",
      packets: 3n,
      originatorBytes: 80n,
      responderBytes: 40n,
      sourcePort: 6000,
      destinationPort: 443,
      direction: "egress",
    });
  });

  it("enforces a rule's own observe mode: reported, not dropped", async () => {
    await apply({
      rules: [{ ...allow("ingress", 6, 81, "deny"), observeOnly: true }, allow("ingress", 6, 82, "deny")],
    });
    expect(passes("ingress", into(tcp(7000, 81, syn), 6))).toBe(true);
    expect(passes("ingress", into(tcp(7000, 82, syn), 6))).toBe(false);
    expect(drained().map(({ verdict, enforced }) => [verdict, enforced])).toEqual([
      ["deny", "allow"],
      ["deny", "deny"],
    ]);
  });

  it("follows SCTP from its INIT", async () => {
    await apply({ rules: [allow("ingress", 132, 5060)] });
    const chunk = (sourcePort: number, port: number, type: number) =>
      Buffer.concat([udp(sourcePort, port, 12), Buffer.from([type, 0, 0, 4])]);
    expect(passes("ingress", into(chunk(9, 5060, 1), 132))).toBe(true);
    expect(passes("egress", out(chunk(5060, 9, 2), 132))).toBe(true);
    expect(passes("ingress", into(chunk(9, 5061, 1), 132))).toBe(false);
  });

  it("ends silent flows: in the datapath by a new judgement, in the sweep by an event", async () => {
    await apply({ rules: [allow("egress", 17, 5353)] });
    expect(passes("egress", out(udp(5000, 5353), 17))).toBe(true);
    expect(passes("ingress", into(udp(5353, 5000), 17))).toBe(true);
    const flows = runner.pin("wl_flows");
    const key = Buffer.alloc(FLOW_KEY.size);
    key.set(Buffer.concat([Buffer.alloc(10), Buffer.from([255, 255]), addressBytes(LOCAL)]), FLOW_KEY.local);
    key.set(Buffer.concat([Buffer.alloc(10), Buffer.from([255, 255]), addressBytes(REMOTE)]), FLOW_KEY.remote);
    key.writeUInt16LE(5000, FLOW_KEY.localPort);
    key.writeUInt16LE(5353, FLOW_KEY.remotePort);
    key.writeUInt8(17, FLOW_KEY.protocol);
    const flow = Buffer.alloc(FLOW.size);
    expect(lookupElement(flows, key, flow)).toBe(true);
    flow.writeBigUInt64LE(flow.readBigUInt64LE(FLOW.lastSeenNs) - 61_000_000_000n, FLOW.lastSeenNs);
    flow.writeUInt32LE((flow.readUInt32LE(FLOW.tick) - 6_100) >>> 0, FLOW.tick);
    updateElement(flows, key, flow);
    expect(passes("ingress", into(udp(5353, 5000), 17))).toBe(false);
    drained();
    flow.writeBigUInt64LE(flow.readBigUInt64LE(FLOW.lastSeenNs) - 10_000_000_000n, FLOW.lastSeenNs);
    updateElement(flows, key, flow);
    runner.enforcer.sweep();
    expect(drained()).toContainEqual(
      expect.objectContaining({
        kind: "end",
        sourceAddress: LOCAL,
        sourcePort: 5000,
        destinationPort: 5353,
        packets: 2n,
      }),
    );
    expect(lookupElement(flows, key, flow)).toBe(false);
  });

  it("accounts for every denied packet: events + rate limited + ring full = packets", async () => {
    await apply({ rules: [] });
    const before = runner.enforcer.losses();
    const sent = 5000;
    for (let port = 0; port < sent; port++) passes("ingress", into(udp(1000 + (port % 7), 1 + (port % 500)), 17));
    const delivered = drained().length;
    const after = runner.enforcer.losses();
    const lost = Number(after.rateLimited - before.rateLimited + after.ringFull - before.ringFull);
    expect(delivered + lost).toBe(sent);
    expect(delivered).toBeGreaterThan(1000);
    expect(after.rateLimited).toBeGreaterThan(before.rateLimited);
  });
});
