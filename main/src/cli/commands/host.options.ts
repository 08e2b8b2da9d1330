/** `wardline host …`: the machines of this console. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface HostListOptions extends CommonOptions {
  readonly hosts: string;
  readonly connect: boolean;
}

export interface AccessOptions {
  readonly alias?: string;
  readonly port?: number;
  readonly user?: string;
  readonly identityFile?: readonly string[];
  readonly jump?: string;
  /** On that machine; `--agent-socket` is the one of this machine. */
  readonly agentSocketPath?: string;
  readonly transport?: "auto" | "built-in" | "system";
  readonly group?: readonly string[];
  readonly label?: Readonly<Record<string, string>>;
  /** `production` or `production:red`. */
  readonly environment?: string;
}

export interface HostAddOptions extends CommonOptions, AccessOptions {
  readonly check: boolean;
}

export interface HostUpdateOptions extends CommonOptions, AccessOptions {
  readonly address?: string;
}

export interface HostImportOptions extends CommonOptions {
  readonly sshConfig: boolean;
  readonly skipBad: boolean;
  readonly yes: boolean;
}

export interface HostTrustOptions extends CommonOptions {
  readonly fingerprint?: string;
}

export interface HostRemoveOptions extends CommonOptions {
  readonly yes: boolean;
}

const ADD_HELP = `
A destination is user@host:port, a name, an address, or a Host of ~/.ssh/config: what is not given comes from there.
Afterwards the host is checked step by step; a key that nobody has trusted yet is shown, and asked about at a terminal.`;

const IMPORT_HELP = `
Reads our own inventory (YAML with "kind: HostList"), Ansible's in YAML and INI, and plain lines of user@host:port; "-" is
standard input. Hosts that are managed already are left out. Without --yes it shows what would be added and asks.`;

const CHECK_HELP = `
Takes a managed host by name, or a destination like "host add" does. Nothing is changed on the machine.

Exit code 3 when a step fails.`;

const SELECTOR_HELP = `
A selector is names (web-1,db-1), conditions that all hold (group:db,env:production,app=web,tier!=cache), or all;
"+" adds another selection.`;

export function addHostCommands(host: Command, runner: Runner): void {
  withSessionOptions(withFormat(host.command("list")))
    .description("hosts with state, drift, backend, generation and age of what is known")
    .option("--hosts <selector>", "only these", "all")
    .option("--no-connect", "what was last known, without contacting anybody")
    .addHelpText("after", SELECTOR_HELP)
    .action((options: HostListOptions) =>
      runner.run(options, async (output) => {
        const { hostList } = await import("./host-list.ts");
        return hostList(output, options);
      }),
    );

  withSessionOptions(withFormat(host.command("show")))
    .description("everything that is known of one host")
    .argument("<host>", "name, alias or id")
    .action((name: string, options: CommonOptions) =>
      runner.run(options, async (output) => {
        const { hostShow } = await import("./host-show.ts");
        return hostShow(output, options, name);
      }),
    );

  withAccess(withSessionOptions(withFormat(host.command("add"))))
    .description("manage another machine over SSH")
    .argument("<destination>", "user@host:port, or a Host of ~/.ssh/config")
    .option("--no-check", "do not contact it now")
    .addHelpText("after", ADD_HELP)
    .action((destination: string, options: HostAddOptions) =>
      runner.run(options, async (output) => {
        const { hostAdd } = await import("./host-add.ts");
        return hostAdd(output, options, destination);
      }),
    );

  withSessionOptions(withFormat(host.command("import")))
    .description("manage the machines of an inventory file, or of ~/.ssh/config")
    .argument("[file]", "the inventory")
    .option("--ssh-config", "the hosts of ~/.ssh/config instead", false)
    .option("--skip-bad", "add what is good although something in the file is not", false)
    .option("-y, --yes", "do not ask", false)
    .addHelpText("after", IMPORT_HELP)
    .action((file: string | undefined, options: HostImportOptions) =>
      runner.run(options, async (output) => {
        const { hostImport } = await import("./host-import.ts");
        return hostImport(output, options, file);
      }),
    );

  withSessionOptions(withFormat(host.command("check")))
    .description("look at a machine step by step, from its name to its agent")
    .argument("<host>", "a managed host, or a destination")
    .addHelpText("after", CHECK_HELP)
    .action((name: string, options: CommonOptions) =>
      runner.run(options, async (output) => {
        const { hostCheck } = await import("./host-check.ts");
        return hostCheck(output, options, name);
      }),
    );

  withSessionOptions(withFormat(host.command("trust")))
    .description("accept the key that a machine shows, after looking at it")
    .argument("<host>", "a managed host, or a destination")
    .option("--fingerprint <SHA256:…>", "accept exactly this key without being asked")
    .action((name: string, options: HostTrustOptions) =>
      runner.run(options, async (output) => {
        const { hostTrust } = await import("./host-trust.ts");
        return hostTrust(output, options, name);
      }),
    );

  withAccess(withSessionOptions(withFormat(host.command("update"))))
    .description("change how a machine is called, reached and grouped; what is not given stays")
    .argument("<host>", "name, alias or id")
    .option("--address <address>", "name or address")
    .action((name: string, options: HostUpdateOptions) =>
      runner.run(options, async (output) => {
        const { hostUpdate } = await import("./host-update.ts");
        return hostUpdate(output, options, name);
      }),
    );

  withSessionOptions(withFormat(host.command("remove")))
    .description("forget a machine: what it enforces stays as it is")
    .argument("<host>", "name, alias or id")
    .option("-y, --yes", "do not ask", false)
    .action((name: string, options: HostRemoveOptions) =>
      runner.run(options, async (output) => {
        const { hostRemove } = await import("./host-update.ts");
        return hostRemove(output, options, name);
      }),
    );
}

function withAccess(command: Command): Command {
  return command
    .option("--alias <name>", "what to call it here")
    .option("--port <number>", "of its sshd", parsePort)
    .option("--user <name>", "account on it")
    .option("--identity-file <path>", "key to log in with; may be given several times", collect)
    .option("--jump <user@host:port,...>", 'machines in between, as "ssh -J" takes them; none = none')
    .option("--agent-socket-path <path>", "the agent's socket on that machine")
    .addOption(new Option("--transport <which>", "how SSH is spoken").choices(["auto", "built-in", "system"]))
    .option("--group <name>", "a group of your own; may be given several times; none = none", collect)
    .option("--label <key=value>", "a label that policies select by; may be given several times", collectLabels)
    .option("--environment <name[:color]>", "red, amber, blue, green or grey; none = none");
}

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

function collectLabels(text: string, before: Readonly<Record<string, string>> | undefined) {
  const equals = text.indexOf("=");
  if (equals < 1) throw new InvalidArgumentError(`"${text}" is not key=value.`);
  return { ...before, [text.slice(0, equals)]: text.slice(equals + 1) };
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError(`"${text}" is not a port.`);
}
