/**
 * Policy tests, proved: a case holds only when it holds for every member of both sides, every protocol and port, and what
 * both ends' policies say. Built on `access`, so no answer comes from samples.
 */
export { type Coverage, CoverageBook, type CoveredRule } from "./coverage.ts";
export { type CaseResult, type CaseStatus, type Counterexample, MAX_TEST_CASES, type ReportedResult } from "./model.ts";
export {
  countStatuses,
  createProver,
  type ProofOptions,
  type Prover,
  proveTests,
  requireFewCases,
  type TestCounts,
  type TestRun,
} from "./prove.ts";
export { describeCounterexample, describeEnd, testName } from "./text.ts";
