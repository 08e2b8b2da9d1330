import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { InProcessCli } from "../testing/run-in-process.ts";

const FILES = `apiVersion: wardline.io/v1
kind: Host
metadata: {name: web-1, labels: {app: web}}
spec: {addresses: [10.0.0.1]}
---
apiVersion: wardline.io/v1
kind: Host
metadata: {name: db-1, labels: {app: db}}
spec: {addresses: [10.0.1.1]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: default}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{protocol: TCP, port: 5432}]
`;

let cli: InProcessCli;
beforeAll(async () => {
  cli = new InProcessCli();
  const { withSession } = await import("../session.ts");
  writeFileSync(cli.path("all.yaml"), FILES);
  await withSession({ stateDir: cli.path("state") }, {}, async ({ policies }) => {
    await policies.saveFile({ path: "all.yaml", text: FILES });
  });
});
afterAll(() => cli.dispose());

it("answers in words with rule and line, and ends with what a script can go by", async () => {
  const yes = await cli.run("ask", "can", "web", "reach", "db", "on", "5432?");
  expect([yes.exitCode, yes.stderr]).toEqual([0, ""]);
  expect(yes.stdout).toContain("YES  Yes, every connection from app=web to app=db on 5432/tcp is allowed.");
  expect(yes.stdout).toMatch(/allowed +web-1 → db-1 +5432\/tcp +allowed by default\/db, ingress\[0\] +all\.yaml:18/);
  expect((await cli.run("ask", "can web reach db on ssh")).exitCode).toBe(1);
  const partly = await cli.run("ask", "can web reach db?");
  expect([partly.exitCode, partly.stdout.slice(0, 6)]).toEqual([1, "PARTLY"]);
  expect((await cli.run("ask", "who can reach db on ssh?")).exitCode).toBe(1);
  expect((await cli.run("ask", "who can reach db on 5432?")).exitCode).toBe(0);
});

it("says what it does not understand, and where nothing can be reached", async () => {
  const slip = await cli.run("ask", "can web raech db");
  expect([slip.exitCode, slip.stdout]).toEqual([2, expect.stringContaining("Did you mean:\n  can web reach db\n")]);
  const other = await cli.run("ask", "make tea");
  expect([other.exitCode, other.stdout]).toEqual([2, expect.stringContaining("  can web reach db on 5432?\n")]);
  expect((await cli.run("ask", "who can reach db?", "--basis", "enforced")).exitCode).toBe(3);
  const { exitCode, value } = await cli.json("ask", "who can reach db on 5432?");
  expect(exitCode).toBe(0);
  expect(value).toMatchObject({
    answer: {
      question: "who can reach app=db on 5432/tcp?",
      verdict: "ANSWER_VERDICT_LIST",
      rows: [{ ports: "5432/tcp" }],
    },
  });
});
