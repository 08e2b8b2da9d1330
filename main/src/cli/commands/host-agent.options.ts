/** `wardline host install|upgrade|uninstall`: the agent's life on other machines. */
import { type Command, InvalidArgumentError } from "commander";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface HostInstallOptions extends CommonOptions {
  readonly hosts: string;
  readonly force: boolean;
  readonly operators: readonly string[];
  readonly admins: readonly string[];
}

export interface HostUpgradeOptions extends CommonOptions {
  readonly hosts: string;
  readonly force: boolean;
  readonly rollBack: boolean;
}

export interface HostUninstallOptions extends CommonOptions {
  readonly hosts: string;
  readonly keepState: boolean;
  readonly yes: boolean;
  readonly typed?: string;
}

const INSTALL_HELP = `
Uploads the agent that this console was built with, checks it on the machine, and starts it there as a service. The login is
root, or sudo gives root; a password that sudo wants is asked for at the terminal. What a machine enforces stays in force
all the time. Where the same agent runs already, nothing is done.

Without --operators and --admins the account that is logged in with becomes an operator at the first installation.

Exit code 1 when a machine failed: the others are done, and the same command continues with it.`;

const UPGRADE_HELP = `
Exchanges the agent in place: no packet is judged otherwise meanwhile. When the new one does not come up, or does not enforce
what was enforced, the one before is put back. --roll-back goes to the version before the last upgrade.`;

const UNINSTALL_HELP = `
Ends enforcement on these machines: everything may pass afterwards. --keep-state keeps records, audit log and groups.
For several machines the word uninstall has to be typed, or given with --typed.`;

export function addHostAgentCommands(host: Command, runner: Runner): void {
  withSessionOptions(withFormat(host.command("install")))
    .description("install the agent on machines, or upgrade it")
    .requiredOption("--hosts <selector>", "which machines, as in `host list`")
    .option("--operators <accounts>", "accounts there that become operators, with commas", accounts, [])
    .option("--admins <accounts>", "accounts there that become administrators, with commas", accounts, [])
    .option("--force", "also over the same or a newer version", false)
    .addHelpText("after", INSTALL_HELP)
    .action((options: HostInstallOptions) =>
      runner.run(options, async (output) => {
        const { hostInstall } = await import("./host-agent.ts");
        return hostInstall(output, options);
      }),
    );

  withSessionOptions(withFormat(host.command("upgrade")))
    .description("exchange the agent of machines by the one of this console")
    .requiredOption("--hosts <selector>", "which machines, as in `host list`")
    .option("--force", "also over the same or a newer version", false)
    .option("--roll-back", "to the version before the last upgrade instead", false)
    .addHelpText("after", UPGRADE_HELP)
    .action((options: HostUpgradeOptions) =>
      runner.run(options, async (output) => {
        const { hostUpgrade } = await import("./host-agent.ts");
        return hostUpgrade(output, options);
      }),
    );

  withSessionOptions(withFormat(host.command("uninstall")))
    .description("end enforcement on machines and remove the agent")
    .requiredOption("--hosts <selector>", "which machines, as in `host list`")
    .option("--keep-state", "keep records, audit log and groups", false)
    .option("--typed <word>", 'the word "uninstall", for several machines')
    .option("-y, --yes", "do not ask about a single machine", false)
    .addHelpText("after", UNINSTALL_HELP)
    .action((options: HostUninstallOptions) =>
      runner.run(options, async (output) => {
        const { hostUninstall } = await import("./host-agent.ts");
        return hostUninstall(output, options);
      }),
    );
}

/** The console and the script on the host check each name again. */
function accounts(text: string): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.every((name) => /^[A-Za-z0-9_.][A-Za-z0-9._-]{0,31}$/.test(name))) return names;
  throw new InvalidArgumentError(`"${text}" is not a list of account names.`);
}
