import { ErrorCode, Failure } from "../errors/index.ts";
import { type Policy, TIER_ORDER } from "./model.ts";

/**
 * The order in which policies are asked: tier, then priority (lower first), then key. The first matching rule names the
 * decision.
 */
export function comparePolicies(left: Policy, right: Policy): number {
  if (left.tier !== right.tier) return TIER_ORDER.indexOf(left.tier) - TIER_ORDER.indexOf(right.tier);
  if (left.priority !== right.priority) return left.priority - right.priority;
  return left.key < right.key ? -1 : left.key > right.key ? 1 : 0;
}

/**
 * Canonical order. Throws `POLICY_UNSUPPORTED` for an application-tier rule that is not an allow: that tier is a union of
 * allows without an order, where a denial would mean nothing.
 */
export function orderPolicies(policies: readonly Policy[]): readonly Policy[] {
  for (const policy of policies) {
    const wrong = policy.tier === "application" ? policy.rules.find((rule) => rule.action !== "allow") : undefined;
    if (wrong) {
      throw new Failure({
        code: ErrorCode.POLICY_UNSUPPORTED,
        message: `${policy.key} has a rule with the action ${wrong.action}; the application tier only allows.`,
        hint: "Move the rule to a policy of the admin or baseline tier.",
        source: wrong.source,
      });
    }
  }
  return policies.toSorted(comparePolicies);
}
