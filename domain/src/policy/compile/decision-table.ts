/** Decisions by number. The content of a rule's decision is made when it is asked for: most rules decide nothing. */
import {
  type DecisionContent,
  isolatedDecision,
  mergeObserved,
  notIsolatedDecision,
  ruleDecision,
} from "../decision.ts";
import type { Direction, Policy, PolicyRule } from "../model.ts";
import type { Ends } from "./paint.ts";

export class DecisionTable {
  readonly #contents: (DecisionContent | null)[] = [];
  /** Where a decision that nobody asked for yet comes from. */
  readonly #policies: (Policy | null)[] = [];
  readonly #rules: (PolicyRule | null)[] = [];
  readonly #lastIsolated: Record<Direction, { isolating: readonly Policy[]; number: number } | null> = {
    ingress: null,
    egress: null,
  };
  readonly #numbers = new Map<string, number>();

  /** A number of its own at each call: ask once for each rule. */
  addRule(policy: Policy, rule: PolicyRule): number {
    return this.#add(null, policy, rule);
  }

  ends(isolating: readonly Policy[], direction: Direction): Ends {
    return {
      isolated: isolating.length > 0 ? this.#isolated(isolating, direction) : null,
      notIsolated: this.#intern(notIsolatedDecision(direction)),
    };
  }

  /** The last answer is kept: a change of one policy rarely changes who isolates, and digesting many keys takes long. */
  #isolated(isolating: readonly Policy[], direction: Direction): number {
    const last = this.#lastIsolated[direction];
    const isSame =
      last !== null &&
      last.isolating.length === isolating.length &&
      last.isolating[0]?.source === isolating[0]?.source &&
      isolating.every(({ key }, index) => key === last.isolating[index]?.key);
    if (isSame) return last.number;
    const number = this.#intern(isolatedDecision(isolating, direction));
    this.#lastIsolated[direction] = { isolating, number };
    return number;
  }

  content(number: number): DecisionContent {
    const known = this.#contents[number];
    if (known) return known;
    const [policy, rule] = [this.#policies[number], this.#rules[number]];
    if (!policy || !rule) throw new Error(`there is no decision ${number}`);
    const content = ruleDecision(policy, rule);
    this.#contents[number] = content;
    return content;
  }

  /** See {@link mergeObserved}. */
  merge(enforced: number, all: number): number {
    if (enforced === all) return enforced;
    const content = this.content(enforced);
    const merged = mergeObserved(content, this.content(all));
    return merged === content ? enforced : this.#intern(merged);
  }

  /** By place too: policies that only moved in their file have the same id and other places. */
  #intern(content: DecisionContent): number {
    const { file = "", line = 0, column = 0 } = content.source ?? {};
    const key = `${content.id} ${line} ${column} ${file}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#add(content, null, null);
    this.#numbers.set(key, number);
    return number;
  }

  #add(content: DecisionContent | null, policy: Policy | null, rule: PolicyRule | null): number {
    this.#policies.push(policy);
    this.#rules.push(rule);
    return this.#contents.push(content) - 1;
  }
}
