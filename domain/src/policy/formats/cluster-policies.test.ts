import { describe, expect, it } from "vitest";
import { readPolicyFiles } from "../read.ts";
import { codes, rulesOf } from "./testing.ts";

function admin(spec: string, name = "p"): string {
  return `{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy, metadata: {name: ${name}}, spec: ${spec}}`;
}

function baseline(spec: string, name = "default"): string {
  return `{apiVersion: policy.networking.k8s.io/v1alpha1, kind: BaselineAdminNetworkPolicy, metadata: {name: ${name}}, spec: ${spec}}`;
}

function cluster(spec: string): string {
  return `{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: {name: p}, spec: ${spec}}`;
}

/** Codes of errors and of the warnings of the format, without what an empty inventory brings. */
function problems(text: string): readonly string[] {
  return codes(text)
    .map((entry) => entry.slice(0, 5))
    .filter((code) => code !== "WL322");
}

function policy(text: string) {
  const { world, diagnostics } = readPolicyFiles([{ path: "a.yaml", text }]);
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return world.policies[0]!;
}

const ALL = "subject: {namespaces: {}}";
const ANY = "[{namespaces: {}}]";

describe("AdminNetworkPolicy", () => {
  it("is first-match in the admin tier and isolates nobody", () => {
    expect(policy(admin(`{priority: 0, ${ALL}}`))).toMatchObject({
      key: "AdminNetworkPolicy/p",
      namespace: null,
      tier: "admin",
      priority: 0,
      mode: "enforce",
      isolates: { ingress: false, egress: false },
      rules: [],
      subject: { namespaces: { kind: "selector", selector: { requirements: [] } }, endpoints: { requirements: [] } },
    });
  });

  it("reads actions, peers and ports in file order", () => {
    const read = policy(
      admin(`{priority: 1000, subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}},
        ingress: [{name: one, action: Pass, from: [{pods: {namespaceSelector: {matchLabels: {team: a}}, podSelector: {}}}, {namespaces: {}}]}],
        egress: [
          {action: Deny, to: [{nodes: {matchLabels: {os: linux}}}, {networks: [10.0.0.0/8, "2001:db8::/32"]}], ports: [{portNumber: {port: 1}}, {portRange: {protocol: UDP, start: 2, end: 3}}]},
          {action: Allow, to: [{domainNames: ["*.Example.org", example.org.]}]},
          {action: Allow, to: ${ANY}, ports: [{namedPort: https}]}]}`),
    );
    expect(rulesOf(read)).toEqual([
      "ingress[0] [team=a: everything; everything: everything] any",
      "egress[0] [host *: os=linux; 10.0.0.0/8; 2001:db8::/32] [6/1-1 17/2-3]",
      "egress[1] [domains *.example.org example.org] any",
      "egress[2] [everything: everything] [6/https 17/https 132/https]",
    ]);
    expect(read.rules.map(({ action, name }) => [action, name])).toEqual([
      ["pass", "one"],
      ["deny", null],
      ["allow", null],
      ["allow", null],
    ]);
  });

  const rule = (text: string) => admin(`{priority: 1, ${ALL}, egress: [${text}]}`);
  const networks = (count: number) => Array.from({ length: count }, (_, index) => `10.${index}.0.0/16`).join(", ");

  it.each([
    ["no priority", admin(`{${ALL}}`), ["WL202"]],
    ["a priority over 1000", admin(`{priority: 1001, ${ALL}}`), ["WL225"]],
    ["a negative priority", admin(`{priority: -1, ${ALL}}`), ["WL225"]],
    [
      "a namespace",
      `{apiVersion: policy.networking.k8s.io/v1alpha1, kind: AdminNetworkPolicy, metadata: {name: p, namespace: x}, spec: {priority: 1, ${ALL}}}`,
      ["WL201"],
    ],
    ["an empty subject", admin("{priority: 1, subject: {}}"), ["WL219"]],
    [
      "two subjects",
      admin("{priority: 1, subject: {namespaces: {}, pods: {namespaceSelector: {}, podSelector: {}}}}"),
      ["WL212"],
    ],
    ["half a pods selector", admin("{priority: 1, subject: {pods: {podSelector: {}}}}"), ["WL202"]],
    ["an unknown action", rule(`{action: Reject, to: ${ANY}}`), ["WL206"]],
    ["the action of another version", rule(`{action: Accept, to: ${ANY}}`), ["WL206"]],
    ["no peers", rule("{action: Deny}"), ["WL202"]],
    ["an empty list of peers", rule("{action: Deny, to: []}"), ["WL218"]],
    ["an empty list of ports", rule(`{action: Deny, to: ${ANY}, ports: []}`), ["WL218"]],
    ["an empty peer", rule("{action: Deny, to: [{}]}"), ["WL219"]],
    ["an unknown peer", rule("{action: Deny, to: [{cidrs: [10.0.0.0/8]}]}"), ["WL201"]],
    [
      "101 rules",
      admin(
        `{priority: 1, ${ALL}, egress: [${Array.from({ length: 101 }, () => `{action: Deny, to: ${ANY}}`).join(", ")}]}`,
      ),
      ["WL224"],
    ],
    ["26 networks", rule(`{action: Deny, to: [{networks: [${networks(26)}]}]}`), ["WL224"]],
    ["a name of 101 characters", rule(`{name: ${"n".repeat(101)}, action: Deny, to: ${ANY}}`), ["WL226"]],
    ["a denied domain name", rule("{action: Deny, to: [{domainNames: [a.example]}]}"), ["WL228"]],
    ["a passed domain name", rule("{action: Pass, to: [{domainNames: [a.example]}]}"), ["WL228"]],
    ["* in the middle", rule('{action: Allow, to: [{domainNames: ["a.*.example"]}]}'), ["WL227"]],
    ["a name of a service", rule("{action: Allow, to: [{domainNames: [_db._tcp.a.example]}]}"), ["WL227"]],
    ["* alone", rule('{action: Allow, to: [{domainNames: ["*"]}]}'), ["WL227"]],
    ["part of a label", rule('{action: Allow, to: [{domainNames: ["*a.example"]}]}'), ["WL227"]],
    ["an address as a name", rule("{action: Allow, to: [{domainNames: [192.0.2.1]}]}"), ["WL227"]],
    [
      "domain names as a source",
      admin(`{priority: 1, ${ALL}, ingress: [{action: Allow, from: [{domainNames: [a.example]}]}]}`),
      ["WL201"],
    ],
    [
      "a named port of networks",
      rule("{action: Deny, to: [{networks: [10.0.0.0/8]}], ports: [{namedPort: https}]}"),
      ["WL212"],
    ],
    ["a named port of nodes", rule("{action: Deny, to: [{nodes: {}}], ports: [{namedPort: https}]}"), ["WL212"]],
    [
      "a range that ends where it starts",
      rule(`{action: Deny, to: ${ANY}, ports: [{portRange: {start: 5, end: 5}}]}`),
      ["WL216"],
    ],
    [
      "a range that ends before it starts",
      rule(`{action: Deny, to: ${ANY}, ports: [{portRange: {start: 5, end: 4}}]}`),
      ["WL216"],
    ],
    [
      "two kinds of port",
      rule(`{action: Deny, to: ${ANY}, ports: [{portNumber: {port: 1}, namedPort: https}]}`),
      ["WL212"],
    ],
    ["the draft's allPorts", rule(`{action: Deny, to: ${ANY}, ports: {allPorts: true}}`), ["WL223"]],
    ["the draft's list of ports", rule(`{action: Deny, to: ${ANY}, ports: {list: [{port: 1}]}}`), ["WL223"]],
    ["the draft's sameLabels", rule("{action: Deny, to: [{namespaces: {sameLabels: [a]}}]}"), ["WL223"]],
    [
      "the draft's nested namespaceSelector",
      rule("{action: Deny, to: [{namespaces: {namespaceSelector: {}}}]}"),
      ["WL223"],
    ],
    ["the draft's subject", admin("{priority: 1, subject: {namespaceSelector: {}}}"), ["WL223"]],
    ["the draft's namespacedPods", rule("{action: Deny, to: [{namespacedPods: {}}]}"), ["WL223"]],
  ])("refuses %s, and with it the whole policy", (_, text, expected) => {
    expect(problems(text)).toEqual(expected);
    expect(readPolicyFiles([{ path: "a.yaml", text }]).world.policies).toEqual([]);
  });

  it("clears host bits with a warning", () => {
    const text = rule("{action: Deny, to: [{networks: [10.1.2.3/8]}]}");
    expect(problems(text)).toEqual(["WL308"]);
    expect(rulesOf(policy(text))).toEqual(["egress[0] [10.0.0.0/8] any"]);
  });

  it("offers the action of this version as a fix", () => {
    const { diagnostics } = readPolicyFiles([{ path: "a.yaml", text: rule(`{action: Accept, to: ${ANY}}`) }]);
    expect(diagnostics[0]?.fix?.edits[0]?.newText).toBe("Allow");
  });

  it("offers the name of this version as a fix", () => {
    const text = admin('{priority: 1, subject: {"namespaceSelector": {}}}');
    const { diagnostics } = readPolicyFiles([{ path: "a.yaml", text }]);
    expect(diagnostics[0]?.fix?.edits[0]?.newText).toBe('"namespaces"');
  });

  it("lists every problem at once", () => {
    const text = admin(`{priority: 2000, subject: {}, ingress: [{action: No, from: [{}]}, {from: []}], egres: []}`);
    expect([...problems(text)].sort()).toEqual(["WL201", "WL202", "WL206", "WL218", "WL219", "WL219", "WL225"]);
  });
});

