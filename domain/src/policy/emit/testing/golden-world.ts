import { type PolicyWorld, PROTOCOL } from "../../model.ts";
import { addressPeer, host, policy, ports, rule, selectorFor, world } from "../../testing/index.ts";

/** Something of everything: both directions and families, excepts inside blocks, ports, ICMP, tiers, observe. */
export function goldenWorld(): PolicyWorld {
  const { tcp, udp, icmp, icmpv6 } = PROTOCOL;
  return world(
    [
      host("web", { addresses: ["192.0.2.10", "2001:db8::10"] }),
      host("db", { addresses: ["192.0.2.20", "2001:db8::20"], labels: new Map([["app", "db"]]) }),
    ],
    [
      policy("web", {
        subject: selectorFor("name=web"),
        rules: [
          rule("ingress", { ports: [ports(tcp, 443), ports(tcp, 8000, 8100), ports(icmp, 8 << 8, (8 << 8) | 255)] }),
          rule("ingress", {
            index: 1,
            peers: [addressPeer("10.0.0.0/8", "10.1.0.0/16"), addressPeer("2001:db8:1::/48", "2001:db8:1:2::/64")],
            ports: [ports(tcp, 22), ports(udp, 161, 162), ports(47, 0, 0xffff)],
          }),
          rule("egress", {
            peers: [addressPeer("192.0.2.20/32"), addressPeer("2001:db8::20/128")],
            ports: [ports(tcp, 5432)],
          }),
          rule("egress", {
            index: 1,
            ports: [ports(udp, 53), ports(icmpv6, 128 << 8), ports(icmp, 3 << 8, (3 << 8) | 2)],
          }),
        ],
      }),
      policy("no-telnet", {
        tier: "admin",
        mode: "observe",
        rules: [rule("ingress", { action: "deny", peers: [addressPeer("10.0.0.0/8")], ports: [ports(tcp, 22, 23)] })],
      }),
      policy("no-smtp", {
        tier: "admin",
        rules: [rule("egress", { name: "mail", action: "deny", ports: [ports(tcp, 25)] })],
      }),
    ],
  );
}
