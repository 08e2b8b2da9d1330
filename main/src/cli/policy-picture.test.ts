import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliSandbox } from "./testing/run-cli.ts";

const host = (name: string, app: string, address: string, namespace = "shop") => `apiVersion: wardline.io/v1
kind: Host
metadata: {name: ${name}, namespace: ${namespace}, labels: {app: ${JSON.stringify(app)}}}
spec: {addresses: [${address}]}
`;
const INVENTORY = [
  host("web-1", "web", "10.0.0.1"),
  host("web-2", "web", "10.0.0.2"),
  host("db-1", "db", "10.0.1.1"),
  host("jump-1", "jump", "10.0.2.1", "ops"),
].join("---\n");
const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{protocol: TCP, port: 5432}]
    - from: [{ipBlock: {cidr: 192.168.0.0/16}}]
      ports: [{protocol: TCP, port: 22}]
`;

const hasGraphviz = spawnSync("dot", ["-V"]).status === 0;

let sandbox: CliSandbox;
beforeAll(() => {
  sandbox = new CliSandbox();
  writeFileSync(sandbox.path("hosts.yaml"), INVENTORY);
  writeFileSync(sandbox.path("db.yaml"), POLICY);
  writeFileSync(sandbox.path("broken.yaml"), POLICY.replace("ingress:", "ingres:"));
});
afterAll(() => sandbox.dispose());

describe("policy picture", () => {
  const sources = ["--policies", "db.yaml", "--inventory", "hosts.yaml"];

  it("has groups and what is allowed between them as tables", async () => {
    const { exitCode, stdout } = await sandbox.run(["policy", "picture", ...sources]);
    expect(exitCode).toBe(0);
    expect(stdout).toBe(`Grouped by app.

GROUP                    MEMBERS  POLICIES FOR
ops: app=jump            1        none
shop: app=db             1        ingress
shop: app=web            2        none
192.168.0.0/16           1        outside
other nodes of the mesh  –        outside
the rest of the world    –        outside

FROM               TO            ALLOWED
shop: app=web   →  shop: app=db  5432/tcp
192.168.0.0/16  →  shop: app=db  22/tcp
15 more pairs of groups are open because no policy restricts them.
`);
  });

  it("gives the same as data, and groups as it is told", async () => {
    const { exitCode, value } = await sandbox.json(["policy", "picture", ...sources]);
    expect(exitCode).toBe(0);
    expect(value).toMatchObject({
      groupedBy: "labels",
      labelKeys: ["app"],
      edges: [
        { from: "group:shop app=web", to: "group:shop app=db", access: "some-ports", portsText: "5432/tcp", pairs: 2 },
        { from: "net:192.168.0.0/16", to: "group:shop app=db", portsText: "22/tcp", allowedPairs: 1 },
      ],
    });
    const short = await sandbox.run(["policy", "picture", "--json", ...sources]);
    expect(JSON.parse(short.stdout)).toEqual(value);
    const byNamespace = await sandbox.json(["policy", "picture", "--by", "namespace", ...sources]);
    expect(byNamespace.value).toMatchObject({ edges: [{ access: "some-members", allowedPairs: 6 }, {}] });
    const limited = await sandbox.json(["policy", "picture", "--limit", "1", ...sources]);
    expect(limited.value).toMatchObject({ edges: [{}], edgesLeftOut: 1 });
  });

  it("writes a graph that Graphviz reads", async () => {
    const { exitCode, stdout } = await sandbox.run(["policy", "picture", "--by", "endpoint", "--dot", ...sources]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('"Host/web-1" -> "Host/db-1" [label="5432/tcp"];');
    expect(stdout).toContain('"net:192.168.0.0/16" -> "Host/db-1" [label="22/tcp"];');
    const grouped = await sandbox.run(["policy", "picture", "--label", "app", "--dot", ...sources]);
    expect([grouped.exitCode, grouped.stdout.match(/ -> /g)?.length]).toEqual([0, 2]);
    if (!hasGraphviz) return;
    const drawn = spawnSync("dot", ["-Tplain"], { input: grouped.stdout, encoding: "utf8" });
    expect([drawn.status, drawn.stderr]).toEqual([0, ""]);
  });

  it("refuses what it cannot draw and draws nothing", async () => {
    const inBroken = ["--policies", "broken.yaml", "--inventory", "hosts.yaml"];
    const broken = await sandbox.run(["policy", "picture", "--dot", ...inBroken]);
    expect([broken.exitCode, broken.stdout]).toEqual([1, expect.stringContaining("broken.yaml:7:3")]);
    expect(broken.stdout).not.toContain("digraph");
    const both = await sandbox.run(["policy", "picture", "--by", "host", "--label", "app", ...sources]);
    expect([both.exitCode, both.stderr]).toEqual([2, expect.stringContaining("give one of them")]);
    const two = await sandbox.run(["policy", "picture", "--dot", "--json", ...sources]);
    expect([two.exitCode, two.stdout]).toEqual([2, ""]);
  });
});
