import { describe, expect, it } from "vitest";
import { describeDecision } from "./decision.ts";
import { evaluate } from "./evaluate.ts";
import type { Evaluation } from "./evaluation.ts";
import { resolveFlowEnds } from "./flow-ends.ts";
import { type Policy, type PolicyWorld, PROTOCOL } from "./model.ts";
import {
  addressPeer,
  endpointsPeer,
  evaluateByBothEngines,
  host,
  namedPort,
  policy,
  ports,
  rule,
  selectorFor,
  workload,
  world,
} from "./testing/index.ts";

const A = host("a", { addresses: ["10.0.0.1", "2001:db8::1"] });
const B = host("b", { addresses: ["10.0.0.2", "2001:db8::2"] });
/** Shares the addresses of host a. */
const UNIT = workload("unit", "a");
/** On host a with an address of its own. */
const CONTAINER = workload("container", "a", { addresses: ["10.0.1.7"] });

function ask(asked: PolicyWorld, from: string, to: string, port = 443, protocol: number = PROTOCOL.tcp): Evaluation {
  return evaluateByBothEngines(asked, { ...resolveFlowEnds(asked, from, to), protocol, port });
}

function verdict(...question: Parameters<typeof ask>): string {
  return ask(...question).verdict;
}

/** Who decided, in words, for egress and ingress. */
function reasons(evaluation: Evaluation): readonly string[] {
  return evaluation.directions.map(({ decision, direction }) => describeDecision(decision, direction));
}

const fleet = (...policies: Policy[]): PolicyWorld => world([A, B, UNIT, CONTAINER], policies);

describe("tiers", () => {
  const denyAll = policy("deny-all", { subject: selectorFor("name=b") });
  const admin = (name: string, action: "allow" | "deny" | "pass", fields: Partial<Policy> = {}): Policy =>
    policy(name, { tier: "admin", subject: selectorFor("name=b"), rules: [rule("ingress", { action })], ...fields });

  it("lets an admin allow decide before application isolation", () => {
    expect(reasons(ask(fleet(denyAll, admin("open", "allow")), "a", "b"))[1]).toBe(
      "allowed by default/open, ingress[0]",
    );
  });

  it("lets an admin denial decide before an application allow", () => {
    const allow = policy("allow", { subject: selectorFor("name=b"), rules: [rule("ingress")] });
    expect(reasons(ask(fleet(allow, admin("closed", "deny")), "a", "b"))[1]).toBe(
      "denied by default/closed, ingress[0]",
    );
  });

  it("asks lower priority numbers first, then keys", () => {
    const early = admin("z-early", "deny", { priority: 1 });
    const late = admin("a-late", "allow", { priority: 2 });
    expect(verdict(fleet(early, late), "a", "b")).toBe("deny");
    expect(verdict(fleet({ ...early, priority: 2 }, late), "a", "b")).toBe("allow");
  });

  it("skips the rest of the admin tier after a pass, and goes on with the application tier", () => {
    const pass = admin("a-pass", "pass", { priority: 1 });
    const open = admin("b-open", "allow", { priority: 2 });
    expect(verdict(fleet(pass, open, denyAll), "a", "b")).toBe("deny");
    const walk = ask(fleet(pass, open, denyAll), "a", "b").directions[1].steps;
    expect(walk.map((step) => [step.policyKey, step.outcome])).toEqual([
      ["Policy/default/a-pass", "passed"],
      ["Policy/default/deny-all", "decided"],
    ]);
  });

  it("asks the baseline only about subjects that no application policy isolates in this direction", () => {
    const baseline = admin("base", "deny", { tier: "baseline" });
    expect(verdict(fleet(baseline), "a", "b")).toBe("deny");
    const isolating = policy("web", {
      subject: selectorFor("name=b"),
      rules: [rule("ingress", { ports: [ports(6, 443)] })],
    });
    expect(verdict(fleet(baseline, isolating), "a", "b")).toBe("allow");
    const egressOnly = { ...isolating, isolates: { ingress: false, egress: true } };
    expect(verdict(fleet(baseline, egressOnly), "a", "b")).toBe("deny");
  });

  it("puts the safety tier before all others", () => {
    const safety = admin("console", "allow", { tier: "safety" });
    expect(verdict(fleet(safety, admin("closed", "deny")), "a", "b")).toBe("allow");
  });

  it("refuses a denial in the application tier, which has no order", () => {
    const wrong = policy("wrong", { rules: [rule("ingress", { action: "deny" })] });
    expect(() => verdict(fleet(wrong), "a", "b")).toThrow(/Policy\/default\/wrong has a rule with the action deny/);
  });
});

