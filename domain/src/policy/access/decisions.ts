/** Decisions by number; what a rule's decision says is made when it is asked for, as most rules decide nothing. */
import type { BuiltinName } from "../builtin.ts";
import {
  builtinDecisionContent,
  type DecisionContent,
  enforcedVerdict,
  isolatedDecision,
  mergeObserved,
  notIsolatedDecision,
  ruleDecision,
} from "../decision.ts";
import type { Direction, Policy, PolicyRule } from "../model.ts";

export class DecisionBook {
  readonly #contents: (DecisionContent | (() => DecisionContent))[] = [];
  readonly #byId = new Map<string, number>();
  readonly #ofRule = new Map<PolicyRule, number>();
  readonly #ofIsolating = new Map<string, number>();
  readonly #merged = new Map<string, number>();
  readonly #allows: boolean[] = [];
  readonly #builtins = new Set<number>();

  ofRule(policy: Policy, rule: PolicyRule): number {
    let number = this.#ofRule.get(rule);
    if (number === undefined) {
      number = this.#contents.push(() => ruleDecision(policy, rule)) - 1;
      this.#allows.push(rule.action === "allow");
      this.#ofRule.set(rule, number);
    }
    return number;
  }

  isolated(policies: readonly Policy[], direction: Direction): number {
    const key = `${direction} ${policies.map((policy) => policy.key).join("\n")}`;
    let number = this.#ofIsolating.get(key);
    if (number === undefined) {
      number = this.#contents.push(() => isolatedDecision(policies, direction)) - 1;
      this.#allows.push(false);
      this.#ofIsolating.set(key, number);
    }
    return number;
  }

  notIsolated(direction: Direction): number {
    return this.#intern(notIsolatedDecision(direction));
  }

  builtin(name: BuiltinName): number {
    const number = this.#intern(builtinDecisionContent(name));
    this.#builtins.add(number);
    return number;
  }

  /** See {@link mergeObserved}. */
  merge(enforced: number, all: number): number {
    if (enforced === all || !this.allows(enforced)) return enforced;
    const key = `${enforced} ${all}`;
    const known = this.#merged.get(key);
    if (known !== undefined) return known;
    const content = this.content(enforced);
    const joined = mergeObserved(content, this.content(all));
    const number = joined === content ? enforced : this.#intern(joined);
    this.#merged.set(key, number);
    return number;
  }

  content(number: number): DecisionContent {
    const known = this.#contents[number];
    if (!known) throw new Error(`there is no decision ${number}`);
    if (typeof known !== "function") return known;
    const content = known();
    this.#contents[number] = content;
    return content;
  }

  /** What happens to the packet: an observed denial allows. */
  allows(number: number): boolean {
    return this.#allows[number] ?? false;
  }

  isBuiltin(number: number): boolean {
    return this.#builtins.has(number);
  }

  #intern(content: DecisionContent): number {
    const known = this.#byId.get(content.id);
    if (known !== undefined) return known;
    const number = this.#contents.push(content) - 1;
    this.#allows.push(enforcedVerdict(content) === "allow");
    this.#byId.set(content.id, number);
    return number;
  }
}
