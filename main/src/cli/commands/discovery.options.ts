/** `wardline discovery …`: what names, labels and services mean now. */
import { type Command, Option } from "commander";
import { UsageError } from "../exit-code.ts";
import { parseDuration } from "../input/duration.ts";
import type { Runner } from "../registration.ts";
import { type ClusterOptions, collectLabel, withHost } from "./cluster.options.ts";

export interface RegisterOptions extends ClusterOptions {
  readonly namespace: string;
  readonly address: string;
  readonly port: number;
  readonly instance: string;
  readonly label: Readonly<Record<string, string>>;
  readonly check: "none" | "tcp";
  readonly interval?: number;
  readonly ttl?: number;
}

export interface DeregisterOptions extends ClusterOptions {
  readonly namespace: string;
  readonly instance: string;
}

export interface ListOptions extends ClusterOptions {
  readonly namespace: string;
  readonly service: string;
}

export interface QueryOptions extends ClusterOptions {
  readonly label: Readonly<Record<string, string>>;
  readonly member?: string;
  readonly service?: string;
  readonly name?: string;
}

const QUERY_HELP = `
Exactly one of: --label (every label must match), --member, --service (db or shop/db; only instances that are not known to
fail), --name (a domain name).`;

export function addDiscovery(program: Command, runner: Runner): void {
  const discovery = program
    .command("discovery")
    .description("names, labels and services, and the addresses behind them");
  withHost(discovery.command("register"))
    .description("register one address of a service")
    .argument("<service>", "its name")
    .requiredOption("--address <address>", "IPv4 or IPv6")
    .requiredOption("--port <number>", "where it listens", parsePort)
    .option("--namespace <name>", "", "default")
    .option("--instance <name>", "which of several; the address without", "")
    .option("--label <key=value>", "may be given several times", collectLabel, {})
    .addOption(new Option("--check <kind>", "how its health is known").choices(["none", "tcp"]).default("none"))
    .option("--interval <time>", "between checks", parseDuration)
    .option("--ttl <time>", "gone unless registered again in this time", parseDuration)
    .action((service: string, options: RegisterOptions) =>
      runner.run(options, async (output) => {
        const { discoveryRegister } = await import("./discovery.ts");
        return discoveryRegister(output, options, service);
      }),
    );
  withHost(discovery.command("deregister"))
    .description("take a service, or one instance of it, out")
    .argument("<service>", "its name")
    .option("--namespace <name>", "", "default")
    .option("--instance <name>", "only this one", "")
    .action((service: string, options: DeregisterOptions) =>
      runner.run(options, async (output) => {
        const { discoveryDeregister } = await import("./discovery.ts");
        return discoveryDeregister(output, options, service);
      }),
    );
  withHost(discovery.command("list"))
    .description("registered services with their health")
    .option("--namespace <name>", "only in this one", "")
    .option("--service <name>", "only this one", "")
    .action((options: ListOptions) =>
      runner.run(options, async (output) => {
        const { discoveryList } = await import("./discovery.ts");
        return discoveryList(output, options);
      }),
    );
  withQuery(withHost(discovery.command("resolve")))
    .description("the addresses that something means now; exit code 1 when there are none")
    .action((options: QueryOptions) =>
      runner.run(options, async (output) => {
        const { discoveryResolve } = await import("./discovery.ts");
        return discoveryResolve(output, options);
      }),
    );
  withQuery(withHost(discovery.command("watch")))
    .description("the same, anew after each change, until Ctrl-C; with JSON one list a line")
    .action((options: QueryOptions) =>
      runner.run(options, async (output) => {
        const { discoveryWatch } = await import("./discovery.ts");
        return discoveryWatch(output, options);
      }),
    );
}

function withQuery(command: Command): Command {
  return command
    .option("--label <key=value>", "may be given several times", collectLabel, {})
    .option("--member <name>", "a host")
    .option("--service <name>", "a service")
    .option("--name <domain>", "a domain name")
    .addHelpText("after", QUERY_HELP);
}

function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535) return Number(text);
  throw new UsageError(`"${text}" is not a port number.`);
}
