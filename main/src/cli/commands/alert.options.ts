import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../input/duration.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface AlertListOptions extends CommonOptions {
  readonly all: boolean;
}

export interface AlertHistoryOptions extends CommonOptions {
  readonly limit: number;
}

export interface AlertSilenceOptions extends CommonOptions {
  readonly for: number;
  readonly reason: string;
  readonly dryRun: boolean;
}

export interface AlertReasonOptions extends CommonOptions {
  readonly reason: string;
}

export interface AlertBacktestOptions extends CommonOptions {
  readonly since: number;
  readonly file?: string;
}

export interface AlertApplyOptions extends CommonOptions {
  readonly check: boolean;
}

export interface AlertDeleteOptions extends CommonOptions {
  readonly delete?: string;
}

const SILENCE_HELP = `
Conditions are label=value with the labels rule, host, detector, severity, process and remote; all of them must be equal to
those of an alert. At least one is needed: nothing silences everything.

  wardline alert silence host=web-1 detector=beacon --for 4h --reason "load test" --dry-run`;

const APPLY_HELP = `
The file has receivers:, rules: and allowedUrls: (docs/alerts.md has all fields). Secrets never stand in it:

  receivers:
    - name: ops
      email: { server: mail.example.com, security: starttls, user: wardline, password: { env: SMTP_PASSWORD },
               from: wardline@example.com, to: [ops@example.com] }
  rules:
    - name: serious
      finding: { minSeverity: high }
      steps: [{ receivers: [ops] }]`;

const RUN_HELP = `
Evaluates rules and delivers for as long as it runs, also while no console is open: hosts are followed and kept connected. When a
console or another process delivers already it waits and takes over when that ends. assets/systemd has a unit for it.`;

export function addAlert(program: Command, runner: Runner): void {
  const alert = program.command("alert").description("who is told of what, and whether it arrived");
  const add = (name: string) => withSessionOptions(withFormat(alert.command(name)));
  add("list")
    .description("what fires now, worst first")
    .option("--all", "also what does not hold long enough yet, and what is silenced", false)
    .action((options: AlertListOptions) =>
      runner.run(options, async (output) => (await import("./alert.ts")).alertList(output, options)),
    );
  add("history")
    .description("past alerts and what was delivered, newest first")
    .option("--limit <number>", "how many, at most 500", parseLimit, 50)
    .action((options: AlertHistoryOptions) =>
      runner.run(options, async (output) => (await import("./alert.ts")).alertHistory(output, options)),
    );
  add("ack")
    .description("end reminders and escalation of an alert")
    .argument("<id>", "of the alert, or the beginning of it, as in `alert list`")
    .option("--reason <text>", "for the history", "")
    .action((id: string, options: AlertReasonOptions) =>
      runner.run(options, async (output) => (await import("./alert.ts")).alertAck(output, options, id)),
    );
  add("silence")
    .description("hold alerts back for a while; without conditions: list the silences")
    .argument("[condition...]", "label=value")
    .addOption(new Option("--for <time>", "how long: 30m, 4h, 7d").argParser(parseDuration).default(7_200_000, "2h"))
    .option("--reason <text>", "for others", "")
    .option("--dry-run", "only show what it would hold back", false)
    .addHelpText("after", SILENCE_HELP)
    .action((conditions: string[], options: AlertSilenceOptions) =>
      runner.run(options, async (output) =>
        (await import("./alert-silence.ts")).alertSilence(output, options, conditions),
      ),
    );
  add("unsilence")
    .description("end a silence now")
    .argument("<id>", "of the silence, or the beginning of it")
    .action((id: string, options: CommonOptions) =>
      runner.run(options, async (output) => (await import("./alert-silence.ts")).alertUnsilence(output, options, id)),
    );
  add("rules")
    .description("the rules")
    .option("--delete <name>", "remove this one")
    .action((options: AlertDeleteOptions) =>
      runner.run(options, async (output) => (await import("./alert-rules.ts")).alertRules(output, options)),
    );
  add("receivers")
    .description("who can be told, how it went last, and which URLs are allowed")
    .option("--delete <name>", "remove this one, with its secret")
    .action((options: AlertDeleteOptions) =>
      runner.run(options, async (output) => (await import("./alert-rules.ts")).alertReceivers(output, options)),
    );
  add("apply")
    .description("set rules and receivers from a file; what it does not name stays")
    .argument("<file>", "YAML")
    .option("--check", "only say what is wrong with it", false)
    .addHelpText("after", APPLY_HELP)
    .action((path: string, options: AlertApplyOptions) =>
      runner.run(options, async (output) => (await import("./alert-apply.ts")).alertApply(output, options, path)),
    );
  add("test")
    .description("send one message now, and say what came back")
    .argument("<receiver>", "name of the receiver")
    .action((name: string, options: CommonOptions) =>
      runner.run(options, async (output) => (await import("./alert-rules.ts")).alertTest(output, options, name)),
    );
  add("backtest")
    .description("when a rule would have fired over recorded history; with --file also as it is written there")
    .argument("<rule>", "name of the rule")
    .addOption(
      new Option("--since <time>", "how far back: 12h, 7d").argParser(parseDuration).default(604_800_000, "7d"),
    )
    .option("--file <path>", "a file of `alert apply` with another setting of the same rule, to compare")
    .action((name: string, options: AlertBacktestOptions) =>
      runner.run(options, async (output) => (await import("./alert-backtest.ts")).alertBacktest(output, options, name)),
    );
  add("run")
    .description("evaluate and deliver in the foreground, without a console (for a service)")
    .addHelpText("after", RUN_HELP)
    .action((options: CommonOptions) =>
      runner.run(options, async (output) => (await import("./alert-run.ts")).alertRun(output, options)),
    );
}

function parseLimit(text: string): number {
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= 500) return limit;
  throw new InvalidArgumentError(`"${text}" is not a number from 1 to 500.`);
}
