import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPin, testRun } from "../../../linux/bpf/libbpf.ts";
import { InterfaceList } from "../../../linux/network/interfaces.ts";
import { inNetworkNamespace } from "../../../linux/network/namespace.ts";
import {
  countUnreachables,
  EdgeLab,
  FAR_ADDRESS,
  HOST_ADDRESS,
  inNamespace,
  PEER_ADDRESS,
} from "../../../testing/edgeLab.ts";
import { type HandProgramOptions, handProgram } from "../../../testing/handProgram.ts";
import { kernelLabProblem, readBpfObject } from "../../../testing/kernelLab.ts";
import { echo, ethernet, icmpError, ipv4, ipv6, TCP_FLAG, tcp, udp } from "../../../testing/rawPacket.ts";
import type { EnforcementMode, FlowEvent } from "../../enforcer.ts";
import { EbpfEnforcer } from "../ebpfEnforcer.ts";
import { LAYOUT_VERSION } from "../layout.ts";

const problem = kernelLabProblem();
const SK_BUFF = { size: 192, ifindex: 40 } as const;
const [PASS, DROP] = [0xffff_ffff, 2];
const [ICMP, TCP, UDP, ICMPV6, SCTP, GRE] = [1, 6, 17, 58, 132, 47];
const [FRAGMENT, MORE_FRAGMENTS] = [44, 0x2000];
const OPEN_PORT = 7001;
const CLOSED_PORT = 7900;
const NOTHING: HandProgramOptions = { rules: [] };

