/**
 * The reference evaluator: what the policies mean, written to be read. It is never optimised; `compile` and the kernel
 * are tested against it. docs/policy-reference.md states the semantics in words.
 */
import { ErrorCode, Failure } from "../errors/index.ts";
import { parseAddress } from "./address.ts";
import { builtinDecision } from "./builtin.ts";
import {
  builtinDecisionContent,
  type DecisionContent,
  isolatedDecision,
  mergeObserved,
  notIsolatedDecision,
  ruleDecision,
  ruleLabel,
} from "./decision.ts";
import { endpointByKey, hostEndpoint, sharesHostNetwork } from "./endpoints.ts";
import { matchRule, type SubjectPacket } from "./evaluate-match.ts";
import type { DirectionEvaluation, Evaluation, FlowEnd, PolicyFlow, WalkthroughStep } from "./evaluation.ts";
import { endpointMatches } from "./labels.ts";
import { type Direction, type Endpoint, type Inventory, type Policy, type PolicyWorld, TIER_ORDER } from "./model.ts";
import { orderPolicies } from "./order.ts";

/**
 * Decides a new connection: egress of the source, then ingress of the destination.
 *
 * Throws `INVALID_ARGUMENT` when the addresses are not two of one family, `NOT_FOUND` for an unknown endpoint key,
 * `POLICY_UNSUPPORTED` as {@link orderPolicies}.
 */
export function evaluate(world: PolicyWorld, flow: PolicyFlow): Evaluation {
  requireOneFamily(flow);
  const { from, to, protocol, port } = flow;
  const egress = evaluateEnd(world, from, { direction: "egress", remote: to.address, protocol, port });
  const ingress = evaluateEnd(world, to, { direction: "ingress", remote: from.address, protocol, port });
  const allowed = egress.verdict === "allow" && ingress.verdict === "allow";
  return { verdict: allowed ? "allow" : "deny", directions: [egress, ingress] };
}

function requireOneFamily(flow: PolicyFlow): void {
  const from = parseAddress(flow.from.address);
  const to = parseAddress(flow.to.address);
  if (from.ok && to.ok && from.family === to.family) return;
  throw new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `${flow.from.address} and ${flow.to.address} are not two addresses of one family.`,
  });
}

function evaluateEnd(world: PolicyWorld, end: FlowEnd, packet: SubjectPacket): DirectionEvaluation {
  const { direction, remote, protocol, port } = packet;
  const builtin = builtinDecision({ remote, local: end.address, protocol, port });
  const answer = (decision: DecisionContent, steps: readonly WalkthroughStep[]): DirectionEvaluation => ({
    direction,
    subjectKey: end.endpointKey,
    verdict: decision.verdict,
    decision,
    steps,
  });
  if (builtin !== null) return answer(builtinDecisionContent(builtin), []);
  if (end.endpointKey === null) return answer(notIsolatedDecision(direction), []);

  const subject = endpointByKey(world.inventory, end.endpointKey);
  const all = orderPolicies(world.policies);
  const enforced = all.filter((policy) => policy.mode === "enforce");
  const byAll = decide(world.inventory, all, subject, packet);
  if (enforced.length === all.length) return answer(byAll.decision, byAll.steps);

  const byEnforced = decide(world.inventory, enforced, subject, packet);
  const decision = mergeObserved(byEnforced.decision, byAll.decision);
  if (decision.observeOnly || byEnforced.decision.id === byAll.decision.id) return answer(decision, byAll.steps);
  const observed = all.filter((policy) => policy.mode === "observe");
  return answer(decision, [
    ...byEnforced.steps,
    ...observed.map((policy) =>
      policyStep(policy, "no-match", "It is in observe mode, and the enforced policies deny this already."),
    ),
  ]);
}

interface Walk {
  readonly decision: DecisionContent;
  readonly steps: readonly WalkthroughStep[];
}

