/** The rules of a group of subjects as the search for rules without effect asks about them, and what it keeps of them. */
import type { Action, Direction, PolicyRule } from "../model.ts";
import { RuleIndex } from "./coverage.ts";
import type { AskedRule, SubjectGroup } from "./subject-groups.ts";

/** The rules of one group in one direction, with what the checks ask about them again and again. */
export class AskedList {
  readonly group: SubjectGroup;
  readonly asked: readonly AskedRule[];
  readonly passes: readonly number[];
  /** By position: rules of which there was nothing to tell, kept at the first list that asks them. */
  readonly checked: (CheckedRule | undefined)[] = [];
  readonly #firstOfAction = new Map<Action, number>();
  #index: RuleIndex | null = null;
  #positions: ReadonlyMap<PolicyRule, number> | null = null;

  constructor(group: SubjectGroup, direction: Direction) {
    this.group = group;
    this.asked = group.asked(direction);
    const passes: number[] = [];
    for (const [position, { rule, policy }] of this.asked.entries()) {
      if (rule.action === "pass") passes.push(position);
      if (policy.mode === "enforce" && !this.#firstOfAction.has(rule.action)) {
        this.#firstOfAction.set(rule.action, position);
      }
    }
    this.passes = passes;
  }

  get index(): RuleIndex {
    this.#index ??= new RuleIndex(this.asked);
    return this.#index;
  }

  positionOf(rule: PolicyRule): number {
    this.#positions ??= new Map(this.asked.map((asked, position) => [asked.rule, position]));
    return this.#positions.get(rule)!;
  }

  /** Whether a rule with another action is asked before this position. */
  hasOpponentBefore(position: number): boolean {
    const own = this.asked[position]!.rule.action;
    return [...this.#firstOfAction].some(([action, first]) => action !== own && first < position);
  }
}

const listsByGroup = new WeakMap<SubjectGroup, Readonly<Record<Direction, AskedList>>>();

/** The lists of a group; a group that is kept from one check to the next keeps them too. */
export function askedLists(group: SubjectGroup): Readonly<Record<Direction, AskedList>> {
  let lists = listsByGroup.get(group);
  if (!lists) {
    lists = { ingress: new AskedList(group, "ingress"), egress: new AskedList(group, "egress") };
    listsByGroup.set(group, lists);
  }
  return lists;
}

/** A rule of which there was nothing to tell at these groups, and what that rests on. */
export interface CheckedRule {
  readonly groups: readonly SubjectGroup[];
  readonly steps: number;
  readonly noted: readonly NotedAnswer[];
}

export interface NotedAnswer {
  readonly rule: PolicyRule;
  readonly had: boolean;
}

/** A rule whose check rests on more answers than this is checked again each time. */
export const MAX_NOTED = 64;

/** Rules without effect; notes which of them a check has asked for. */
export class NotedRules {
  readonly #rules = new Set<PolicyRule>();
  #noted: NotedAnswer[] = [];
  #isNoting = false;

  add(rule: PolicyRule): void {
    this.#rules.add(rule);
  }

  startNoting(isNoting: boolean): void {
    this.#isNoting = isNoting;
    if (this.#noted.length > 0) this.#noted = [];
  }

  get noted(): readonly NotedAnswer[] {
    return this.#noted;
  }

  has(rule: PolicyRule): boolean {
    const had = this.#rules.has(rule);
    if (this.#isNoting && this.#noted.length <= MAX_NOTED) this.#noted.push({ rule, had });
    return had;
  }

  confirms(noted: readonly NotedAnswer[]): boolean {
    return noted.every(({ rule, had }) => this.#rules.has(rule) === had);
  }
}
