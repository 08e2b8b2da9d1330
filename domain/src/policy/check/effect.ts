/** Policies that have no effect as a whole: never asked, over, or observed without a difference to tell. */
import type { Direction, Policy } from "../model.ts";
import { weightOf } from "./boxes.ts";
import type { CheckContext } from "./context.ts";
import { decideBoxes } from "./decide-boxes.ts";
import type { SubjectGroup } from "./subject-groups.ts";
import { wordRange } from "./text-fix.ts";
import { listNames, namePolicy, namesOf } from "./words.ts";

const DIRECTIONS: readonly Direction[] = ["ingress", "egress"];
const SOON_MS = 7 * 86_400_000;
const HOUR_MS = 3_600_000;

export function checkEffect(context: CheckContext): void {
  for (const policy of context.policies) {
    if (context.stop) return;
    if (policy.tier === "baseline") checkBaseline(context, policy);
    if (policy.mode === "observe") checkObservedOnce(context, policy);
  }
}

function isEnforced(policy: Policy): boolean {
  return policy.mode === "enforce";
}

/** A baseline policy whose subjects are all isolated, in every direction that it has rules for, is never asked. */
function checkBaseline(context: CheckContext, policy: Policy): void {
  const groups = context.groupsOf(policy);
  const directions = DIRECTIONS.filter((direction) => policy.rules.some((rule) => rule.direction === direction));
  if (groups.length === 0 || directions.length === 0) return;
  const reasons = new Set<Policy>();
  for (const group of groups) {
    for (const direction of directions) {
      const isolating = group.isolating(direction).find(isEnforced);
      if (!isolating) return;
      reasons.add(isolating);
    }
  }
  const why = listNames([...reasons].map(namePolicy));
  const message = `No rule of ${policy.key} is ever asked: ${why} ${reasons.size === 1 ? "isolates" : "isolate"} all that it selects (${namesOf(groups.flatMap(({ endpoints }) => endpoints))}), and the baseline is only asked where nothing isolates.`;
  context.sink.report("WL345", context.subjectSource(policy), message);
}

/** The same as `checkObserved`, without the work where it found nothing to tell about the same groups before. */
function checkObservedOnce(context: CheckContext, policy: Policy): void {
  const { observed } = context.memory ?? {};
  const groups = context.groupsOf(policy);
  const known = observed?.find(policy);
  const isKnown =
    known !== undefined &&
    known.groups.length === groups.length &&
    known.groups.every((group, position) => group === groups[position]) &&
    context.budget.spendAgain(known.steps);
  const steps = isKnown ? known.steps : context.stepsOfNothing(() => checkObserved(context, policy));
  if (steps !== null) observed?.keep(policy, { groups, steps });
}

/** Whether what happens with the policy is what happens without it, for every packet. */
function checkObserved(context: CheckContext, policy: Policy): void {
  const groups = context.groupsOf(policy);
  if (groups.length === 0 || policy.rules.some((rule) => context.space.hasUnknownPeers(rule))) return;
  for (const group of groups) {
    for (const direction of DIRECTIONS) if (changesAnything(context, policy, group, direction)) return;
  }
  const message = `${policy.key} is in observe mode and would change nothing: the enforced policies already decide every packet of its subjects the same way.`;
  context.sink.report("WL348", context.subjectSource(policy), message);
}

function changesAnything(context: CheckContext, policy: Policy, group: SubjectGroup, direction: Direction): boolean {
  const isolatesAnew =
    policy.tier === "application" && policy.isolates[direction] && !group.isolating(direction).some(isEnforced);
  if (isolatesAnew) return true;
  return group.asked(direction).some(({ policy: owner, rule, boxes }) => {
    if (owner !== policy) return false;
    if (rule.action === "pass" || !context.budget.spend(group.asked(direction).length * weightOf(boxes))) return true;
    const parts = decideBoxes(group, direction, boxes, isEnforced);
    return parts === null || parts.some(({ verdict }) => verdict !== rule.action);
  });
}

/** The next moment after the given one at which something else is to be told about a policy that expires; `null` = none. */
export function nextExpiryNoticeUnixMs(policies: readonly Policy[], nowUnixMs: number): number | null {
  let next: number | null = null;
  for (const { expiresAtUnixMs } of policies) {
    if (expiresAtUnixMs === null) continue;
    for (const moment of [expiresAtUnixMs - SOON_MS, expiresAtUnixMs]) {
      if (moment > nowUnixMs && (next === null || moment < next)) next = moment;
    }
  }
  return next;
}

/** Policies that are over, or soon will be, at the given moment. */
export function checkExpiry(context: CheckContext, policies: readonly Policy[], nowUnixMs: number): void {
  for (const policy of policies) {
    const { expiresAtUnixMs } = policy;
    if (expiresAtUnixMs === null) continue;
    const place = wordRange(context.texts, policy.source, "expires") ?? context.subjectSource(policy);
    const when = new Date(expiresAtUnixMs).toISOString();
    const leftMs = expiresAtUnixMs - nowUnixMs;
    if (leftMs <= 0) {
      context.sink.report("WL346", place, `${policy.key} expired at ${when}, so it has no effect.`);
    } else if (leftMs <= SOON_MS) {
      const hours = Math.floor(leftMs / HOUR_MS);
      const left = hours >= 48 ? `${Math.floor(hours / 24)} days` : hours >= 2 ? `${hours} hours` : "two hours";
      const message = `${policy.key} expires at ${when}, in ${hours >= 2 ? left : `less than ${left}`}; then it has no effect.`;
      context.sink.report("WL347", place, message);
    }
  }
}
