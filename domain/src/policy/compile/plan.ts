/** Which rules are asked about one subject in one direction, in which order. */
import { endpointMatches } from "../labels.ts";
import type { Direction, Endpoint, Inventory, Policy, PolicyRule } from "../model.ts";

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

interface Subject {
  readonly endpoint: Endpoint;
  /** The host whose policies apply too, because the workload shares its network. */
  readonly host: Endpoint | null;
}

interface Selected {
  readonly policy: Policy;
  readonly own: boolean;
  readonly inherited: boolean;
}

/** Says which policies select an endpoint; each endpoint is asked about once. */
export type PolicySelector = (endpoint: Endpoint) => ReadonlySet<Policy>;

export function createPolicySelector(inventory: Inventory, policies: readonly Policy[]): PolicySelector {
  const byLabel = new Map<string, Policy[]>();
  for (const policy of policies) {
    const label = requiredLabel(policy);
    const having = byLabel.get(label);
    if (having) having.push(policy);
    else byLabel.set(label, [policy]);
  }
  const known = new Map<Endpoint, ReadonlySet<Policy>>();
  return (endpoint) => {
    const before = known.get(endpoint);
    if (before) return before;
    const labels = ["", ...[...endpoint.labels].map(([key, value]) => `${key}=${value}`)];
    const candidates = labels.flatMap((label) => byLabel.get(label) ?? []);
    const found = candidates.filter(({ subject }) => endpointMatches(subject, endpoint, inventory.namespaces));
    const selecting = new Set(found);
    known.set(endpoint, selecting);
    return selecting;
  };
}

/** A label that every subject of the policy has, as `key=value`; empty when the selector asks for no single one. */
function requiredLabel({ subject }: Policy): string {
  for (const { key, operator, values } of subject.endpoints.requirements) {
    if (operator === "In" && values.length === 1) return `${key}=${values[0]}`;
  }
  return "";
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
    .map((policy): Selected => ({ policy, own: byOwn.has(policy), inherited: byHost.has(policy) }));
  const enforced = selected.filter(({ policy }) => policy.mode === "enforce");
  const plan = (direction: Direction): SubjectPlan => ({
    enforced: planDirection(enforced, subject, direction),
    all: enforced.length === selected.length ? null : planDirection(selected, subject, direction),
  });
  return { ingress: plan("ingress"), egress: plan("egress") };
}

function planDirection(selected: readonly Selected[], subject: Subject, direction: Direction): Plan {
  const isolates = ({ policy }: Selected): boolean => policy.tier === "application" && policy.isolates[direction];
  const hasItsOwn = selected.some((item) => item.own && isolates(item));
  const isolating: Policy[] = [];
  const rules: PlanRule[] = [];
  for (const item of selected) {
    const additive = item.policy.tier === "application";
    if (additive && !isolates(item)) continue;
    const own = item.own;
    const inherited = item.inherited && !(additive && hasItsOwn);
    if (!own && !inherited) continue;
    const owners = [...(own ? [subject.endpoint] : []), ...(inherited && subject.host ? [subject.host] : [])];
    if (additive) isolating.push(item.policy);
    for (const rule of item.policy.rules) {
      if (rule.direction === direction) rules.push({ policy: item.policy, rule, owners });
    }
  }
  return { direction, rules, isolating };
}
