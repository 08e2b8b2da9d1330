/** Decisions by number. The content of a rule's decision is made when it is asked for: most are only counted. */
import {
  type DecisionContent,
  isolatedDecision,
  mergeObserved,
  notIsolatedDecision,
  ruleDecision,
} from "../decision.ts";
import type { Direction, Policy, PolicyRule } from "../model.ts";
import type { Decision } from "../program.ts";
import { DECISION_DENIES, DECISION_OBSERVES_ONLY } from "../program-columns.ts";
import { withRoomForBytes } from "./growing.ts";
import type { Ends } from "./paint.ts";

/**
 * What a decision says of its policy. The policy itself would hold on to all of its rules, once for each version of it that a
 * decision comes from.
 */
export type PolicyHead = Pick<Policy, "key" | "tier">;

export class DecisionTable {
  readonly #contents: (DecisionContent | null)[] = [];
  /** Where the decision of a rule comes from. */
  readonly #policies: (PolicyHead | null)[] = [];
  readonly #rules: (PolicyRule | null)[] = [];
  #flags = new Uint8Array(64);
  /** As it was in the last program that was asked for its decisions. */
  readonly #placed: (Decision | undefined)[] = [];
  readonly #lastIsolated: Record<Direction, { isolating: readonly Policy[]; number: number } | null> = {
    ingress: null,
    egress: null,
  };
  readonly #numbers = new Map<string, number>();
  #lastHead: PolicyHead | null = null;

  /** A number of its own at each call: ask once for each rule. */
  addRule(policy: Policy, rule: PolicyRule): number {
    return this.#add(null, this.#headOf(policy), rule, rule.action === "allow" ? 0 : DECISION_DENIES);
  }

  /** The same object for all rules of a policy, which are added one after the other. */
  #headOf({ key, tier }: Policy): PolicyHead {
    if (this.#lastHead?.key !== key || this.#lastHead.tier !== tier) this.#lastHead = { key, tier };
    return this.#lastHead;
  }

  /** The number of a decision that comes from no rule alone. */
  addContent(content: DecisionContent): number {
    return this.#intern(content);
  }

  get count(): number {
    return this.#contents.length;
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

  /** What the decision comes from, when it is that of a rule. */
  originOf(number: number): { readonly policy: PolicyHead; readonly rule: PolicyRule } | null {
    const [policy, rule] = [this.#policies[number], this.#rules[number]];
    return policy && rule ? { policy, rule } : null;
  }

  /** {@link DECISION_DENIES} and {@link DECISION_OBSERVES_ONLY}, added up. */
  flagsOf(number: number): number {
    return this.#flags[number] ?? 0;
  }

  /** The decision at its place in a program; the same object as last time when it was at this place then. */
  placed(number: number, index: number): Decision {
    const before = this.#placed[number];
    if (before?.index === index) return before;
    const content = this.content(number);
    const { verdict, observeOnly, reason, tier, policyKeys, rule, source } = content;
    const decision: Decision = {
      index,
      get id() {
        return content.id;
      },
      verdict,
      observeOnly,
      reason,
      tier,
      policyKeys,
      rule,
      source,
    };
    this.#placed[number] = decision;
    return decision;
  }

  /** See {@link mergeObserved}. */
  merge(enforced: number, all: number): number {
    if (enforced === all) return enforced;
    const content = this.content(enforced);
    const merged = mergeObserved(content, this.content(all));
    return merged === content ? enforced : this.#intern(merged);
  }

  /**
   * By place too: policies that only moved in their file have the same id and other places; and by the tier and the name
   * of the rule, which is another one when a rule before it became a comment.
   */
  #intern(content: DecisionContent): number {
    const { file = "", line = 0, column = 0, endLine = 0, endColumn = 0 } = content.source ?? {};
    const key = `${content.id} ${line} ${column} ${endLine} ${endColumn} ${content.tier} ${content.rule ?? ""}\0${file}`;
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const flags =
      (content.verdict === "deny" ? DECISION_DENIES : 0) + (content.observeOnly ? DECISION_OBSERVES_ONLY : 0);
    const number = this.#add(content, null, null, flags);
    this.#numbers.set(key, number);
    return number;
  }

  #add(content: DecisionContent | null, policy: PolicyHead | null, rule: PolicyRule | null, flags: number): number {
    this.#policies.push(policy);
    this.#rules.push(rule);
    const number = this.#contents.push(content) - 1;
    this.#flags = withRoomForBytes(this.#flags, number + 1);
    this.#flags[number] = flags;
    return number;
  }
}
