import { mkdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliSandbox } from "./testing/run-cli.ts";
import { FAILING_TEST, GOOD_POLICY, INVENTORY as SAMPLE_INVENTORY } from "./testing/samples.ts";

const INVENTORY = ["web-1 web 10.0.0.1", "ops-1 ops 10.0.0.2", "db-1 db 10.0.1.1"]
  .map((line) => line.split(" "))
  .map(
    ([name, app, address]) => `apiVersion: wardline.io/v1
kind: Host
metadata: {name: ${name}, labels: {app: ${app}}}
spec: {addresses: [${address}]}
`,
  )
  .join("---\n");

const POLICY = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: default}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{protocol: TCP, port: 5432}]
    - from: [{ipBlock: {cidr: 192.0.2.0/24}}]
      ports: [{protocol: TCP, port: 22}]
`;

const tests = (cases: string) => `apiVersion: wardline.io/v1
kind: PolicyTest
metadata: {name: db-is-safe}
spec:
  tests:
${cases}`;

const HOLDS = `    - from: {selector: {matchLabels: {app: web}}}
      to: {selector: {matchLabels: {app: db}}}
      ports: [{port: 5432}]
      expect: allow
      via: {policy: db}
`;
const FAILS = `    - from: any
      to: {selector: {matchLabels: {app: db}}}
      ports: [{port: 22}]
      expect: deny
      because: Nobody logs in to the database.
`;
const EMPTY = `    - from: {selector: {matchLabels: {app: nobody}}}
      to: any
      expect: deny
`;

let sandbox: CliSandbox;
beforeAll(() => {
  sandbox = new CliSandbox();
  mkdirSync(sandbox.path("set"));
  writeFileSync(sandbox.path("set/hosts.yaml"), INVENTORY);
  writeFileSync(sandbox.path("set/db.yaml"), POLICY);
  writeFileSync(sandbox.path("good.yaml"), tests(HOLDS + EMPTY));
  writeFileSync(sandbox.path("bad.yaml"), tests(HOLDS + EMPTY + FAILS));
});
afterAll(() => sandbox.dispose());

describe("policy test", () => {
  it("shows what failed first, with the reason and the command that explains the counterexample", async () => {
    const { exitCode, stdout } = await sandbox.run(["policy", "test", "set", "bad.yaml"]);
    expect(exitCode).toBe(1);
    expect(stdout).toBe(`FAILS  default/db-is-safe[2] expects deny (bad.yaml:14)
  because: Nobody logs in to the database.
  192.0.2.0 → Host/db-1 (10.0.1.1) 22/tcp is allowed: ingress allowed by default/db, ingress[1] (set/db.yaml:10)
  wardline policy explain --from 192.0.2.0 --to Host/db-1 --port 22/tcp --policies set --inventory bad.yaml

EMPTY  default/db-is-safe[1] expects deny (bad.yaml:11)
  Nobody is in "from".

