import { Code, ConnectError } from "@connectrpc/connect";
import { ApplyStep, ChangeKind, ReceiptOutcome } from "@wardline/api/wardline/console/v1/ship";
import { VersionKind } from "@wardline/api/wardline/console/v1/versions";
import { EnforcementMode, Verdict } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, startTestConsole, type TestConsole } from "../testing/console.ts";
import type { HostNeedsSource } from "./host-needs.ts";

const DENY_ALL = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny-all, namespace: default}
spec:
  podSelector: {}
  policyTypes: [Ingress]
`;

const ALLOW_SSH = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-ssh, namespace: default}
spec:
  podSelector: {}
  ingress: [{ports: [{port: 22}]}]
`;

let tester: TestConsole;

beforeEach(async () => {
  tester = startTestConsole();
  await expect.poll(async () => (await firstWorkspace()).files.length).toBe(1);
});
afterEach(() => tester.close());

async function firstWorkspace() {
  for await (const message of tester.policies.watchWorkspace({})) return message;
  throw new Error("the stream ended");
}

async function planWith(text: string) {
  await tester.policies.saveFile({ path: "deny.yaml", text });
  return tester.ship.plan({});
}

function apply(planId: string, over = {}) {
  return collect(
    tester.ship.apply({
      planId,
      mode: EnforcementMode.ENFORCE,
      confirmWithin: { seconds: 10n },
      reason: "test",
      ...over,
    }),
  );
}

async function failureOf(call: Promise<unknown>) {
  const error = await call.then(
    () => null,
    (reason: unknown) => reason,
  );
  return failureFromConnectError(ConnectError.from(error));
}

async function outcomes() {
  return (await tester.ship.listReceipts({})).receipts.map(({ outcome }) => outcome);
}

describe("plan", () => {
  it("names risks and does not plan for a host that the console would lose", async () => {
    const hostNeeds: HostNeedsSource = () => ({
      hostName: "alpha",
      connections: [
        { purpose: "console", direction: "ingress", remotes: ["198.51.100.7"], protocol: 6, port: 22 },
        { purpose: "dns", direction: "egress", remotes: ["192.0.2.53"], protocol: 17, port: 53 },
      ],
    });
    const own = startTestConsole(undefined, { hostNeeds });
    try {
      await own.policies.saveFile({ path: "deny.yaml", text: DENY_ALL });
      const cut = await own.ship.plan({});
      expect(cut.planId).toBe("");
      expect(cut.diagnostics.map(({ code }) => code)).toContain("WL401");
      await own.policies.saveFile({ path: "ssh.yaml", text: ALLOW_SSH });
      const kept = await own.ship.plan({});
      expect(kept.planId).not.toBe("");
      expect(kept.diagnostics.map(({ code }) => code)).not.toContain("WL401");
    } finally {
      await own.close();
    }
  });

  it("says what changes in files, access and tables", async () => {
    const plan = await planWith(DENY_ALL);
    expect(plan.diagnostics.filter(({ severity }) => severity === 1)).toEqual([]);
    expect(plan.planId).not.toBe("");
    expect(plan.fileChanges.map(({ path, kind }) => [path, kind])).toEqual([
      ["deny.yaml", ChangeKind.ADDED],
      ["hosts/alpha.yaml", ChangeKind.ADDED],
    ]);
    const [host] = plan.hosts;
    expect(host).toMatchObject({ hostId: "local", policyCount: 1, unchanged: false });
    expect(host?.programDigest).toMatch(/^[0-9a-f]{64}$/);
    expect(host?.accessChanges.length).toBeGreaterThan(0);
    expect(host?.accessChanges[0]).toMatchObject({
      subjectKey: "Host/alpha",
      oldVerdict: Verdict.ALLOW,
      newVerdict: Verdict.DENY,
    });
  });

  it("says what the host would load, where a roll-back leads, and what a kept version would change", async () => {
    const first = await planWith(DENY_ALL);
    const [host] = first.hosts;
    expect(host?.load).toMatchObject({ rulesBefore: 0, entriesBefore: 0, changedSubjects: ["Host/alpha"] });
    expect(host?.load?.entriesAfter).toBeGreaterThan(0);
    expect(host?.returnsTo).toMatchObject({ generation: 0n, versionNumber: 0n });
    const steps = await apply(first.planId);
    await tester.ship.confirm({ hostId: "local", generation: steps[1]?.pending?.generation?.number ?? 0n });
    const { versions } = await tester.policies.listVersions({});
    await tester.policies.saveFile({ path: "other.yaml", text: "# new\n" });
    const next = (await tester.ship.plan({})).hosts[0];
    expect(next?.returnsTo).toMatchObject({ generation: 1n, versionNumber: 1n, reason: "test" });
    expect(next?.load).toMatchObject({ changedSubjects: [], entriesBefore: host?.load?.entriesAfter });
    const version = await tester.ship.plan({ versionId: versions[0]?.id ?? "" });
    expect(version).toMatchObject({ planId: "", hosts: [{ unchanged: true }] });
    expect((await failureOf(tester.ship.plan({ versionId: "0" })))?.code).toBe(ErrorCode.NOT_FOUND);
  });

  it("has no id and changes nothing when a policy has errors", async () => {
    const plan = await planWith("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n");
    expect(plan.planId).toBe("");
    expect(plan.diagnostics.some(({ source }) => source?.file === "deny.yaml")).toBe(true);
  });

  it("names the host that cannot be planned for", async () => {
    tester.agent.dialFailure = new Failure({ code: ErrorCode.AGENT_UNREACHABLE, message: "gone", retryable: true });
    tester.agent.dropConnections();
    await expect.poll(async () => (await tester.ship.plan({})).hosts[0]?.error?.code).toBe(ErrorCode.AGENT_UNREACHABLE);
    expect((await failureOf(tester.ship.plan({ hostIds: ["nobody"] })))?.code).toBe(ErrorCode.NOT_FOUND);
  });
});

