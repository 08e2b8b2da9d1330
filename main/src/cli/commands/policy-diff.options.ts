import type { Command } from "commander";
import { type CommonOptions, type Runner, withFormat } from "../registration.ts";
import { parseRows } from "./policy-reach.options.ts";

export interface DiffOptions extends CommonOptions {
  readonly inventory?: string;
  readonly flows?: string;
  readonly limit: number;
}

const DEFAULT_ROWS = 200;
const ABOUT = `
Compares what the policies allow over every connection, not their text: OLD and NEW are files or folders that hold the
whole set each. Hosts and workloads in them count too.

Exit codes, as with diff: 0 the same packets pass, 1 something is gained or lost, 2 one of them cannot be read.`;

export function addPolicyDiff(policy: Command, runner: Runner): void {
  withFormat(policy.command("diff"))
    .description("say who gains and who loses what from one set of policies to another; exits with 1 when anybody does")
    .argument("<old>", "file or folder")
    .argument("<new>", "file or folder")
    .option("--inventory <file>", "file or folder with Host and Workload documents, added to both")
    .option(
      "--flows <file>",
      "count recorded flows by row: lines of `wardline flows --format json`, - for standard input",
    )
    .option("--limit <rows>", "how many rows to show", parseRows, DEFAULT_ROWS)
    .addHelpText("after", ABOUT)
    .action((old: string, next: string, options: DiffOptions) =>
      runner.run(options, async (output) => {
        const { policyDiff } = await import("./policy-diff.ts");
        return policyDiff(output, [old, next], options);
      }),
    );
}
