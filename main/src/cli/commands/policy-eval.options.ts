import { type Command, Option } from "commander";
import { type CommonOptions, type Runner, withFormat } from "../registration.ts";

export const ENGINES = ["reference", "compiled", "kernel"] as const;

export interface EvalOptions extends CommonOptions {
  readonly vectors: readonly string[];
  readonly engine: (typeof ENGINES)[number];
}

export function addPolicyEval(policy: Command, runner: Runner): void {
  withFormat(policy.command("eval"))
    .description("ask an engine about vectors: cases with literal verdicts, see docs/conformance.md")
    .requiredOption("--vectors <file...>", "files of cases, folders, or - for standard input")
    .addOption(new Option("--engine <engine>", "who answers; kernel needs root").choices(ENGINES).default("reference"))
    .action((options: EvalOptions) =>
      runner.run(options, async (output) => {
        const { policyEval } = await import("./policy-eval.ts");
        return policyEval(output, options);
      }),
    );
}
