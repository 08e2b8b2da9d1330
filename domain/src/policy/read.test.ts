import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { formatCidr } from "./address.ts";
import { formatSelector } from "./labels.ts";
import type { Peer, Policy, PortMatch } from "./model.ts";
import { readPolicyFiles } from "./read.ts";

const ROOT = new URL("../../../", import.meta.url);

function filesOf(folder: string): { readonly path: string; readonly text: string }[] {
  const directory = new URL(folder, ROOT);
  return readdirSync(directory)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => ({ path: name, text: readFileSync(new URL(name, directory), "utf8") }));
}

function codes(text: string): readonly string[] {
  return readPolicyFiles([{ path: "a.yaml", text }]).diagnostics.map(
    ({ code, source }) => `${code} ${source.line}:${source.column}`,
  );
}

function portText(port: PortMatch): string {
  return port.kind === "named" ? `${port.protocol}/${port.name}` : `${port.protocol}/${port.low}-${port.high}`;
}

function peerText(peer: Peer): string {
  if (peer.kind === "addresses") {
    return [formatCidr(peer.cidr), ...peer.except.map((except) => `!${formatCidr(except)}`)].join(" ");
  }
  const { namespaces, endpoints } = peer.selector;
  const where =
    namespaces.kind === "selector"
      ? formatSelector(namespaces.selector)
      : namespaces.kind === "name"
        ? namespaces.name
        : "*";
  return `${where}: ${formatSelector(endpoints)}`;
}

/** The rules of a policy, one line each. */
function rulesOf(policy: Policy): readonly string[] {
  return policy.rules.map(({ direction, index, peers, ports }) => {
    const who = peers === null ? "any" : `[${peers.map(peerText).join("; ")}]`;
    const what = ports === null ? "any" : `[${ports.map(portText).join(" ")}]`;
    return `${direction}[${index}] ${who} ${what}`;
  });
}