describe("observe mode", () => {
  const observed = policy("staged", { mode: "observe", subject: selectorFor("name=b") });

  it("reports a denial and lets the packet pass", () => {
    const { decision } = ask(fleet(observed), "a", "b").directions[1];
    expect(decision).toMatchObject({ verdict: "deny", observeOnly: true, policyKeys: ["Policy/default/staged"] });
    expect(describeDecision(decision, "ingress")).toBe(
      "would be denied: default/staged isolates ingress and no rule allows it (observe mode)",
    );
  });

  it("never opens what enforced policies deny", () => {
    const open = policy("open", { mode: "observe", subject: selectorFor("name=b"), rules: [rule("ingress")] });
    const closed = policy("closed", { subject: selectorFor("name=b") });
    const { decision, steps } = ask(fleet(open, closed), "a", "b").directions[1];
    expect(decision).toMatchObject({ verdict: "deny", observeOnly: false, policyKeys: ["Policy/default/closed"] });
    expect(steps.at(-1)?.reason).toContain("observe mode");
  });

  it("changes nothing where it agrees with the enforced policies", () => {
    const allow = policy("allow", { subject: selectorFor("name=b"), rules: [rule("ingress")] });
    expect(ask(fleet(observed, allow), "a", "b").directions[1].decision).toMatchObject({
      verdict: "allow",
      observeOnly: false,
      policyKeys: ["Policy/default/allow"],
    });
  });
});

describe("workloads and their hosts", () => {
  const hostOnly = policy("host-web", {
    subject: selectorFor("name=a"),
    rules: [rule("ingress", { ports: [ports(6, 22)] })],
  });
  const unitOnly = policy("unit-web", {
    subject: selectorFor("name=unit"),
    rules: [rule("ingress", { ports: [ports(6, 443)] })],
  });

  it("share the application policies of the host while none of their own isolates them", () => {
    expect(verdict(fleet(hostOnly), "b", "Workload/default/unit", 22)).toBe("allow");
    expect(verdict(fleet(hostOnly), "b", "Workload/default/unit", 443)).toBe("deny");
  });

  it("leave the application policies of the host with their own, per direction", () => {
    const asked = fleet(hostOnly, { ...unitOnly, isolates: { ingress: true, egress: false } });
    expect(verdict(asked, "b", "Workload/default/unit", 22)).toBe("deny");
    expect(verdict(asked, "b", "Workload/default/unit", 443)).toBe("allow");
    expect(reasons(ask(asked, "Workload/default/unit", "b"))[0]).toBe(
      "denied: default/host-web isolates egress and no rule allows it",
    );
  });

  it("stay under the admin policies of the host", () => {
    const closed = policy("closed", {
      tier: "admin",
      subject: selectorFor("name=a"),
      rules: [rule("ingress", { action: "deny" })],
    });
    expect(verdict(fleet(unitOnly, closed), "b", "Workload/default/unit", 443)).toBe("deny");
  });

  it("inherit nothing with addresses of their own", () => {
    expect(verdict(fleet(hostOnly), "b", "container", 443)).toBe("allow");
  });

  it("take named ports of an inherited policy from the host", () => {
    const a = host("a", { addresses: ["10.0.0.1"], ports: [{ name: "ssh", protocol: 6, port: 2222 }] });
    const unit = workload("unit", "a", { ports: [{ name: "ssh", protocol: 6, port: 22 }] });
    const named = policy("ssh", {
      subject: selectorFor("name=a"),
      rules: [rule("ingress", { ports: [namedPort(6, "ssh")] })],
    });
    const asked = world([a, B, unit], [named]);
    expect(verdict(asked, "b", "Workload/default/unit", 2222)).toBe("allow");
    expect(verdict(asked, "b", "Workload/default/unit", 22)).toBe("deny");
  });

  it("are peers under the addresses of their host", () => {
    const fromUnit = policy("from-unit", {
      subject: selectorFor("name=b"),
      rules: [rule("ingress", { peers: [endpointsPeer("name=unit")] })],
    });
    // The address is all that host b sees: whoever shares it, matches.
    expect(verdict(fleet(fromUnit), "Workload/default/unit", "b")).toBe("allow");
    expect(verdict(fleet(fromUnit), "Host/a", "b")).toBe("allow");
    expect(verdict(fleet(fromUnit), "container", "b")).toBe("deny");
  });

  it("of a host without a document are under policies that select everything in namespace default", () => {
    const lone = workload("lone", "elsewhere");
    const inDefault = policy("all", {
      subject: { namespaces: { kind: "name", name: "default" }, endpoints: { requirements: [] } },
    });
    const flow = {
      from: { endpointKey: null, address: "10.0.0.9" },
      to: { endpointKey: "Host/elsewhere", address: "10.0.0.3" },
      protocol: 6,
      port: 80,
    };
    expect(evaluateByBothEngines(world([lone], [inDefault]), flow).verdict).toBe("deny");
  });
});