describe("apply", () => {
  it("sends the plan, waits for confirmation and confirms over a connection of its own", async () => {
    const plan = await planWith(DENY_ALL);
    const steps = await apply(plan.planId);
    expect(steps.map(({ step }) => step)).toEqual([ApplyStep.SENDING, ApplyStep.PENDING]);
    const generation = steps[1]?.pending?.generation?.number ?? 0n;
    expect(tester.agent.applied[0]).toMatchObject({
      expectedProgramDigest: plan.hosts[0]?.programDigest,
      baseGeneration: 0n,
      mode: EnforcementMode.ENFORCE,
      reason: "test",
    });
    expect(await outcomes()).toEqual([ReceiptOutcome.PENDING]);
    const dialsBefore = tester.agent.dials;
    await tester.ship.confirm({ hostId: "local", generation });
    expect(tester.agent.confirmedOver).toEqual([dialsBefore + 1]);
    expect(await outcomes()).toEqual([ReceiptOutcome.CONFIRMED]);
    const { versions } = await tester.policies.listVersions({});
    expect(versions).toMatchObject([{ number: 1n, author: "tester", reason: "test", fileCount: 2, policyCount: 1 }]);
    await expect.poll(async () => (await firstWorkspace()).files.map(({ state }) => state)).toEqual([1, 1]);
    expect((await tester.ship.plan({})).hosts[0]?.unchanged).toBe(true);
  });

  it.each(["edit", "other generation"])("refuses a plan that is out of date (%s)", async (why) => {
    const plan = await planWith(DENY_ALL);
    if (why === "edit") await tester.policies.saveFile({ path: "other.yaml", text: "# new\n" });
    else {
      await apply(plan.planId);
      const generation = tester.agent.status().pending?.generation?.number ?? 0n;
      await tester.ship.confirm({ hostId: "local", generation });
      await expect.poll(() => tester.backend.registry.local.connection.state.status?.enforced?.number).toBe(generation);
    }
    expect((await failureOf(apply(plan.planId)))?.code).toBe(ErrorCode.PLAN_STALE);
    expect((await failureOf(apply("no such plan")))?.code).toBe(ErrorCode.PLAN_STALE);
  });

  it("refuses a second apply while one waits, and keeps the first", async () => {
    const plan = await planWith(DENY_ALL);
    await apply(plan.planId);
    await expect.poll(() => tester.backend.registry.local.connection.state.status?.enforced?.number).toBe(1n);
    const second = await tester.ship.plan({});
    const steps = await apply(second.planId);
    expect(steps[1]).toMatchObject({ step: ApplyStep.FAILED, error: { code: ErrorCode.CONFIRMATION_PENDING } });
    expect(await outcomes()).toEqual([ReceiptOutcome.FAILED, ReceiptOutcome.PENDING]);
  });

  it.each([
    ["no mode", { mode: EnforcementMode.UNSPECIFIED }],
    ["too little time", { confirmWithin: { seconds: 4n } }],
    ["too much time", { confirmWithin: { seconds: 3601n } }],
  ])("refuses %s", async (_why, over) => {
    const plan = await planWith(DENY_ALL);
    expect((await failureOf(apply(plan.planId, over)))?.code).toBe(ErrorCode.INVALID_ARGUMENT);
    expect(tester.agent.applied).toEqual([]);
  });

  it("passes on why the agent refused", async () => {
    const plan = await planWith(DENY_ALL);
    tester.agent.applyFailure = new Failure({
      code: ErrorCode.POLICY_UNSUPPORTED,
      message: "This backend cannot honour default/deny-all.",
      hint: "Use the eBPF backend.",
    });
    const steps = await apply(plan.planId);
    expect(steps[1]?.error).toMatchObject({
      code: ErrorCode.POLICY_UNSUPPORTED,
      message: "This backend cannot honour default/deny-all.",
      host: "alpha",
    });
    const { receipts } = await tester.ship.listReceipts({});
    expect(receipts[0]).toMatchObject({
      outcome: ReceiptOutcome.FAILED,
      error: { code: ErrorCode.POLICY_UNSUPPORTED },
    });
  });
});

