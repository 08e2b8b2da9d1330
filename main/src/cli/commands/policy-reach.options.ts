import type { Command } from "commander";
import { UsageError } from "../exit-code.ts";
import type { SourceOptions } from "../input/sources.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface ReachOptions extends CommonOptions, SourceOptions {
  readonly from?: string;
  readonly to?: string;
  readonly limit: number;
}

const DEFAULT_ROWS = 200;
const GROUPS = `
A group is a label selector (app=web,tier!=db), one with a namespace behind it (app=web@prod, @prod), the name,
namespace/name or key of an endpoint, an address or prefix, world, cluster, mesh, or any.

The answer holds for every connection, not for samples. Not listed, as they pass whatever policies say: a host with
itself, and the ICMP without which IP breaks.`;

export function addPolicyReach(policy: Command, runner: Runner): void {
  withSessionOptions(withFormat(policy.command("reach")))
    .description("say who can reach a group and what it can reach, on which ports, by which rules")
    .option("--from <group>", "who connects; default any")
    .option("--to <group>", "to whom; default any")
    .option("--policies <dir>", "folder or file with policies, instead of the workspace")
    .option("--inventory <file>", "file or folder with Host and Workload documents")
    .option("--limit <rows>", "how many rows to show", parseRows, DEFAULT_ROWS)
    .addHelpText("after", GROUPS)
    .action((options: ReachOptions) =>
      runner.run(options, async (output) => {
        const { policyReach } = await import("./policy-reach.ts");
        return policyReach(output, options);
      }),
    );
}

export function parseRows(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new UsageError(`"${text}" is not a number of rows from 1 to 999999.`);
}
