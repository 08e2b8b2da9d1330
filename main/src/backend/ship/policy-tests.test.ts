import { ConnectError } from "@connectrpc/connect";
import { ApplyStep } from "@wardline/api/wardline/console/v1/ship";
import { EnforcementMode, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, startTestConsole, type TestConsole } from "../testing/console.ts";

const ALLOW_SSH = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-ssh, namespace: default}
spec:
  podSelector: {}
  ingress: [{ports: [{port: 22}]}]
`;

const tests = (expectation: "allow" | "deny") => `apiVersion: wardline.io/v1
kind: PolicyTest
metadata: {name: ssh}
spec:
  tests:
    - from: {ipBlock: {cidr: 198.51.100.0/24}}
      to: {hosts: {}}
      ports: [{port: 22}]
      expect: ${expectation}
      because: Operators come from there.
    - from: {selector: {matchLabels: {app: nobody}}}
      to: any
      expect: deny
`;

let tester: TestConsole;
let sshRevision: bigint;

beforeEach(async () => {
  tester = startTestConsole();
  // The console writes the document of the host itself, once the agent has answered.
  await expect.poll(async () => (await firstWorkspace()).files.length).toBe(1);
  sshRevision = (await tester.policies.saveFile({ path: "ssh.yaml", text: ALLOW_SSH })).revision;
});
afterEach(() => tester.close());

async function firstWorkspace() {
  for await (const message of tester.policies.watchWorkspace({})) return message;
  throw new Error("the stream ended");
}

async function planWith(text: string) {
  await tester.policies.saveFile({ path: "tests.yaml", text });
  return tester.ship.plan({});
}

function apply(planId: string, over = {}) {
  const request = { planId, mode: EnforcementMode.ENFORCE, confirmWithin: { seconds: 10n }, reason: "New rule" };
  return collect(tester.ship.apply({ ...request, ...over }));
}

async function failureOf(call: Promise<unknown>) {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  return failureFromConnectError(ConnectError.from(error));
}

describe("policy tests of a plan", () => {
  it("are proved, and an apply goes through when none fails", async () => {
    const plan = await planWith(tests("allow"));
    expect(plan.tests).toMatchObject({ heldCount: 1, failedCount: 0, vacuousCount: 1, failed: [] });
    const [, pending] = await apply(plan.planId, { overrideFailedTestsReason: "Not needed" });
    expect(pending?.step).toBe(ApplyStep.PENDING);
    expect((await tester.ship.listReceipts({})).receipts[0]?.reason).toBe("New rule");
  });

  it("name the counterexample and its place, and stop an apply without a reason", async () => {
    const plan = await planWith(tests("deny"));
    expect(plan.planId).not.toBe("");
    expect(plan.tests).toMatchObject({
      heldCount: 0,
      failedCount: 1,
      failed: [
        {
          name: "default/ssh[0]",
          expect: Verdict.DENY,
          because: "Operators come from there.",
          source: { file: "tests.yaml", line: 6 },
        },
      ],
    });
    expect(plan.tests?.failed[0]?.explanation).toMatch(
      /^198\.51\.100\.0 → Host\/alpha \(.+\) 22\/tcp is allowed: ingress allowed by default\/allow-ssh, ingress\[0\] \(ssh\.yaml:6\)$/,
    );
    const failure = await failureOf(apply(plan.planId, { overrideFailedTestsReason: "  " }));
    expect(failure?.code).toBe(ErrorCode.POLICY_TESTS_FAILED);
    expect((await tester.ship.listReceipts({})).receipts).toEqual([]);
  });

  it("are overridden with a reason that the receipt and the agent keep", async () => {
    const plan = await planWith(tests("deny"));
    const [, pending] = await apply(plan.planId, { overrideFailedTestsReason: "The test is out of date" });
    expect(pending?.step).toBe(ApplyStep.PENDING);
    const kept = "New rule [applied although 1 policy test fails: The test is out of date]";
    expect((await tester.ship.listReceipts({})).receipts[0]?.reason).toBe(kept);
    expect(tester.agent.applied.map(({ reason }) => reason)).toEqual([kept]);
  });

  it("are proved again when the policies change, and not while they have errors", async () => {
    expect((await planWith(tests("deny"))).tests?.failedCount).toBe(1);
    let baseRevision = sshRevision;
    const replace = async (text: string) => {
      baseRevision = (await tester.policies.saveFile({ path: "ssh.yaml", text, baseRevision })).revision;
    };
    await replace(ALLOW_SSH.replace("port: 22", "port: 2222"));
    expect((await tester.ship.plan({})).tests).toMatchObject({ heldCount: 1, failedCount: 0 });
    await replace(ALLOW_SSH.replace("port: 22", "port: -1"));
    expect((await tester.ship.plan({})).tests).toBeUndefined();
  });
});
