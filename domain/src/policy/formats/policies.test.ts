import { describe, expect, it } from "vitest";
import type { Policy } from "../model.ts";
import { readPolicyFiles } from "../read.ts";
import { codes, kubernetes, rulesOf, ztap } from "./testing.ts";

function readPolicy(text: string): Policy {
  const result = readPolicyFiles([{ path: "a.yaml", text }]);
  expect(result.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return result.world.policies[0]!;
}

describe("networking.k8s.io/v1 NetworkPolicy", () => {
  it.each([
    ["{podSelector: {}}", true, false],
    ["{podSelector: {}, ingress: []}", true, false],
    ["{podSelector: {}, egress: []}", true, false],
    ["{podSelector: {}, egress: [{}]}", true, true],
    ["{podSelector: {}, policyTypes: []}", true, false],
    ["{podSelector: {}, policyTypes: [Egress]}", false, true],
    ["{podSelector: {}, policyTypes: [Egress, Ingress], egress: [{}]}", true, true],
    ["{podSelector: {}, ingress: , egress: }", true, false],
  ])("%s isolates ingress: %s, egress: %s", (spec, ingress, egress) => {
    expect(readPolicy(kubernetes(spec)).isolates).toEqual({ ingress, egress });
  });

  it("is in the namespace default unless it says another one", () => {
    expect(readPolicy(kubernetes("{podSelector: {}}"))).toMatchObject({
      key: "NetworkPolicy/default/p",
      namespace: "default",
      tier: "application",
      subject: { namespaces: { kind: "name", name: "default" }, endpoints: { requirements: [] } },
    });
    expect(readPolicy(kubernetes("{podSelector: {}}").replace("name: p", "name: p, namespace: x")).key).toBe(
      "NetworkPolicy/x/p",
    );
  });

  it.each([
    ["{}", "ingress[0] any any"],
    ["{from: [{podSelector: {}}]}", "ingress[0] [default: everything] any"],
    ["{from: [{namespaceSelector: {}}]}", "ingress[0] [everything: everything] any"],
    [
      "{from: [{namespaceSelector: {matchLabels: {a: b}}, podSelector: {matchLabels: {c: d}}}]}",
      "ingress[0] [a=b: c=d] any",
    ],
    [
      "{from: [{namespaceSelector: {matchLabels: {a: b}}}, {podSelector: {matchLabels: {c: d}}}]}",
      "ingress[0] [a=b: everything; default: c=d] any",
    ],
    [
      "{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.2.0.0/16]}}]}",
      "ingress[0] [10.0.0.0/8 !10.1.0.0/16 !10.2.0.0/16] any",
    ],
    ["{ports: [{}]}", "ingress[0] any [6/0-65535]"],
    ["{ports: [{protocol: SCTP}]}", "ingress[0] any [132/0-65535]"],
    ["{ports: [{port: 80}, {port: 53, protocol: UDP}]}", "ingress[0] any [6/80-80 17/53-53]"],
    ["{ports: [{port: 80, endPort: 90}]}", "ingress[0] any [6/80-90]"],
    ["{ports: [{port: http}]}", "ingress[0] any [6/http]"],
    ["{from: [], ports: []}", "ingress[0] any any"],
    [
      "{from: [{podSelector: {matchExpressions: [{key: a, operator: In, values: [x, y]}, {key: b, operator: DoesNotExist}]}}]}",
      "ingress[0] [default: a in (x, y), !b] any",
    ],
  ])("reads the rule %s", (rule, expected) => {
    expect(rulesOf(readPolicy(kubernetes(`{podSelector: {}, ingress: [${rule}]}`)))).toEqual([expected]);
  });

  it("leaves out rules of a direction that policyTypes does not list", () => {
    expect(rulesOf(readPolicy(kubernetes("{podSelector: {}, policyTypes: [Ingress], egress: [{}]}")))).toEqual([]);
  });

  it("ignores what the API server writes", () => {
    const text = kubernetes("{podSelector: {}}").replace(
      "name: p",
      "name: p, uid: x, resourceVersion: '1', creationTimestamp: null, managedFields: [{}], annotations: {a/b: any text}",
    );
    expect(readPolicy(text.replace("spec:", "status: {}, spec:")).name).toBe("p");
  });

  it("reads lists, also in JSON", () => {
    const item = { metadata: { name: "a" }, spec: { podSelector: {} } };
    const list = {
      apiVersion: "v1",
      kind: "List",
      metadata: { resourceVersion: "" },
      items: ["a", "b"].map((name) => ({
        apiVersion: "networking.k8s.io/v1",
        kind: "NetworkPolicy",
        ...item,
        metadata: { name },
      })),
    };
    const result = readPolicyFiles([{ path: "list.json", text: JSON.stringify(list, null, "\t") }]);
    expect(result.diagnostics.map(({ code }) => code)).toEqual(["WL322"]);
    expect(result.documents.map(({ key }) => key)).toEqual(["NetworkPolicy/default/a", "NetworkPolicy/default/b"]);
  });

  it("never reads a rule wider because a part of it is wrong: the policy is left out", () => {
    const result = readPolicyFiles([
      { path: "a.yaml", text: kubernetes("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/40}}]}]}") },
    ]);
    expect(result.ok).toBe(false);
    expect(result.world.policies).toEqual([]);
    expect(result.documents.map(({ key }) => key)).toEqual(["NetworkPolicy/default/p"]);
  });

  it.each([
    ["null peers", "{podSelector: {}, ingress: [{from: }]}", "WL221"],
    ["a null rule", "{podSelector: {}, ingress: [null]}", "WL221"],
    ["a null subject", "{podSelector: , ingress: []}", "WL221"],
    ["no subject", "{ingress: []}", "WL202"],
    ["endPort without port", "{podSelector: {}, ingress: [{ports: [{endPort: 80}]}]}", "WL216"],
    ["endPort with a name", "{podSelector: {}, ingress: [{ports: [{port: http, endPort: 80}]}]}", "WL216"],
    ["a port with a leading zero", "{podSelector: {}, ingress: [{ports: [{port: 080}]}]}", "WL205"],
    ["a port in hex", "{podSelector: {}, ingress: [{ports: [{port: 0x50}]}]}", "WL205"],
    ["port 0", "{podSelector: {}, ingress: [{ports: [{port: 0}]}]}", "WL211"],
    ["a boolean label", "{podSelector: {matchLabels: {a: true}}}", "WL204"],
    [
      "except of the other family",
      "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: ['::/8']}}]}]}",
      "WL307",
    ],
    ["an unknown policy type", "{podSelector: {}, policyTypes: [Inbound]}", "WL206"],
  ])("refuses %s", (_name, spec, code) => {
    const result = readPolicyFiles([{ path: "a.yaml", text: kubernetes(spec) }]);
    expect(result.diagnostics.filter(({ severity }) => severity === "error").map((d) => d.code)).toEqual([code]);
    expect(result.world.policies).toEqual([]);
  });
});

describe("ztap/v1 NetworkPolicy", () => {
  const subject = "podSelector: {matchLabels: {a: b}}";

  it.each([
    [`{${subject}, egress: []}`, false, true],
    [`{${subject}}`, false, true],
    [`{${subject}, egress: }`, false, true],
    [`{${subject}, ingress: []}`, true, false],
    [`{${subject}, ingress: [], egress: []}`, true, true],
  ])("%s denies everything, in the directions that it lists", (spec, ingress, egress) => {
    const policy = readPolicy(ztap(spec));
    expect(policy.isolates).toEqual({ ingress, egress });
    expect(policy.rules).toEqual([]);
  });

  it("ranges over every namespace and turns the one peer into a list", () => {
    const policy = readPolicy(
      ztap(`{${subject}, egress: [{to: {podSelector: {matchLabels: {c: d}}}, ports: [{protocol: TCP, port: "443"}]}]}`),
    );
    expect(policy).toMatchObject({ key: "NetworkPolicy/p", namespace: null, subject: { namespaces: { kind: "any" } } });
    expect(rulesOf(policy)).toEqual(["egress[0] [*: c=d] [6/443-443]"]);
  });

  it("reads ICMP as both families and ignores its port", () => {
    const spec = `{${subject}, egress: [{to: {ipBlock: {cidr: "::/0"}}, ports: [{protocol: ICMP, port: 1}]}]}`;
    expect(rulesOf(readPolicy(ztap(spec)))).toEqual(["egress[0] [::/0] [1/0-65535 58/0-65535]"]);
    expect(codes(ztap(spec)).some((line) => line.startsWith("WL311"))).toBe(true);
  });

  it("reads the later form", () => {
    const spec = `{podSelector: {matchExpressions: [{key: a, operator: Exists}]}, ingress: [
      {from: {namespaceSelector: {matchLabels: {n: m}}, podSelector: {matchLabels: {c: d}}}, ports: [{protocol: TCP, port: http}]},
      {from: {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, ports: [{protocol: UDP, port: 1000, endPort: 2000}]}]}`;
    expect(rulesOf(readPolicy(ztap(spec)))).toEqual([
      "ingress[0] [n=m: c=d] [6/http]",
      "ingress[1] [10.0.0.0/8 !10.1.0.0/16] [17/1000-2000]",
    ]);
  });

  it.each([
    [
      "a list of peers",
      `{${subject}, egress: [{to: [{podSelector: {matchLabels: {c: d}}}], ports: [{protocol: TCP, port: 1}]}]}`,
      "WL203",
    ],
    ["no ports", `{${subject}, egress: [{to: {ipBlock: {cidr: 10.0.0.0/8}}, ports: []}]}`, "WL218"],
    ["no peer", `{${subject}, egress: [{ports: [{protocol: TCP, port: 1}]}]}`, "WL202"],
    [
      "SCTP",
      `{${subject}, egress: [{to: {ipBlock: {cidr: 10.0.0.0/8}}, ports: [{protocol: SCTP, port: 1}]}]}`,
      "WL206",
    ],
    ["no protocol", `{${subject}, egress: [{to: {ipBlock: {cidr: 10.0.0.0/8}}, ports: [{port: 1}]}]}`, "WL202"],
    ["a namespace", `{${subject}, namespace: x, egress: []}`, "WL201"],
    ["policyTypes", `{${subject}, policyTypes: [Egress], egress: []}`, "WL201"],
    [
      "mixed peers",
      `{${subject}, egress: [{to: {ipBlock: {cidr: 10.0.0.0/8}, podSelector: {matchLabels: {c: d}}}, ports: [{protocol: TCP, port: 1}]}]}`,
      "WL212",
    ],
  ])("refuses %s", (_name, spec, code) => {
    const result = readPolicyFiles([{ path: "a.yaml", text: ztap(spec) }]);
    expect(result.diagnostics.filter(({ severity }) => severity === "error").map((d) => d.code)).toEqual([code]);
  });
});
