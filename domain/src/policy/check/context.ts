import type { Policy, SourceRange } from "../model.ts";
import type { EndpointIndex } from "./endpoint-index.ts";
import type { CheckMemory } from "./memory.ts";
import type { RuleSpace } from "./rule-space.ts";
import type { DiagnosticSink } from "./sink.ts";
import type { SourceTexts } from "./source-texts.ts";
import type { SubjectGroup } from "./subject-groups.ts";
import type { WorkBudget } from "./work-budget.ts";

interface ContextParts {
  /** In canonical order of their keys; expired ones left out where the time is known. */
  readonly policies: readonly Policy[];
  readonly index: EndpointIndex;
  readonly space: RuleSpace;
  readonly groups: readonly SubjectGroup[];
  readonly sink: DiagnosticSink;
  readonly texts: SourceTexts;
  readonly budget: WorkBudget;
  /** What the check before left; `null` for a check of its own. */
  readonly memory?: CheckMemory | null;
  /** Where a policy says whom it selects. */
  readonly subjectSources: ReadonlyMap<Policy, SourceRange>;
}

/** What the exact checks work on. */
export class CheckContext {
  readonly policies: readonly Policy[];
  readonly index: EndpointIndex;
  readonly space: RuleSpace;
  readonly groups: readonly SubjectGroup[];
  readonly sink: DiagnosticSink;
  readonly texts: SourceTexts;
  readonly budget: WorkBudget;
  readonly #subjectSources: ReadonlyMap<Policy, SourceRange>;
  readonly memory: CheckMemory | null;
  #groupsOf: ReadonlyMap<Policy, readonly SubjectGroup[]> | null = null;

  constructor(parts: ContextParts) {
    this.policies = parts.policies;
    this.index = parts.index;
    this.space = parts.space;
    this.groups = parts.groups;
    this.sink = parts.sink;
    this.texts = parts.texts;
    this.budget = parts.budget;
    this.#subjectSources = parts.subjectSources;
    this.memory = parts.memory ?? null;
  }

  /** True when more work would not be told: the list is full or the budget used up. */
  get stop(): boolean {
    return this.sink.full || this.budget.exhausted;
  }

  /** Does the work and returns the steps that it took; `null` when it found something or could not be finished. */
  stepsOfNothing(work: () => void): number | null {
    const reportsBefore = this.sink.reportCount;
    const leftBefore = this.budget.left;
    work();
    return this.stop || this.sink.reportCount > reportsBefore ? null : leftBefore - this.budget.left;
  }

  /** The groups that the policy selects. */
  groupsOf(policy: Policy): readonly SubjectGroup[] {
    this.#groupsOf ??= byPolicy(this.groups);
    return this.#groupsOf.get(policy) ?? [];
  }

  subjectSource(policy: Policy): SourceRange {
    return this.#subjectSources.get(policy) ?? policy.source;
  }
}

function byPolicy(all: readonly SubjectGroup[]): ReadonlyMap<Policy, readonly SubjectGroup[]> {
  const groupsOf = new Map<Policy, SubjectGroup[]>();
  for (const group of all) {
    for (const policy of group.policies) {
      const groups = groupsOf.get(policy);
      if (groups) groups.push(group);
      else groupsOf.set(policy, [group]);
    }
  }
  return groupsOf;
}
