/** The exact checks over all policies together, in bounded work. */
import type { PolicyWorld } from "../model.ts";
import { withoutExpired } from "../named-peers.ts";
import { CheckContext } from "./context.ts";
import { checkEffect, checkExpiry } from "./effect.ts";
import type { EndpointIndex } from "./endpoint-index.ts";
import { checkEqualPriority, PRIORITY_TIERS } from "./equal-priority.ts";
import type { CheckMemory } from "./memory.ts";
import { checkOneFamily } from "./one-family.ts";
import { RuleSpace } from "./rule-space.ts";
import { checkShadowing } from "./shadowing.ts";
import type { DiagnosticSink } from "./sink.ts";
import type { SourceTexts } from "./source-texts.ts";
import { groupSubjects } from "./subject-groups.ts";
import { WorkBudget } from "./work-budget.ts";
import type { CheckedPolicy } from "./world.ts";

export interface MeaningInput {
  readonly world: PolicyWorld;
  readonly policies: readonly CheckedPolicy[];
  readonly index: EndpointIndex;
  readonly sink: DiagnosticSink;
  readonly texts: SourceTexts;
  readonly nowUnixMs: number | null;
  readonly maxRuleComparisons: number;
  readonly errorsOnly?: boolean;
  readonly memory?: CheckMemory | null;
}

export function checkMeaning(input: MeaningInput): void {
  const { world, policies, index, sink, texts, nowUnixMs, errorsOnly = false } = input;
  // What is an error is between policies of a priority.
  if (errorsOnly && !world.policies.some(({ tier }) => PRIORITY_TIERS.includes(tier))) return;
  const current = nowUnixMs === null ? world : withoutExpired(world, nowUnixMs);
  const memory = input.memory ?? null;
  const space = memory?.spaceOf(current.policies, index) ?? new RuleSpace(current, index);
  const budget = new WorkBudget(input.maxRuleComparisons);
  const subjectSources = new Map(policies.map(({ policy, subjectSource }) => [policy, subjectSource]));
  const groups = groupSubjects(current.policies, index, space, memory);
  const context = new CheckContext({
    policies: current.policies,
    index,
    space,
    groups,
    sink,
    texts,
    budget,
    memory,
    subjectSources,
  });
  // Errors first: they are worth the budget most.
  checkEqualPriority(context);
  if (errorsOnly) return;
  if (nowUnixMs !== null) checkExpiry(context, world.policies, nowUnixMs);
  checkEffect(context);
  checkShadowing(context);
  checkOneFamily(context);
  const [first] = policies;
  if (first && budget.exhausted && !sink.full) {
    const message =
      "The policies are too many, or overlap too much, to compare every rule with every other; rules without effect and conflicts between policies may not all be listed.";
    sink.report("WL350", first.subjectSource, message);
  }
}
