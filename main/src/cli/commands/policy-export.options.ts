import { type Command, Option } from "commander";
import { type CommonOptions, type Runner, withFormat } from "../registration.ts";

export const EXPORT_TARGETS = ["nftables", "pf"] as const;

export interface ExportOptions extends CommonOptions {
  readonly target: (typeof EXPORT_TARGETS)[number];
  readonly host: string;
  readonly mode: "enforce" | "observe";
  readonly policies?: string;
  readonly inventory?: string;
}

export function addPolicyExport(policy: Command, runner: Runner): void {
  withFormat(policy.command("export"))
    .description("print one host's policy as a script for nftables or pf, for a machine without the agent")
    .argument("[file...]", "policies and inventory: files, folders, or - for standard input")
    .addOption(new Option("--target <target>", "what is to enforce it").choices(EXPORT_TARGETS).makeOptionMandatory())
    .requiredOption("--host <name>", "whose policy: the name of a Host document")
    .addOption(
      new Option("--mode <mode>", "what to do with what is denied").choices(["enforce", "observe"]).default("enforce"),
    )
    .option("--policies <dir>", "folder or file with policies")
    .option("--inventory <file>", "file or folder with Host and Workload documents")
    .action((names: readonly string[], options: ExportOptions) =>
      runner.run(options, async (output) => {
        const { policyExport } = await import("./policy-export.ts");
        return policyExport(output, names, options);
      }),
    );
}
