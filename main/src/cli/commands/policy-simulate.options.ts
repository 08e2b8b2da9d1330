import type { Command } from "commander";
import { UsageError } from "../exit-code.ts";
import { parseDuration } from "../input/duration.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface FlowSourceOptions extends CommonOptions {
  /** `-` for standard input; absent = the flows that the console has stored. */
  readonly flows?: string;
  readonly since?: number;
  readonly limit?: number;
  readonly strict: boolean;
}

export interface SimulateOptions extends FlowSourceOptions {
  readonly inventory?: string;
  readonly base?: string;
  readonly sample: number;
  readonly groups: number;
}

export function addPolicySimulate(policy: Command, runner: Runner): void {
  withFlowSource(withSessionOptions(withFormat(policy.command("simulate"))))
    .description("replay recorded flows through policies that are not in force; exits with 1 when some become blocked")
    .argument("<file...>", "the whole candidate: files, folders, or - for standard input")
    .option("--inventory <file>", "file or folder with Host and Workload documents, added to the candidate")
    .option("--base <file>", "file or folder with the present policies: compares with what they say too")
    .option("--sample <1/N>", "judge every N-th flow only", parseSample, 1)
    .option("--groups <count>", "how many groups of a class are listed", parseFlowCount, 1000)
    .action((names: string[], options: SimulateOptions) =>
      runner.run(options, async (output) => {
        const { policySimulate } = await import("./policy-simulate.ts");
        return policySimulate(output, names, options);
      }),
    );
}

/** Where recorded flows come from. */
export function withFlowSource(command: Command): Command {
  return command
    .option("--flows <file>", "lines of `wardline flows --format json`, or - for standard input; else what is stored")
    .option("--since <time>", "only flows of the last 24h, 7d …", parseDuration)
    .option("--limit <count>", "read so many flows, the oldest first", parseFlowCount)
    .option("--strict", "stop at the first line that is no flow", false);
}

function parseFlowCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`"${text}" is not a number from 1 to 999999999.`);
}

function parseSample(text: string): number {
  const found = /^1\/([1-9]\d{0,5})$/.exec(text)?.[1];
  if (found !== undefined) return Number(found);
  throw new UsageError(`"${text}" is not a sample.`, "Give one such as 1/10.");
}
