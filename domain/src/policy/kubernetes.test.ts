/** The rules of networking.k8s.io/v1 NetworkPolicy, one by one, from text to the verdict of both engines. */
import { describe, expect, it } from "vitest";
import { resolveFlowEnds } from "./flow-ends.ts";
import { type PolicyWorld, PROTOCOL } from "./model.ts";
import { readPolicyFiles } from "./read.ts";
import { evaluateByBothEngines } from "./testing/index.ts";

/** One pod on each of six hosts: prod/web, prod/db, prod/api, dev/web, dev/db, and an unlabelled prod/plain. */
const PODS: readonly (readonly [namespace: string, name: string, address: string])[] = [
  ["prod", "web", "10.1.0.1"],
  ["prod", "db", "10.1.0.2"],
  ["prod", "api", "10.1.0.3"],
  ["dev", "web", "10.2.0.1"],
  ["dev", "db", "10.2.0.2"],
  ["prod", "plain", "10.1.0.9"],
];

const INVENTORY = [
  ...["prod", "dev"].map(
    (name) => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: {stage: ${name}}}`,
  ),
  ...PODS.map(
    ([namespace, name, address], index) => `apiVersion: wardline.io/v1
kind: Host
metadata: {name: node${index}}
---
apiVersion: wardline.io/v1
kind: Workload
metadata: {name: ${name}, namespace: ${namespace}${name === "plain" ? "" : `, labels: {app: ${name}}`}}
spec:
  host: node${index}
  match: {systemdUnit: ${name}.service}
  addresses: ["${address}"]
  ports: [{name: http, protocol: TCP, port: ${namespace === "prod" ? 8080 : 9090}}]`,
  ),
].join("\n---\n");

/** A policy in namespace prod that selects app=web, unless the spec names another subject. */
function networkPolicy(name: string, spec: string): string {
  const subject =
    spec.includes("podSelector") && spec.startsWith("podSelector") ? "" : "podSelector: {matchLabels: {app: web}}\n";
  const indented = `${subject}${spec}`.split("\n").map((line) => `  ${line}`);
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: ${name}, namespace: prod}\nspec:\n${indented.join("\n")}`;
}

