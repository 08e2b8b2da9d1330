/** `wardline policy …` for the documents of a cluster. */
import { type Command, Option } from "commander";
import { UsageError } from "../exit-code.ts";
import { parseDuration } from "../input/duration.ts";
import type { Runner } from "../registration.ts";
import { type ClusterOptions, withHost } from "./cluster.options.ts";

export interface SyncOptions extends ClusterOptions {
  readonly deleteMissing: boolean;
  readonly prefer?: "mine" | "theirs";
  readonly pull: boolean;
  readonly dryRun: boolean;
  readonly confirmWithin?: number;
  readonly mode: "observe" | "enforce";
  readonly reason: string;
  readonly yes: boolean;
}

export interface DeleteOptions extends ClusterOptions {
  readonly reason: string;
  readonly confirmWithin?: number;
  readonly yes: boolean;
}

export interface HistoryOptions extends ClusterOptions {
  readonly limit: number;
}

const SYNC_HELP = `
Each document is compared three ways: what was last agreed on, what is here, what is in the cluster now. Changes of
different places are merged and the result is taken into the workspace; where both sides changed one place, nothing is
written until somebody decides (--prefer, or in the console). Documents that only the cluster changed are "behind": --pull
takes them into the workspace, whose present state is kept as a version. When somebody writes between plan and write,
nothing is written: plan again. Files that are named stay as they are.`;

const MERGE_HELP = `
Files hold one document each; "-" is standard input and an empty file stands for none. The result goes to standard
output. Exit code 1 when both changed the same place: then it holds both between marks, as version control writes them.
As a merge driver:  wardline policy merge %O %A %B > result`;

const NAME_HELP = `
NAME is a key as in "policy list --cluster" (policy/default/web), or its last parts where that is enough (web).`;

export function addPolicyCluster(policy: Command, runner: Runner): void {
  withHost(policy.command("sync"))
    .description("bring the workspace, or these files, into the cluster")
    .argument("[file...]", "instead of the workspace")
    .option("--delete-missing", "what is not here is deleted from the cluster", false)
    .addOption(new Option("--prefer <side>", "where both changed one place").choices(["mine", "theirs"]))
    .option("--pull", "take what the cluster is ahead by into the workspace", false)
    .option("--dry-run", "show what would happen", false)
    .option("--confirm-within <time>", "hosts return unless it is confirmed in this time (10s to 1h)", parseDuration)
    .addOption(
      new Option("--mode <mode>", "what to do with what is denied").choices(["observe", "enforce"]).default("enforce"),
    )
    .option("--reason <text>", "for the history", "")
    .option("-y, --yes", "do not ask", false)
    .addHelpText("after", SYNC_HELP)
    .action((names: string[], options: SyncOptions) =>
      runner.run(options, async (output) => {
        const { policySync } = await import("./policy-sync.ts");
        return policySync(output, options, names);
      }),
    );
  withHost(policy.command("history"))
    .description("the versions of one document of the cluster, newest first")
    .argument("<name>", "which document")
    .option("-n, --limit <count>", "how many", parseLimit, 10)
    .addHelpText("after", NAME_HELP)
    .action((name: string, options: HistoryOptions) =>
      runner.run(options, async (output) => {
        const { policyHistory } = await import("./policy-cluster.ts");
        return policyHistory(output, options, name);
      }),
    );
  withHost(policy.command("delete"))
    .description("delete one document from the cluster; its history stays")
    .argument("<name>", "which document")
    .option("--confirm-within <time>", "hosts return unless it is confirmed in this time (10s to 1h)", parseDuration)
    .option("--reason <text>", "for the history", "")
    .option("-y, --yes", "do not ask", false)
    .addHelpText("after", NAME_HELP)
    .action((name: string, options: DeleteOptions) =>
      runner.run(options, async (output) => {
        const { policyDelete } = await import("./policy-cluster.ts");
        return policyDelete(output, options, name);
      }),
    );
  withHost(policy.command("watch"))
    .description("documents of the cluster as they change, until Ctrl-C; with JSON one change a line")
    .argument("[prefix]", "only keys that begin so: policy/, policy/default/")
    .action((prefix: string | undefined, options: ClusterOptions) =>
      runner.run(options, async (output) => {
        const { policyWatch } = await import("./policy-watch.ts");
        return policyWatch(output, options, prefix ?? "");
      }),
    );
  policy
    .command("merge")
    .description("merge two changes of one document, three ways, as a sync does; nothing is contacted")
    .argument("<base>", "what both began from")
    .argument("<mine>", "one change")
    .argument("<theirs>", "the other")
    .addHelpText("after", MERGE_HELP)
    .action((...names: [string, string, string, unknown, unknown]) =>
      runner.run({ format: "text" }, async (output) => {
        const { policyMerge } = await import("./policy-merge.ts");
        return policyMerge(output, [names[0], names[1], names[2]]);
      }),
    );
}

/** The number of a version or of a set. @throws UsageError */
export function parseNumber(text: string): bigint {
  if (/^[1-9]\d{0,17}$/.test(text)) return BigInt(text);
  throw new UsageError(`"${text}" is not the number of a version or set.`);
}

function parseLimit(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 100) return Number(text);
  throw new UsageError(`"${text}" is not a number up to 100.`);
}
