/**
 * What commands share when they are added to the program. A larger command has its options in a file of its own beside
 * its code, `commands/<name>.options.ts`, and one line in `program.ts`.
 */
import { type Command, Option } from "commander";
import type { ExitCode } from "./exit-code.ts";
import { createOutput, type Format, type Output } from "./output.ts";
import type { SessionOptions } from "./session.ts";

export interface Outcome {
  exitCode: ExitCode;
  format: Format;
}

export interface CommonOptions extends SessionOptions {
  readonly format: Format;
}

/** Gives each action its output and keeps how it ended. */
export class Runner {
  readonly #outcome: Outcome;

  constructor(outcome: Outcome) {
    this.#outcome = outcome;
  }

  async run(options: CommonOptions, body: (output: Output) => Promise<ExitCode>): Promise<void> {
    this.#outcome.format = options.format;
    this.#outcome.exitCode = await body(createOutput(options.format));
  }
}

export function withFormat(command: Command): Command {
  return command.addOption(
    new Option("--format <format>", "for people or for programs").choices(["text", "json"]).default("text"),
  );
}

export function withSessionOptions(command: Command): Command {
  return command
    .option("--state-dir <dir>", "where the console keeps its database (WARDLINE_STATE_DIR)")
    .option("--agent-socket <path>", "the agent's socket (WARDLINE_AGENT_SOCKET)");
}
