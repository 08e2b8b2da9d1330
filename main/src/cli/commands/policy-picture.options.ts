import { type Command, Option } from "commander";
import type { SourceOptions } from "../input/sources.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";
import { parseRows } from "./policy-reach.options.ts";

export const PICTURE_GROUPINGS = ["labels", "namespace", "host", "endpoint"] as const;

export interface PictureOptions extends CommonOptions, SourceOptions {
  readonly by: (typeof PICTURE_GROUPINGS)[number];
  readonly label: readonly string[];
  readonly limit: number;
  readonly dot: boolean;
  readonly json: boolean;
}

const DEFAULT_ROWS = 500;
const HELP = `
Groups are made of the labels that policies select by, unless --by or --label says otherwise. What is allowed only because
no policy restricts it is no row: it is counted. Pairs are pairs of addresses: "for 9 of 12 pairs" means that three cannot.

  wardline policy picture --policies policies/ --inventory hosts/ --dot | dot -Tsvg > policy.svg`;

export function addPolicyPicture(policy: Command, runner: Runner): void {
  withSessionOptions(withFormat(policy.command("picture")))
    .description("draw the policies as groups and what they allow between any two of them")
    .addOption(new Option("--by <what>", "what makes a group").choices(PICTURE_GROUPINGS).default("labels"))
    .option("--label <key>", "group by this label; several times for several", collect, [])
    .option("--policies <dir>", "folder or file with policies, instead of the workspace")
    .option("--inventory <file>", "file or folder with Host and Workload documents")
    .option("--limit <rows>", "how many connections to give, the most important first", parseRows, DEFAULT_ROWS)
    .addOption(new Option("--dot", "as a graph for Graphviz").default(false).conflicts("json"))
    .addOption(new Option("--json", "the same as --format json").default(false))
    .addHelpText("after", HELP)
    .action((options: PictureOptions) =>
      runner.run(options.json ? { ...options, format: "json" } : options, async (output) => {
        const { policyPicture } = await import("./policy-picture.ts");
        return policyPicture(output, options);
      }),
    );
}

const collect = (text: string, before: readonly string[]): readonly string[] => [...before, text];
