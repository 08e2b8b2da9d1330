import { describe, expect, it } from "vitest";
import { evaluate } from "../evaluate.ts";
import { PROTOCOL } from "../model.ts";
import { parseCalicoSelector } from "./calico-expression.ts";
import { meaningOf, readForeign, refusals } from "./testing.ts";

const { tcp, udp, icmp } = PROTOCOL;

const INVENTORY = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {addresses: [10.0.0.1], ports: [{name: postgres, port: 5432}]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {addresses: [10.0.0.2]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {stage: live}}
`;

interface Options {
  readonly kind?: "NetworkPolicy" | "GlobalNetworkPolicy";
  readonly name?: string;
  readonly apiVersion?: string;
}

function policy(
  spec: string,
  { kind = "NetworkPolicy", name = "one", apiVersion = "projectcalico.org/v3" }: Options = {},
) {
  const namespace = kind === "NetworkPolicy" ? ", namespace: shop" : "";
  const indented = spec
    .trim()
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: ${name}${namespace}}\nspec:\n${indented}\n---\n`;
}

function verdict(text: string, from: string, protocol: number, port: number): string {
  const reading = readForeign(text, INVENTORY);
  expect(reading.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  const to = { endpointKey: "Host/db", address: "10.0.0.1" };
  return evaluate(reading.world, { from: { endpointKey: null, address: from }, to, protocol, port }).verdict;
}

const WEB = "10.0.0.2";
const STRANGER = "192.0.2.1";

describe("Calico selectors", () => {
  const exists = (key: string) => ({ key, operator: "Exists", values: [] });
  it.each([
    ["all()", []],
    ["", []],
    ["has(app)", [exists("app")]],
    ["!has(app)", [{ ...exists("app"), operator: "DoesNotExist" }]],
    [
      "app == 'web' && tier != \"test\"",
      [
        { key: "app", operator: "In", values: ["web"] },
        { key: "tier", operator: "NotIn", values: ["test"] },
      ],
    ],
    [
      "app in {'a', 'b'} && (x not in {'c'})",
      [
        { key: "app", operator: "In", values: ["a", "b"] },
        { key: "x", operator: "NotIn", values: ["c"] },
      ],
    ],
    [
      "!(app == 'a') && ! app in { 'b' }",
      [
        { key: "app", operator: "NotIn", values: ["a"] },
        { key: "app", operator: "NotIn", values: ["b"] },
      ],
    ],
    ["app == 'a' || app in {'b','a'}", [{ key: "app", operator: "In", values: ["a", "b"] }]],
    ["all() && has(kubernetes.io/os)", [exists("kubernetes.io/os")]],
  ])("%s", (text, requirements) => {
    expect(parseCalicoSelector(text)).toEqual({ ok: true, requirements });
  });

  it.each([
    ["app == 'a' || tier == 'b'", "meaning"],
    ["(app == 'a' && x == 'y') || app == 'b'", "meaning"],
    ["!(app == 'a' && tier == 'b')", "meaning"],
    ["!all()", "meaning"],
    ["app contains 'a'", "meaning"],
    ["app starts with 'a'", "meaning"],
    ["global()", "meaning"],
    ["app = 'a'", "syntax"],
    ["app == a", "syntax"],
    ["app == 'a", "syntax"],
    ["app == 'a' && ", "syntax"],
    ["app == 'a') || (b == 'c'", "syntax"],
    ["app in {}", "syntax"],
    ["has(app", "syntax"],
    ["any()", "syntax"],
    [`${"(".repeat(40)}all()${")".repeat(40)}`, "syntax"],
    ["!".repeat(5000), "syntax"],
    [`app == '${"x".repeat(5000)}'`, "syntax"],
  ])("%s has no equal or is none", (text, problem) => {
    expect(parseCalicoSelector(text)).toMatchObject({ ok: false, problem });
  });
});

describe("Calico policies", () => {
  it("before the Kubernetes ones become admin rules and a policy that closes the directions", () => {
    const { world, ok, diagnostics } = readForeign(
      policy(`
tier: default
order: 100
selector: app == 'db'
types: [Ingress, Egress]
ingress:
  - action: Log
  - action: Allow
    protocol: TCP
    source: {selector: "app == 'web'", namespaceSelector: "stage == 'live'"}
    destination: {ports: [5432, "6000:6010", postgres]}
  - action: Deny
    protocol: ICMP
    icmp: {type: 8, code: 0}
    source: {nets: [10.0.0.0/8, 192.0.2.0/24], notNets: [10.1.0.0/16, 192.0.0.0/16]}
egress:
  - {action: Allow, protocol: udp, destination: {notPorts: [53, "100:200"]}, ipVersion: 4}
`),
      INVENTORY,
    );
    expect([ok, diagnostics.filter(({ code }) => code.startsWith("WL25")).map(({ code }) => code)]).toEqual([
      true,
      ["WL256"],
    ]);
    const subject = {
      namespaces: { kind: "name", name: "shop" },
      endpoints: { requirements: [{ key: "app", operator: "In", values: ["db"] }] },
    };
    const range = (protocol: number, low: number, high = low) => ({ kind: "range", protocol, low, high });
    expect(meaningOf(world)).toMatchObject([
      {
        key: "CalicoNetworkPolicy/shop/one",
        tier: "application",
        subject,
        isolates: { ingress: true, egress: true },
        rules: [],
      },
      {
        key: "CalicoNetworkPolicy/shop/one/rules",
        tier: "admin",
        priority: 2100,
        subject,
        isolates: { ingress: false, egress: false },
        rules: [
          {
            action: "allow",
            peers: [
              {
                kind: "endpoints",
                selector: {
                  namespaces: {
                    kind: "selector",
                    selector: { requirements: [{ key: "stage", operator: "In", values: ["live"] }] },
                  },
                  endpoints: { requirements: [{ key: "app", operator: "In", values: ["web"] }] },
                },
              },
            ],
            ports: [range(tcp, 5432), range(tcp, 6000, 6010), { kind: "named", protocol: tcp, name: "postgres" }],
          },
          {
            action: "deny",
            peers: [{ kind: "addresses", cidr: { prefixLength: 8 }, except: [{ prefixLength: 16 }] }],
            ports: [range(icmp, 0x0800)],
          },
          {
            direction: "egress",
            peers: [{ kind: "addresses", cidr: { family: 4, prefixLength: 0 }, except: [] }],
            ports: [range(udp, 0, 52), range(udp, 54, 99), range(udp, 201, 65_535)],
          },
        ],
      },
    ]);
  });

  it("are asked in their order, before the Kubernetes ones", () => {
    const deny = (order: number) =>
      policy(`order: ${order}\nselector: all()\ningress: [{action: Deny, source: {nets: [10.0.0.0/24]}}]`, {
        name: "deny",
      });
    const allow = (order: number) =>
      policy(
        `order: ${order}\nselector: all()\ningress: [{action: Allow, protocol: TCP, destination: {ports: [80]}}]`,
        { name: "allow" },
      );
    expect(verdict(deny(1) + allow(2), WEB, tcp, 80)).toBe("deny");
    expect(verdict(allow(1) + deny(2), WEB, tcp, 80)).toBe("allow");
    expect(verdict(allow(-5) + deny(2), WEB, tcp, 81)).toBe("deny");
    expect(verdict(allow(1) + deny(2), STRANGER, tcp, 81), "the end of the tier").toBe("deny");
    const kubernetes = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: shop}
spec: {podSelector: {}, ingress: [{}]}
`;
    expect(verdict(deny(999) + kubernetes, WEB, tcp, 80)).toBe("deny");
    expect(verdict(deny(999) + kubernetes, STRANGER, tcp, 80)).toBe("allow");
    expect(verdict(allow(2000) + kubernetes, STRANGER, tcp, 81)).toBe("allow");
  });

  it("after the Kubernetes ones only add", () => {
    const late = policy("selector: app == 'db'\ningress: [{action: Allow, source: {selector: app == 'web'}}]");
    expect(verdict(late, WEB, tcp, 1)).toBe("allow");
    expect(verdict(late, STRANGER, tcp, 1)).toBe("deny");
  });

  it("of the whole cluster know namespaces by label", () => {
    const global = (selector: string) =>
      policy(`order: 1\n${selector}\ntypes: [Ingress]`, {
        kind: "GlobalNetworkPolicy",
        apiVersion: "crd.projectcalico.org/v1",
      });
    expect(verdict(global(`selector: projectcalico.org/namespace == 'shop'`), WEB, tcp, 1)).toBe("deny");
    expect(verdict(global(`selector: projectcalico.org/namespace == 'other'`), WEB, tcp, 1)).toBe("allow");
    expect(verdict(global(`namespaceSelector: stage in {'live'}`), WEB, tcp, 1)).toBe("deny");
    expect(verdict(global(`namespaceSelector: projectcalico.org/name != 'shop'`), WEB, tcp, 1)).toBe("allow");
    expect(readForeign(global("selector: all()")).world.policies.map(({ key }) => key)).toEqual([
      "GlobalNetworkPolicy/one",
    ]);
  });

  it.each([
    ["accounts", "serviceAccountSelector: role == 'a'", "WL250 at 5"],
    ["untracked packets", "doNotTrack: true", "WL250 at 5"],
    ["rules before NAT", "preDNAT: true", "WL250 at 5"],
    ["forwarded packets", "applyOnForward: true", "WL250 at 5"],
    ["another tier", "tier: security", "WL251 at 5"],
    ["an order that is no whole number", "order: 1.5", "WL257 at 5"],
    ["alternatives", "selector: a == 'b' || c == 'd'", "WL253 at 5"],
    ["a selector that is none", "selector: a == b", "WL252 at 5"],
    ["a selector with labels of Calico", "selector: projectcalico.org/orchestrator == 'k8s'", "WL253 at 5"],
    ["HTTP", "order: 1\ningress: [{action: Allow, http: {methods: [GET]}}]", "WL250 at 6"],
    ["services", "egress:\n  - action: Allow\n    destination: {services: {name: a}}", "WL250 at 7"],
    ["negated protocols", "ingress: [{action: Allow, notProtocol: TCP}]", "WL250 at 5"],
    ["negated selectors", `ingress: [{action: Allow, source: {notSelector: "a == 'b'"}}]`, "WL250 at 5"],
    ["ports of the source", "ingress: [{action: Allow, protocol: TCP, source: {ports: [1]}}]", "WL250 at 5"],
    ["its own end in a rule", "ingress: [{action: Allow, destination: {nets: [10.0.0.0/8]}}]", "WL250 at 5"],
    [
      "a block and a selector",
      `ingress: [{action: Allow, source: {nets: [10.0.0.0/8], selector: "a == 'b'"}}]`,
      "WL251 at 5",
    ],
    ["Pass", "order: 1\ningress: [{action: Pass}]", "WL251 at 6"],
    ["a denial after the Kubernetes policies", "order: 1000\ningress: [{action: Deny}]", "WL255 at 6"],
    ["a denial without an order", "ingress: [{action: Deny}]", "WL255 at 5"],
    ["ports without a protocol", "ingress: [{action: Allow, destination: {ports: [1]}}]", "WL212 at 5"],
    ["an unknown field", "order: 1\nsteps: []", "WL201 at 6"],
  ])("are refused whole with %s, by name and line", (_, spec, refusal) => {
    const reading = readForeign(policy(spec));
    expect(reading.ok).toBe(false);
    expect(reading.world.policies).toEqual([]);
    expect(refusals(reading)).toEqual([refusal]);
  });
});
