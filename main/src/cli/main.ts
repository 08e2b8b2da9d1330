/** The command line. `bin/wardline` starts it with the project's Node. */
import { CommanderError } from "commander";
import { CONSOLE_BUILD, CONSOLE_VERSION } from "../backend/version.ts";
import { EXIT, UsageError } from "./exit-code.ts";
import { createProgram, exitCodeOfUsage } from "./program.ts";
import type { Outcome } from "./registration.ts";
import { reportFailure } from "./report-failure.ts";

// A reader that has seen enough (`| head`) is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(EXIT.done);
  throw error;
});

const argv = process.argv.slice(2);
// Until the options are read: a wrong command line is reported in the format that it asks for.
const asksForJson = argv.some(
  (part, index) => part === "--format=json" || (part === "--format" && argv[index + 1] === "json"),
);
const outcome: Outcome = { exitCode: EXIT.done, format: asksForJson ? "json" : "text" };
const program = createProgram(`${CONSOLE_VERSION} (${CONSOLE_BUILD})`, outcome);
/** What commander would print of a wrong command line. */
let complaint = "";
applyToAll(program, (command) => {
  command.exitOverride();
  if (asksForJson) command.configureOutput({ writeErr: (text) => (complaint += text) });
});

try {
  if (argv.length === 0) {
    program.outputHelp({ error: true });
    process.exitCode = EXIT.wrongUsage;
  } else {
    await program.parseAsync(argv, { from: "user" });
    process.exitCode = outcome.exitCode;
  }
} catch (error) {
  if (!(error instanceof CommanderError)) process.exitCode = reportFailure(error, outcome.format);
  else {
    process.exitCode = exitCodeOfUsage(error.exitCode);
    if (complaint !== "") reportUsage(complaint);
  }
}

/** A program that asked for JSON gets JSON, also when it asked wrongly. A list of subcommands is for a person. */
function reportUsage(text: string): void {
  const [first = "", ...more] = text.trim().split("\n");
  if (!first.startsWith("error: ")) process.stderr.write(text);
  else reportFailure(new UsageError(first.slice("error: ".length), more.join(" ")), "json");
}

function applyToAll(command: typeof program, change: (command: typeof program) => void): void {
  change(command);
  for (const child of command.commands) applyToAll(child, change);
}
