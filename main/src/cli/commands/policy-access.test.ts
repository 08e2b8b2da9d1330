import { mkdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliSandbox } from "../testing/run-cli.ts";

const INVENTORY = ["web-1 web 10.0.0.1", "web-2 web 10.0.0.2", "db-1 db 10.0.1.1"]
  .map((line) => line.split(" "))
  .map(
    ([name, app, address]) => `apiVersion: wardline.io/v1
kind: Host
metadata: {name: ${name}, labels: {app: ${app}}}
spec: {addresses: [${address}]}
`,
  )
  .join("---\n");

const policy = (port: number) => `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: default}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{protocol: TCP, port: ${port}}]
`;

const flow = (port: number) =>
  JSON.stringify({ protocol: 6, sourceAddress: "10.0.0.2", destinationAddress: "10.0.1.1", destinationPort: port });

let sandbox: CliSandbox;
beforeAll(() => {
  sandbox = new CliSandbox();
  writeFileSync(sandbox.path("hosts.yaml"), INVENTORY);
  for (const [dir, port] of [
    ["old", 5432],
    ["new", 5433],
  ] as const) {
    mkdirSync(sandbox.path(dir));
    writeFileSync(sandbox.path(`${dir}/db.yaml`), policy(port));
  }
  writeFileSync(sandbox.path("renamed.yaml"), policy(5432).replace("name: db,", "name: database,"));
  writeFileSync(sandbox.path("broken.yaml"), policy(5432).replace("ingress:", "ingres:"));
  writeFileSync(sandbox.path("flows.ndjson"), `${flow(5432)}\n${flow(5432)}\n${flow(80)}\nnot a flow\n`);
});
afterAll(() => sandbox.dispose());

describe("policy reach", () => {
  const sources = ["--policies", "old", "--inventory", "hosts.yaml"];

  it("says who can reach a group, on which port and by which rule", async () => {
    const { exitCode, stdout } = await sandbox.run(["policy", "reach", "--to", "app=db", ...sources]);
    expect(exitCode).toBe(0);
    expect(stdout).toBe(
      "FROM        TO    PORTS     BY\napp=web  →  db-1  5432/tcp  default/db, ingress[0] (old/db.yaml:8)\n",
    );
  });

  it("gives the same as data", async () => {
    const { exitCode, value } = await sandbox.json(["policy", "reach", "--from", "web-1", "--to", "db-1", ...sources]);
    expect(exitCode).toBe(0);
    expect(value).toEqual({
      from: "web-1",
      to: "db-1",
      rows: [
        {
          from: { text: "web-1", endpoints: [{ key: "Host/web-1", addresses: ["10.0.0.1"] }], prefixes: [] },
          to: { text: "db-1", endpoints: [{ key: "Host/db-1", addresses: ["10.0.1.1"] }], prefixes: [] },
          ports: [{ protocol: 6, exceptProtocols: [], low: 5432, high: 5432 }],
          portsText: "5432/tcp",
          egress: expect.objectContaining({ verdict: "allow", reason: "not-isolated", file: null }),
          ingress: expect.objectContaining({ verdict: "allow", rule: "ingress[0]", file: "old/db.yaml", line: 8 }),
        },
      ],
      leftOut: 0,
      withoutAddress: [],
      nobody: [],
    });
  });

  it("says when nothing is allowed, and when nobody is meant", async () => {
    const denied = await sandbox.run(["policy", "reach", "--from", "192.0.2.1", "--to", "app=db", ...sources]);
    expect(denied).toMatchObject({ exitCode: 0, stdout: "192.0.2.1 → app=db: nothing is allowed.\n" });
    const nobody = await sandbox.run(["policy", "reach", "--to", "app=dbb", ...sources]);
    expect(nobody.stderr).toContain("Nobody in the inventory is in that group (--to)");
    expect(nobody).toMatchObject({ exitCode: 1, stdout: "" });
    const data = await sandbox.json(["policy", "reach", "--to", "app=dbb", ...sources]);
    expect(data).toMatchObject({ exitCode: 1, value: { rows: [], nobody: ["to"] } });
  });

  it("takes no guess at what is meant", async () => {
    expect(await sandbox.run(["policy", "reach", ...sources])).toMatchObject({ exitCode: 2, stdout: "" });
    expect(await sandbox.run(["policy", "reach", "--to", "nobody", ...sources])).toMatchObject({ exitCode: 2 });
  });
});

describe("policy diff", () => {
  const run = (...args: readonly string[]) => sandbox.run(["policy", "diff", ...args, "--inventory", "hosts.yaml"]);

  it("says who loses and who gains what, and why", async () => {
    const { exitCode, stdout } = await run("old", "new");
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /^lost {4}app=web {2}→ {2}db-1 {2}5432\/tcp {2}ingress was allowed by default\/db, ingress\[0\] \(old\/db\.yaml:8\), is denied/m,
    );
    expect(stdout).toMatch(
      /^gained {2}app=web {2}→ {2}db-1 {2}5433\/tcp .* is allowed by default\/db, ingress\[0\] \(new\/db\.yaml:8\)$/m,
    );
    expect(stdout).toMatch(/^1 lost, 1 gained\.$/m);
  });

  it("is empty and exits with 0 for equal meaning", async () => {
    expect(await run("old", "renamed.yaml")).toMatchObject({
      exitCode: 0,
      stdout: "No difference: the same packets pass.\n",
    });
  });

  it("counts recorded flows by row", async () => {
    const { exitCode, stdout, stderr } = await run("old", "new", "--flows", "flows.ndjson", "--format", "json");
    expect(exitCode).toBe(1);
    const { rows, flows } = JSON.parse(stdout) as { rows: { change: string; flows: number }[]; flows: object };
    expect(rows.map(({ change, flows: count }) => [change, count])).toEqual([
      ["lost", 2],
      ["gained", 0],
    ]);
    expect(flows).toEqual({ changed: 2, unchanged: 1, unclear: 0, notOurs: 0, unreadable: 1 });
    expect(stderr).toContain("flows.ndjson:4: it is not valid JSON");
  });

  it("leaves 1 to differences: what cannot be read is 2", async () => {
    const broken = await run("old", "broken.yaml");
    expect(broken.exitCode).toBe(2);
    expect(broken.stdout).toContain("broken.yaml:7:3: error[WL2");
    expect(await run("old", "absent")).toMatchObject({ exitCode: 2, stdout: "" });
  });
});
