/** Rules, and parts of rules, that never decide anything because others decide every packet that they match. */
import { ruleLabel } from "../decision.ts";
import type { Direction, Peer, PolicyRule, PortMatch, SourceRange } from "../model.ts";
import { type AskedList, askedLists, MAX_NOTED, NotedRules } from "./asked-list.ts";
import { type Box, boxesOverlap } from "./boxes.ts";
import type { CheckContext } from "./context.ts";
import { coversOf } from "./coverage.ts";
import { type AskedRule, areSameItems, type SubjectGroup } from "./subject-groups.ts";
import { removeItemFix } from "./text-fix.ts";
import { listNames, nameRule } from "./words.ts";

/** Each group is asked about ingress before egress; the last rule comes first here. */
const DIRECTIONS_REVERSED: readonly Direction[] = ["egress", "ingress"];

/** One rule at one group of subjects. */
interface Asking {
  readonly list: AskedList;
  readonly position: number;
}

/** Reports rules without any effect and entries of rules that an opposite rule takes away. */
export function checkShadowing(context: CheckContext): void {
  // From the last rule to the first, so that of two equal ones the later is told, and the other stays its reason.
  const withoutEffect = new NotedRules();
  for (const group of context.groups.toReversed()) {
    for (const direction of DIRECTIONS_REVERSED) {
      const list = askedLists(group)[direction];
      for (let position = list.asked.length - 1; position >= 0; position -= 1) {
        if (context.stop) return;
        const groups = context.groupsOf(list.asked[position]!.policy);
        // A rule has its turn where it is asked first.
        if (groups[0] === group) checkAgain(context, { list, position }, groups, withoutEffect);
      }
    }
  }
}

/** Checks a rule, without the work where there was nothing to tell and nothing of what that rests on has changed. */
function checkAgain(
  context: CheckContext,
  first: Asking,
  groups: readonly SubjectGroup[],
  withoutEffect: NotedRules,
): void {
  const { list, position } = first;
  const known = list.checked[position];
  const isStillSo = known !== undefined && areSameItems(known.groups, groups) && withoutEffect.confirms(known.noted);
  if (isStillSo && context.budget.spendAgain(known.steps)) return;
  const { rule } = ruleAt(first);
  if (context.space.hasUnknownPeers(rule)) return;
  const places = groups.map((group): Asking => {
    const at = askedLists(group)[rule.direction];
    return at === list ? first : { list: at, position: at.positionOf(rule) };
  });
  withoutEffect.startNoting(context.memory !== null);
  const steps = context.stepsOfNothing(() => checkRule(context, rule, places, withoutEffect));
  const { noted } = withoutEffect;
  const mayKeep = context.memory !== null && steps !== null && noted.length <= MAX_NOTED;
  list.checked[position] = mayKeep ? { groups, steps, noted } : undefined;
}

function checkRule(
  context: CheckContext,
  rule: PolicyRule,
  places: readonly Asking[],
  withoutEffect: NotedRules,
): void {
  const covers = coversEverywhere(context, places, withoutEffect, (asking) => ruleAt(asking).boxes);
  if (covers === null) checkEntries(context, rule, places);
  else if (covers.length > 0) {
    withoutEffect.add(rule);
    reportRule(context, rule, covers);
  }
}

function ruleAt({ list, position }: Asking): AskedRule {
  return list.asked[position]!;
}

/** The rules that decide all of it at all subjects; `null` when some packet is left at one of them. */
function coversEverywhere(
  context: CheckContext,
  places: readonly Asking[],
  withoutEffect: Pick<ReadonlySet<PolicyRule>, "has">,
  boxesOf: (asking: Asking) => readonly Box[],
): readonly AskedRule[] | null {
  const all = new Map<PolicyRule, AskedRule>();
  for (const asking of places) {
    const target = boxesOf(asking);
    if (target.length === 0) continue;
    const mayUse = usableCovers(asking, target, withoutEffect);
    const covers = coversOf(target, asking.list.asked, asking.list.index, mayUse, context.budget);
    if (covers === null) return null;
    for (const cover of covers) all.set(cover.rule, cover);
  }
  return [...all.values()];
}