describe("what is decided before policy", () => {
  const closed = policy("closed");

  it("keeps loopback and traffic of an address with itself", () => {
    expect(verdict(fleet(closed), "Host/a", "127.0.0.1")).toBe("allow");
    const self = ask(fleet(closed), "Host/a", "10.0.0.1");
    expect(self.verdict).toBe("allow");
    expect(reasons(self)).toEqual(["allowed: loopback", "allowed: loopback"]);
  });

  it.each([
    ["neighbour solicitation", "2001:db8::9", PROTOCOL.icmpv6, 135 << 8, "allow"],
    ["packet too big", "2001:db8::9", PROTOCOL.icmpv6, 2 << 8, "allow"],
    ["echo over IPv6", "2001:db8::9", PROTOCOL.icmpv6, 128 << 8, "deny"],
    ["fragmentation needed", "10.0.0.9", PROTOCOL.icmp, (3 << 8) | 4, "allow"],
    ["host unreachable", "10.0.0.9", PROTOCOL.icmp, (3 << 8) | 1, "deny"],
    ["the number of ICMPv6 over IPv4", "10.0.0.9", PROTOCOL.icmpv6, 135 << 8, "deny"],
  ])("%s", (_, remote, protocol, port, expected) => {
    const end = { endpointKey: "Host/a", address: remote.includes(":") ? "2001:db8::1" : "10.0.0.1" };
    const flow = { from: end, to: { endpointKey: null, address: remote }, protocol, port };
    expect(evaluateByBothEngines(fleet(closed), flow).verdict).toBe(expected);
  });
});

describe("protocols and addresses", () => {
  const isolate = (fields: Parameters<typeof rule>[1]): PolicyWorld =>
    fleet(policy("p", { subject: selectorFor("name=b"), rules: [rule("ingress", fields)] }));

  it("lets a rule without ports allow every protocol, ICMP too", () => {
    const asked = isolate({ ports: null });
    expect(verdict(asked, "a", "b", 8 << 8, PROTOCOL.icmp)).toBe("allow");
    expect(verdict(asked, "a", "b", 0, 47)).toBe("allow");
  });

  it("denies ICMP under port lists unless a rule names it", () => {
    expect(verdict(isolate({ ports: [ports(6, 443)] }), "a", "b", 8 << 8, PROTOCOL.icmp)).toBe("deny");
    const named = isolate({ ports: [ports(PROTOCOL.icmp, 8 << 8, (8 << 8) | 0xff)] });
    expect(verdict(named, "a", "b", 8 << 8, PROTOCOL.icmp)).toBe("allow");
    expect(verdict(named, "a", "b", 13 << 8, PROTOCOL.icmp)).toBe("deny");
  });

  it("matches nothing with an empty list of peers or ports", () => {
    expect(verdict(isolate({ peers: [] }), "a", "b")).toBe("deny");
    expect(verdict(isolate({ ports: [] }), "a", "b")).toBe("deny");
  });

  it("takes IPv4-mapped IPv6 as IPv4", () => {
    const asked = isolate({ peers: [addressPeer("10.0.0.0/24")] });
    const flow = {
      from: { endpointKey: null, address: "::ffff:10.0.0.77" },
      to: { endpointKey: "Host/b", address: "10.0.0.2" },
      protocol: 6,
      port: 443,
    };
    expect(evaluateByBothEngines(asked, flow).verdict).toBe("allow");
  });

  it("never lets an IPv4 prefix cover IPv6", () => {
    const asked = isolate({ peers: [addressPeer("0.0.0.0/0")] });
    expect(verdict(asked, "10.9.9.9", "b")).toBe("allow");
    expect(verdict(asked, "2001:db8::99", "b")).toBe("deny");
  });

  it("refuses ends of two families", () => {
    const flow = {
      from: { endpointKey: null, address: "10.0.0.77" },
      to: { endpointKey: "Host/b", address: "2001:db8::2" },
      protocol: 6,
      port: 443,
    };
    expect(() => evaluate(fleet(), flow)).toThrow(/not two addresses of one family/);
  });

  it("asks nobody's policy for an address that is nobody's", () => {
    const evaluation = ask(fleet(policy("closed")), "192.0.2.1", "192.0.2.2");
    expect(evaluation.verdict).toBe("allow");
    expect(evaluation.directions.map((direction) => direction.subjectKey)).toEqual([null, null]);
  });
});

