import { compile, type HostProgram, type Policy } from "@wardline/domain/policy";
import { emitNftables, type NftablesOptions, nftablesDecisionName } from "@wardline/domain/policy/emit";
import { addressPeer, host, policy, ports, rule, selectorFor, world } from "@wardline/domain/policy/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HAND_DECISION, type HandProgramOptions, handProgram } from "../../testing/handProgram.ts";
import { LAB_HOST, LAB_PEER, NetfilterLab, netfilterLabProblem } from "../../testing/netfilterLab.ts";
import { addressBytes, icmp, icmpError, ipv4, ipv6, TCP_FLAG, tcp, udp } from "../../testing/rawPacket.ts";
import type { SocketPeer } from "../../testing/socketPeer.ts";
import { wirePacket } from "../../testing/wirePacket.ts";

const TCP = 6;
const UDP = 17;
const problem = netfilterLabProblem();
const why = problem === null ? "" : ` (${problem})`;

/** Allowed: peer to host 7001, host to peer 8001, over TCP and UDP. Everything else is denied. */
const ONE_PORT_EACH_WAY: HandProgramOptions = {
  rules: [TCP, UDP].flatMap((protocol) => [
    { direction: "ingress" as const, remote: null, protocol, port: 7001, verdict: "allow" as const },
    { direction: "egress" as const, remote: null, protocol, port: 8001, verdict: "allow" as const },
  ]),
};
const NOTHING: HandProgramOptions = { rules: [] };

function scriptOf(program: HostProgram, options: NftablesOptions = { mode: "enforce" }): string {
  const { script } = emitNftables(program, options);
  if (script === null) throw new Error("the program was refused");
  return script;
}

describe.skipIf(problem !== null)(`nftables and real sockets${why}`, () => {
  let lab: NetfilterLab;
  let hostSockets: SocketPeer;
  let peerSockets: SocketPeer;

  function apply(program: HandProgramOptions, mode: NftablesOptions["mode"] = "enforce"): void {
    lab.load(scriptOf(handProgram(program), { mode }));
  }

  beforeAll(async () => {
    lab = new NetfilterLab();
    hostSockets = await lab.startSocketPeer("host");
    peerSockets = await lab.startSocketPeer("peer");
    for (const port of [7001, 7002]) {
      await hostSockets.listenTcp(port);
      await hostSockets.listenUdp(port);
      await peerSockets.listenTcp(port + 1000);
      await peerSockets.listenUdp(port + 1000);
    }
  });

  afterAll(() => lab.close());

  describe.each([4, 6] as const)("IPv%s", (family) => {
    const toHost = LAB_HOST[family];
    const toPeer = LAB_PEER[family];

    it("passes what is allowed and its replies, and nothing else, under default deny both ways", async () => {
      apply(ONE_PORT_EACH_WAY);
      expect(await peerSockets.connectTcp("in", toHost, 7001)).toBe("ok");
      expect(await peerSockets.connectTcp("no", toHost, 7002)).toBe("timeout");
      expect(await hostSockets.connectTcp("out", toPeer, 8001)).toBe("ok");
      expect(await hostSockets.connectTcp("no", toPeer, 8002)).toBe("timeout");
      expect(await peerSockets.askUdp(toHost, 7001)).toBe("ok");
      expect(await peerSockets.askUdp(toHost, 7002)).toBe("timeout");
      expect(await hostSockets.askUdp(toPeer, 8001)).toBe("ok");
      expect(await hostSockets.askUdp(toPeer, 8002)).toBe("EPERM");
      expect(await hostSockets.connectTcp("self", toHost, 7002), "its own address").toBe("ok");
      for (const name of ["out", "self"]) await hostSockets.disconnect(name);
      await peerSockets.disconnect("in");
      // Both directions of a connection count for the decision that judged it: handshake, echo and close.
      const counters = lab.counters("wardline");
      const allowed = handProgram(ONE_PORT_EACH_WAY).decisions[HAND_DECISION.firstRule];
      expect(counters.get(allowed ? nftablesDecisionName(allowed) : "")?.packets).toBeGreaterThanOrEqual(6);
    });

    it.each([
      ["one type", []],
      ["more types than are compared one by one", [13, 15, 17, 42]],
    ])("answers ping by the rule of the echo request, with rules for %s", (_, others) => {
      const protocol = family === 4 ? 1 : 58;
      const allowed = (direction: "ingress" | "egress") => ({
        rules: [family === 4 ? 8 : 128, ...others].map((type) => ({
          direction,
          remote: null,
          protocol,
          port: type << 8,
          verdict: "allow" as const,
        })),
      });
      apply(allowed("egress"));
      expect(lab.ping("host", toPeer)).toBe("answered");
      expect(lab.ping("peer", toHost)).toBe("silence");
      apply(allowed("ingress"));
      expect(lab.ping("host", toPeer)).toBe("refused");
      expect(lab.ping("peer", toHost)).toBe("answered");
    });

    it("sends and takes datagrams larger than the link", async () => {
      apply(ONE_PORT_EACH_WAY);
      expect(await hostSockets.askUdp(toPeer, 8001, 6000)).toBe("ok");
      expect(await peerSockets.askUdp(toHost, 7001, 6000)).toBe("ok");
    });

    it("ends a flow that lost its permission with its next packet, and keeps one that did not", async () => {
      const both = [7001, 7002].map((port) => ({
        direction: "ingress" as const,
        remote: null,
        protocol: TCP,
        port,
        verdict: "allow" as const,
      }));
      apply({ rules: both });
      expect(await peerSockets.connectTcp("kept", toHost, 7001)).toBe("ok");
      expect(await peerSockets.connectTcp("revoked", toHost, 7002)).toBe("ok");
      apply(ONE_PORT_EACH_WAY);
      expect(await peerSockets.exchange("kept")).toBe("ok");
      expect(await peerSockets.exchange("revoked")).toBe("timeout");
      await Promise.all([peerSockets.disconnect("kept"), peerSockets.disconnect("revoked")]);
    });

    it("lets everything pass in observe mode and counts what it would have denied", async () => {
      apply(NOTHING, "observe");
      expect(await peerSockets.connectTcp("seen", toHost, 7002)).toBe("ok");
      await peerSockets.disconnect("seen");
      const denied = handProgram(NOTHING).decisions[HAND_DECISION.ingress];
      const counter = lab.counters("wardline").get(denied ? nftablesDecisionName(denied) : "");
      expect(counter?.packets).toBeGreaterThanOrEqual(4);
    });

    it("keeps what is judged as it is while the same rules are loaded again and again", async () => {
      apply(ONE_PORT_EACH_WAY);
      const denied = await lab.startSocketPeer("host");
      const before = await peerSockets.countUdp(8001);
      const script = scriptOf(handProgram(ONE_PORT_EACH_WAY));
      await hostSockets.startUdp(toPeer, 8001);
      await denied.startUdp(toPeer, 8002);
      for (let load = 0; load < 30; load++) lab.load(script);
      const sent = await hostSockets.stopUdp();
      expect(await denied.stopUdp(11)).toBeGreaterThan(10);
      // Not one packet was stopped between two loads, and not one slipped through.
      await expect.poll(async () => (await peerSockets.countUdp(8001)) - before).toBe(sent);
      expect(await peerSockets.countUdp(8002)).toBe(0);
    });
  });
});

