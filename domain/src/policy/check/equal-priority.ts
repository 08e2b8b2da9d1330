/** Policies of one tier and priority that decide the same packets differently: nothing says which of them wins. */
import { ruleLabel } from "../decision.ts";
import type { Direction, Tier } from "../model.ts";
import { type Box, boxesOverlap, examplePort, intersectBoxes, subtractBoxes, weightOf } from "./boxes.ts";
import type { CheckContext } from "./context.ts";
import { RuleIndex } from "./coverage.ts";
import type { AskedRule, SubjectGroup } from "./subject-groups.ts";
import { describeExample, nameRule } from "./words.ts";

export const PRIORITY_TIERS: readonly Tier[] = ["admin", "baseline"];
const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];

/**
 * Reports each pair of policies once in each direction, with one packet that both decide. A pair that meets only at a
 * workload behind its host's address, one policy selecting the workload and one the host, is not looked for.
 */
export function checkEqualPriority(context: CheckContext): void {
  const told = new Set<string>();
  const { priorities } = context.memory ?? {};
  for (const group of context.groups) {
    // What a pair that is told already saves, would make the steps differ.
    const known = told.size === 0 ? priorities?.find(group) : undefined;
    const isKnown = known !== undefined && context.budget.spendAgain(known);
    const mayKeep = told.size === 0;
    const steps = isKnown ? known : context.stepsOfNothing(() => checkGroup(context, group, told));
    if (mayKeep && steps !== null) priorities?.keep(group, steps);
  }
}

function checkGroup(context: CheckContext, group: SubjectGroup, told: Set<string>): void {
  for (const tier of PRIORITY_TIERS) {
    if (!group.asksTier(tier)) continue;
    for (const direction of DIRECTIONS) {
      // Where NetworkPolicies isolate, the baseline is not asked.
      if (tier === "baseline" && group.isolating(direction).some(({ mode }) => mode === "enforce")) continue;
      checkTier(context, group, tier, direction, told);
    }
  }
}

function checkTier(
  context: CheckContext,
  group: SubjectGroup,
  tier: Tier,
  direction: Direction,
  told: Set<string>,
): void {
  const asked = group.asked(direction).filter(({ policy }) => policy.tier === tier);
  if (!asked.some(({ rule }) => rule.action !== asked[0]!.rule.action)) return;
  const index = new RuleIndex(asked);
  for (const [position, later] of asked.entries()) {
    for (const candidate of index.candidates(later.boxes)) {
      if (context.stop || !context.budget.spend(1)) return;
      const earlier = asked[candidate]!;
      if (candidate >= position || !mayConflict(earlier, later)) continue;
      const pair = `${earlier.policy.key}\n${later.policy.key}\n${direction}`;
      if (told.has(pair) || !context.budget.spend(weightOf(later.boxes))) continue;
      if (!boxesOverlap(earlier.boxes, later.boxes)) continue;
      const undefinedPart = undecidedOverlap(context, asked, earlier, later);
      const [example] = undefinedPart;
      if (!example) continue;
      told.add(pair);
      report(context, group, direction, { earlier, later, example });
    }
  }
}

function mayConflict(earlier: AskedRule, later: AskedRule): boolean {
  return (
    earlier.policy.priority === later.policy.priority &&
    earlier.policy !== later.policy &&
    earlier.policy.mode === later.policy.mode &&
    earlier.rule.action !== later.rule.action
  );
}

/** What both rules would decide: neither a policy of higher precedence nor an earlier rule of their own takes it away. */
function undecidedOverlap(
  context: CheckContext,
  asked: readonly AskedRule[],
  earlier: AskedRule,
  later: AskedRule,
): readonly Box[] {
  let rest = intersectBoxes(earlier.boxes, later.boxes);
  for (const other of asked) {
    if (rest.length === 0 || !context.budget.spend(weightOf(rest))) return [];
    const isBefore =
      other.policy.priority < later.policy.priority ||
      (other.policy === earlier.policy && other.rule.index < earlier.rule.index) ||
      (other.policy === later.policy && other.rule.index < later.rule.index);
    const counts = other.policy.mode === "enforce" || later.policy.mode === "observe";
    if (isBefore && counts && boxesOverlap(rest, other.boxes)) rest = subtractBoxes(rest, other.boxes);
  }
  return rest;
}

function report(
  context: CheckContext,
  group: SubjectGroup,
  direction: Direction,
  { earlier, later, example }: { earlier: AskedRule; later: AskedRule; example: Box },
): void {
  const remote = context.space.atoms.sample(example.addresses[0]!);
  const packet = describeExample(group.endpoints[0]!, direction, remote, examplePort(example.ports));
  const { policy, rule } = later;
  const says = { allow: "allows", deny: "denies", pass: "passes on" } as const;
  const message = `${ruleLabel(rule)} ${says[rule.action]} what ${nameRule(earlier.policy, earlier.rule)} ${says[earlier.rule.action]}, and both policies have priority ${policy.priority} in the ${policy.tier} tier, so nothing says which one wins. Example: ${packet}.`;
  context.sink.report("WL344", rule.source, message);
}
