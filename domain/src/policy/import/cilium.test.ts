import { describe, expect, it } from "vitest";
import { evaluate } from "../evaluate.ts";
import { PROTOCOL } from "../model.ts";
import { meaningOf, readForeign, refusals } from "./testing.ts";

const { tcp, udp, sctp, icmp } = PROTOCOL;

const PODS = `
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: Pod, metadata: {name: server, namespace: default, labels: {app: server}}, spec: {nodeName: one}, status: {podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]}}
  - {apiVersion: v1, kind: Pod, metadata: {name: client, namespace: default, labels: {app: client}}, spec: {nodeName: one}, status: {podIPs: [{ip: 10.0.0.2}]}}
  - {apiVersion: v1, kind: Pod, metadata: {name: other, namespace: elsewhere, labels: {app: client}}, spec: {nodeName: one}, status: {podIPs: [{ip: 10.0.0.3}]}}
`;

function policy(spec: string, kind = "CiliumNetworkPolicy", name = "one"): string {
  const indented = spec
    .trim()
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
  return `apiVersion: cilium.io/v2\nkind: ${kind}\nmetadata: {name: ${name}}\nspec:\n${indented}\n`;
}

function verdict(text: string, from: string, protocol: number, port: number): string {
  const reading = readForeign(text, PODS);
  expect(reading.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  const ends: Record<string, string> = { client: "10.0.0.2", other: "10.0.0.3", stranger: "192.0.2.1" };
  const address = ends[from] ?? from;
  const to = { endpointKey: "Workload/default/server", address: "10.0.0.1" };
  return evaluate(reading.world, { from: { endpointKey: null, address }, to, protocol, port }).verdict;
}

describe("Cilium policies", () => {
  it("become an application policy and an admin policy of denials", () => {
    const { world, ok } = readForeign(
      policy(`
description: who may reach the server
endpointSelector: {matchLabels: {"k8s:app": server}}
ingress:
  - fromEndpoints:
      - matchLabels: {app: client, "k8s:io.kubernetes.pod.namespace": elsewhere}
      - matchExpressions: [{key: "any:tier", operator: NotIn, values: [test]}]
    toPorts: [{ports: [{port: "80", protocol: TCP}, {port: "8000", endPort: 8010}, {port: dns, protocol: UDP}, {protocol: VRRP}]}]
  - fromEntities: [world, cluster]
    icmps: [{fields: [{type: 8}, {family: IPv6, type: EchoRequest}]}]
ingressDeny:
  - fromCIDRSet: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]
egress:
  - toFQDNs: [{matchName: Example.org}, {matchPattern: "**.example.net"}]
    toPorts: [{ports: [{port: "0", protocol: UDP}]}]
`),
    );
    expect(ok).toBe(true);
    const subject = {
      namespaces: { kind: "name", name: "default" },
      endpoints: { requirements: [{ key: "app", operator: "In", values: ["server"] }] },
    };
    const range = (protocol: number, low: number, high = low) => ({ kind: "range", protocol, low, high });
    expect(meaningOf(world)).toMatchObject([
      {
        key: "CiliumNetworkPolicy/default/one",
        tier: "application",
        subject,
        isolates: { ingress: true, egress: true },
        rules: [
          {
            direction: "ingress",
            action: "allow",
            peers: [
              {
                kind: "endpoints",
                selector: {
                  namespaces: {
                    kind: "selector",
                    selector: {
                      requirements: [{ key: "kubernetes.io/metadata.name", operator: "In", values: ["elsewhere"] }],
                    },
                  },
                  endpoints: { requirements: [{ key: "app", operator: "In", values: ["client"] }] },
                },
              },
              {
                kind: "endpoints",
                selector: {
                  namespaces: { kind: "name", name: "default" },
                  endpoints: { requirements: [{ key: "tier", operator: "NotIn", values: ["test"] }] },
                },
              },
            ],
            ports: [
              range(tcp, 80),
              ...[tcp, udp, sctp].map((protocol) => range(protocol, 8000, 8010)),
              { kind: "named", protocol: udp, name: "dns" },
              range(112, 0, 65_535),
            ],
          },
          {
            peers: [
              { kind: "entity", entity: "world" },
              { kind: "entity", entity: "cluster" },
            ],
            ports: [range(icmp, 0x0800, 0x08ff), range(58, 128 << 8, (128 << 8) | 255)],
          },
          {
            direction: "egress",
            peers: [
              { kind: "domains", names: ["example.org"] },
              { kind: "domains", names: ["*.example.net"] },
            ],
            ports: [range(udp, 0, 65_535)],
          },
        ],
      },
      {
        key: "CiliumNetworkPolicy/default/one/deny",
        tier: "admin",
        priority: 0,
        subject,
        isolates: { ingress: false, egress: false },
        rules: [{ direction: "ingress", action: "deny", peers: [{ kind: "addresses" }], ports: null }],
      },
    ]);
  });

  /** Documentation/security/policy/deny.rst of Cilium: the allowances of every column, without those of layer 7. */
  describe("decide as the deny table of Cilium says", () => {
    const server = "endpointSelector: {matchLabels: {app: server}}\n";
    const client = "fromEndpoints: [{matchLabels: {app: client}}]";
    const allow80 = `  - toPorts: [{ports: [{port: "80", protocol: TCP}]}]\n`;
    const allow81 = `  - toPorts: [{ports: [{port: "81", protocol: TCP}]}]\n`;
    const allowClient = `  - ${client}\n`;
    const allowed = `ingress:\n${allow80}${allow81}${allowClient}`;
    it.each([
      ["allowances only", `${server}${allowed}`, ["allow", "allow", "allow"]],
      ["a denial of port 80", `${server}${allowed}ingressDeny:\n${allow80}`, ["allow", "deny", "allow"]],
      ["a denial of the client", `${server}${allowed}ingressDeny:\n${allowClient}`, ["deny", "deny", "deny"]],
      ["denials of both", `${server}${allowed}ingressDeny:\n${allow80}${allowClient}`, ["deny", "deny", "deny"]],
      ["denials without allowances", `${server}ingressDeny:\n${allow80}`, ["deny", "deny", "deny"]],
    ])("%s", (_, spec, [port81, port80, ping]) => {
      const text = policy(spec);
      expect(verdict(text, "client", tcp, 81), "curl server:81").toBe(port81);
      expect(verdict(text, "client", tcp, 80), "curl server:80").toBe(port80);
      expect(verdict(text, "client", icmp, 8 << 8), "ping server").toBe(ping);
    });

    it("also over what a Kubernetes policy allows, and over policies of the whole cluster", () => {
      const kubernetes = `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all}
spec: {podSelector: {}, ingress: [{}]}
`;
      const denied = policy(`endpointSelector: {}\ningressDeny:\n${allow80}`, "CiliumClusterwideNetworkPolicy");
      expect(verdict(`${denied}${kubernetes}`, "client", tcp, 80)).toBe("deny");
      expect(verdict(`${denied}${kubernetes}`, "client", tcp, 81)).toBe("allow");
    });
  });

  it("mean their own namespace unless a selector names another, and every one in the whole cluster", () => {
    const spec = "endpointSelector: {}\ningress:\n  - fromEndpoints: [{}]";
    expect(verdict(policy(spec), "client", tcp, 80)).toBe("allow");
    expect(verdict(policy(spec), "other", tcp, 80)).toBe("deny");
    expect(verdict(policy(spec, "CiliumClusterwideNetworkPolicy"), "other", tcp, 80)).toBe("allow");
    expect(verdict(policy(spec, "CiliumClusterwideNetworkPolicy"), "stranger", tcp, 80)).toBe("deny");
  });

  it("close a direction with an empty rule, and only add where they do not close it", () => {
    expect(verdict(policy("endpointSelector: {}\ningress: [{}]"), "client", tcp, 80)).toBe("deny");
    const adds = policy(
      `endpointSelector: {}\nenableDefaultDeny: {ingress: false}\ningress:\n  - toPorts: [{ports: [{port: "80", protocol: TCP}]}]`,
    );
    expect(verdict(adds, "client", tcp, 81), "nothing closes the direction").toBe("allow");
    const closing = policy("endpointSelector: {}\ningress: [{}]", "CiliumNetworkPolicy", "closing");
    expect(verdict(`${adds}---\n${closing}`, "client", tcp, 80)).toBe("allow");
    expect(verdict(`${adds}---\n${closing}`, "client", tcp, 81)).toBe("deny");
  });

  it("may come as a list of specs, each with its own subject", () => {
    const text = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: two}
specs:
  - {endpointSelector: {matchLabels: {app: server}}, ingress: [{fromEntities: [all]}]}
  - {endpointSelector: {matchLabels: {app: client}}, egressDeny: [{toEntities: [world]}]}
`;
    const { world, ok, documents } = readForeign(text, PODS);
    expect(ok).toBe(true);
    expect(world.policies.map(({ key }) => key)).toEqual([
      "CiliumNetworkPolicy/default/two/0",
      "CiliumNetworkPolicy/default/two/1",
      "CiliumNetworkPolicy/default/two/1/deny",
    ]);
    expect(new Set(documents.filter(({ kind }) => kind === "CiliumNetworkPolicy").map(({ name }) => name))).toEqual(
      new Set(["two"]),
    );
  });

  it.each([
    ["layer 7", `ingress:\n  - toPorts: [{ports: [{port: "80"}], rules: {http: [{}]}}]`, "WL250 at 7"],
    ["TLS", `ingress:\n  - toPorts: [{ports: [{port: "80"}], serverNames: [a]}]`, "WL250 at 7"],
    ["services", `egress:\n  - toServices: [{k8sService: {serviceName: a}}]`, "WL250 at 7"],
    ["requirements", `ingress:\n  - fromRequires: [{matchLabels: {a: b}}]`, "WL250 at 7"],
    ["authentication", `ingress:\n  - authentication: {mode: required}\n    fromEntities: [all]`, "WL250 at 7"],
    ["groups of blocks", `ingress:\n  - fromCIDRSet: [{cidrGroupRef: a}]`, "WL250 at 7"],
    ["entities without an equal", `ingress:\n  - fromEntities: [kube-apiserver]`, "WL251 at 7"],
    ["patterns of names", `egress:\n  - toFQDNs: [{matchPattern: "*.example.org"}]`, "WL251 at 7"],
    ["labels that Cilium sets", `ingress:\n  - fromEndpoints: [{matchLabels: {"reserved:host": ""}}]`, "WL251 at 7"],
    ["names in denials", `egressDeny:\n  - toFQDNs: [{matchName: example.org}]`, "WL250 at 7"],
    ["two kinds of peers", `ingress:\n  - fromEntities: [all]\n    fromEndpoints: [{}]`, "WL212 at 8"],
    ["a list without a value", "ingress:", "WL221 at 6"],
    ["no peers", `ingress:\n  - fromEndpoints: []`, "WL218 at 7"],
  ])("are refused whole with %s, by name and line", (_, spec, refusal) => {
    const reading = readForeign(policy(`endpointSelector: {}\n${spec}`));
    expect(reading.ok).toBe(false);
    expect(reading.world.policies).toEqual([]);
    const lines = refusals(reading).filter((text) => text !== "WL254 at 7");
    expect(lines).toEqual([refusal]);
  });
});