/** `policies` in canonical order. */
function decide(inventory: Inventory, policies: readonly Policy[], subject: Endpoint, packet: SubjectPacket): Walk {
  const steps: WalkthroughStep[] = [];
  for (const tier of TIER_ORDER) {
    const selections = policies
      .filter((policy) => policy.tier === tier)
      .map((policy) => select(inventory, policies, policy, subject, packet.direction));
    const decision = walkTier(inventory, selections, packet, steps);
    if (decision) return { decision, steps };
    if (tier !== "application") continue;

    const isolating = selections.filter((selection) => selection.selected.length > 0).map(({ policy }) => policy);
    if (isolating.length > 0) {
      const reason = `It isolates ${packet.direction} of ${subject.key}, and no rule of any such policy allows this.`;
      steps.push(...isolating.map((policy) => policyStep(policy, "decided", reason)));
      return { decision: isolatedDecision(isolating, packet.direction), steps };
    }
  }
  return { decision: notIsolatedDecision(packet.direction), steps };
}

/** Asks the rules of one tier in order. `null` = the next tier is asked. */
function walkTier(
  inventory: Inventory,
  selections: readonly Selection[],
  packet: SubjectPacket,
  steps: WalkthroughStep[],
): DecisionContent | null {
  for (const { policy, selected, reason } of selections) {
    if (selected.length === 0) {
      steps.push(policyStep(policy, "not-selected", reason));
      continue;
    }
    for (const rule of policy.rules) {
      if (rule.direction !== packet.direction) continue;
      const match = matchRule(inventory, rule, selected, packet);
      const outcome = !match.matches ? "no-match" : rule.action === "pass" ? "passed" : "decided";
      const step = { tier: policy.tier, policyKey: policy.key, rule: ruleLabel(rule), source: rule.source };
      steps.push({ ...step, outcome, reason: match.reason });
      if (outcome === "passed") return null;
      if (outcome === "decided") return ruleDecision(policy, rule);
    }
  }
  return null;
}

interface Selection {
  readonly policy: Policy;
  /** The subject, its host, or both; empty when the policy is not asked. */
  readonly selected: readonly Endpoint[];
  /** Why it is not asked. */
  readonly reason: string;
}

/**
 * Whether a policy is asked about a subject. A workload that shares its host's network is also subject to the admin,
 * baseline and safety policies of its host; to the application policies of its host only while none of its own isolates
 * it in this direction.
 */
function select(
  inventory: Inventory,
  policies: readonly Policy[],
  policy: Policy,
  subject: Endpoint,
  direction: Direction,
): Selection {
  const additive = policy.tier === "application";
  if (additive && !policy.isolates[direction]) {
    return { policy, selected: [], reason: `It does not cover ${direction}.` };
  }
  const own = endpointMatches(policy.subject, subject, inventory.namespaces) ? [subject] : [];
  if (!sharesHostNetwork(subject) || subject.hostName === null) {
    return { policy, selected: own, reason: `It does not select ${subject.key}.` };
  }
  const host = hostEndpoint(inventory, subject.hostName);
  const inherited = endpointMatches(policy.subject, host, inventory.namespaces) ? [host] : [];
  if (!additive) {
    const reason = `It selects neither ${subject.key} nor its host ${host.key}.`;
    return { policy, selected: [...own, ...inherited], reason };
  }
  if (own.length > 0) return { policy, selected: own, reason: "" };
  const hasItsOwn = policies.some(
    (other) =>
      other.tier === "application" &&
      other.isolates[direction] &&
      endpointMatches(other.subject, subject, inventory.namespaces),
  );
  if (!hasItsOwn) return { policy, selected: inherited, reason: `It selects neither ${subject.key} nor its host.` };
  const reason =
    inherited.length > 0
      ? `It selects the host ${host.key}, but ${subject.key} has ${direction} policies of its own.`
      : `It does not select ${subject.key}.`;
  return { policy, selected: [], reason };
}

function policyStep(policy: Policy, outcome: WalkthroughStep["outcome"], reason: string): WalkthroughStep {
  return { tier: policy.tier, policyKey: policy.key, rule: null, outcome, reason, source: policy.source };
}
