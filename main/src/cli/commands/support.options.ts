import type { Command } from "commander";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface SupportOptions extends CommonOptions {
  readonly output?: string;
  readonly plainAddresses: boolean;
  readonly show?: string;
}

const HELP = `
Without --output nothing is written: it lists what would be in the bundle and what was taken out of it. --show prints one of
the files as it would be. The bundle stays on this machine until you give it to somebody.`;

export function addSupport(program: Command, runner: Runner): void {
  const support = program
    .command("support")
    .description("what somebody who helps needs, without what nobody should have");
  withSessionOptions(withFormat(support.command("bundle")))
    .description("show what a support bundle would have in it, and write it")
    .option("--output <file>", "write the bundle to this new file (.tar.gz, readable by you only)")
    .option("--plain-addresses", "addresses and names of hosts as they are, instead of as pseudonyms", false)
    .option("--show <path>", "print one file of the bundle")
    .addHelpText("after", HELP)
    .action((options: SupportOptions) =>
      runner.run(options, async (output) => (await import("./support.ts")).supportBundle(output, options)),
    );
}