holds  default/db-is-safe[0] expects allow (bad.yaml:6)
3 cases: 1 hold, 1 failed, 1 empty.
`);
    const command = stdout.split("\n").find((line) => line.includes("wardline policy explain")) ?? "";
    const explained = await sandbox.run(command.trim().split(" ").slice(1));
    expect(explained.exitCode).toBe(0);
    expect(explained.stdout).toContain("ALLOW  192.0.2.0 → Host/db-1 (10.0.1.1) 22/tcp");
  });

  it("gives the same as data, with the walkthrough", async () => {
    const { exitCode, value } = await sandbox.json(["policy", "test", "bad.yaml", "--policies", "set"]);
    expect(exitCode).toBe(1);
    expect(value).toMatchObject({
      counts: { holds: 1, fails: 1, vacuous: 1, refused: 0 },
      cases: [
        { test: "PolicyTest/default/db-is-safe", index: 0, status: "holds", counterexample: null },
        { index: 1, status: "vacuous", why: 'Nobody is in "from".' },
        {
          index: 2,
          status: "fails",
          because: "Nobody logs in to the database.",
          file: "bad.yaml",
          line: 14,
          counterexample: {
            from: { endpointKey: null, address: "192.0.2.0" },
            protocol: 6,
            port: 22,
            enforced: "allow",
            contradicts: "verdict",
            ingress: { rule: "ingress[1]", file: "set/db.yaml", line: 10 },
            walkthrough: { verdict: "allow", directions: [{ direction: "egress" }, { direction: "ingress" }] },
          },
        },
      ],
      coverage: null,
    });
  });

  it("passes when nothing fails, and lists the rules without a test", async () => {
    const { exitCode, stdout } = await sandbox.run(["policy", "test", "set", "good.yaml", "--coverage"]);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("2 cases: 1 hold, 0 failed, 1 empty.\n\nTests touch 1 of 2 rules.\n");
    expect(stdout).toMatch(/NetworkPolicy\/default\/db +ingress\[1\] +ingress +set\/db\.yaml:10/);
    const { value } = await sandbox.json(["policy", "test", "set", "good.yaml", "--coverage"]);
    expect(value).toMatchObject({
      coverage: { ruleCount: 2, touchedCount: 1, untouched: [{ policy: "NetworkPolicy/default/db", line: 10 }] },
    });
  });

  it("reads the workspace when nothing is named, and says when there is no test", async () => {
    const { exitCode, stdout, stderr } = await sandbox.run(["policy", "test"]);
    expect([exitCode, stdout]).toEqual([0, "0 cases: 0 hold, 0 failed.\n"]);
    expect(stderr).toContain("There is no PolicyTest document");
  });

  it("tells wrong usage and policies with errors apart", async () => {
    expect((await sandbox.run(["policy", "test", "missing.yaml"])).exitCode).toBe(2);
    writeFileSync(sandbox.path("broken.yaml"), tests(HOLDS.replace("expect: allow", "expect: perhaps")));
    const broken = await sandbox.run(["policy", "test", "set", "broken.yaml"]);
    expect(broken.exitCode).toBe(1);
    expect(broken.stdout).toContain("WL206");
  });
});

// Each test starts several programs.
describe("an apply", { timeout: 300_000 }, () => {
  let own: CliSandbox;
  beforeAll(async () => {
    own = new CliSandbox();
    writeFileSync(own.path("good.yaml"), GOOD_POLICY);
    writeFileSync(own.path("hosts.yaml"), SAMPLE_INVENTORY);
    writeFileSync(own.path("failing.yaml"), FAILING_TEST);
    await own.startAgent();
  });
  afterAll(() => own.dispose());

  it("applies nothing while a policy test fails, unless told why", async () => {
    const command = ["policy", "apply", "good.yaml", "hosts.yaml", "failing.yaml", "--yes"];
    const refused = await own.run(command);
    expect(refused.exitCode).toBe(1);
    expect(refused.stdout).toContain("Policy tests: 0 hold, 1 failed\n  FAILS default/closed[0] expects deny");
    expect(refused.stdout).toMatch(/10\.0\.0\.0 → Host\/here \(10\.9\.0\.1\) 443\/tcp is allowed: ingress allowed by/);
    expect(refused.stderr).toContain("--override-tests");
    expect(await own.json(["policy", "list"])).toMatchObject({ value: { files: [] } });
    const planned = await own.json(["policy", "plan", "good.yaml", "hosts.yaml", "failing.yaml"]);
    expect(planned.exitCode).toBe(1);
    expect(planned.value).toMatchObject({ tests: { failedCount: 1, failed: [{ name: "default/closed[0]" }] } });
    // The override is heard: the next obstacle is the backend, which enforces nothing.
    const overridden = await own.run([...command, "--override-tests", "The test is old"]);
    expect(overridden.stderr + overridden.stdout).toContain("failed on local");
  });
});
