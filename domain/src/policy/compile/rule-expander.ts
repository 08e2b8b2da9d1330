/** Rules as terms: which units of addresses they match, for which ports. */
import type { Action, Direction, Endpoint, Peer, Policy, PolicyRule, PortMatch, Tier } from "../model.ts";
import type { PortRange, PortRanges } from "./cells.ts";
import type { DecisionTable } from "./decision-table.ts";
import { isSameList } from "./interner.ts";
import { ANY_ADDRESS, type UnitTable } from "./units.ts";

/** The rule matches the addresses in any of `units`, for these ports. */
export interface Term {
  /** Of no other term of the expander, so that lists of them can be compared. */
  readonly id: number;
  readonly rule: ExpandedRule;
  /** Among the terms of its rule. */
  readonly place: number;
  readonly ports: PortRanges;
  /** Each once. */
  readonly units: readonly number[];
}

export interface ExpandedRule {
  /** The rules of its policy that it is one of. */
  readonly of: PolicyRules;
  /** Among those. */
  readonly place: number;
  readonly tier: Tier;
  readonly action: Action;
  /** Number of the decision table; -1 for `pass`. */
  readonly decision: number;
  readonly terms: readonly Term[];
}

/** Canonical order. */
export function compareTerms(left: Term, right: Term): number {
  return left.rule.of.rank - right.rule.of.rank || left.rule.place - right.rule.place || left.place - right.place;
}

/** Whose rules they are: what port names and the entity `host` mean depends on it. */
export interface RuleOwners {
  /** The endpoints that the policy selects on this side. */
  readonly endpoints: readonly Endpoint[];
  readonly hostName: string | null;
}

/** The rules of one policy for one direction. It stays the same object when a few of the rules change. */
export interface PolicyRules {
  readonly tier: Tier;
  readonly direction: Direction;
  /** Place of the policy in the canonical order. */
  rank: number;
  rules: readonly PolicyRule[];
  /** Numbers of their decisions; -1 for `pass`. */
  decisions: readonly number[];
  /** Whether they can mean something else for other owners. */
  readonly dependsOnOwners: boolean;
  /** By variant. */
  readonly expanded: Map<string, readonly ExpandedRule[]>;
}

/** Whose owners do not matter. */
const NOBODY: RuleOwners = { endpoints: [], hostName: null };

/** Expands each policy once, or once for each meaning that its owners give to it. */
export class RuleExpander {
  readonly #units: UnitTable;
  readonly #decisions: DecisionTable;
  readonly #known: Record<Direction, Map<Policy, PolicyRules>> = { ingress: new Map(), egress: new Map() };
  #ranks = new Map<Policy, number>();
  #ordered: readonly Policy[] = [];
  #termCount = 0;

  constructor(units: UnitTable, decisions: DecisionTable) {
    this.#units = units;
    this.#decisions = decisions;
  }

