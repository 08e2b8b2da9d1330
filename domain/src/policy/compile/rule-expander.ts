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
  readonly ports: PortRanges;
  readonly units: readonly number[];
}

export interface ExpandedRule {
  readonly tier: Tier;
  readonly action: Action;
  /** Number of the decision table; -1 for `pass`. */
  readonly decision: number;
  readonly terms: readonly Term[];
}

/** Whose rules they are: what port names and the entity `host` mean depends on it. */
export interface RuleOwners {
  /** The endpoints that the policy selects on this side. */
  readonly endpoints: readonly Endpoint[];
  readonly hostName: string | null;
}

/** The rules of one policy for one direction. */
export interface PolicyRules {
  readonly tier: Tier;
  readonly direction: Direction;
  readonly rules: readonly PolicyRule[];
  /** Numbers of their decisions; -1 for `pass`. */
  readonly decisions: readonly number[];
  /** Whether they can mean something else for other owners. */
  readonly dependsOnOwners: boolean;
  /** By variant. */
  readonly expanded: Map<string, readonly ExpandedRule[]>;
}

/** Expands each policy once, or once for each meaning that its owners give to it. */
export class RuleExpander {
  readonly #units: UnitTable;
  readonly #decisions: DecisionTable;
  readonly #known: Record<Direction, Map<Policy, PolicyRules>> = { ingress: new Map(), egress: new Map() };
  #termCount = 0;

  constructor(units: UnitTable, decisions: DecisionTable) {
    this.#units = units;
    this.#decisions = decisions;
  }

  /** The same object for the same policy. */
  rulesOf(policy: Policy, direction: Direction): PolicyRules {
    const known = this.#known[direction].get(policy);
    if (known) return known;
    const own = policy.rules.filter((rule) => rule.direction === direction);
    const rules: PolicyRules = {
      tier: policy.tier,
      direction,
      rules: own,
      decisions: own.map((rule) => (rule.action === "pass" ? -1 : this.#decisions.addRule(policy, rule))),
      dependsOnOwners: own.some(
        (rule) => asksForHost(rule) || (direction === "ingress" && (rule.ports?.some(isNamed) ?? false)),
      ),
      expanded: new Map(),
    };
    this.#known[direction].set(policy, rules);
    return rules;
  }

  /** Goes on with `next` instead of `old`, a policy of the same key: the rules of a direction that are the same are kept. */
  replace(old: Policy, next: Policy): void {
    for (const direction of ["ingress", "egress"] as const) {
      const known = this.#known[direction].get(old);
      if (!known) continue;
      this.#known[direction].delete(old);
      const own = next.rules.filter((rule) => rule.direction === direction);
      const isSame = old.tier === next.tier && isSameList(own, known.rules);
      if (isSame) this.#known[direction].set(next, known);
    }
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
      const { tier, rules, decisions } = own;
      known = rules.map((rule, index) => {
        return { tier, action: rule.action, decision: decisions[index] ?? -1, terms: this.#termsOf(rule, owners) };
      });
      own.expanded.set(variant, known);
    }
    return known;
  }

  #termsOf(rule: PolicyRule, { endpoints, hostName }: RuleOwners): readonly Term[] {
    const peers: readonly (Peer | null)[] = rule.peers ?? [null];
    const terms: Term[] = [];
    const add = (ports: PortRanges, units: readonly number[]): void => {
      terms.push({ id: this.#termCount++, ports, units });
    };
    // One term for all peers, so that an address that several of them match is still one case.
    const ranges = rule.ports?.flatMap((port) => rangesOf(port, rule.direction, endpoints)) ?? null;
    if (ranges === null || ranges.length > 0) {
      const units = peers.map((peer) => (peer === null ? ANY_ADDRESS : this.#units.forPeer(peer, hostName)));
      add(ranges, units.length > 1 ? [...new Set(units)] : units);
    }
    if (rule.direction === "ingress") return terms;
    for (const peer of peers) {
      if (peer !== null && peer.kind !== "endpoints") continue;
      for (const port of rule.ports ?? []) {
        if (!isNamed(port)) continue;
        const { protocol, name } = port;
        for (const { port: number, unit } of this.#units.forNamedPort(peer?.selector ?? null, protocol, name)) {
          add([{ protocol, low: number, high: number }], [unit]);
        }
      }
    }
    return terms;
  }
}

function isNamed(port: PortMatch): port is Extract<PortMatch, { kind: "named" }> {
  return port.kind === "named";
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