describe("the end of an apply", () => {
  async function applied() {
    const plan = await planWith(DENY_ALL);
    const steps = await apply(plan.planId);
    return steps[1]?.pending?.generation?.number ?? 0n;
  }

  it("is noticed when the agent rolls back by itself", async () => {
    await applied();
    tester.agent.expire();
    await expect.poll(outcomes).toEqual([ReceiptOutcome.ROLLED_BACK]);
  });

  it("is noticed by the next start of the console", async () => {
    await applied();
    await tester.backend.close();
    tester.agent.expire();
    const next = startTestConsole(tester.agent, { stateDir: tester.stateDir });
    try {
      await expect
        .poll(async () => (await next.ship.listReceipts({})).receipts[0]?.outcome)
        .toBe(ReceiptOutcome.ROLLED_BACK);
    } finally {
      await next.close();
    }
  });

  it("is noticed when somebody else confirms", async () => {
    const generation = await applied();
    const link = await tester.agent.dial();
    await link.client.confirm({ generation });
    link.close();
    await expect.poll(outcomes).toEqual([ReceiptOutcome.CONFIRMED]);
  });

  it("is a rollback when the person asks for it", async () => {
    const generation = await applied();
    const answer = await tester.ship.rollback({ hostId: "local", generation, reason: "no" });
    expect(answer.generation?.number).toBe(0n);
    expect(await outcomes()).toEqual([ReceiptOutcome.ROLLED_BACK]);
    // The version that was applied is the draft still: it is not kept once more.
    const kinds = async () => (await tester.versions.searchVersions({})).versions.map(({ kind }) => VersionKind[kind]);
    expect(await kinds()).toEqual(["APPLIED"]);
    const failure = await failureOf(tester.ship.confirm({ hostId: "local", generation }));
    expect(failure?.code).toBe(ErrorCode.NOTHING_PENDING);
  });

  it("keeps a draft that went on since, when the person goes back", async () => {
    const generation = await applied();
    await tester.policies.saveFile({ path: "later.yaml", text: "# went on\n" });
    await tester.ship.rollback({ hostId: "local", generation, reason: "too narrow" });
    const [kept, sent] = (await tester.versions.searchVersions({})).versions;
    expect(kept).toMatchObject({
      ...{ kind: VersionKind.BEFORE, reason: `Before: Rolled back generation ${generation}: too narrow` },
      ...{ changedPaths: ["later.yaml"], author: sent?.author },
    });
    expect(sent?.kind).toBe(VersionKind.APPLIED);
  });

  it("stays open when the answer of the agent was lost, and is found by its digests", async () => {
    const plan = await planWith(DENY_ALL);
    tester.agent.loseNextApplyAnswer = true;
    const steps = await apply(plan.planId);
    expect(steps[1]).toMatchObject({ step: ApplyStep.FAILED, error: { code: ErrorCode.AGENT_UNREACHABLE } });
    expect(steps[1]?.error?.message).toContain("not known yet");
    await expect.poll(async () => (await tester.ship.listReceipts({})).receipts[0]?.generation?.number).toBe(1n);
    await tester.ship.confirm({ hostId: "local", generation: 1n });
    expect(await outcomes()).toEqual([ReceiptOutcome.CONFIRMED]);
  });
});

it("gives gRPC statuses that other clients understand", async () => {
  const error = await tester.ship.plan({ hostIds: ["nobody"] }).catch((reason: unknown) => ConnectError.from(reason));
  expect(error).toMatchObject({ code: Code.NotFound });
});