/**
 * Which rules decide before this one: earlier ones of its tier and of the tiers before; in the additive tier every other
 * allow. A Pass hands over to the next tier, so after the first one that matches any of this, the earlier tier is not
 * counted on.
 */
function usableCovers(
  { list, position }: Asking,
  target: readonly Box[],
  withoutEffect: Pick<ReadonlySet<PolicyRule>, "has">,
): (position: number) => boolean {
  const { asked } = list;
  const { policy, rule } = asked[position]!;
  const observed = policy.mode === "observe";
  const firstPass =
    list.passes.find((at) => asked[at]!.policy.tier !== policy.tier && boxesOverlap(asked[at]!.boxes, target)) ??
    Number.POSITIVE_INFINITY;
  return (at) => {
    const other = asked[at]!;
    if (other.rule === rule || (other.policy.mode === "observe" && !observed)) return false;
    if (other.policy.tier !== policy.tier) return at < position && at < firstPass;
    if (policy.tier === "application") return !withoutEffect.has(other.rule);
    // Which of two policies of equal priority comes first is undefined; see WL344.
    const isFirst = other.policy === policy || other.policy.priority < policy.priority;
    return at < position && (isFirst || other.rule.action === rule.action);
  };
}

const DO = { allow: "allow", deny: "deny", pass: "pass on" } as const;
const DOES = { allow: "allows", deny: "denies", pass: "passes on" } as const;

function reportRule(context: CheckContext, rule: PolicyRule, covers: readonly AskedRule[]): void {
  const isOpposed = covers.some((cover) => cover.rule.action !== rule.action);
  const message = isOpposed
    ? `The rule ${ruleLabel(rule)} never takes effect: every packet that it matches is decided by ${namesOfRules(covers)}.`
    : `The rule ${ruleLabel(rule)} adds nothing: ${namesOfRules(covers)} already ${covers.length === 1 ? DOES[rule.action] : DO[rule.action]} all that it matches.`;
  context.sink.report(
    isOpposed ? "WL340" : "WL341",
    rule.source,
    message,
    removeItemFix(context.texts, "Remove the rule", rule.source),
  );
}

function namesOfRules(covers: readonly AskedRule[]): string {
  return listNames(covers.map(({ policy, rule }) => nameRule(policy, rule)));
}

/** A peer or port of the rule that rules with another action take away whole, while the rest of it is in use. */
function checkEntries(context: CheckContext, rule: PolicyRule, places: readonly Asking[]): void {
  if (!places.some(({ list, position }) => list.hasOpponentBefore(position))) return;
  for (const part of partsOf(rule)) {
    if (context.stop) return;
    const covers = coversEverywhere(context, places, NONE, ({ list }) =>
      context.space.boxesOf(part.rule, list.group.endpoints[0]!),
    );
    if (covers === null || covers.length === 0) continue;
    if (covers.some((cover) => cover.rule.action === rule.action)) continue;
    const message = `This ${part.what} of ${ruleLabel(rule)} never takes effect: every packet of it is decided by ${namesOfRules(covers)}.`;
    const fix = removeItemFix(context.texts, `Remove the ${part.what}`, part.source);
    context.sink.report("WL342", part.source, message, fix);
  }
}

const NONE: ReadonlySet<PolicyRule> = new Set();

interface RulePart {
  readonly what: "peer" | "port";
  readonly rule: PolicyRule;
  readonly source: SourceRange;
}

function partsOf(rule: PolicyRule): readonly RulePart[] {
  const { peers, ports } = rule;
  const one = <Entry extends Peer | PortMatch>(entries: readonly Entry[] | null): readonly Entry[] =>
    entries !== null && entries.length > 1 ? entries : [];
  return [
    ...one(peers).map((peer): RulePart => ({ what: "peer", rule: { ...rule, peers: [peer] }, source: peer.source })),
    ...one(ports).map((port): RulePart => ({ what: "port", rule: { ...rule, ports: [port] }, source: port.source })),
  ];
}
