/** What a proof answers. */
import type { ConnectionExample } from "../access/index.ts";
import type { Evaluation } from "../evaluation.ts";
import type { PolicyTest, PolicyTestCase } from "../model.ts";

/** More cases than this are refused as a whole: a short text with services can stand for very many. */
export const MAX_TEST_CASES = 10_000;

/**
 * - `holds`: for every member, protocol and port;
 * - `fails`: there is a counterexample;
 * - `vacuous`: there is no connection that the case is about, so that nothing was shown;
 * - `refused`: the case asks something that cannot be asked. Nothing was shown either, and it counts as failed.
 */
export type CaseStatus = "holds" | "fails" | "vacuous" | "refused";

/** The smallest connection that the case says cannot be. */
export interface Counterexample {
  readonly connection: ConnectionExample;
  /** `verdict`: packets get the other verdict; `via`: the verdict is right, and something else decides it. */
  readonly contradicts: "verdict" | "via";
  /** The reference's walk through every tier, policy and rule that it asks; made when asked for, as it is not cheap. */
  readonly walkthrough: () => Evaluation;
}

/** What the case would be if the reported verdicts counted, which policies in observe mode take part in. */
export interface ReportedResult {
  readonly status: "holds" | "fails";
  /** What contradicts the case with the other verdicts: for `fails` by what is reported, for `holds` by what is enforced. */
  readonly example: ConnectionExample;
}

export interface CaseResult {
  readonly test: PolicyTest;
  /** The first of the cases with this index: where a service stands for several peers, there is one for each. */
  readonly testCase: PolicyTestCase;
  readonly status: CaseStatus;
  /** Why nothing was shown (`vacuous`, `refused`); else `null`. */
  readonly why: string | null;
  /** Only when it fails. */
  readonly counterexample: Counterexample | null;
  /** `null` when policies in observe mode make no difference. */
  readonly reported: ReportedResult | null;
}
