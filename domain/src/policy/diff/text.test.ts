import { describe, expect, it } from "vitest";
import { compile } from "../compile/index.ts";
import { describeDecision } from "../decision.ts";
import type { Policy, PolicyWorld } from "../model.ts";
import {
  addressPeer,
  endpointsPeer,
  host,
  policy,
  ports,
  rule,
  selectorFor,
  workload,
  world,
} from "../testing/index.ts";
import { diffPrograms } from "./index.ts";

const ENDPOINTS = [
  host("web", { addresses: ["10.0.0.1", "2001:db8::1"] }),
  workload("db", "web", { namespace: "prod" }),
  host("cache", { addresses: ["10.0.0.2"] }),
];

function rows(old: readonly Policy[] | null, next: readonly Policy[]): readonly string[] {
  const of = (policies: readonly Policy[]): PolicyWorld => world(ENDPOINTS, policies);
  const { changes } = diffPrograms(old && compile(of(old), "cache"), compile(of(next), "cache"), of(next));
  return changes.map(
    ({ subjectKey, direction, peer, protocol, exceptProtocols, portLow, portHigh, newVerdict, decision }) => {
      const what = protocol === null ? `any but [${exceptProtocols}]` : `${protocol}/${portLow}-${portHigh}`;
      return `${subjectKey} ${direction} ${peer} ${what} ${newVerdict}: ${describeDecision(decision, direction)}`;
    },
  );
}

const cache = (...rules: Policy["rules"]): Policy =>
  policy("cache", { subject: selectorFor("name=cache"), isolates: { ingress: true, egress: false }, rules });

describe("access changes in words", () => {
  it("name the peers behind single addresses and what is left of everything else", () => {
    const only = cache(rule("ingress", { peers: [endpointsPeer("name=web")], ports: [ports(6, 6379)] }));
    expect(rows(null, [only])).toEqual([
      "Host/cache ingress web or prod/db 6/0-6378 deny: denied: default/cache isolates ingress and no rule allows it",
      "Host/cache ingress web or prod/db 6/6380-65535 deny: denied: default/cache isolates ingress and no rule allows it",
      "Host/cache ingress any address except web or prod/db any but [] deny: denied: default/cache isolates ingress and no rule allows it",
      "Host/cache ingress web or prod/db any but [6] deny: denied: default/cache isolates ingress and no rule allows it",
    ]);
  });

  it("say who gains what by which rule", () => {
    const wider = cache(rule("ingress", { peers: [addressPeer("10.0.0.0/8", "10.1.0.0/16")], ports: [ports(6, 22)] }));
    expect(rows([cache()], [wider])).toEqual([
      "Host/cache ingress 10.0.0.0/8 except 10.1.0.0/16 6/22-22 allow: allowed by default/cache, ingress[0]",
    ]);
  });

  it("leave out policies that say the same in other words", () => {
    const one = cache(rule("ingress", { peers: [addressPeer("10.0.0.0/8")], ports: [ports(6, 1, 9)] }));
    const other = cache(
      rule("ingress", { peers: [addressPeer("10.0.0.0/9")], ports: [ports(6, 1, 9)] }),
      rule("ingress", { index: 1, peers: [addressPeer("10.128.0.0/9")], ports: [ports(6, 1, 4), ports(6, 5, 9)] }),
    );
    expect(rows([one], [other])).toEqual([]);
  });

  it("join the halves of a prefix that changes as a whole", () => {
    const halves = cache(
      rule("ingress", { peers: [addressPeer("10.0.0.0/9"), addressPeer("10.128.0.0/9")], ports: [ports(6, 22)] }),
    );
    const before = cache(rule("ingress", { peers: [addressPeer("10.0.0.0/8")], ports: [ports(17, 53)] }));
    expect(rows([before], [halves])).toEqual([
      "Host/cache ingress 10.0.0.0/8 17/53-53 deny: denied: default/cache isolates ingress and no rule allows it",
      "Host/cache ingress 10.0.0.0/8 6/22-22 allow: allowed by default/cache, ingress[0]",
    ]);
  });

  it("do not count observed denials, which let packets pass", () => {
    expect(rows(null, [{ ...cache(), mode: "observe" }])).toEqual([]);
  });
});
