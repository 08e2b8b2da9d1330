import { type Command, Option } from "commander";
import { UsageError } from "../exit-code.ts";
import { type Runner, withFormat, withSessionOptions } from "../registration.ts";
import { type FlowSourceOptions, withFlowSource } from "./policy-simulate.options.ts";

export interface SuggestOptions extends FlowSourceOptions {
  readonly inventory?: string;
  readonly generalize: number;
  readonly as: "wardline" | "k8s";
  readonly groupBy?: readonly string[];
  readonly ignoreLabel?: readonly string[];
  readonly minFlows: number;
  readonly out?: string;
}

export function addPolicySuggest(policy: Command, runner: Runner): void {
  withFlowSource(withSessionOptions(withFormat(policy.command("suggest"))))
    .description("draft least-privilege policies from recorded flows, with evidence; applies nothing")
    .option("--inventory <file>", "file or folder with Host and Workload documents, instead of the workspace")
    .option("--generalize <0..1>", "0 = exactly what was seen, 1 = as wide as makes sense", parseKnob, 0.5)
    .addOption(
      new Option("--as <kind>", "write Policy or NetworkPolicy documents")
        .choices(["wardline", "k8s"])
        .default("wardline"),
    )
    .option("--group-by <label...>", "only these labels make groups")
    .option("--ignore-label <label...>", "labels that make no groups, besides those of controllers and versions")
    .option("--min-flows <count>", "fewer connections between two groups on a port are left out", parseMinFlows, 3)
    .option("--out <dir>", "write the policies and their tests into this folder; overwrites nothing")
    .action((options: SuggestOptions) =>
      runner.run(options, async (output) => {
        const { policySuggest } = await import("./policy-suggest.ts");
        return policySuggest(output, options);
      }),
    );
}

function parseKnob(text: string): number {
  if (/^(0(\.\d{1,3})?|1(\.0{1,3})?)$/.test(text)) return Number(text);
  throw new UsageError(`"${text}" is not a number from 0 to 1.`);
}

function parseMinFlows(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new UsageError(`"${text}" is not a number from 1 to 999999.`);
}