describe.skipIf(problem !== null)(`nftables and what is decided before policy${why}`, () => {
  let lab: NetfilterLab;
  const denied = handProgram(NOTHING);

  beforeAll(() => {
    lab = new NetfilterLab();
    lab.hush();
  });

  afterAll(() => lab.close());

  /** Name of the only decision that counted a packet. */
  function decisionOf(packet: Buffer, direction: "ingress" | "egress" = "ingress"): string {
    lab.load(scriptOf(denied));
    if (direction === "ingress") lab.sendToHost([packet]);
    else lab.sendFromHost([packet]);
    const counted = [...lab.counters("wardline")].filter(([, { packets }]) => packets > 0).map(([name]) => name);
    const found = denied.decisions.filter((decision) => counted.includes(nftablesDecisionName(decision)));
    return found.map(({ index }) => index).join();
  }

  const [remote, local, remote6, local6] = ["203.0.113.9", LAB_HOST[4], "2001:db8:9::9", LAB_HOST[6]];
  const opening = tcp(40_000, 80, TCP_FLAG.syn);
  const header4 = (packet: Buffer): Buffer => {
    let sum = 0;
    for (let position = 0; position < 20; position += 2) sum += packet.readUInt16BE(position);
    while (sum > 0xffff) sum = (sum >> 16) + (sum & 0xffff);
    packet.writeUInt16BE(~sum & 0xffff, 10);
    return packet;
  };
  const into = (payload: Buffer, protocol: number): Buffer => header4(ipv4(remote, local, protocol, payload));
  const into6 = (payload: Buffer, protocol: number, hopLimit = 64, extensions: Parameters<typeof ipv6>[4] = []) =>
    ipv6(remote6, local6, protocol, payload, extensions, hopLimit);
  const routing = (left: number) => ({ type: 43, bytes: Buffer.from([0, 0, 99, left, 0, 0, 0, 0]) });
  const options = { type: 60, bytes: Buffer.from([0, 0, 1, 4, 0, 0, 0, 0]) };
  const solicitation = icmpError(135, 0, addressBytes(local6));

  it.each([
    ["a TCP header of less than 20 bytes", into(tcp(40_000, 80, TCP_FLAG.syn, 4), 6), "4"],
    ["a UDP packet that ends inside its ports", into(udp(1, 2).subarray(0, 3), 17), "4"],
    ["an ICMP packet of two bytes", into(icmp(8, 0).subarray(0, 2), 1), "4"],
    ["a routing header with segments left", into6(opening, 6, 64, [routing(1)]), "6"],
    ["a routing header without", into6(opening, 6, 64, [routing(0)]), "16"],
    ["a destination options header", into6(opening, 6, 64, [options]), "16"],
    ["neighbour discovery from the link", into6(solicitation, 58, 255), "2"],
    ["neighbour discovery through a router", into6(solicitation, 58, 254), "16"],
    ["packet too big", into6(icmpError(2, 0, Buffer.alloc(8)), 58), "3"],
    ["fragmentation needed", into(icmpError(3, 4, ipv4(local, remote, 17, udp(5, 6))), 1), "3"],
    ["an error that quotes no flow", into(icmpError(3, 3, ipv4(local, remote, 17, udp(5, 6))), 1), "16"],
    ["a redirect", into(icmpError(5, 1, ipv4(local, remote, 17, udp(5, 6))), 1), "16"],
  ])("%s", (_, packet, decision) => {
    expect(decisionOf(packet)).toBe(decision);
  });

  it("lets nothing in from a neighbour that claims to be loopback or us, and everything out to ourselves", () => {
    expect(decisionOf(wirePacket({ source: local6, destination: local6, protocol: 17, port: 9, otherPort: 9 }))).toBe(
      "16",
    );
    const toLoopback = wirePacket({ source: local, destination: "127.0.0.1", protocol: 17, port: 9, otherPort: 9 });
    expect(decisionOf(toLoopback, "egress")).toBe("1");
  });
});

