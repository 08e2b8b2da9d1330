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
  for (const policy of policies) refuseUnsupported(policy);
  return policies.toSorted(comparePolicies);
}

/**
 * The order of `ordered`, which `orderPolicies` gave, after some policies were replaced by others of the same key. Throws
 * as `orderPolicies`.
 */
export function reorderPolicies(ordered: readonly Policy[], replaced: ReadonlyMap<Policy, Policy>): readonly Policy[] {
  let keepsPlaces = true;
  for (const [old, next] of replaced) {
    refuseUnsupported(next);
    if (comparePolicies(old, next) !== 0) keepsPlaces = false;
  }
  const policies = replaced.size === 0 ? ordered : ordered.map((policy) => replaced.get(policy) ?? policy);
  return keepsPlaces ? policies : policies.toSorted(comparePolicies);
}

function refuseUnsupported(policy: Policy): void {
  const wrong = policy.tier === "application" ? policy.rules.find((rule) => rule.action !== "allow") : undefined;
  if (!wrong) return;
  throw new Failure({
    code: ErrorCode.POLICY_UNSUPPORTED,
    message: `${policy.key} has a rule with the action ${wrong.action}; the application tier only allows.`,
    hint: "Move the rule to a policy of the admin or baseline tier.",
    source: wrong.source,
  });
}
