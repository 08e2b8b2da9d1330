import { type Command, InvalidArgumentError } from "commander";
import { parseDuration } from "../input/duration.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

/** Of `policy apply --hosts`. */
export interface RolloutOptions {
  readonly hosts?: string;
  readonly stages: readonly number[];
  readonly canary: readonly string[];
  readonly watch: number;
  readonly maxDenials: number;
  readonly automatic: boolean;
  readonly catchUp: boolean;
  readonly typed: string;
}

export interface RolloutVerbOptions extends CommonOptions {
  readonly confirmedToo: boolean;
  readonly reason: string;
  readonly typed: string;
}

export function withRolloutOptions(command: Command): Command {
  return command
    .option("--hosts <selector>", "roll out to these hosts, as in `host list`; without it: this machine only")
    .option("--stages <percent,...>", "share of the hosts that each stage reaches: 1,10,100", parsePercents, [])
    .option("--canary <name,...>", "hosts of the first stage", (text: string) => text.split(","), [])
    .option("--watch <time>", "how long hosts are watched before they are confirmed", parseDuration, 5_000)
    .option("--max-denials <number>", "denials a minute above the forecast that end it; 0 = any", parseCount, 600)
    .option("--automatic", "go on after each stage without asking", false)
    .option("--catch-up", "hosts that cannot be reached get it when they return", false)
    .option("--typed <words>", "the words that a change of several hosts needs", "");
}

export function addPolicyRollout(policy: Command, runner: Runner): void {
  const rollout = policy.command("rollout").description("staged changes of many hosts");
  for (const [verb, description] of [
    ["list", "the newest roll-outs"],
    ["show", "one of them, with a receipt from each host"],
    ["continue", "let it begin its next stage, and follow it"],
    ["stop", "begin no further host and roll back what waits for confirmation"],
    ["retry", "the same state again, for the hosts that do not have it"],
  ] as const) {
    const command = withSessionOptions(withFormat(rollout.command(verb))).description(description);
    if (verb !== "list") command.argument("<id>", "as `policy rollout list` shows it");
    if (verb === "stop") command.option("--confirmed-too", "roll back what was confirmed in it as well", false);
    if (verb === "stop") command.option("--reason <text>", "for the history", "");
    if (verb === "retry") command.option("--typed <words>", "the words that a change of several hosts needs", "");
    command.action((...given: unknown[]) => {
      const options = command.opts<RolloutVerbOptions>();
      const id = verb === "list" ? "" : String(given[0]);
      return runner.run(options, async (output) => {
        const { policyRollout } = await import("./policy-rollout.ts");
        return policyRollout(output, options, verb, id);
      });
    });
  }
}

function parsePercents(text: string): number[] {
  return text.split(",").map((part) => {
    if (/^\d{1,3}$/.test(part)) return Number(part);
    throw new InvalidArgumentError(`"${part}" is not a percentage.`);
  });
}

function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`"${text}" is not a number.`);
}
