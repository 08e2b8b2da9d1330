/** A view: everything one subject is asked about in one direction, ready to be matched against address signatures. */
import type { Direction, Endpoint, Peer, Policy, PortMatch } from "../model.ts";
import type { PortRange, PortRanges } from "./cells.ts";
import type { ClassTable, DecisionTable, MatchedPlan } from "./class-table.ts";
import type { MatchedRule } from "./paint.ts";
import type { Plan, PlanRule, SubjectPlan } from "./plan.ts";
import { ANY_ADDRESS, type UnitTable } from "./units.ts";

/** A rule matches an address that is in `unit`, for these ports. */
interface Term {
  readonly unit: number;
  readonly ports: PortRanges;
}

/** Terms by rule, each rule expanded once for the ports that names stand for at its owners. */
export class RuleExpander {
  readonly #units: UnitTable;
  readonly #known = new Map<string, readonly Term[]>();
  readonly #numbers = new Map<object, number>();

  constructor(units: UnitTable) {
    this.#units = units;
  }

  /** Equal keys = equal terms and equal decision. */
  key({ rule, owners }: PlanRule): string {
    const named = rule.direction === "ingress" && (rule.ports?.some((port) => port.kind === "named") ?? false);
    return `${this.numberOf(rule)}${named ? `/${owners.map((owner) => owner.key).join("/")}` : ""}`;
  }

  numberOf(value: object): number {
    let number = this.#numbers.get(value);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(value, number);
    }
    return number;
  }

  terms(planned: PlanRule): readonly Term[] {
    const key = this.key(planned);
    let terms = this.#known.get(key);
    if (!terms) {
      terms = expandRule(planned, this.#units);
      this.#known.set(key, terms);
    }
    return terms;
  }
}

function expandRule({ rule, owners }: PlanRule, units: UnitTable): readonly Term[] {
  const peers: readonly (Peer | null)[] = rule.peers ?? [null];
  // One list for all peers, so that an address that several of them match is still one case.
  const ranges = rule.ports === null ? null : rule.ports.flatMap((port) => rangesOf(port, rule.direction, owners));
  return peers.flatMap((peer) => {
    const unit = peer === null ? ANY_ADDRESS : units.forPeer(peer);
    const terms: Term[] = ranges === null || ranges.length > 0 ? [{ unit, ports: ranges }] : [];
    for (const port of rule.ports ?? []) {
      if (port.kind !== "named" || rule.direction === "ingress") continue;
      if (peer !== null && peer.kind !== "endpoints") continue;
      const { protocol, name } = port;
      for (const named of units.forNamedPort(peer?.selector ?? null, protocol, name)) {
        terms.push({ unit: named.unit, ports: [{ protocol, low: named.port, high: named.port }] });
      }
    }
    return terms;
  });
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

interface ViewTerm {
  readonly position: number;
  readonly ports: PortRanges;
  /** Number of `ports` by identity, to compare lists of matched terms. */
  readonly portsNumber: number;
}

/** One plan with its terms by unit. */
class ViewPlan {
  readonly #rules: readonly Omit<MatchedRule, "ports">[];
  readonly #ends: MatchedPlan["ends"];
  readonly #byUnit = new Map<number, ViewTerm[]>();

  constructor(plan: Plan, expander: RuleExpander, decisions: DecisionTable) {
    this.#rules = plan.rules.map(({ policy, rule }) => ({
      tier: policy.tier,
      action: rule.action,
      decision: rule.action === "pass" ? -1 : decisions.forRule(policy, rule),
    }));
    this.#ends = decisions.ends(plan.isolating, plan.direction);
    for (const [position, planned] of plan.rules.entries()) {
      for (const { unit, ports } of expander.terms(planned)) {
        const terms = this.#byUnit.get(unit) ?? [];
        this.#byUnit.set(unit, terms);
        terms.push({ position, ports, portsNumber: ports === null ? -1 : expander.numberOf(ports) });
      }
    }
  }

  has(unit: number): boolean {
    return this.#byUnit.has(unit);
  }

  /** Terms that match addresses in these units, in order of their rules. */
  matchedTerms(units: readonly number[]): readonly ViewTerm[] {
    const found = [ANY_ADDRESS, ...units].flatMap((unit) => this.#byUnit.get(unit) ?? []);
    found.sort((left, right) => left.position - right.position || left.portsNumber - right.portsNumber);
    return found.filter((term, index) => {
      const previous = found[index - 1];
      return term.position !== previous?.position || term.portsNumber !== previous.portsNumber;
    });
  }

  matchedPlan(terms: readonly ViewTerm[]): MatchedPlan {
    const rules: (Omit<MatchedRule, "ports"> & { ports: PortRanges[] })[] = [];
    let position = -1;
    for (const term of terms) {
      const rule = this.#rules[term.position];
      if (!rule) throw new Error("a term belongs to a rule of its plan");
      if (term.position === position) rules.at(-1)?.ports.push(term.ports);
      else rules.push({ ...rule, ports: [term.ports] });
      position = term.position;
    }
    return { rules, ends: this.#ends };
  }
}

export class View {
  readonly #enforced: ViewPlan;
  readonly #all: ViewPlan | null;
  readonly #classes: ClassTable;
  /** Two levels, as many addresses differ only in units that this view does not ask for. */
  readonly #byUnits = new Map<string, number>();
  readonly #byTerms = new Map<string, number>();

  constructor(plan: SubjectPlan, expander: RuleExpander, decisions: DecisionTable, classes: ClassTable) {
    this.#enforced = new ViewPlan(plan.enforced, expander, decisions);
    this.#all = plan.all === null ? null : new ViewPlan(plan.all, expander, decisions);
    this.#classes = classes;
  }

  /** Class of the addresses with this signature. */
  classOf(signature: readonly number[]): number {
    const units = signature.filter((unit) => this.#enforced.has(unit) || this.#all?.has(unit));
    const key = units.join();
    let classId = this.#byUnits.get(key);
    if (classId === undefined) {
      classId = this.#classOfUnits(units);
      this.#byUnits.set(key, classId);
    }
    return classId;
  }

  #classOfUnits(units: readonly number[]): number {
    const enforced = this.#enforced.matchedTerms(units);
    const all = this.#all?.matchedTerms(units) ?? null;
    const key = `${termsKey(enforced)}|${all === null ? "" : termsKey(all)}`;
    const known = this.#byTerms.get(key);
    if (known !== undefined) return known;
    const allPlan = this.#all !== null && all !== null ? this.#all.matchedPlan(all) : null;
    const classId = this.#classes.classOf(this.#enforced.matchedPlan(enforced), allPlan);
    this.#byTerms.set(key, classId);
    return classId;
  }
}

function termsKey(terms: readonly ViewTerm[]): string {
  let key = "";
  for (const { position, portsNumber } of terms) key += `${position}:${portsNumber},`;
  return key;
}

/** Equal keys = subjects that are asked the same in this direction, which then share one view. */
export function planKey(plan: SubjectPlan, expander: RuleExpander): string {
  const text = (one: Plan): string =>
    `${one.direction} ${one.rules.map((rule) => expander.key(rule)).join()} ${policyNumbers(one.isolating, expander)}`;
  return `${text(plan.enforced)}|${plan.all === null ? "" : text(plan.all)}`;
}

function policyNumbers(policies: readonly Policy[], expander: RuleExpander): string {
  return policies.map((policy) => expander.numberOf(policy)).join();
}
