/** `wardline settings …`: the person's settings file, without a console that runs. */
import type { Command } from "commander";
import { type CommonOptions, type Runner, withFormat } from "../registration.ts";

export interface SettingsCommandOptions extends CommonOptions {
  readonly replaceBroken?: boolean;
}

const SET_HELP = `
The value is written as in the file: dark, 120, true, and for keyboard.bindings a mapping in JSON. Only its place in the file
changes; every window that is open follows. A file with a mistake in it is never written over: mend it, or choose
--replace-broken, which keeps what cannot be read beside it.`;

const CHECK_HELP = `
Exit code 1 when something in the file does not count: a mistake in its syntax, or a value that a setting does not take.`;

export function addSettings(program: Command, runner: Runner): void {
  const settings = program.command("settings").description("the settings of this console, a file that you may edit");
  withFormat(settings.command("list"))
    .description("every setting with its value and where that comes from")
    .option("--changed", "only those that are not at their defaults", false)
    .action((options: SettingsCommandOptions & { changed: boolean }) =>
      runner.run(options, async (output) => (await import("./settings.ts")).settingsList(output, options)),
    );
  withFormat(settings.command("get"))
    .description("the value of one setting")
    .argument("<key>", "as in `wardline settings list`")
    .action((key: string, options: SettingsCommandOptions) =>
      runner.run(options, async (output) => (await import("./settings.ts")).settingsGet(output, key)),
    );
  withFormat(settings.command("set"))
    .description("change one setting")
    .argument("<key>", "as in `wardline settings list`")
    .argument("<value>", "as in the file")
    .option("--replace-broken", "although the file, or the value in it, cannot be read", false)
    .addHelpText("after", SET_HELP)
    .action((key: string, value: string, options: SettingsCommandOptions) =>
      runner.run(options, async (output) => (await import("./settings.ts")).settingsSet(output, options, key, value)),
    );
  withFormat(settings.command("reset"))
    .description("take settings out of the file, so that their defaults count")
    .argument("<key...>", "as in `wardline settings list`")
    .option("--replace-broken", "although the file, or a value in it, cannot be read", false)
    .action((keys: string[], options: SettingsCommandOptions) =>
      runner.run(options, async (output) => (await import("./settings.ts")).settingsReset(output, options, keys)),
    );
  withFormat(settings.command("path"))
    .description("where the file is, and that of the administrator")
    .action((options: SettingsCommandOptions) =>
      runner.run(options, async (output) => (await import("./settings.ts")).settingsPath(output)),
    );
  withFormat(settings.command("check"))
    .description("say what is wrong with the file, with line and column")
    .argument("[file]", "another file than your own")
    .addHelpText("after", CHECK_HELP)
    .action((file: string | undefined, options: SettingsCommandOptions) =>
      runner.run(options, async (output) => (await import("./settings.ts")).settingsCheck(output, file)),
    );
}