describe.skipIf(problem !== null)(`nftables and what policies say${why}`, () => {
  let lab: NetfilterLab;

  beforeAll(() => {
    lab = new NetfilterLab();
  });

  afterAll(() => lab.close());

  it("takes no word of a policy for syntax", () => {
    const hostile = [
      '"; drop table inet filter; #',
      "x\n} table inet evil { chain c { type filter hook input priority 0; } }",
      '\u2028include "/etc/passwd"',
      "$(reboot) `reboot` @th,0,16 \\",
      "é".repeat(400),
    ];
    const policies = hostile.map(
      (name, position): Policy =>
        policy(`p${position}`, {
          key: `Policy/default/${name}`,
          name,
          subject: selectorFor("name=web"),
          rules: [
            rule("ingress", {
              name,
              peers: [addressPeer(`10.${position}.0.0/16`)],
              ports: [ports(TCP, 80 + position)],
            }),
          ],
        }),
    );
    const program = compile(world([host("web")], policies), "web");
    const script = scriptOf({ ...program, hostName: 'web"\n}\nflush ruleset\n#' });
    expect(script).toMatch(/^[\x20-\x7e\t\n]*$/);
    lab.load(script);
    const listed = lab.inside("host", "nft", ["list", "tables"]);
    expect(listed.trim()).toBe("table inet wardline");
    const chains = lab.inside("host", "nft", ["list", "chains"]);
    expect(chains).not.toContain("evil");
    expect(lab.counters("wardline").size).toBe(6 + hostile.length + 2);
  });

  it("replaces only the table that it owns, and owns only tables of that name", () => {
    lab.load("table inet other {}");
    lab.load(scriptOf(handProgram(NOTHING), { mode: "enforce", tableName: "wardline_test" }));
    lab.load(scriptOf(handProgram(NOTHING), { mode: "enforce", tableName: "wardline_test" }));
    expect(lab.inside("host", "nft", ["list", "tables"])).toContain("table inet other");
    for (const tableName of ["filter", "wardline; flush ruleset", "wardline\n", ""]) {
      expect(() => emitNftables(handProgram(NOTHING), { mode: "enforce", tableName })).toThrow(RangeError);
    }
  });

  it("loads thousands of prefixes and ports", { timeout: 240_000 }, () => {
    const policies = Array.from({ length: 2000 }, (_, position) =>
      policy(`p${position}`, {
        subject: selectorFor("name=web"),
        isolates: { ingress: true, egress: false },
        rules: [
          rule("ingress", {
            peers: [
              addressPeer(`10.${position >> 8}.${position & 255}.0/24`, `10.${position >> 8}.${position & 255}.8/29`),
            ],
            ports: [ports(TCP, 1000 + (position % 300)), ports(UDP, 5000 + (position % 50), 5100)],
          }),
        ],
      }),
    );
    const script = scriptOf(compile(world([host("web")], policies), "web"));
    lab.inside("host", "nft", ["-c", "-f", "-"], script);
    lab.load(script);
    expect(lab.counters("wardline").size).toBeGreaterThan(2000);
  });
});
