/** The policy tests of the workspace, proved against its policies as they are now. */
import { setImmediate } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import {
  FailedPolicyTestSchema,
  type PolicyTestResults,
  PolicyTestResultsSchema,
} from "@wardline/api/wardline/console/v1/ship";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type ReadResult, withoutExpired } from "@wardline/domain/policy";
import {
  type CaseResult,
  countStatuses,
  createProver,
  describeCounterexample,
  requireFewCases,
  testName,
} from "@wardline/domain/policy/proof";
import { toWireSourceRange, toWireVerdict } from "@wardline/domain/wire";
import { boundedReason } from "../rpc/guard.ts";

const MAX_LISTED = 50;

/** Keeps the results of the last reading: plans are made again and again while a person looks at one. */
export class WorkspaceTests {
  #last: { readonly reading: ReadResult; readonly policyCount: number; readonly results: PolicyTestResults } | null =
    null;

  /**
   * Lets other work go on between cases. `reading` has no errors.
   * @throws Failure TOO_LARGE
   */
  async prove(reading: ReadResult, nowUnixMs: number): Promise<PolicyTestResults> {
    const world = withoutExpired(reading.world, nowUnixMs);
    // Time only ever takes policies away, so their number tells whether these are the same.
    const policyCount = world.policies.length;
    if (this.#last?.reading === reading && this.#last.policyCount === policyCount) return this.#last.results;
    requireFewCases(reading.tests);
    const cases: CaseResult[] = [];
    if (reading.tests.length > 0) {
      const prover = createProver(world);
      for (const test of reading.tests) {
        for (const result of prover.prove(test)) {
          cases.push(result);
          await setImmediate();
        }
      }
    }
    const results = toWireResults(cases);
    this.#last = { reading, policyCount, results };
    return results;
  }
}

/**
 * The reason to keep of an apply. A failed test is overridden only by saying why.
 * @throws Failure POLICY_TESTS_FAILED without an answer to failed tests, INVALID_ARGUMENT when the texts are too long
 */
export function reasonWithOverride(reason: string, override: string, failedTestCount: number): string {
  if (failedTestCount === 0) return boundedReason(reason);
  const tests = failedTestCount === 1 ? "1 policy test fails" : `${failedTestCount} policy tests fail`;
  if (override.trim() === "") {
    throw new Failure({
      code: ErrorCode.POLICY_TESTS_FAILED,
      message: `${tests}. Nothing was sent.`,
      hint: "Correct the policies or the tests; or give a reason to apply anyway, which is kept with the receipt.",
    });
  }
  const given = reason.trim();
  return boundedReason(`${given}${given === "" ? "" : " "}[applied although ${tests}: ${override.trim()}]`);
}

function toWireResults(cases: readonly CaseResult[]): PolicyTestResults {
  const counts = countStatuses(cases);
  const failed = cases.filter(({ status }) => status === "fails" || status === "refused");
  return create(PolicyTestResultsSchema, {
    heldCount: counts.holds,
    failedCount: failed.length,
    vacuousCount: counts.vacuous,
    failed: failed.slice(0, MAX_LISTED).map(({ test, testCase, why, counterexample }) =>
      create(FailedPolicyTestSchema, {
        name: testName(test, testCase.index),
        expect: toWireVerdict(testCase.expect),
        because: testCase.because ?? "",
        explanation: counterexample === null ? (why ?? "") : describeCounterexample(counterexample),
        source: toWireSourceRange(testCase.source),
      }),
    ),
    failedLeftOut: Math.max(0, failed.length - MAX_LISTED),
  });
}
