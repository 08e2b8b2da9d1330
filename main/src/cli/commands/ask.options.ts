import { type Command, Option } from "commander";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";
import { parseRows } from "./policy-reach.options.ts";

export interface AskOptions extends CommonOptions {
  readonly basis: "draft" | "enforced";
  readonly host: string;
  readonly limit: number;
}

const HELP = `
For example:
  wardline ask "can web reach db on 5432?"
  wardline ask "who can reach db on ssh" --basis enforced --host db-1
  wardline ask "what would the draft open?"

Groups are hosts, workloads, labels (app=web), services, namespaces (@prod), addresses and prefixes, world, cluster, mesh and
anyone. Ports are numbers, ranges and names, with a protocol or without (then TCP). docs/ask.md has every form.

Exit codes: 0 yes, or a list with something in it; 1 no, partly, or an empty list; 2 the question is not understood or can
mean several things (the choices are printed); 3 a host could not be reached.`;

export function addAsk(program: Command, runner: Runner): void {
  withSessionOptions(withFormat(program.command("ask")))
    .description("ask about access in plain words; the answer is exact, never guessed")
    .argument("<question...>", "what you want to know")
    .addOption(
      new Option("--basis <basis>", "about the workspace, or about what a host enforces")
        .choices(["draft", "enforced"])
        .default("draft"),
    )
    .option("--host <name>", "whose enforced policies, whose counters, whose last change", "")
    .option("--limit <rows>", "how many rows to show, at most 1000", parseRows, 100)
    .addHelpText("after", HELP)
    .action((words: string[], options: AskOptions) =>
      runner.run(options, async (output) => {
        const { ask } = await import("./ask.ts");
        return ask(output, words.join(" "), options);
      }),
    );
}
