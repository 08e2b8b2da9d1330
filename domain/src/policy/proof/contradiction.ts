/** When a decided connection contradicts a test case. */
import type { DecidedConnection } from "../access/index.ts";
import type { DecisionContent } from "../decision.ts";
import type { TestVia, Verdict } from "../model.ts";

export interface Expectation {
  readonly expect: Verdict;
  readonly via: TestVia | null;
}

/** Which of the two verdicts of a connection counts. */
export type CountedVerdict = "enforced" | "reported";

export function contradictionOf(
  { expect, via }: Expectation,
  decided: DecidedConnection,
  counted: CountedVerdict,
): "verdict" | "via" | null {
  if (decided[counted] !== expect) return "verdict";
  if (via?.kind !== "decision") return null;
  return [decided.egress, decided.ingress].some((decision) => isDecidedBy(decision, expect, via)) ? null : "via";
}

/**
 * A connection is allowed by a policy when a rule of it decides for either end, and denied by one when it (or its rule)
 * is what denies at either end. An allow that nothing restricts is nobody's.
 */
function isDecidedBy(
  decision: DecisionContent,
  expect: Verdict,
  via: TestVia & { readonly kind: "decision" },
): boolean {
  if (decision.verdict !== expect || !decision.policyKeys.includes(via.policyKey)) return false;
  return via.rule === null || (decision.reason === "rule" && decision.rule === via.rule);
}