describe("BaselineAdminNetworkPolicy", () => {
  it("is the first of the baseline tier", () => {
    const read = policy(baseline(`{${ALL}, ingress: [{action: Deny, from: ${ANY}}]}`));
    expect(read).toMatchObject({ key: "BaselineAdminNetworkPolicy/default", tier: "baseline", priority: 0 });
  });

  it.each([
    ["another name", baseline(`{${ALL}}`, "other"), ["WL229"]],
    ["a priority", baseline(`{${ALL}, priority: 1}`), ["WL223"]],
    ["Pass", baseline(`{${ALL}, ingress: [{action: Pass, from: ${ANY}}]}`), ["WL206"]],
    ["domain names", baseline(`{${ALL}, egress: [{action: Allow, to: [{domainNames: [a.example]}]}]}`), ["WL223"]],
  ])("refuses %s", (_, text, expected) => expect(problems(text)).toEqual(expected));
});

describe("ClusterNetworkPolicy", () => {
  it("reads both tiers and its own ports", () => {
    const read = policy(
      cluster(`{tier: Baseline, priority: 3, ${ALL}, ingress: [{action: Accept, from: ${ANY}, protocols: [
        {tcp: {}}, {udp: {destinationPort: {number: 53}}}, {sctp: {destinationPort: {range: {start: 1, end: 9}}}}, {destinationNamedPort: web}]}]}`),
    );
    expect(read).toMatchObject({ key: "ClusterNetworkPolicy/p", tier: "baseline", priority: 3 });
    expect(rulesOf(read)).toEqual([
      "ingress[0] [everything: everything] [6/0-65535 17/53-53 132/1-9 6/web 17/web 132/web]",
    ]);
    expect(read.rules[0]!.action).toBe("allow");
  });

  it("is listed with the tier that it says", () => {
    const { documents } = readPolicyFiles([{ path: "a.yaml", text: cluster(`{tier: Baseline, priority: 3, ${ALL}}`) }]);
    expect(documents).toMatchObject([{ key: "ClusterNetworkPolicy/p", tier: "baseline" }]);
  });

  const rule = (text: string) => cluster(`{tier: Admin, priority: 1, ${ALL}, egress: [${text}]}`);

  it.each([
    ["no tier", cluster(`{priority: 1, ${ALL}}`), ["WL202"]],
    ["another tier", cluster(`{tier: admin, priority: 1, ${ALL}}`), ["WL206"]],
    ["Allow", rule(`{action: Allow, to: ${ANY}}`), ["WL206"]],
    ["ports", rule(`{action: Deny, to: ${ANY}, ports: []}`), ["WL223"]],
    ["portNumber", rule(`{action: Deny, to: ${ANY}, protocols: [{portNumber: {port: 1}}]}`), ["WL223"]],
    ["an empty protocol", rule(`{action: Deny, to: ${ANY}, protocols: [{}]}`), ["WL219"]],
    ["two protocols in one entry", rule(`{action: Deny, to: ${ANY}, protocols: [{tcp: {}, udp: {}}]}`), ["WL212"]],
    [
      "26 rules",
      cluster(
        `{tier: Admin, priority: 1, ${ALL}, egress: [${Array.from({ length: 26 }, () => `{action: Deny, to: ${ANY}}`).join(", ")}]}`,
      ),
      ["WL224"],
    ],
    [
      "26 peers",
      rule(`{action: Deny, to: [${Array.from({ length: 26 }, () => "{namespaces: {}}").join(", ")}]}`),
      ["WL224"],
    ],
    [
      "a named port of a domain name",
      rule("{action: Accept, to: [{domainNames: [a.example]}], protocols: [{destinationNamedPort: web}]}"),
      ["WL212"],
    ],
  ])("refuses %s", (_, text, expected) => expect(problems(text)).toEqual(expected));

  it("reads a list of them, as kubectl prints it", () => {
    const text = `{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicyList, items: [${cluster(`{tier: Admin, priority: 1, ${ALL}}`)}]}`;
    expect(policy(text).key).toBe("ClusterNetworkPolicy/p");
  });
});

