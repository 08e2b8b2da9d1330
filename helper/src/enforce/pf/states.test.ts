import { compile, lookup, PROTOCOL } from "@wardline/domain/policy";
import { emitPf, parsePfAnchor, requireScript } from "@wardline/domain/policy/emit";
import { addressPeer, host, policy, ports, rule, world } from "@wardline/domain/policy/testing";
import { describe, expect, it } from "vitest";
import { FakePf, type FakeState } from "../../testing/fakePf.ts";
import { FakePfctl } from "../../testing/fakePfctl.ts";
import { Pfctl } from "./pfctl.ts";
import { alsoEnded, isForbidden, killsFor, type PfState, readStates } from "./states.ts";

const { tcp, udp, icmp, icmpv6 } = PROTOCOL;

describe("states of pf", () => {
  it("are read in every form that pf prints", () => {
    const listing = readStates([
      "ALL tcp 192.0.2.10:443 <- 198.51.100.7:50000       ESTABLISHED:ESTABLISHED",
      "   [123 + 456] wscale 6  [789 + 1011] wscale 7",
      "   age 00:00:10, expires in 24:00:00, 10:8 pkts, 1200:900 bytes, rule 12",
      "   id: 4f3b000000000001 creatorid: 12345678",
      "ALL udp 192.0.2.10:50001 -> 203.0.113.53:53       MULTIPLE:SINGLE",
      "ALL tcp 2001:db8::10[22] <- 2001:db8::7[50002]       ESTABLISHED:ESTABLISHED",
      "ALL ipv6-icmp fe80:4::1 -> fe80:4::2[77]       0:0",
      "en1 tcp 10.0.0.2:50003 -> 192.0.2.10:61000 -> 203.0.113.9:443       ESTABLISHED:ESTABLISHED",
      "ALL tcp 10.0.0.2:22 <- 192.0.2.10:2222 <- 203.0.113.9:50004       ESTABLISHED:ESTABLISHED",
      "ALL tcp 10.0.0.2:50005 (192.0.2.10:61001) -> 203.0.113.9:443       ESTABLISHED:ESTABLISHED",
      "ALL 254 192.0.2.10 <- 203.0.113.9       NO_TRAFFIC:SINGLE",
      "ALL weird 192.0.2.10 <- 203.0.113.9       NO_TRAFFIC:SINGLE",
      "ALL tcp nonsense",
      "ALL tcp 999.0.0.1:1 -> 1.1.1.1:1   CLOSED:CLOSED",
    ]);
    expect(listing.unread).toBe(2);
    const short = listing.states.map(
      ({ direction, protocol, initiator, responder, responderPort }) =>
        `${direction} ${protocol} ${initiator} ${responder} ${responderPort}`,
    );
    expect(short).toEqual([
      "ingress 6 198.51.100.7 192.0.2.10 443",
      "egress 17 192.0.2.10 203.0.113.53 53",
      "ingress 6 2001:db8::7 2001:db8::10 22",
      "egress 58 fe80:4::1 fe80:4::2 77",
      "egress 6 10.0.0.2 203.0.113.9 443",
      "ingress 6 203.0.113.9 10.0.0.2 22",
      "egress 6 10.0.0.2 203.0.113.9 443",
      "ingress 254 203.0.113.9 192.0.2.10 0",
      "ingress 253 203.0.113.9 192.0.2.10 0",
    ]);
  });

  const program = compile(
    world(
      [host("web", { addresses: ["192.0.2.10", "2001:db8::10"] })],
      [
        policy("web", {
          rules: [
            rule("ingress", { ports: [ports(tcp, 443), ports(icmp, 8 << 8, (8 << 8) | 255)] }),
            rule("ingress", {
              index: 1,
              peers: [addressPeer("198.51.100.0/24", "198.51.100.128/25"), addressPeer("fe80::/64")],
              ports: [ports(tcp, 22), ports(udp, 161), ports(47, 0, 0xffff)],
            }),
            rule("egress", { ports: [ports(udp, 53), ports(icmpv6, 128 << 8)] }),
          ],
        }),
      ],
    ),
    "web",
  );
  const anchor = parsePfAnchor(requireScript(emitPf(program, { mode: "enforce" })));

  /** Hundreds of connections in both directions and families, from a fixed sequence. */
  function manyStates(count: number): readonly FakeState[] {
    let seed = 7;
    const next = (bound: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * bound);
    };
    return Array.from({ length: count }, (_, position) => {
      const isIpv6 = next(3) === 0;
      const [protocol, port] = [
        [tcp, 443],
        [tcp, 22],
        [tcp, 25],
        [udp, 53],
        [udp, 161],
        [47, 0],
        [isIpv6 ? icmpv6 : icmp, (isIpv6 ? 128 : 8) << 8],
      ][next(7)] as [number, number];
      const remote = isIpv6 ? `2001:db8:7::${next(40) + 1}` : `198.51.100.${next(256)}`;
      return {
        direction: next(3) === 0 ? "egress" : "ingress",
        local: isIpv6 ? "2001:db8::10" : "192.0.2.10",
        remote,
        protocol,
        port,
        openerPort: 20_000 + position,
      };
    });
  }

  it("are judged as the program judges the packet that opened them", () => {
    const fake = new FakePfctl(new FakePf());
    fake.pf.states = [...manyStates(600)];
    const { states, unread } = readStates(new Pfctl(fake).states());
    expect([states.length, unread]).toEqual([600, 0]);
    let forbidden = 0;
    for (const [position, state] of states.entries()) {
      const { direction, remote, protocol, port } = fake.pf.states[position] as FakeState;
      const decision = lookup(program, { set: 0, direction, remote, protocol, port });
      const isDenied = decision.verdict === "deny" && !decision.observeOnly;
      expect(isForbidden(anchor, state), JSON.stringify(state)).toBe(isDenied);
      if (isDenied) forbidden++;
    }
    expect(forbidden).toBeGreaterThan(200);
    expect(forbidden).toBeLessThan(500);
  });

  it("are ended when they are forbidden, with others of the same two hosts and nothing else", () => {
    const fake = new FakePfctl(new FakePf());
    fake.pf.states = [...manyStates(600)];
    const pfctl = new Pfctl(fake);
    const before = fake.pf.states;
    const { states } = readStates(pfctl.states());
    const forbidden = new Set<PfState>(states.filter((state) => isForbidden(anchor, state)));
    const kills = killsFor(states, forbidden);
    for (const { source, destination } of kills) pfctl.killStates(source, destination);
    const pairs = new Set([...forbidden].map(({ initiator, responder }) => `${initiator} ${responder}`));
    const kept = before.filter((_, position) => {
      const { initiator, responder } = states[position] as PfState;
      return !pairs.has(`${initiator} ${responder}`);
    });
    expect(fake.pf.states).toEqual(kept);
    expect(kept.length).toBeGreaterThan(50);
    expect(600 - kept.length).toBe(forbidden.size + alsoEnded(states, forbidden));
    expect(alsoEnded(states, forbidden)).toBeGreaterThan(0);
    expect(kills.length, "whole openers and targets are ended at once").toBeLessThanOrEqual(pairs.size);
  });

  it("of a whole host are ended by one call, however many peers it has", () => {
    const states = Array.from(
      { length: 500 },
      (_, position): PfState => ({
        interfaceName: "ALL",
        protocol: tcp,
        direction: "ingress",
        initiator: `198.51.${position >> 8}.${position & 255}`,
        responder: "192.0.2.10",
        responderPort: 443,
      }),
    );
    expect(killsFor(states, new Set(states))).toEqual([{ source: "0.0.0.0/0", destination: "192.0.2.10" }]);
    const [kept, ...others] = states;
    expect(killsFor(states, new Set(others)).length, "one client may stay").toBe(499);
    expect(killsFor(states, new Set(others))).not.toContainEqual(expect.objectContaining({ source: kept?.initiator }));
  });

  it("of the host with itself are spared, and link-local ones are read without their interface", () => {
    const denied = parsePfAnchor(
      'table <wl_ingress_1> persist { fe80::1/128 }\nscrub in all fragment reassemble\nblock drop in quick from <wl_ingress_1> to any label "d16_0"\npass in quick from any to any flags any keep state label "d17_0"\nblock drop out quick from any to any label "d18_0"\n',
    );
    const verdicts = (lines: readonly string[]) => readStates(lines).states.map((state) => isForbidden(denied, state));
    expect(
      verdicts([
        "ALL tcp fe80:4::9[22] <- fe80:4::1[50000]       ESTABLISHED:ESTABLISHED",
        "ALL tcp fe80:4::9[22] <- fe80:4::2[50000]       ESTABLISHED:ESTABLISHED",
        "lo0 tcp 127.0.0.1:80 -> 127.0.0.1:50000       ESTABLISHED:ESTABLISHED",
        "ALL tcp 127.0.0.1:50000 -> 127.0.0.1:80       ESTABLISHED:ESTABLISHED",
        "ALL tcp ::1[50000] -> ::1[80]       ESTABLISHED:ESTABLISHED",
        "ALL tcp 192.0.2.10:50000 -> 192.0.2.10:80       ESTABLISHED:ESTABLISHED",
        "ALL tcp 192.0.2.10:50000 -> 192.0.2.11:80       ESTABLISHED:ESTABLISHED",
      ]),
    ).toEqual([true, false, false, false, false, false, true]);
  });
});