  /** All policies in canonical order. Those that are where they were are passed over. */
  setOrder(policies: readonly Policy[]): void {
    const before = this.#ordered;
    this.#ordered = policies;
    if (before.length !== policies.length) this.#ranks = new Map();
    const isSameAt = (rank: number): boolean => before.length === policies.length && before[rank] === policies[rank];
    for (const [rank, old] of before.entries()) if (!isSameAt(rank)) this.#ranks.delete(old);
    for (const [rank, policy] of policies.entries()) {
      if (isSameAt(rank)) continue;
      this.#ranks.set(policy, rank);
      for (const known of [this.#known.ingress.get(policy), this.#known.egress.get(policy)])
        if (known) known.rank = rank;
    }
  }

  /** The same object for the same policy. */
  rulesOf(policy: Policy, direction: Direction): PolicyRules {
    const known = this.#known[direction].get(policy);
    if (known) return known;
    const own = policy.rules.filter((rule) => rule.direction === direction);
    const rules: PolicyRules = {
      tier: policy.tier,
      direction,
      rank: this.#ranks.get(policy) ?? 0,
      rules: own,
      decisions: own.map((rule) => this.#decisionOf(policy, rule)),
      dependsOnOwners: own.some(dependsOnOwners),
      expanded: new Map(),
    };
    this.#known[direction].set(policy, rules);
    return rules;
  }

  /** Goes on with `next` instead of `old`, a policy of the same key: rules that are the same are kept. */
  replace(old: Policy, next: Policy): void {
    for (const direction of ["ingress", "egress"] as const) {
      const known = this.#known[direction].get(old);
      if (!known) continue;
      this.#known[direction].delete(old);
      if (old.tier !== next.tier) continue;
      const own = next.rules.filter((rule) => rule.direction === direction);
      if (!isSameList(own, known.rules)) {
        if (known.dependsOnOwners || own.some(dependsOnOwners)) continue;
        this.#replaceRules(known, next, own);
      }
      this.#known[direction].set(next, known);
    }
  }

  #replaceRules(known: PolicyRules, policy: Policy, own: readonly PolicyRule[]): void {
    const { rules: before, decisions, expanded } = known;
    const rulesBefore = expanded.get("");
    known.rules = own;
    known.decisions = own.map((rule, place) =>
      rule === before[place] ? (decisions[place] ?? -1) : this.#decisionOf(policy, rule),
    );
    if (!rulesBefore) return;
    const isKept = (rule: PolicyRule, place: number): boolean => rule === before[place];
    expanded.set(
      "",
      own.map((rule, place) => {
        const kept = isKept(rule, place) ? rulesBefore[place] : undefined;
        return kept ?? this.#expandRule(known, place, NOBODY);
      }),
    );
  }

  #decisionOf(policy: Policy, rule: PolicyRule): number {
    return rule.action === "pass" ? -1 : this.#decisions.addRule(policy, rule);
  }

  /** Equal texts = the same terms for both owners. */
  variant({ rules, direction, dependsOnOwners }: PolicyRules, { endpoints, hostName }: RuleOwners): string {
    if (!dependsOnOwners) return "";
    const names = direction === "egress" ? [] : rules.flatMap(({ ports }) => (ports ?? []).filter(isNamed));
    const resolved = names.map(({ protocol, name }) => portsNamed(endpoints, protocol, name).map(({ low }) => low));
    return JSON.stringify([rules.some(asksForHost) ? hostName : null, resolved]);
  }

  /** The same list for owners of the same variant. */
  expand(own: PolicyRules, owners: RuleOwners): readonly ExpandedRule[] {
    const variant = this.variant(own, owners);
    let known = own.expanded.get(variant);
    if (!known) {
      known = own.rules.map((_, place) => this.#expandRule(own, place, owners));
      own.expanded.set(variant, known);
    }
    return known;
  }

  #expandRule(of: PolicyRules, place: number, owners: RuleOwners): ExpandedRule {
    const rule = of.rules[place];
    if (!rule) throw new Error(`the policy has no rule ${place}`);
    const decision = of.decisions[place] ?? -1;
    const expanded: Writable<ExpandedRule> = {
      of,
      place,
      tier: of.tier,
      action: rule.action,
      decision,
      terms: NO_TERMS,
    };
    const ranges = rangesOfRule(rule, owners);
    if (ranges === null || ranges.length > 0) {
      // A list that is made with its term has no room for more: most rules have one.
      expanded.terms = [this.#term(expanded, 0, ranges, this.#unitsOf(rule.peers, owners.hostName))];
    }
    if (rule.direction === "egress" && rule.ports?.some(isNamed)) {
      expanded.terms = [...expanded.terms, ...this.#termsOfNames(rule, expanded)];
    }
    return expanded;
  }

  #term(rule: ExpandedRule, place: number, ports: PortRanges, units: readonly number[]): Term {
    return { id: this.#termCount++, rule, place, ports, units };
  }

  /** One list for all peers, so that an address that several of them match is still one case. */
  #unitsOf(peers: readonly Peer[] | null, hostName: string | null): readonly number[] {
    if (peers === null) return [ANY_ADDRESS];
    const [first] = peers;
    if (first !== undefined && peers.length === 1) return [this.#units.forPeer(first, hostName)];
    return [...new Set(peers.map((peer) => this.#units.forPeer(peer, hostName)))];
  }

  /** The port names of an egress rule: whom they mean is looked up at the peers. */
  #termsOfNames({ peers, ports }: PolicyRule, expanded: ExpandedRule): readonly Term[] {
    const terms: Term[] = [];
    for (const peer of peers ?? [null]) {
      if (peer !== null && peer.kind !== "endpoints") continue;
      for (const port of ports ?? []) {
        if (!isNamed(port)) continue;
        const { protocol, name } = port;
        for (const { port: number, unit } of this.#units.forNamedPort(peer?.selector ?? null, protocol, name)) {
          const ranges = [{ protocol, low: number, high: number }];
          terms.push(this.#term(expanded, expanded.terms.length + terms.length, ranges, [unit]));
        }
      }
    }
    return terms;
  }
}

/** While it is made. */
type Writable<Value> = { -readonly [Name in keyof Value]: Value[Name] };

const NO_TERMS: readonly Term[] = [];

/** What the ports of a rule mean without looking at its peers. */
function rangesOfRule({ ports, direction }: PolicyRule, { endpoints }: RuleOwners): PortRanges {
  if (ports === null || ports.every(isRange)) return ports as PortRanges;
  return ports.flatMap((port) => rangesOf(port, direction, endpoints));
}

function isRange(port: PortMatch): port is Extract<PortMatch, { kind: "range" }> {
  return port.kind === "range";
}

function isNamed(port: PortMatch): port is Extract<PortMatch, { kind: "named" }> {
  return port.kind === "named";
}

function dependsOnOwners(rule: PolicyRule): boolean {
  return asksForHost(rule) || (rule.direction === "ingress" && (rule.ports?.some(isNamed) ?? false));
}

function asksForHost({ peers }: PolicyRule): boolean {
  return peers?.some((peer) => peer.kind === "entity" && peer.entity === "host") ?? false;
}

/** What a port means without looking at the peer: on egress, names mean nothing yet. */
function rangesOf(port: PortMatch, direction: Direction, owners: readonly Endpoint[]): readonly PortRange[] {
  if (port.kind === "range") return [port];
  return direction === "ingress" ? portsNamed(owners, port.protocol, port.name) : [];
}

function portsNamed(owners: readonly Endpoint[], protocol: number, name: string): readonly PortRange[] {
  return owners
    .flatMap((owner) => owner.ports)
    .filter((named) => named.protocol === protocol && named.name === name)
    .map(({ port }) => ({ protocol, low: port, high: port }));
}
