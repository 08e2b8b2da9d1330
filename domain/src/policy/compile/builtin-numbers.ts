/** The builtins at their fixed places in every program, and reserved places between them and the rules. */
import { builtinDecisionContent, type DecisionContent, decisionId } from "../decision.ts";
import { BUILTIN_DECISIONS, FIRST_RULE_DECISION } from "../program.ts";
import type { DecisionTable } from "./decision-table.ts";

/** By index: their numbers in a decision table. */
export type BuiltinNumbers = readonly number[];

export function addBuiltins(decisions: DecisionTable): BuiltinNumbers {
  return BUILTINS.map((content) => decisions.addContent(content));
}

const BUILTINS: readonly DecisionContent[] = builtinContents();

function builtinContents(): readonly DecisionContent[] {
  const names = Object.keys(BUILTIN_DECISIONS) as (keyof typeof BUILTIN_DECISIONS)[];
  const byIndex = new Map(names.map((name) => [BUILTIN_DECISIONS[name].index as number, builtinDecisionContent(name)]));
  return Array.from(
    { length: FIRST_RULE_DECISION },
    (_, index) =>
      byIndex.get(index) ?? { ...builtinDecisionContent("malformed"), id: decisionId(["reserved", String(index)]) },
  );
}
