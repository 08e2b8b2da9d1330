import type { Command } from "commander";
import type { SourceOptions } from "../input/sources.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface TestOptions extends CommonOptions, SourceOptions {
  readonly coverage: boolean;
}

const ABOUT = `
A case holds when it holds for every member of both sides, every protocol and port, not for samples. The verdict of
packets counts; where policies in observe mode would decide otherwise, that is said. A case about nobody is shown as
empty and does not fail.

Exit codes: 0 nothing failed, 1 a case failed or the policies have errors, 2 wrong usage.`;

export function addPolicyTest(policy: Command, runner: Runner): void {
  withSessionOptions(withFormat(policy.command("test")))
    .description("prove the PolicyTest documents; exits with 1 when a case fails")
    .argument("[file...]", "the whole set, tests included; without any: the workspace")
    .option("--policies <dir>", "folder or file that belongs to the set too, instead of the workspace")
    .option("--inventory <file>", "file or folder with Host and Workload documents")
    .option("--coverage", "also list the rules that no test touches", false)
    .addHelpText("after", ABOUT)
    .action((names: string[], options: TestOptions) =>
      runner.run(options, async (output) => {
        const { policyTest } = await import("./policy-test.ts");
        return policyTest(output, names, options);
      }),
    );
}
