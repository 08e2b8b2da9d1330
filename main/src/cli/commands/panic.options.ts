import { Argument, type Command } from "commander";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export const PANIC_STATES = ["open", "closed", "off"] as const;
export type PanicState = (typeof PANIC_STATES)[number];

export interface PanicOptions extends CommonOptions {
  readonly reason: string;
  readonly yes: boolean;
}

const HELP = `
closed  nothing passes but loopback, neighbour discovery and path MTU: no SSH, no DNS, no console over the network.
        The agent's local socket is the last way in: undo it at the machine itself, with "wardline panic off".
open    everything passes; no policy is enforced.
off     back to the policies.

It works at once, on a full disk and while a change waits for confirmation, touches no policy, and stays over restarts
and reboots until "wardline panic off".`;

export function addPanic(program: Command, runner: Runner): void {
  withSessionOptions(withFormat(program.command("panic")))
    .description("the emergency brake of this machine")
    .addArgument(new Argument("<state>", "what passes").choices(PANIC_STATES))
    .option("--reason <text>", "for the audit log", "")
    .option("-y, --yes", "do not ask", false)
    .addHelpText("after", HELP)
    .action((state: PanicState, options: PanicOptions) =>
      runner.run(options, async (output) => {
        const { panic } = await import("./panic.ts");
        return panic(output, options, state);
      }),
    );
}
