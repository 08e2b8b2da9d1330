import type { Command } from "commander";
import { UsageError } from "../exit-code.ts";
import { type CommonOptions, type Runner, withFormat } from "../registration.ts";

export interface CheckOptions extends CommonOptions {
  readonly fix: boolean;
  readonly dryRun: boolean;
}

export function addPolicyCheck(policy: Command, runner: Runner): void {
  withFormat(policy.command("check"))
    .description("find every problem in policy files")
    .argument("<file...>", "files, folders, or - for standard input")
    .option("--fix", "make the fixes that are offered, and write the files", false)
    .option("--dry-run", "with --fix: show what would be fixed, and write nothing", false)
    .action((names: string[], options: CheckOptions) =>
      runner.run(options, async (output) => {
        if (options.dryRun && !options.fix) throw new UsageError("--dry-run goes with --fix.");
        if (options.fix) {
          if (names.includes("-")) throw new UsageError("Standard input cannot be fixed; name files.");
          const { policyCheckFix } = await import("./policy-check-fix.ts");
          return policyCheckFix(output, names, { isDryRun: options.dryRun });
        }
        const { policyCheck } = await import("./policy-check.ts");
        return policyCheck(output, names);
      }),
    );
}
