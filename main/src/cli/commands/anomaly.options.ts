/** `wardline anomaly …`: what is not normal on the hosts, and what people say of it. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { parseDuration } from "../input/duration.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface AnomalyOptions extends CommonOptions {
  readonly host?: string;
}

export interface AnomalyListOptions extends AnomalyOptions {
  readonly detector: readonly string[];
  readonly severity: string;
  readonly since?: number;
  readonly text: string;
  readonly limit: number;
  readonly open: boolean;
}

export interface AnomalyShowOptions extends AnomalyOptions {
  readonly policy: boolean;
}

export interface AnomalyFeedbackOptions extends AnomalyOptions {
  readonly reason: string;
}

export interface AnomalyTrainOptions extends AnomalyOptions {
  readonly days: number;
  readonly leaveOutFindings: boolean;
}

export interface AnomalySettingsOptions extends AnomalyOptions {
  readonly falseAlarms?: number;
  readonly learningHours?: number;
  readonly disable: readonly string[];
  readonly enable: readonly string[];
}

export interface AnomalyBacktestOptions extends AnomalyOptions {
  readonly since: number;
  readonly until: number;
  readonly warmUp?: number;
  readonly falseAlarms?: number;
  readonly learningHours?: number;
  readonly disable: readonly string[];
  readonly compareFalseAlarms?: number;
  readonly compareDisable: readonly string[];
}

export const DETECTOR_WORDS = [
  ...["baseline", "isolation-forest", "port-scan", "host-scan", "beacon", "exfiltration", "lateral-movement"],
  ...["deny-burst", "brute-force", "novelty"],
];
export const SEVERITY_WORDS = ["low", "medium", "high", "critical"];

const BACKTEST_HELP = `
Runs the detectors over the history of this console as they would have run on the hosts, after letting them learn from the
time before. Nothing on any host changes. With --compare-false-alarms or --compare-disable two settings are compared.`;

export function addAnomaly(program: Command, runner: Runner): void {
  const anomaly = program
    .command("anomaly")
    .description("what is not normal on the hosts, why, and what was said of it");
  addReading(anomaly, runner);
  addChanging(anomaly, runner);
  addBacktest(anomaly, runner);
}

function common(command: Command): Command {
  return withSessionOptions(withFormat(command))
    .addOption(new Option("--json", "as --format json").implies({ format: "json" }))
    .option("--host <name>", "which host: its name, alias or id");
}

function addReading(anomaly: Command, runner: Runner): void {
  common(anomaly.command("list"))
    .description("findings, newest first; also those that a host has forgotten")
    .addOption(
      new Option("--detector <name>", "only of this detector; may be given again")
        .choices(DETECTOR_WORDS)
        .argParser(collect(DETECTOR_WORDS))
        .default([]),
    )
    .addOption(new Option("--severity <severity>", "at least this").choices(SEVERITY_WORDS).default("low"))
    .option("--since <time>", "only what went on in the last 10m, 2h, 7d …", parseDuration)
    .option("--text <words>", "only with these words in sentence, process, remote end or subject", "")
    .option("--limit <number>", "how many, at most 1000", parseLimit, 50)
    .option("--open", "only those of which nobody has said anything", false)
    .action((options: AnomalyListOptions) =>
      runner.run(options, async (output) => {
        const { anomalyList } = await import("./anomaly.ts");
        return anomalyList(output, options);
      }),
    );
  common(anomaly.command("show"))
    .description("one finding with its features, its evidence, and what to do about it")
    .argument("<finding>", "id of the finding, or the beginning of it")
    .option("--policy", "only the policy that would deny it, to be put into a file", false)
    .action((id: string, options: AnomalyShowOptions) =>
      runner.run(options, async (output) => {
        const { anomalyShow } = await import("./anomaly.ts");
        return anomalyShow(output, options, id);
      }),
    );
  common(anomaly.command("watch"))
    .description("findings as they come, until it is interrupted")
    .action((options: AnomalyOptions) =>
      runner.run(options, async (output) => {
        const { anomalyWatch } = await import("./anomaly-watch.ts");
        return anomalyWatch(output, options);
      }),
    );
}

function addChanging(anomaly: Command, runner: Runner): void {
  common(anomaly.command("feedback"))
    .description("say that a finding belongs here, or that it was an attack; the host learns from it")
    .argument("<finding>", "id of the finding, or the beginning of it")
    .addArgument(anomaly.createArgument("<what>", "what it is").choices(["normal", "confirmed", "undo"]))
    .option("--reason <text>", "kept beside it, and in the audit log of the host", "")
    .action((id: string, what: string, options: AnomalyFeedbackOptions) =>
      runner.run(options, async (output) => {
        const { anomalyFeedback } = await import("./anomaly.ts");
        return anomalyFeedback(output, options, id, what);
      }),
    );
  common(anomaly.command("train"))
    .description("let the detectors of a host learn anew from its journal; without --host the one of this machine")
    .option("--days <number>", "only from so many days; 0 = all that it has", parseDays, 0)
    .option("--leave-out-findings", "learn nothing from time in which something was found", false)
    .action((options: AnomalyTrainOptions) =>
      runner.run(options, async (output) => {
        const { anomalyTrain } = await import("./anomaly-model.ts");
        return anomalyTrain(output, options);
      }),
    );
  withTuning(common(anomaly.command("settings")))
    .description("how the detectors of each host stand; with options for one --host they are changed")
    .addOption(
      new Option("--enable <detector>", "switch on; may be given again")
        .choices(DETECTOR_WORDS)
        .argParser(collect(DETECTOR_WORDS))
        .default([]),
    )
    .action((options: AnomalySettingsOptions) =>
      runner.run(options, async (output) => {
        const { anomalySettings } = await import("./anomaly-model.ts");
        return anomalySettings(output, options);
      }),
    );
}

function addBacktest(anomaly: Command, runner: Runner): void {
  withTuning(common(anomaly.command("backtest")))
    .description("what the detectors would have found in recorded time")
    .option("--since <time>", "beginning, so long ago", parseDuration, 7 * 86_400_000)
    .option("--until <time>", "end, so long ago", parseDuration, 0)
    .option(
      "--warm-up <hours>",
      "how long they learn from the time before; else their learning hours",
      parseHours(24 * 90),
    )
    .option("--compare-false-alarms <number>", "against this rate of false alarms a day", parseRate)
    .addOption(
      new Option("--compare-disable <detector>", "against settings without it; may be given again")
        .choices(DETECTOR_WORDS)
        .argParser(collect(DETECTOR_WORDS))
        .default([]),
    )
    .addHelpText("after", BACKTEST_HELP)
    .action((options: AnomalyBacktestOptions) =>
      runner.run(options, async (output) => {
        const { anomalyBacktest } = await import("./anomaly-backtest.ts");
        return anomalyBacktest(output, options);
      }),
    );
}

function withTuning(command: Command): Command {
  return command
    .option("--false-alarms <number>", "findings per host and day that chance may make, 0.01 to 100", parseRate)
    .option("--learning-hours <number>", "own history before habits are judged, 1 to 168", parseHours(168))
    .addOption(
      new Option("--disable <detector>", "switch off; may be given again")
        .choices(DETECTOR_WORDS)
        .argParser(collect(DETECTOR_WORDS))
        .default([]),
    );
}

/** Options that may be given again. A parser of ours takes the place of the check of choices. */
function collect(allowed: readonly string[]) {
  return (text: string, before: readonly string[] = []): readonly string[] => {
    if (allowed.includes(text)) return [...before, text];
    throw new InvalidArgumentError(`Allowed choices are ${allowed.join(", ")}.`);
  };
}

function parseLimit(text: string): number {
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= 1000) return limit;
  throw new InvalidArgumentError(`"${text}" is not a number from 1 to 1000.`);
}

function parseDays(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) <= 366) return Number(text);
  throw new InvalidArgumentError(`"${text}" is not a number of days up to 366.`);
}

function parseHours(most: number) {
  return (text: string): number => {
    const hours = /^\d{1,4}$/.test(text) ? Number(text) : 0;
    if (hours >= 1 && hours <= most) return hours;
    throw new InvalidArgumentError(`"${text}" is not a number of hours from 1 to ${most}.`);
  };
}

function parseRate(text: string): number {
  const rate = /^\d{1,3}(\.\d{1,4})?$/.test(text) ? Number(text) : 0;
  if (rate >= 0.01 && rate <= 100) return rate;
  throw new InvalidArgumentError(`"${text}" is not a number from 0.01 to 100.`);
}
