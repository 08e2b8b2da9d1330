/** `wardline policy confirm|rollback`: of what a host enforces, or of what its cluster shall. */
import { type Command, Option } from "commander";
import { UsageError } from "../exit-code.ts";
import { parseDuration } from "../input/duration.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";
import { parseNumber } from "./policy-cluster.options.ts";

export interface SettleOptions extends CommonOptions {
  readonly generation?: bigint;
  readonly host: string;
  readonly hosts?: string;
  readonly reason: string;
  readonly typed: string;
  /** Of the cluster, as the three below. */
  readonly set?: bigint;
  readonly to?: bigint;
  readonly toSet?: bigint;
  readonly confirmWithin?: number;
}

const CLUSTER_HELP = `
Without a name, --to-set or --set it is about what one host enforces, or with --hosts several. A name with --to brings one
document of the host's cluster back to an older version, as a new one; --to-set brings everything back. --set is about a set
that hosts have in force until a deadline.`;

export function addPolicySettle(policy: Command, runner: Runner): void {
  withSettleOptions(policy.command("confirm"))
    .description("keep what waits for confirmation")
    .addHelpText("after", CLUSTER_HELP)
    .action((options: SettleOptions) =>
      runner.run(options, async (output) => {
        requireOneKind(undefined, options);
        if (options.set !== undefined) {
          const { confirmSet } = await import("./policy-cluster.ts");
          return confirmSet(output, options, options.set);
        }
        const { policyConfirm } = await import("./policy-settle.ts");
        return policyConfirm(output, options);
      }),
    );
  withSettleOptions(policy.command("rollback"))
    .description("return to what was before, at once")
    .argument("[name]", "a document of the cluster, as in `policy list --cluster`")
    .option("--to <version>", "with a name: the version that it shall be as again", parseNumber)
    .option("--to-set <number>", "everything in the cluster as in this set again", parseNumber)
    .option("--confirm-within <time>", "with --to and --to-set: hosts return unless it is confirmed", parseDuration)
    .addHelpText("after", CLUSTER_HELP)
    .action((name: string | undefined, options: SettleOptions) =>
      runner.run(options, async (output) => {
        requireOneKind(name, options);
        if (isOfCluster(name, options)) {
          const { rollBackInCluster } = await import("./policy-cluster.ts");
          return rollBackInCluster(output, options, name);
        }
        const { policyRollback } = await import("./policy-settle.ts");
        return policyRollback(output, options);
      }),
    );
}

function withSettleOptions(command: Command): Command {
  return withSessionOptions(withFormat(command))
    .option("--generation <number>", "only when it is this generation", parseGeneration)
    .option("--set <number>", "this set of the cluster, which waits for confirmation", parseNumber)
    .option("--host <id>", "which host", "local")
    .addOption(new Option("--hosts <selector>", "each of these hosts, as in `host list`").conflicts("host"))
    .option("--typed <words>", "the words that several hosts, or a red environment, need with --hosts", "")
    .option("--reason <text>", "for the history", "");
}

function isOfCluster(name: string | undefined, { set, to, toSet }: SettleOptions): boolean {
  return name !== undefined || set !== undefined || to !== undefined || toSet !== undefined;
}

/** @throws UsageError */
function requireOneKind(name: string | undefined, options: SettleOptions): void {
  const { set, to, toSet, generation, hosts, confirmWithin } = options;
  if (!isOfCluster(name, options)) {
    if (confirmWithin !== undefined) throw new UsageError("--confirm-within goes with --to and --to-set.");
    return;
  }
  if (generation !== undefined || hosts !== undefined) {
    throw new UsageError("--generation and --hosts are of hosts; the cluster has versions and sets.");
  }
  if ((name !== undefined) !== (to !== undefined)) throw new UsageError("A name and --to go together.");
  if ([to, toSet, set].filter((each) => each !== undefined).length > 1) {
    throw new UsageError("Say one of --to, --to-set and --set.");
  }
}

function parseGeneration(text: string): bigint {
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new UsageError(`"${text}" is not the number of a generation.`);
}
