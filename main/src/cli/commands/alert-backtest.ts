/** `wardline alert backtest`. */
import { toJson } from "@bufbuild/protobuf";
import * as api from "@wardline/api/wardline/console/v1/alerts";
import { timestampOf } from "@wardline/domain/wire";
import { toWireRule } from "../../backend/alerts/alert-wire.ts";
import { EXIT, type ExitCode, UsageError } from "../exit-code.ts";
import type { Output } from "../output.ts";
import { withSession } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import type { AlertBacktestOptions } from "./alert.options.ts";
import { readAlertFile } from "./alert-file.ts";
import { alertTable } from "./alert-view.ts";

const MOST_LISTED = 50;

export async function alertBacktest(output: Output, options: AlertBacktestOptions, name: string): Promise<ExitCode> {
  const otherRule = options.file === undefined ? null : ruleOfFile(options.file, name);
  return withSession(options, {}, async ({ backend, alerts }) => {
    const kept = backend.alerts.board.board().rules.find((rule) => rule.name === name);
    const rules = [kept, otherRule ?? undefined].filter((rule) => rule !== undefined);
    const [rule, other] = rules;
    if (!rule) throw new UsageError(`There is no rule "${name.slice(0, 63)}".`, "`wardline alert rules` lists them.");
    const until = timestampOf(Date.now());
    const since = timestampOf(Date.now() - options.since);
    const request = { rule, since, until, ...(other ? { otherRule: other } : {}) };
    let last: api.BacktestRuleResponse | null = null;
    for await (const answer of alerts.backtestRule(request)) last = answer;
    if (!last) throw new Error("the backtest ended without a result");
    if (output.format === "json") output.json(toJson(api.BacktestRuleResponseSchema, last));
    else {
      if (last.run) tell(output, kept ? "As it is" : "As in the file", last.run);
      if (last.otherRun) tell(output, "As in the file", last.otherRun);
      for (const gap of last.gaps) output.note(visible(gap));
    }
    return EXIT.done;
  });
}

function tell(output: Output, title: string, { count, alerts }: api.RuleRun): void {
  output.text(`${title} it would have fired ${count.toLocaleString("en")} times.\n`);
  if (alerts.length > 0) output.text(alertTable(output, alerts.slice(0, MOST_LISTED)));
  if (Number(count) > MOST_LISTED) output.note(`The first ${MOST_LISTED} are listed.`);
}

function ruleOfFile(path: string, name: string): api.AlertRule {
  const { configuration, problems } = readAlertFile(path);
  const [problem] = problems;
  if (problem) throw new UsageError(`${path}:${problem.line}:${problem.column}: ${problem.message}`);
  const rule = configuration.rules.find((each) => each.name === name);
  if (!rule) throw new UsageError(`${path} has no rule "${name.slice(0, 63)}".`);
  return toWireRule(rule);
}