describe.skipIf(problem !== null)(`packets at an interface${problem === null ? "" : ` (${problem})`}`, () => {
  let lab: EdgeLab;
  let enforcer: EbpfEnforcer;
  let program: number;
  let ifindex = 0;
  let mac: Buffer;
  let events: FlowEvent[] = [];

  async function apply(options: HandProgramOptions, mode: EnforcementMode = "enforce"): Promise<void> {
    const prepared = await enforcer.prepare(handProgram(options), enforcer.state().generation + 1);
    enforcer.activate(prepared, { mode, fallbackAfterMs: null });
  }

  /** What happens to a packet that comes in on eth0, addressed to it unless another one's address is given. */
  function judge(packet: Buffer, to: Buffer = mac, etherType?: number): number {
    const frame = ethernet(packet, etherType);
    to.copy(frame, 0);
    const context = Buffer.alloc(SK_BUFF.size);
    context.writeUInt32LE(ifindex, SK_BUFF.ifindex);
    return inNetworkNamespace(lab.kernel.hostNamespace, () => testRun(program, frame, context)).returnValue;
  }

  function drained(): readonly FlowEvent[] {
    events = [];
    enforcer.drainEvents();
    return events;
  }

  const [peer4, host4, far4] = [PEER_ADDRESS[4], HOST_ADDRESS[4], FAR_ADDRESS[4]];
  const [peer6, host6, far6] = [PEER_ADDRESS[6], HOST_ADDRESS[6], FAR_ADDRESS[6]];

  beforeAll(async () => {
    lab = new EdgeLab();
    enforcer = new EbpfEnforcer({
      cgroupRoot: lab.kernel.cgroupRoot,
      bpffsDir: lab.kernel.bpffsDir,
      objectBytes: readBpfObject(),
      networkNamespace: lab.kernel.hostNamespace,
      edge: { isInner: () => false },
    });
    await enforcer.open();
    enforcer.onEvents((more) => void events.push(...more));
    const host = await lab.kernel.startSocketPeer("host");
    await host.listenTcp(OPEN_PORT);
    await host.listenUdp(OPEN_PORT);
    const path = join(lab.kernel.bpffsDir, `layout-${LAYOUT_VERSION}`, "wardline_edge_l2");
    program = openPin(path) ?? -1;
    const [link] = JSON.parse(inNamespace(lab.kernel.hostNamespace, "ip", "-j", "link", "show", "eth0"));
    mac = Buffer.from((link.address as string).replaceAll(":", ""), "hex");
    const list = new InterfaceList(lab.kernel.hostNamespace);
    ifindex = list.read().find(({ name }) => name === "eth0")?.index ?? 0;
    list.close();
    await apply(NOTHING);
  });

  afterAll(async () => {
    await enforcer.release();
    await lab.close();
  });

  const syn = (port: number): Buffer => tcp(40_000, port, TCP_FLAG.syn);

  it.each([
    ["SYN to a closed port", () => ipv4(peer4, host4, TCP, syn(CLOSED_PORT))],
    ["SYN to a closed port, IPv6", () => ipv6(peer6, host6, TCP, syn(CLOSED_PORT))],
    ["datagram to a closed port", () => ipv4(peer4, host4, UDP, udp(40_000, CLOSED_PORT))],
    ["datagram to a closed port, IPv6", () => ipv6(peer6, host6, UDP, udp(40_000, CLOSED_PORT))],
    ["ping", () => ipv4(peer4, host4, ICMP, echo(8, 7))],
    ["ping, IPv6", () => ipv6(peer6, host6, ICMPV6, echo(128, 7))],
    ["echo reply that nobody asked for", () => ipv4(peer4, host4, ICMP, echo(0, 7))],
    [
      "error about a packet that never was",
      () => ipv4(peer4, host4, ICMP, icmpError(3, 1, ipv4(host4, peer4, UDP, udp(1, 2)))),
    ],
    ["tunnel packet", () => ipv4(peer4, host4, GRE, Buffer.alloc(8))],
    ["header that contradicts itself", () => ipv4(peer4, host4, TCP, syn(OPEN_PORT), { totalLength: 2000 })],
    ["TCP header that is too short", () => ipv4(peer4, host4, TCP, tcp(40_000, OPEN_PORT, TCP_FLAG.syn, 4))],
    [
      "source route, IPv6",
      () => ipv6(peer6, host6, TCP, syn(OPEN_PORT), [{ type: 43, bytes: Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]) }]),
    ],
    ["first fragment to be forwarded", () => ipv4(peer4, far4, UDP, udp(1, 2), { fragment: MORE_FRAGMENTS })],
    ["later fragment to be forwarded", () => ipv4(peer4, far4, UDP, udp(1, 2), { fragment: 100 })],
    ["ACK to be forwarded that belongs to no flow", () => ipv4(peer4, far4, TCP, tcp(40_000, 22, TCP_FLAG.ack))],
    ["SCTP INIT to be forwarded", () => ipv6(peer6, far6, SCTP, sctp(1))],
  ])("drops and reports: %s", (_, packet) => {
    drained();
    expect(judge(packet())).toBe(DROP);
    expect(drained()).toEqual([expect.objectContaining({ kind: "deny", hook: "edge", enforced: "deny" })]);
  });

  it.each([
    ["SYN to a port that a socket listens on", () => ipv4(peer4, host4, TCP, syn(OPEN_PORT))],
    ["SYN to a port that a socket listens on, IPv6", () => ipv6(peer6, host6, TCP, syn(OPEN_PORT))],
    ["datagram to a port that a socket is bound to", () => ipv4(peer4, host4, UDP, udp(40_000, OPEN_PORT))],
    ["datagram to a port that a socket is bound to, IPv6", () => ipv6(peer6, host6, UDP, udp(40_000, OPEN_PORT))],
    [
      "the same behind a hop-by-hop header",
      () =>
        ipv6(peer6, host6, UDP, udp(40_000, OPEN_PORT), [{ type: 0, bytes: Buffer.from([0, 0, 1, 4, 0, 0, 0, 0]) }]),
    ],
    ["TCP after the handshake", () => ipv4(peer4, host4, TCP, tcp(40_000, CLOSED_PORT, TCP_FLAG.ack))],
    ["SCTP INIT", () => ipv4(peer4, host4, SCTP, sctp(1))],
    ["fragment", () => ipv4(peer4, host4, UDP, udp(40_000, CLOSED_PORT), { fragment: MORE_FRAGMENTS })],
    [
      "fragment, IPv6",
      () => ipv6(peer6, host6, UDP, udp(1, 2), [{ type: FRAGMENT, bytes: Buffer.from([0, 0, 0, 1, 0, 0, 0, 1]) }]),
    ],
    ["multicast", () => ipv4(peer4, "224.0.0.251", UDP, udp(5353, 5353))],
    ["multicast, IPv6", () => ipv6(peer6, "ff02::fb", UDP, udp(5353, 5353))],
    ["broadcast", () => ipv4("0.0.0.0", "255.255.255.255", UDP, udp(68, 67))],
    ["address offer to a client that has none yet", () => ipv4(peer4, "10.77.0.9", UDP, udp(67, 68))],
    [
      "neighbour solicitation",
      () => ipv6(peer6, host6, ICMPV6, Buffer.concat([Buffer.from([135, 0, 0, 0]), Buffer.alloc(20)]), [], 255),
    ],
    ["packet too big", () => ipv6(peer6, host6, ICMPV6, icmpError(2, 0, Buffer.alloc(48)))],
    ["fragmentation needed", () => ipv4(peer4, host4, ICMP, icmpError(3, 4, Buffer.alloc(28)))],
  ])("leaves to others: %s", (_, packet) => {
    drained();
    expect(judge(packet())).toBe(PASS);
    expect(drained()).toEqual([]);
  });

  it("leaves alone what is not IP, and what is for another machine", () => {
    expect(judge(Buffer.alloc(28), mac, 0x0806)).toBe(PASS);
    const other = Buffer.from(mac);
    other.writeUInt8((mac[5] ?? 0) ^ 1, 5);
    expect(judge(ipv4(peer4, host4, TCP, syn(CLOSED_PORT)), other)).toBe(PASS);
  });

  it("takes an older connection that is forwarded for one to its lower port", async () => {
    const rules = [
      { direction: "ingress", remote: peer4, protocol: TCP, port: 22, verdict: "allow" },
      { direction: "egress", remote: far4, protocol: TCP, port: 22, verdict: "allow" },
    ] as const;
    await apply({ rules });
    expect(judge(ipv4(peer4, far4, TCP, tcp(22, 40_000, TCP_FLAG.ack)))).toBe(DROP);
    expect(judge(ipv4(peer4, far4, TCP, tcp(40_001, 22, TCP_FLAG.ack)))).toBe(PASS);
    expect(judge(ipv4(peer4, far4, TCP, tcp(40_002, 23, TCP_FLAG.ack)))).toBe(DROP);
  });

  it("takes errors about its own live flows, and about nobody else's", async () => {
    const host = await lab.kernel.startSocketPeer("host");
    await apply({ rules: [{ direction: "egress", remote: null, protocol: UDP, port: 8999, verdict: "allow" }] });
    // The peer's kernel answers for its closed port; what reaches this kernel's ICMP is in its own counter.
    const before = countUnreachables(lab.kernel.hostNamespace, 4);
    await host.askUdp(peer4, 8999, 16, 100);
    expect(countUnreachables(lab.kernel.hostNamespace, 4)).toBe(before + 1);
    const forged = icmpError(3, 3, ipv4(host4, peer4, UDP, udp(45_000, 8999)));
    expect(judge(ipv4(peer4, host4, ICMP, forged))).toBe(DROP);
  });

  it("only reports in observe mode, and obeys the emergency brake", async () => {
    const ping = (): number => judge(ipv4(peer4, host4, ICMP, echo(8, 7)));
    await apply(NOTHING, "observe");
    drained();
    expect(ping()).toBe(PASS);
    expect(drained()).toEqual([expect.objectContaining({ verdict: "deny", enforced: "allow", hook: "edge" })]);
    await apply({ rules: [], otherwise: { ingress: "allow", egress: "allow" } });
    expect(ping()).toBe(PASS);
    enforcer.setEmergency("closed");
    expect(ping()).toBe(DROP);
    expect(judge(ipv4(peer4, far4, TCP, syn(22)))).toBe(DROP);
    enforcer.setEmergency("none");
    await apply(NOTHING);
    expect(ping()).toBe(DROP);
    enforcer.setEmergency("open");
    expect(ping()).toBe(PASS);
    enforcer.setEmergency("none");
  });
});

/** An SCTP packet with one chunk of a type. */
function sctp(chunk: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt16BE(40_000, 0);
  bytes.writeUInt16BE(CLOSED_PORT, 2);
  bytes.writeUInt8(chunk, 12);
  return bytes;
}