describe("the walkthrough", () => {
  it("gives each policy's and rule's reason in the order of the decision", () => {
    const asked = fleet(
      policy("a-other", { subject: selectorFor("name=unit") }),
      policy("b-web", {
        subject: selectorFor("name=b"),
        rules: [
          rule("ingress", { peers: [addressPeer("192.0.2.0/24")] }),
          rule("ingress", { index: 1, name: "ssh", ports: [ports(6, 22)] }),
          rule("ingress", { index: 2, peers: [endpointsPeer("name=a")], ports: [ports(6, 443)] }),
        ],
      }),
    );
    const flow = { ...resolveFlowEnds(asked, "Host/a", "b"), protocol: PROTOCOL.tcp, port: 443 };
    const stepsOf = (evaluation: Evaluation) =>
      evaluation.directions[1].steps.map(({ policyKey, rule: label, outcome, reason }) => [
        policyKey,
        label,
        outcome,
        reason,
      ]);
    const listed = stepsOf(evaluate(asked, flow, { listNotSelected: true }));
    expect(listed[0]).toEqual(["Policy/default/a-other", null, "not-selected", "It does not select Host/b."]);
    expect(stepsOf(evaluate(asked, flow))).toEqual(listed.slice(1));
    expect(listed.slice(1)).toEqual([
      ["Policy/default/b-web", "ingress[0]", "no-match", "10.0.0.1 is not among its peers: 192.0.2.0/24."],
      ["Policy/default/b-web", "ssh", "no-match", "The peer matches. 443/tcp is not among its ports: 22/tcp."],
      [
        "Policy/default/b-web",
        "ingress[2]",
        "decided",
        "10.0.0.1 matches name=a in any namespace, and the rule covers 443/tcp.",
      ],
    ]);
  });

  it("says of every tier how many policies it asked, how many are about others and how it ended", () => {
    const ofB = { subject: selectorFor("name=b") };
    const pass = rule("ingress", { action: "pass" });
    const asked = fleet(
      policy("admin-other", { tier: "admin", subject: selectorFor("name=a"), rules: [pass] }),
      policy("admin-pass", { tier: "admin", ...ofB, rules: [pass] }),
      policy("base", { tier: "baseline", ...ofB, rules: [rule("ingress", { action: "deny" })] }),
      policy("open", { ...ofB, rules: [rule("ingress")] }),
    );
    const tiersOf = (one: PolicyWorld, to: string) =>
      ask(one, "Host/a", to).directions[1].tiers.map(({ tier, outcome, selected, notSelected }) => [
        tier,
        outcome,
        selected,
        notSelected,
      ]);
    expect(tiersOf(asked, "b")).toEqual([
      ["safety", "undecided", 0, 0],
      ["admin", "passed", 1, 1],
      ["application", "decided", 1, 0],
      ["baseline", "not-reached", 1, 0],
    ]);
    expect(tiersOf(asked, "Workload/default/container")).toEqual([
      ["safety", "undecided", 0, 0],
      ["admin", "undecided", 0, 2],
      ["application", "undecided", 0, 1],
      ["baseline", "undecided", 0, 1],
    ]);
  });

  it("gives both verdicts where an observed policy is asked, and none where it is not", () => {
    const observed = policy("observed", { mode: "observe", subject: selectorFor("name=b") });
    const asked = fleet(observed);
    const toB = ask(asked, "Host/a", "b").directions[1];
    expect(toB.modes).toMatchObject({ enforced: { verdict: "allow" }, withObserved: { verdict: "deny" } });
    expect(toB.tiers[2]).toEqual({ tier: "application", outcome: "decided", selected: 1, notSelected: 0 });
    expect(ask(asked, "b", "Host/a").directions[1].modes).toBeNull();
  });

  it("counts observed policies of others where the enforced ones deny already", () => {
    const asked = fleet(
      policy("closed", { subject: selectorFor("name=b") }),
      policy("observed", { mode: "observe", subject: selectorFor("name=b"), rules: [rule("ingress")] }),
      policy("observed-other", { mode: "observe", subject: selectorFor("name=a") }),
    );
    const { steps, tiers, modes } = ask(asked, "Host/a", "b").directions[1];
    expect(steps.map(({ policyKey }) => policyKey)).toEqual(["Policy/default/closed", "Policy/default/observed"]);
    expect(tiers[2]).toMatchObject({ selected: 2, notSelected: 1, outcome: "decided" });
    expect(modes).toMatchObject({ enforced: { verdict: "deny" }, withObserved: { verdict: "allow" } });
  });
});
