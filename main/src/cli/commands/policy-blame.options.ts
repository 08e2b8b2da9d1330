import type { Command } from "commander";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface BlameOptions extends CommonOptions {
  readonly at?: string;
}

export function addPolicyBlame(policy: Command, runner: Runner): void {
  withSessionOptions(withFormat(policy.command("blame")))
    .description("who last changed each line of a file of the workspace, when, why, and since when it is enforced")
    .argument("<file[:line]>", "path as in `wardline policy list`; with a line only that one")
    .option("--at <version>", "of a version instead of the draft: its number, or the first digits of its digest")
    .action((place: string, options: BlameOptions) =>
      runner.run(options, async (output) => {
        const { policyBlame } = await import("./policy-blame.ts");
        return policyBlame(output, options, place);
      }),
    );
}
