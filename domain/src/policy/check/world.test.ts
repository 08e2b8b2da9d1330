import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { endpointMatches } from "../labels.ts";
import type { Endpoint, EndpointSelector, Inventory, LabelRequirement } from "../model.ts";
import { readPolicyFiles } from "../read.ts";
import { EndpointIndex } from "./endpoint-index.ts";

const INVENTORY = `
apiVersion: wardline.io/v1
kind: Host
metadata: {name: web-1, namespace: shop, labels: {app: web, team: front}}
spec: {addresses: [192.0.2.1], ports: [{name: https, port: 443}, {name: dns, protocol: UDP, port: 53}]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: db-1, labels: {app: database}}
spec: {addresses: [192.0.2.2]}
---
apiVersion: wardline.io/v1
kind: Workload
metadata: {name: backup, labels: {app: backup}}
spec: {host: db-1, match: {user: backup}}
`;

/** The messages about one policy, without their codes' other details. */
function messages(spec: string, inventory = INVENTORY): readonly string[] {
  const policy = `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, spec: ${spec}}`;
  const files = [
    { path: "inventory.yaml", text: inventory },
    { path: "policy.yaml", text: policy },
  ];
  return readPolicyFiles(files).diagnostics.map(({ code, message }) => `${code} ${message}`);
}

describe("selectors that pick nobody", () => {
  it.each([
    [
      "a near value",
      "{podSelector: {matchLabels: {app: databse}}}",
      "WL301 The policy applies to nobody. No host or workload in namespace default has app=databse. Did you mean app=database?",
    ],
    [
      "a near key",
      "{podSelector: {matchLabels: {ap: database}}}",
      "WL301 The policy applies to nobody. No host or workload in namespace default has ap=database.",
    ],
    [
      "a near longer key",
      "{podSelector: {matchLabels: {taem: front}}}",
      "WL301 The policy applies to nobody. No host or workload in namespace default has taem=front. Did you mean team=front?",
    ],
    [
      "another namespace",
      "{podSelector: {matchLabels: {app: web}}}",
      "WL301 The policy applies to nobody. No host or workload with app=web is in namespace default; app=web is in namespace shop.",
    ],
    [
      "no such namespace",
      "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {stage: live}}}]}]}",
      "WL302 This peer is nobody, so it allows nothing. No host or workload is in a namespace with stage=live; others are in namespace default, shop.",
    ],
  ])("say what is near: %s", (_name, spec, expected) => {
    expect(messages(spec)).toEqual([expected]);
  });
});

describe("port names", () => {
  it("are looked up by protocol, on the subject for ingress", () => {
    const [message] = messages("{podSelector: {matchLabels: {app: database}}, ingress: [{ports: [{port: https}]}]}");
    expect(message).toBe('WL306 No port of this protocol is named "https" on Host/db-1; the entry matches nothing.');
  });

  it("are looked up on the peer for egress, on everybody without peers", () => {
    const egress = (rule: string) => messages(`{podSelector: {}, policyTypes: [Egress], egress: [${rule}]}`);
    expect(egress("{ports: [{port: https}]}")).toEqual([]);
    expect(egress("{ports: [{port: https, protocol: UDP}]}")[0]).toContain("WL306");
    expect(egress("{to: [{namespaceSelector: {}}], ports: [{port: htps}]}")[0]).toContain('Did you mean "https"?');
    expect(egress("{to: [{ipBlock: {cidr: 10.0.0.0/8}}, {namespaceSelector: {}}], ports: [{port: https}]}")).toEqual(
      [],
    );
  });
});

describe("shared addresses", () => {
  it("are told once for each peer selector of a policy", () => {
    const peer = "{podSelector: {matchLabels: {app: backup}}}";
    const found = messages(
      `{podSelector: {}, ingress: [{from: [${peer}, ${peer}]}, {from: [${peer}], ports: [{port: 1}]}]}`,
    ).filter((message) => !message.startsWith("WL341"));
    expect(found).toEqual([
      expect.stringContaining("WL314 The peer is Workload/default/backup, but Host/db-1 has the same"),
    ]);
  });

  it("are no problem when the selector picks everybody behind them", () => {
    expect(messages("{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}")).toEqual([]);
  });
});

describe("documents with one identity", () => {
  it("name the other place, also in another file, and the first one counts", () => {
    const host = (label: string) =>
      `{apiVersion: wardline.io/v1, kind: Host, metadata: {name: a, labels: {is: ${label}}}}`;
    const result = readPolicyFiles([
      { path: "one.yaml", text: host("first") },
      { path: "two.yaml", text: host("second") },
    ]);
    expect(result.diagnostics.map(({ source, message }) => `${source.file} ${message}`)).toEqual([
      "two.yaml Host/a is already defined in one.yaml; one of the two would be lost.",
    ]);
    expect(result.documents).toHaveLength(2);
    expect(result.world.inventory.endpoints.map(({ labels }) => labels.get("is"))).toEqual(["first"]);
  });

  it("may share a name over formats and namespaces", () => {
    const text = `
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a, namespace: b}, spec: {podSelector: {}}}
---
{apiVersion: ztap/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {matchLabels: {c: d}}, ingress: []}}
`;
    const { world, ok } = readPolicyFiles([{ path: "a.yaml", text }]);
    expect(ok).toBe(true);
    expect(world.policies.map(({ key }) => key)).toEqual([
      "NetworkPolicy/a",
      "NetworkPolicy/b/a",
      "NetworkPolicy/default/a",
    ]);
  });
});

describe("EndpointIndex", () => {
  const key = fc.constantFrom("app", "tier", "zone");
  const value = fc.constantFrom("a", "b", "");
  const requirement: fc.Arbitrary<LabelRequirement> = fc.oneof(
    fc.record({
      key,
      operator: fc.constantFrom("In" as const, "NotIn" as const),
      values: fc.array(value, { minLength: 1, maxLength: 2 }),
    }),
    fc.record({ key, operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const), values: fc.constant([]) }),
  );
  const selector: fc.Arbitrary<EndpointSelector> = fc.record({
    namespaces: fc.oneof(
      fc.constant({ kind: "any" as const }),
      fc.record({ kind: fc.constant("name" as const), name: fc.constantFrom("default", "other") }),
    ),
    endpoints: fc.record({ requirements: fc.array(requirement, { maxLength: 3 }) }),
  });
  const endpoint: fc.Arbitrary<Endpoint> = fc
    .record({ name: fc.uuid(), namespace: fc.constantFrom("default", "other"), labels: fc.array(fc.tuple(key, value)) })
    .map(({ name, namespace, labels }) => ({
      key: `Host/${name}`,
      kind: "host",
      name,
      namespace,
      labels: new Map(labels),
      addresses: [],
      ports: [],
      hostName: name,
      match: null,
      source: null,
    }));

  it("picks what the label selector says", () => {
    fc.assert(
      fc.property(
        fc.array(endpoint, { maxLength: 8 }),
        fc.array(selector, { maxLength: 4 }),
        (endpoints, selectors) => {
          const inventory: Inventory = { endpoints, namespaces: new Map(), domainAddresses: new Map() };
          const index = new EndpointIndex(inventory);
          for (const wanted of selectors) {
            const plain = endpoints.filter((candidate) => endpointMatches(wanted, candidate, inventory.namespaces));
            expect(new Set(index.select(wanted))).toEqual(new Set(plain));
          }
        },
      ),
    );
  });
});