function read(...policies: readonly string[]): PolicyWorld {
  const reading = readPolicyFiles([{ path: "world.yaml", text: [INVENTORY, ...policies].join("\n---\n") }]);
  expect(reading.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return reading.world;
}

function verdict(world: PolicyWorld, from: string, to: string, port = 80, protocol: number = PROTOCOL.tcp): string {
  return evaluateByBothEngines(world, { ...resolveFlowEnds(world, from, to), protocol, port }).verdict;
}

describe("isolation", () => {
  it("1: is separate per direction, and nothing is isolated without a policy", () => {
    const world = read(networkPolicy("in", "policyTypes: [Ingress]"));
    expect(verdict(read(), "prod/db", "prod/web")).toBe("allow");
    expect(verdict(world, "prod/db", "prod/web")).toBe("deny");
    expect(verdict(world, "prod/web", "prod/db")).toBe("allow");
    expect(verdict(world, "prod/web", "dev/web")).toBe("allow");
    expect(verdict(world, "prod/db", "prod/api")).toBe("allow");
  });

  it("2: without policyTypes covers ingress always, egress only when egress rules exist", () => {
    const bare = read(networkPolicy("bare", "ingress: [{}]"));
    expect([verdict(bare, "prod/db", "prod/web"), verdict(bare, "prod/web", "prod/db")]).toEqual(["allow", "allow"]);
    const withEgress = read(networkPolicy("egress", "egress: [{ports: [{port: 443}]}]"));
    expect(verdict(withEgress, "prod/db", "prod/web")).toBe("deny");
    expect(verdict(withEgress, "prod/web", "prod/db", 443)).toBe("allow");
    expect(verdict(withEgress, "prod/web", "prod/db", 80)).toBe("deny");
    const egressOnly = read(networkPolicy("egress", "policyTypes: [Egress]"));
    expect(verdict(egressOnly, "prod/db", "prod/web")).toBe("allow");
    expect(verdict(egressOnly, "prod/web", "prod/db")).toBe("deny");
  });

  it("3: allows the union of all matching policies, whatever their order", () => {
    const one = networkPolicy("one", "ingress: [{ports: [{port: 80}]}]");
    const two = networkPolicy("two", "ingress: [{ports: [{port: 443}]}]");
    for (const world of [read(one, two), read(two, one)]) {
      expect([80, 443, 8443].map((port) => verdict(world, "prod/db", "prod/web", port))).toEqual([
        "allow",
        "allow",
        "deny",
      ]);
    }
  });

  it("4: needs the source's egress and the destination's ingress", () => {
    const ingress = networkPolicy("in", "ingress: [{}]");
    const egress = networkPolicy("out", "podSelector: {matchLabels: {app: db}}\npolicyTypes: [Egress]");
    expect(verdict(read(ingress), "prod/db", "prod/web")).toBe("allow");
    expect(verdict(read(ingress, egress), "prod/db", "prod/web")).toBe("deny");
  });
});

describe("rules", () => {
  it("5: match when a peer and a port match", () => {
    const world = read(
      networkPolicy("p", "ingress:\n- from: [{podSelector: {matchLabels: {app: db}}}]\n  ports: [{port: 80}]"),
    );
    expect(verdict(world, "prod/db", "prod/web", 80)).toBe("allow");
    expect(verdict(world, "prod/db", "prod/web", 81)).toBe("deny");
    expect(verdict(world, "prod/api", "prod/web", 80)).toBe("deny");
  });

  it("5: never combine the peer of one rule with the port of another", () => {
    const db = "- from: [{podSelector: {matchLabels: {app: db}}}]\n  ports: [{port: 80}]";
    const api = "- from: [{podSelector: {matchLabels: {app: api}}}]\n  ports: [{port: 443}]";
    expect(verdict(read(networkPolicy("p", `ingress:\n${db}\n${api}`)), "prod/db", "prod/web", 443)).toBe("deny");
  });

  it.each([
    ["missing", "ingress:\n- ports: [{port: 80}]", "allow"],
    ["empty", "ingress:\n- from: []\n  ports: [{port: 80}]", "allow"],
  ])("6: %s peers are any peer", (_, spec, expected) => {
    expect(verdict(read(networkPolicy("p", spec)), "192.0.2.9", "prod/web")).toBe(expected);
  });

  it.each([
    ["missing", "ingress:\n- from: [{podSelector: {}}]"],
    ["empty", "ingress:\n- from: [{podSelector: {}}]\n  ports: []"],
  ])("6: %s ports are any port and protocol", (_, spec) => {
    const world = read(networkPolicy("p", spec));
    expect(verdict(world, "prod/db", "prod/web", 1, PROTOCOL.udp)).toBe("allow");
    expect(verdict(world, "prod/db", "prod/web", 8 << 8, PROTOCOL.icmp)).toBe("allow");
  });

  it.each([
    ["an absent list denies all", "policyTypes: [Ingress]", "deny"],
    ["an empty list denies all", "ingress: []", "deny"],
    ["one empty rule allows all", "ingress: [{}]", "allow"],
  ])("6: %s", (_, spec, expected) => {
    expect(verdict(read(networkPolicy("p", spec)), "prod/db", "prod/web")).toBe(expected);
  });

  it("7: a podSelector alone means the policy's own namespace", () => {
    const world = read(networkPolicy("p", "ingress: [{from: [{podSelector: {matchLabels: {app: db}}}]}]"));
    expect([verdict(world, "prod/db", "prod/web"), verdict(world, "dev/db", "prod/web")]).toEqual(["allow", "deny"]);
  });

  it("7: a namespaceSelector alone means every pod there", () => {
    const world = read(networkPolicy("p", "ingress: [{from: [{namespaceSelector: {matchLabels: {stage: dev}}}]}]"));
    expect([verdict(world, "dev/web", "prod/web"), verdict(world, "prod/db", "prod/web")]).toEqual(["allow", "deny"]);
  });

  it("7: both in one entry must hold, as two entries either does", () => {
    const pods = "podSelector: {matchLabels: {app: db}}";
    const namespaces = "namespaceSelector: {matchLabels: {stage: dev}}";
    const asked = (from: string): readonly string[] => {
      const world = read(networkPolicy("p", `ingress: [{from: ${from}}]`));
      return ["dev/db", "dev/web", "prod/db", "prod/api"].map((source) => verdict(world, source, "prod/web"));
    };
    expect(asked(`[{${pods}, ${namespaces}}]`)).toEqual(["allow", "deny", "deny", "deny"]);
    expect(asked(`[{${pods}}, {${namespaces}}]`)).toEqual(["allow", "allow", "allow", "deny"]);
  });

  it("7: an empty selector is everything in its scope", () => {
    const own = read(networkPolicy("p", "ingress: [{from: [{podSelector: {}}]}]"));
    expect([verdict(own, "prod/plain", "prod/web"), verdict(own, "dev/db", "prod/web")]).toEqual(["allow", "deny"]);
    const all = read(networkPolicy("p", "ingress: [{from: [{namespaceSelector: {}}]}]"));
    expect([verdict(all, "dev/db", "prod/web"), verdict(all, "192.0.2.9", "prod/web")]).toEqual(["allow", "deny"]);
  });

  it.each([
    ["In", "{key: app, operator: In, values: [db, api]}", ["allow", "allow", "deny"]],
    ["NotIn, which holds without the key", "{key: app, operator: NotIn, values: [db]}", ["deny", "allow", "allow"]],
    ["Exists", "{key: app, operator: Exists}", ["allow", "allow", "deny"]],
    ["DoesNotExist", "{key: app, operator: DoesNotExist}", ["deny", "deny", "allow"]],
  ])("8: %s", (_, expression, expected) => {
    const world = read(networkPolicy("p", `ingress: [{from: [{podSelector: {matchExpressions: [${expression}]}}]}]`));
    expect(["prod/db", "prod/api", "prod/plain"].map((from) => verdict(world, from, "prod/web"))).toEqual(expected);
  });

  it("8: matchLabels and matchExpressions must both hold", () => {
    const selector = "{matchLabels: {app: db}, matchExpressions: [{key: app, operator: NotIn, values: [db]}]}";
    const world = read(networkPolicy("p", `ingress: [{from: [{podSelector: ${selector}}]}]`));
    expect(["prod/db", "prod/api"].map((from) => verdict(world, from, "prod/web"))).toEqual(["deny", "deny"]);
  });

  it("8: namespaces carry their name as a label", () => {
    const selector = "{matchLabels: {kubernetes.io/metadata.name: dev}}";
    const world = read(networkPolicy("p", `ingress: [{from: [{namespaceSelector: ${selector}}]}]`));
    expect([verdict(world, "dev/db", "prod/web"), verdict(world, "prod/db", "prod/web")]).toEqual(["allow", "deny"]);
  });

  it("9: ipBlock is cidr minus except, edges included", () => {
    const world = read(
      networkPolicy("p", "ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.64/26]}}]}]"),
    );
    const from = ["192.0.1.255", "192.0.2.0", "192.0.2.63", "192.0.2.64", "192.0.2.127", "192.0.2.128", "192.0.3.0"];
    expect(from.map((address) => verdict(world, address, "prod/web"))).toEqual([
      "deny",
      "allow",
      "allow",
      "deny",
      "deny",
      "allow",
      "deny",
    ]);
  });

  it("9: except is subtraction in its block, not a denial", () => {
    const blocks = "{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.64/26]}}, {ipBlock: {cidr: 192.0.2.64/32}}";
    const world = read(networkPolicy("p", `ingress: [{from: [${blocks}]}]`));
    expect(["192.0.2.64", "192.0.2.65"].map((from) => verdict(world, from, "prod/web"))).toEqual(["allow", "deny"]);
  });

  it("9: ipBlock covers known endpoints by their address", () => {
    const world = read(networkPolicy("p", "ingress: [{from: [{ipBlock: {cidr: 10.1.0.0/16}}]}]"));
    expect([verdict(world, "prod/db", "prod/web"), verdict(world, "dev/db", "prod/web")]).toEqual(["allow", "deny"]);
  });

  it("10: the protocol of a port is TCP unless given", () => {
    const world = read(
      networkPolicy("p", "ingress: [{ports: [{port: 80}, {port: 53, protocol: UDP}, {port: 7, protocol: SCTP}]}]"),
    );
    const asked = [
      [80, PROTOCOL.tcp],
      [80, PROTOCOL.udp],
      [53, PROTOCOL.udp],
      [53, PROTOCOL.tcp],
      [7, PROTOCOL.sctp],
    ] as const;
    expect(asked.map(([port, protocol]) => verdict(world, "prod/db", "prod/web", port, protocol))).toEqual([
      "allow",
      "deny",
      "allow",
      "deny",
      "allow",
    ]);
  });

  it("10: a port without a number is every port of its protocol", () => {
    const world = read(networkPolicy("p", "ingress: [{ports: [{protocol: UDP}]}]"));
    expect(verdict(world, "prod/db", "prod/web", 65535, PROTOCOL.udp)).toBe("allow");
    expect(verdict(world, "prod/db", "prod/web", 65535, PROTOCOL.tcp)).toBe("deny");
  });

  it("10: a port name is the subject's on ingress and each peer's own on egress", () => {
    const ingress = read(networkPolicy("p", "ingress: [{ports: [{port: http}]}]"));
    expect([8080, 9090].map((port) => verdict(ingress, "dev/db", "prod/web", port))).toEqual(["allow", "deny"]);
    const egress = read(
      networkPolicy("p", "policyTypes: [Egress]\negress: [{to: [{namespaceSelector: {}}], ports: [{port: http}]}]"),
    );
    const to = (peer: string): readonly string[] => [8080, 9090].map((port) => verdict(egress, "prod/web", peer, port));
    expect([to("prod/db"), to("dev/db")]).toEqual([
      ["allow", "deny"],
      ["deny", "allow"],
    ]);
  });

  it("10: a port name on an ipBlock peer matches nothing", () => {
    const spec = "policyTypes: [Egress]\negress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: http}]}]";
    expect(verdict(read(networkPolicy("p", spec)), "prod/web", "prod/db", 8080)).toBe("deny");
  });

  it("11: endPort is inclusive", () => {
    const world = read(networkPolicy("p", "ingress: [{ports: [{port: 8000, endPort: 8003}]}]"));
    expect([7999, 8000, 8003, 8004].map((port) => verdict(world, "prod/db", "prod/web", port))).toEqual([
      "deny",
      "allow",
      "allow",
      "deny",
    ]);
  });
});

describe("exceptions", () => {
  it("12: an endpoint cannot block itself", () => {
    expect(verdict(read(networkPolicy("p", "policyTypes: [Ingress, Egress]")), "prod/web", "prod/web")).toBe("allow");
  });

  it("13: ICMP and other protocols are denied under port lists and allowed by rules without", () => {
    const listed = read(networkPolicy("p", "ingress: [{ports: [{port: 80}]}]"));
    expect(verdict(listed, "prod/db", "prod/web", 8 << 8, PROTOCOL.icmp)).toBe("deny");
    expect(verdict(listed, "prod/db", "prod/web", 0, 47)).toBe("deny");
    expect(verdict(read(networkPolicy("p", "ingress: [{}]")), "prod/db", "prod/web", 0, 47)).toBe("allow");
  });
});

describe("ztap/v1", () => {
  const ztap = (spec: string): string =>
    `apiVersion: ztap/v1\nkind: NetworkPolicy\nmetadata: {name: z}\nspec:\n${spec
      .split("\n")
      .map((line) => `  ${line}`)
      .join("\n")}`;
  const subject = "podSelector: {matchLabels: {app: web}}";

  it("isolates egress only when a document has only egress, and an empty list denies all", () => {
    const asked = read(ztap(`${subject}\negress: []`));
    expect(asked.policies[0]?.isolates).toEqual({ ingress: false, egress: true });
    expect(asked.policies[0]?.rules).toEqual([]);
  });

  it("enforces real prefixes, not the address before the slash", () => {
    const to = "egress:\n- to: {ipBlock: {cidr: 192.0.2.0/24}}\n  ports: [{protocol: TCP, port: 443}]";
    const asked = read(ztap(`${subject}\n${to}`));
    expect(["192.0.2.77", "192.0.3.1"].map((address) => verdict(asked, "prod/web", address, 443))).toEqual([
      "allow",
      "deny",
    ]);
  });
});