function readPolicy(text: string): Policy {
  const result = readPolicyFiles([{ path: "a.yaml", text }]);
  expect(result.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return result.world.policies[0]!;
}

function kubernetes(spec: string): string {
  return `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: p}, spec: ${spec}}`;
}

function ztap(spec: string): string {
  return `{apiVersion: ztap/v1, kind: NetworkPolicy, metadata: {name: p}, spec: ${spec}}`;
}

describe.each(["e2e/fixtures/ztap/", "e2e/fixtures/recipes/"])("%s", (folder) => {
  const files = filesOf(folder);
  const inventory = files.find(({ path }) => path === "inventory.yaml")!;

  it("reads as one set without errors", () => {
    const result = readPolicyFiles(files);
    expect(result.diagnostics.filter(({ code }) => code !== "WL318")).toEqual([]);
    expect(result.ok).toBe(true);
  });

  it.each(files.filter((file) => file !== inventory))("$path reads by itself without a warning", (file) => {
    const result = readPolicyFiles([inventory, file]);
    expect(result.diagnostics.filter(({ severity }) => severity !== "info")).toEqual([]);
    expect(result.world.policies.length).toBeGreaterThan(0);
  });
});

describe("assets/samples", () => {
  const inventory = [
    "web-1 app: web, egress: restricted",
    'db-1 app: db, quarantine: "yes"',
    "mon-1 role: monitoring",
    "store-1 role: store",
  ]
    .map((line, index) => {
      const [name, ...labels] = line.split(" ");
      return `{apiVersion: wardline.io/v1, kind: Host, metadata: {name: ${name}, labels: {${labels.join(" ")}}}, spec: {addresses: [192.0.2.${index + 1}]}}`;
    })
    .join("\n---\n");

  it("holds four or more", () => expect(filesOf("assets/samples/").length).toBeGreaterThanOrEqual(4));

  it.each(filesOf("assets/samples/"))("$path checks clean", (file) => {
    expect(readPolicyFiles([{ path: "inventory.yaml", text: inventory }, file]).diagnostics).toEqual([]);
  });
});

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

describe("inventory", () => {
  it("reads hosts, workloads and namespaces", () => {
    const text = `
apiVersion: wardline.io/v1
kind: Host
metadata: {name: web-1, labels: {app: web}}
spec:
  addresses: [192.0.2.10, "2001:DB8::10", 192.0.2.10]
  ports: [{name: dns, port: 53}, {name: dns, protocol: UDP, port: 53}]
---
apiVersion: wardline.io/v1
kind: Workload
metadata: {name: nginx, namespace: shop}
spec: {host: web-1, match: {user: 33}}
---
apiVersion: wardline.io/v1
kind: Workload
metadata: {name: far}
spec: {addresses: [192.0.2.99]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {stage: live}}
`;
    const { world, diagnostics, documents } = readPolicyFiles([{ path: "a.yaml", text }]);
    expect(diagnostics).toEqual([]);
    expect(documents.map(({ key }) => key)).toEqual([
      "Host/web-1",
      "Workload/shop/nginx",
      "Workload/default/far",
      "Namespace/shop",
    ]);
    const [host, far, nginx] = world.inventory.endpoints;
    expect(host).toMatchObject({
      namespace: "default",
      hostName: "web-1",
      addresses: ["192.0.2.10", "2001:db8::10"],
      ports: [
        { name: "dns", protocol: 6, port: 53 },
        { name: "dns", protocol: 17, port: 53 },
      ],
    });
    expect(far).toMatchObject({ key: "Workload/default/far", hostName: null, match: null });
    expect(nginx).toMatchObject({ namespace: "shop", hostName: "web-1", match: { kind: "user", user: "33" } });
    expect(world.inventory.namespaces.get("shop")?.labels.get("kubernetes.io/metadata.name")).toBe("shop");
    expect(world.inventory.namespaces.get("default")?.labels.get("kubernetes.io/metadata.name")).toBe("default");
  });
});

describe("places", () => {
  const base = "apiVersion: wardline.io/v1\nkind: Hots\nmetadata: {name: a}\n";

  it.each([
    ["plain", base, "WL213 2:7"],
    ["CRLF", base.replaceAll("\n", "\r\n"), "WL213 2:7"],
    ["a byte order mark", `\uFEFF${base}`, "WL213 2:7"],
    ["a second document", `# comment\n---\n${base}`, "WL213 4:7"],
    [
      "characters beyond the BMP count as two",
      base.replace("Hots", '"𝕏𝕏", x: 1').replace("kind", "{kind"),
      "WL101 2:1",
    ],
    ["JSON with tabs", '{\n\t"apiVersion": "wardline.io/v1",\n\t"kind": "Hots"\n}', "WL213 3:10"],
  ])("with %s", (_name, text, expected) => {
    expect(codes(text)[0]).toBe(expected);
  });

  it("of a fix, which mends the text when it is made", () => {
    const text =
      '{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"nmae": "a"}, "spec": {"podSelector": {}}}';
    const { diagnostics } = readPolicyFiles([{ path: "a.json", text }]);
    const edit = diagnostics.find(({ code }) => code === "WL201")!.fix!.edits[0]!;
    const fixed = text.slice(0, edit.range.column - 1) + edit.newText + text.slice(edit.range.endColumn - 1);
    expect(fixed).toBe(text.replace("nmae", "name"));
    expect(readPolicyFiles([{ path: "a.json", text: fixed }]).ok).toBe(true);
  });
});

describe("many problems", () => {
  it("are all listed, in every document and file", () => {
    const text = `${kubernetes("{podSelectr: {}, ingress: [{form: [{ipBlock: {cidr: x}}], ports: [{port: 70000}]}]}")}\n---\n${ztap("{egres: []}")}`;
    const result = readPolicyFiles([
      { path: "b.yaml", text },
      { path: "a.yaml", text: "kind: [" },
    ]);
    const found = result.diagnostics.map(({ code, source }) => `${source.file} ${code}`);
    expect(found).toEqual([
      "b.yaml WL202",
      "b.yaml WL201",
      "b.yaml WL201",
      "b.yaml WL211",
      "b.yaml WL202",
      "b.yaml WL201",
      "a.yaml WL101",
    ]);
  });

  it("are cut off with a closing notice, and still make the result not ok", () => {
    const text = "kind: Nope\napiVersion: x\n---\n".repeat(50);
    const result = readPolicyFiles([{ path: "a.yaml", text }], { limits: { maxDiagnostics: 10 } });
    expect(result.diagnostics).toHaveLength(11);
    expect(result.diagnostics.at(-1)?.message).toBe("At least 40 more problems are not listed.");
    expect(result.ok).toBe(false);
  });

  it("shared by an alias still leave out every policy that uses them", () => {
    const text = `apiVersion: v1
kind: List
items:
  - &one {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: &spec {podSelector: {}, ingress: [{from: []}, {form: []}]}}
  - {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: b}, spec: *spec}
`;
    const result = readPolicyFiles([{ path: "a.yaml", text }]);
    expect(result.world.policies).toEqual([]);
    expect(result.diagnostics.filter(({ code }) => code === "WL201")).toHaveLength(1);
  });
});
