import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { codes, kubernetes, ztap } from "./formats/testing.ts";
import { readPolicyFiles } from "./read.ts";

const ROOT = new URL("../../../", import.meta.url);

function filesOf(folder: string): { readonly path: string; readonly text: string }[] {
  const directory = new URL(folder, ROOT);
  return readdirSync(directory)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => ({ path: name, text: readFileSync(new URL(name, directory), "utf8") }));
}

describe.each(["e2e/fixtures/ztap/", "e2e/fixtures/recipes/"])("%s", (folder) => {
  const files = filesOf(folder);
  const inventory = files.find(({ path }) => path === "inventory.yaml")!;

  it("reads as one set without errors", () => {
    const result = readPolicyFiles(files);
    expect(result.diagnostics.filter(({ severity }) => severity !== "info")).toEqual([]);
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
    "web-1 app: web, egress: restricted, env: test",
    'db-1 app: db, env: prod, quarantine: "yes"',
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
