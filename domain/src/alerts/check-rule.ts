/** What is wrong with a rule, with the place of each problem in it. */
import { SEVERITIES } from "../anomaly/finding.ts";
import type { AlertRule } from "./model.ts";

export interface RuleProblem {
  /** `["steps", 0, "receivers", 1]`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export const NAME_SYNTAX = /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/;
export const MOST_RULES = 200;
const MOST_STEPS = 10;
const MOST_STEP_RECEIVERS = 20;
const WEEK_SECONDS = 7 * 86_400;

export interface RuleContext {
  readonly receivers: ReadonlySet<string>;
  /** Why a flow query cannot be understood; `null` when it can. */
  readonly queryProblem: (query: string) => string | null;
  /** Why a host selector cannot be understood; `null` when it can. */
  readonly selectorProblem: (selector: string) => string | null;
}

export function ruleProblems(rule: AlertRule, context: RuleContext): RuleProblem[] {
  const problems: RuleProblem[] = [];
  const say = (path: RuleProblem["path"], message: string) => problems.push({ path, message });
  if (!NAME_SYNTAX.test(rule.name)) {
    say(["name"], "The name of a rule has letters, digits and `-` between them, up to 63 characters.");
  }
  if (rule.description.length > 500) say(["description"], "The description has more than 500 characters.");
  if (rule.severity !== null && !SEVERITIES.includes(rule.severity)) say(["severity"], "There is no such severity.");
  within(rule.forSeconds, 0, 86_400, ["for"], say);
  within(rule.groupWaitSeconds, 0, 3_600, ["groupWait"], say);
  within(rule.repeatSeconds, 60, WEEK_SECONDS, ["repeat"], say);
  if (rule.groupBy.length === 0) say(["groupBy"], "Alerts are grouped by one label at least.");
  sourceProblems(rule, context, say);
  if (rule.hostSelector !== "") {
    const problem = context.selectorProblem(rule.hostSelector);
    if (problem) say(["hosts"], problem);
    if (rule.source.kind === "cluster") say(["hosts"], "A rule on clusters selects no hosts.");
  }
  stepProblems(rule, context, say);
  return problems;
}

type Say = (path: RuleProblem["path"], message: string) => void;

function sourceProblems({ source, severity }: AlertRule, { queryProblem }: RuleContext, say: Say): void {
  if (source.kind !== "finding" && severity === null) say(["severity"], "A severity is missing.");
  if (source.kind !== "denies") return;
  const problem = queryProblem(source.query);
  if (problem) say(["denies", "query"], problem);
  within(source.threshold, 1, Number.MAX_SAFE_INTEGER, ["denies", "threshold"], say);
  within(source.windowSeconds, 10, 86_400, ["denies", "window"], say);
}

function stepProblems({ steps }: AlertRule, { receivers }: RuleContext, say: Say): void {
  if (steps.length > MOST_STEPS) say(["steps"], `There are more than ${MOST_STEPS} steps.`);
  let before = -1;
  for (const [index, step] of steps.entries()) {
    within(step.afterSeconds, 0, WEEK_SECONDS, ["steps", index, "after"], say);
    if (step.afterSeconds <= before) say(["steps", index, "after"], "Each step comes later than the one before it.");
    before = step.afterSeconds;
    if (step.receivers.length === 0) say(["steps", index, "receivers"], "The step tells nobody.");
    if (step.receivers.length > MOST_STEP_RECEIVERS) {
      say(["steps", index, "receivers"], `A step has more than ${MOST_STEP_RECEIVERS} receivers.`);
    }
    for (const [place, receiver] of step.receivers.entries()) {
      if (receivers.has(receiver)) continue;
      const known = [...receivers].sort().slice(0, 20).join(", ") || "none";
      say(
        ["steps", index, "receivers", place],
        `There is no receiver "${receiver.slice(0, 63)}" (there are: ${known}).`,
      );
    }
  }
}

function within(value: number, least: number, most: number, path: RuleProblem["path"], say: Say): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const range = most === Number.MAX_SAFE_INTEGER ? `${least} at least` : `from ${least} to ${most}`;
  say(path, `${value} is out of range: ${range}.`);
}
