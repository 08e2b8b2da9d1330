/** Answers of the fake backend to "what would change" and "why": fixed shapes, real places. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Host } from "@wardline/api/wardline/console/v1/hosts";
import { type ExplainResponse, ExplainResponseSchema } from "@wardline/api/wardline/console/v1/policies";
import { ChangeKind, type PlanResponse, PlanResponseSchema } from "@wardline/api/wardline/console/v1/ship";
import { type Diagnostic, ErrorCode, Severity } from "@wardline/api/wardline/v1/error";
import { BackendKind } from "@wardline/api/wardline/v1/host";
import { DecisionReason, Direction, Tier, Verdict, WalkthroughOutcome } from "@wardline/api/wardline/v1/policy";
import type { FakeFile } from "./fake-workspace.ts";

const WEB_SOURCE = { file: "policies/web.yaml", line: 13, column: 5, endLine: 22, endColumn: 24 };

function decision(verdict: Verdict) {
  return {
    id: "a1b2c3d4e5f60001",
    verdict,
    reason: verdict === Verdict.ALLOW ? DecisionReason.RULE : DecisionReason.ISOLATED,
    tier: Tier.APPLICATION,
    policyKeys: ["NetworkPolicy/default/web"],
    rule: verdict === Verdict.ALLOW ? "ingress[0]" : "",
    source: WEB_SOURCE,
    summary: verdict === Verdict.ALLOW ? "allowed by default/web, ingress[0]" : "denied: default/web isolates ingress",
    observeOnly: false,
  };
}

interface PlanInput {
  readonly planId: string;
  readonly host: Host;
  readonly files: ReadonlyMap<string, FakeFile>;
  readonly enforced: ReadonlyMap<string, string>;
  readonly diagnostics: Diagnostic[];
  readonly hasFailingTest: boolean;
}

const FAILED_TEST = {
  name: "default/web-is-closed[1]",
  expect: Verdict.DENY,
  because: "Only the office may reach the web tier.",
  explanation:
    "Host/build-3 (10.20.4.7) → Host/atlas (10.20.0.11) 8443/tcp is allowed: ingress allowed by default/web, ingress[0] (policies/web.yaml:13)",
  source: { file: "policies/web.yaml", line: 13, column: 5, endLine: 22, endColumn: 24 },
};

export function planHost({ planId, host, files, enforced, diagnostics, hasFailingTest }: PlanInput): PlanResponse {
  const fileChanges = [...new Set([...files.keys(), ...enforced.keys()])].sort().flatMap((path) => {
    const oldText = enforced.get(path);
    const newText = files.get(path)?.text;
    if (oldText === newText) return [];
    const kind =
      oldText === undefined ? ChangeKind.ADDED : newText === undefined ? ChangeKind.REMOVED : ChangeKind.CHANGED;
    return [{ path, kind, oldText: oldText ?? "", newText: newText ?? "" }];
  });
  const isBlocked = diagnostics.some((diagnostic) => diagnostic.severity === Severity.ERROR) || !host.status;
  const observeError = {
    code: ErrorCode.OBSERVE_ONLY,
    message: "This host only observes: there is nothing to enforce with.",
    hint: "Start the agent as root on a kernel with cgroup2.",
  };
  const changed = fileChanges.length > 0;
  return create(PlanResponseSchema, {
    planId: isBlocked || host.status?.info?.backend === BackendKind.OBSERVE ? "" : planId,
    createdAt: timestampFromMs(Date.now()),
    fileChanges,
    diagnostics,
    tests: hasFailingTest
      ? { heldCount: 11, failedCount: 1, vacuousCount: 1, failed: [FAILED_TEST] }
      : { heldCount: 12, failedCount: 0, vacuousCount: 0, failed: [] },
    hosts: [
      {
        hostId: host.id,
        programDigest: "c".repeat(64),
        stateDigest: "d".repeat(64),
        policyCount: 2,
        ruleCount: 6,
        unchanged: !changed,
        backend: host.status?.info?.backend ?? BackendKind.UNSPECIFIED,
        ...(host.status?.enforced ? { current: host.status.enforced } : {}),
        ...(host.problem
          ? { error: host.problem }
          : host.status?.info?.backend === BackendKind.OBSERVE
            ? { error: observeError }
            : {}),
        load: {
          ...{ rulesBefore: 6, rulesAfter: changed ? 7 : 6, entriesBefore: 412, entriesAfter: changed ? 428 : 412 },
          ...{ subjectsBefore: 2, subjectsAfter: 2 },
          changedSubjects: changed ? [`Host/${host.name}`] : [],
          changedSubjectCount: changed ? 1 : 0,
        },
        returnsTo: {
          generation: host.status?.enforced?.number ?? 0n,
          stateDigest: "e".repeat(64),
          versionNumber: 3n,
          ...{ appliedBy: "lena", reason: "let the balancer reach the web tier" },
          ...(host.status?.enforced?.appliedAt ? { appliedAt: host.status.enforced.appliedAt } : {}),
        },
        accessChangesLeftOut: changed ? 12 : 0,
        accessChanges: changed
          ? [
              access(Direction.INGRESS, "10.20.0.0/16 except 10.20.66.0/24", [], 6, 8443, 8443, Verdict.ALLOW, 0n),
              access(
                Direction.INGRESS,
                "10.20.0.0/16 except 10.20.66.0/24",
                ["build-3", "db-1"],
                6,
                443,
                443,
                Verdict.DENY,
                1_284n,
              ),
              access(Direction.EGRESS, "10.20.0.31/32", ["db-1"], 6, 5432, 5432, Verdict.ALLOW, 310n),
              access(Direction.EGRESS, "0.0.0.0/0", [], 6, 80, 80, Verdict.DENY, 4n),
            ]
          : [],
      },
    ],
  });
}

function access(
  direction: Direction,
  peer: string,
  peerNames: string[],
  protocol: number,
  portLow: number,
  portHigh: number,
  newVerdict: Verdict,
  recordedFlows: bigint,
) {
  const oldVerdict = newVerdict === Verdict.ALLOW ? Verdict.DENY : Verdict.ALLOW;
  return {
    subjectKey: "Host/atlas",
    direction,
    peer,
    peerNames,
    protocol,
    portLow,
    portHigh,
    oldVerdict,
    newVerdict,
    decision: decision(newVerdict),
    recordedFlows,
  };
}

export function explain(request: { from: string; to: string; protocol: number; port: number }): ExplainResponse {
  const isAllowed = request.port === 443 || request.port === 5432 || request.port === 8443;
  const verdict = isAllowed ? Verdict.ALLOW : Verdict.DENY;
  return create(ExplainResponseSchema, {
    fromAddress: "10.20.4.7",
    toAddress: "10.20.0.11",
    evaluation: {
      verdict,
      directions: [
        {
          direction: Direction.EGRESS,
          subjectKey: "",
          verdict: Verdict.ALLOW,
          decision: {
            ...decision(Verdict.ALLOW),
            reason: DecisionReason.NOT_ISOLATED,
            policyKeys: [],
            rule: "",
            summary: "10.20.4.7 belongs to nobody in the inventory, so no policy restricts it",
          },
          steps: [],
        },
        {
          direction: Direction.INGRESS,
          subjectKey: "Host/atlas",
          verdict,
          decision: decision(verdict),
          steps: [
            {
              tier: Tier.SAFETY,
              policyKey: "builtin",
              rule: "",
              outcome: WalkthroughOutcome.NO_MATCH,
              reason: "Not part of the management path.",
              source: undefined,
            },
            {
              tier: Tier.APPLICATION,
              policyKey: "NetworkPolicy/default/database-in",
              rule: "",
              outcome: WalkthroughOutcome.NOT_SELECTED,
              reason: "It selects app=database; atlas has app=web.",
              source: { file: "policies/database.yaml", line: 6, column: 3, endLine: 8, endColumn: 20 },
            },
            {
              tier: Tier.APPLICATION,
              policyKey: "NetworkPolicy/default/web",
              rule: "ingress[0]",
              outcome: isAllowed ? WalkthroughOutcome.DECIDED : WalkthroughOutcome.NO_MATCH,
              reason: isAllowed
                ? `10.20.4.7 is in 10.20.0.0/16 and port ${request.port} is listed.`
                : `10.20.4.7 is in 10.20.0.0/16, but port ${request.port} is not among 443 and 8080–8099.`,
              source: WEB_SOURCE,
            },
            ...(isAllowed
              ? []
              : [
                  {
                    tier: Tier.APPLICATION,
                    policyKey: "NetworkPolicy/default/web",
                    rule: "",
                    outcome: WalkthroughOutcome.DECIDED,
                    reason: "The policy isolates ingress and no rule of any policy allows the connection.",
                    source: { file: "policies/web.yaml", line: 11, column: 3, endLine: 11, endColumn: 33 },
                  },
                ]),
          ],
        },
      ],
    },
  });
}
