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
import { type AskedPacket, endpointsWithAddress, matchRule, type SubjectPacket } from "./evaluate-match.ts";
import type {
  DirectionEvaluation,
  Evaluation,
  FlowEnd,
  ModeComparison,
  PolicyFlow,
  TierWalk,
  WalkthroughStep,
} from "./evaluation.ts";
import { endpointMatches } from "./labels.ts";
import { type Direction, type Endpoint, type Inventory, type Policy, type PolicyWorld, TIER_ORDER } from "./model.ts";
import { orderPolicies } from "./order.ts";

export interface EvaluateOptions {
  /** Also a step for each policy that is not about the subject, which can be thousands; otherwise they are counted. */
  readonly listNotSelected?: boolean;
}

/**
 * Decides a new connection: egress of the source, then ingress of the destination.
 *
 * Throws `INVALID_ARGUMENT` when the addresses are not two of one family, `NOT_FOUND` for an unknown endpoint key,
 * `POLICY_UNSUPPORTED` as {@link orderPolicies}.
 */
export function evaluate(world: PolicyWorld, flow: PolicyFlow, options: EvaluateOptions = {}): Evaluation {
  requireOneFamily(flow);
  const { from, to, protocol, port } = flow;
  const egress = evaluateEnd(world, from, { direction: "egress", remote: to.address, protocol, port }, options);
  const ingress = evaluateEnd(world, to, { direction: "ingress", remote: from.address, protocol, port }, options);
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

function evaluateEnd(
  world: PolicyWorld,
  end: FlowEnd,
  packet: SubjectPacket,
  options: EvaluateOptions,
): DirectionEvaluation {
  const { direction, remote, protocol, port } = packet;
  const builtin = builtinDecision({ remote, local: end.address, protocol, port });
  const answer = (decision: DecisionContent, walk: Omit<Walk, "decision">, modes: ModeComparison | null = null) => {
    const steps = walk.steps.filter(({ outcome }) => options.listNotSelected || outcome !== "not-selected");
    const { tiers } = walk;
    return { direction, subjectKey: end.endpointKey, verdict: decision.verdict, decision, steps, tiers, modes };
  };
  if (builtin !== null) return answer(builtinDecisionContent(builtin), NOTHING_ASKED);
  if (end.endpointKey === null) return answer(notIsolatedDecision(direction), NOTHING_ASKED);

  const { inventory } = world;
  const subject = endpointByKey(inventory, end.endpointKey);
  const all = orderPolicies(world.policies);
  const enforced = all.filter((policy) => policy.mode === "enforce");
  const asked = { ...packet, remoteEndpoints: endpointsWithAddress(inventory, remote) };
  const selections = selectAll(inventory, all, subject, direction);
  const byAll = decide(inventory, selections, subject, asked);
  if (enforced.length === all.length) return answer(byAll.decision, byAll);

  const byEnforced = decide(inventory, selectAll(inventory, enforced, subject, direction), subject, asked);
  const decision = mergeObserved(byEnforced.decision, byAll.decision);
  const observed = selections.filter(({ policy }) => policy.mode === "observe");
  const isObserved = observed.some(({ selected }) => selected.length > 0);
  const modes = isObserved ? { enforced: byEnforced.decision, withObserved: byAll.decision } : null;
  if (decision.observeOnly || byEnforced.decision.id === byAll.decision.id) return answer(decision, byAll, modes);
  const left = observed.map(({ policy, selected, reason }) =>
    selected.length > 0
      ? policyStep(policy, "no-match", "It is in observe mode, and the enforced policies deny this already.")
      : policyStep(policy, "not-selected", reason),
  );
  const tiers = byEnforced.tiers.map((tier, place) => ({ ...tier, ...countsOf(byAll.tiers[place] ?? tier) }));
  return answer(decision, { steps: [...byEnforced.steps, ...left], tiers }, modes);
}

const NOTHING_ASKED = { steps: [], tiers: [] };

interface Walk {
  readonly decision: DecisionContent;
  readonly steps: readonly WalkthroughStep[];
  readonly tiers: readonly TierWalk[];
}

function countsOf({ selected, notSelected }: TierWalk): Pick<TierWalk, "selected" | "notSelected"> {
  return { selected, notSelected };
}

/** `selections` in canonical order. */
function decide(inventory: Inventory, selections: readonly Selection[], subject: Endpoint, packet: AskedPacket): Walk {
  const steps: WalkthroughStep[] = [];
  const tiers: TierWalk[] = [];
  let decision: DecisionContent | null = null;
  for (const tier of TIER_ORDER) {
    const ofTier = selections.filter(({ policy }) => policy.tier === tier);
    const asked = ofTier.filter(({ selected }) => selected.length > 0);
    const counts = { tier, selected: asked.length, notSelected: ofTier.length - asked.length };
    if (decision !== null) {
      tiers.push({ ...counts, outcome: "not-reached" });
      continue;
    }
    decision = walkTier(inventory, ofTier, packet, steps);
    const passed = steps.at(-1)?.outcome === "passed" && steps.at(-1)?.tier === tier;
    if (decision === null && tier === "application" && asked.length > 0) {
      const isolating = asked.map(({ policy }) => policy);
      const reason = `It isolates ${packet.direction} of ${subject.key}, and no rule of any such policy allows this.`;
      steps.push(...isolating.map((policy) => policyStep(policy, "decided", reason)));
      decision = isolatedDecision(isolating, packet.direction);
    }
    tiers.push({ ...counts, outcome: decision !== null ? "decided" : passed ? "passed" : "undecided" });
  }
  return { decision: decision ?? notIsolatedDecision(packet.direction), steps, tiers };
}

/** Asks the rules of one tier in order. `null` = the next tier is asked. */
function walkTier(
  inventory: Inventory,
  selections: readonly Selection[],
  packet: AskedPacket,
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
 * Whether each policy is asked about a subject. A workload that shares its host's network is also subject to the admin,
 * baseline and safety policies of its host; to the application policies of its host only while none of its own isolates
 * it in this direction.
 */
function selectAll(
  inventory: Inventory,
  policies: readonly Policy[],
  subject: Endpoint,
  direction: Direction,
): readonly Selection[] {
  const { hostName } = subject;
  const host = sharesHostNetwork(subject) && hostName !== null ? hostEndpoint(inventory, hostName) : null;
  const selects = (policy: Policy, endpoint: Endpoint): boolean =>
    endpointMatches(policy.subject, endpoint, inventory.namespaces);
  const hasItsOwn = policies.some(
    (policy) => policy.tier === "application" && policy.isolates[direction] && selects(policy, subject),
  );
  return policies.map((policy) => {
    const additive = policy.tier === "application";
    if (additive && !policy.isolates[direction]) {
      return { policy, selected: [], reason: `It does not cover ${direction}.` };
    }
    const own = selects(policy, subject) ? [subject] : [];
    if (host === null) return { policy, selected: own, reason: `It does not select ${subject.key}.` };
    const inherited = selects(policy, host) ? [host] : [];
    if (!additive) {
      const reason = `It selects neither ${subject.key} nor its host ${host.key}.`;
      return { policy, selected: [...own, ...inherited], reason };
    }
    if (own.length > 0) return { policy, selected: own, reason: "" };
    if (!hasItsOwn) return { policy, selected: inherited, reason: `It selects neither ${subject.key} nor its host.` };
    const reason =
      inherited.length > 0
        ? `It selects the host ${host.key}, but ${subject.key} has ${direction} policies of its own.`
        : `It does not select ${subject.key}.`;
    return { policy, selected: [], reason };
  });
}

function policyStep(policy: Policy, outcome: WalkthroughStep["outcome"], reason: string): WalkthroughStep {
  return { tier: policy.tier, policyKey: policy.key, rule: null, outcome, reason, source: policy.source };
}
