/** Answers about access as JSON. These shapes are promises to scripts. */
import { type DecisionContent, type Direction, describeDecision, formatCidr } from "@wardline/domain/policy";
import type { Party } from "@wardline/domain/policy/access";

export function partyData({ text, endpoints, regions }: Party): object {
  return {
    text,
    endpoints,
    prefixes: regions.map(({ prefix, except }) => ({ prefix: formatCidr(prefix), except: except.map(formatCidr) })),
  };
}

export function describedDecision(decision: DecisionContent, direction: Direction): object {
  const { id, verdict, observeOnly, reason, tier, policyKeys, rule, source } = decision;
  return {
    id,
    verdict,
    observeOnly,
    reason,
    tier,
    policyKeys,
    rule,
    file: source?.file ?? null,
    line: source?.line ?? null,
    summary: describeDecision(decision, direction),
  };
}