describe("port names without a protocol", () => {
  const host =
    "{apiVersion: wardline.io/v1, kind: Host, metadata: {name: a}, spec: {addresses: [192.0.2.1], ports: [{name: dns, protocol: UDP, port: 53}]}}";
  const named = (name: string) => {
    const text = admin(`{priority: 1, ${ALL}, ingress: [{action: Deny, from: ${ANY}, ports: [{namedPort: ${name}}]}]}`);
    return codes(`${host}\n---\n${text}`);
  };

  it("are known when one protocol has them", () => expect(named("dns")).toEqual([]));
  it("are told once when none has them", () => expect(named("https")).toEqual([expect.stringContaining("WL306")]));
});

describe("ztap/v1", () => {
  it.each(["ztap/v1", "ztap/v2", "ztap/v99"])("accepts %s and annotations", (apiVersion) => {
    const text = `{apiVersion: ${apiVersion}, kind: NetworkPolicy, metadata: {name: p, annotations: {a: b}}, spec: {podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [a]}]}, egress: []}}`;
    expect(policy(text).key).toBe("NetworkPolicy/p");
  });

  it.each(["ztap/v", "ztap/1", "ztap/v1beta1"])("refuses %s", (apiVersion) => {
    const text = `{apiVersion: ${apiVersion}, kind: NetworkPolicy, metadata: {name: p}, spec: {}}`;
    expect(problems(text)).toEqual(["WL214"]);
  });
});
