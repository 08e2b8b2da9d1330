/** Which rules are asked about one subject in one direction, in which order. */
import type { Direction, Endpoint, Inventory, Policy, PolicyRule } from "../model.ts";
import { type PolicyGroup, PolicyGroups } from "./policy-groups.ts";

export interface PlanRule {
  readonly policy: Policy;
  readonly rule: PolicyRule;
  /** The endpoints that the policy selects on this side: the subject, its host, or both. */
  readonly owners: readonly Endpoint[];
}

export interface Plan {
  readonly direction: Direction;
  /** In canonical order. */
  readonly rules: readonly PlanRule[];
  /** Application policies that isolate the subject, in canonical order. */
  readonly isolating: readonly Policy[];
}

/** What a subject is asked about; `all` is `null` when no observed policy takes part. */
export interface SubjectPlan {
  readonly enforced: Plan;
  readonly all: Plan | null;
}

export interface Subject {
  readonly endpoint: Endpoint;
  /** The host whose policies apply too, because the workload shares its network. */
  readonly host: Endpoint | null;
}

/** A policy that selects the subject itself (`own`), its host (`inherited`), or both. */
export interface SelectedPolicy {
  readonly policy: Policy;
  readonly own: boolean;
  readonly inherited: boolean;
}

/** The same for all subjects that the same policies select in the same way. */
export interface SharedPlan {
  readonly direction: Direction;
  /** The policies whose rules are asked, in canonical order. */
  readonly asked: readonly SelectedPolicy[];
  readonly isolating: readonly Policy[];
}

export interface SharedSubjectPlan {
  readonly enforced: SharedPlan;
  readonly all: SharedPlan | null;
}

/** Says which policies select an endpoint; each endpoint is asked about once. */
export type PolicySelector = (endpoint: Endpoint) => ReadonlySet<Policy>;

export function createPolicySelector(inventory: Inventory, policies: readonly Policy[]): PolicySelector {
  const groups = new PolicyGroups(inventory.namespaces, policies);
  const known = new Map<Endpoint, ReadonlySet<Policy>>();
  return (endpoint) => {
    const selecting = known.get(endpoint) ?? new Set(groups.selecting(endpoint).flatMap((group) => group.policies));
    known.set(endpoint, selecting);
    return selecting;
  };
}

/** `policies` in canonical order. */
export function planSubject(
  selector: PolicySelector,
  policies: readonly Policy[],
  subject: Subject,
): Record<Direction, SubjectPlan> {
  const byOwn = selector(subject.endpoint);
  const byHost = subject.host === null ? new Set<Policy>() : selector(subject.host);
  const selected = policies
    .filter((policy) => byOwn.has(policy) || byHost.has(policy))
    .map((policy): SelectedPolicy => ({ policy, own: byOwn.has(policy), inherited: byHost.has(policy) }));
  const plans = planSelected(selected);
  return { ingress: plansFor(plans.ingress, subject), egress: plansFor(plans.egress, subject) };
}

function plansFor({ enforced, all }: SharedSubjectPlan, subject: Subject): SubjectPlan {
  return { enforced: planFor(enforced, subject), all: all === null ? null : planFor(all, subject) };
}

function planFor({ direction, asked, isolating }: SharedPlan, subject: Subject): Plan {
  const rules = asked.flatMap((selected) => {
    const owners = ownersOf(selected, subject);
    return selected.policy.rules
      .filter((rule) => rule.direction === direction)
      .map((rule): PlanRule => ({ policy: selected.policy, rule, owners }));
  });
  return { direction, rules, isolating };
}

export function ownersOf({ own, inherited }: SelectedPolicy, { endpoint, host }: Subject): readonly Endpoint[] {
  return [...(own ? [endpoint] : []), ...(inherited && host ? [host] : [])];
}

/** What all subjects are asked that these groups select themselves, and those through their host. */
export function planGroups(
  groups: PolicyGroups,
  own: readonly PolicyGroup[],
  inherited: readonly PolicyGroup[],
): Record<Direction, SharedSubjectPlan> {
  if (inherited.length === 0) {
    return planSelected(groups.inOrder(own).map((policy) => ({ policy, own: true, inherited: false })));
  }
  const owning = new Set(own.flatMap((group) => group.policies));
  const inheriting = new Set(inherited.flatMap((group) => group.policies));
  const selected = groups
    .inOrder([...own, ...inherited])
    .map((policy): SelectedPolicy => ({ policy, own: owning.has(policy), inherited: inheriting.has(policy) }));
  return planSelected(selected);
}

/** `selected` in canonical order. */
function planSelected(selected: readonly SelectedPolicy[]): Record<Direction, SharedSubjectPlan> {
  const enforced = selected.filter(({ policy }) => policy.mode === "enforce");
  const plan = (direction: Direction): SharedSubjectPlan => ({
    enforced: planDirection(enforced, direction),
    all: enforced.length === selected.length ? null : planDirection(selected, direction),
  });
  return { ingress: plan("ingress"), egress: plan("egress") };
}

function planDirection(selected: readonly SelectedPolicy[], direction: Direction): SharedPlan {
  const isolates = ({ policy }: SelectedPolicy): boolean => policy.tier === "application" && policy.isolates[direction];
  const hasItsOwn = selected.some((item) => item.own && isolates(item));
  const isolating: Policy[] = [];
  const asked: SelectedPolicy[] = [];
  for (const item of selected) {
    const additive = item.policy.tier === "application";
    if (additive && !isolates(item)) continue;
    const inherited = item.inherited && !(additive && hasItsOwn);
    if (!item.own && !inherited) continue;
    if (additive) isolating.push(item.policy);
    asked.push(inherited === item.inherited ? item : { ...item, inherited });
  }
  return { direction, asked, isolating };
}
