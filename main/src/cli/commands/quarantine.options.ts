import { type Command, InvalidArgumentError, Option } from "commander";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface QuarantineOptions extends CommonOptions {
  readonly host: string;
  readonly hosts?: string;
  readonly typed: string;
  /** `none` = nobody, although this session comes over the network. */
  readonly allowFrom?: string;
  readonly port: readonly number[];
  readonly reason: string;
  readonly lift: boolean;
}

const HELP = `
A host in quarantine passes nothing in or out but what is opened from --allow-from to TCP --port, loopback, and the ICMP
without which IP breaks; its workloads are cut off with it. A workload in quarantine passes nothing at all. Connections
that are open end with their next packet. It stays over restarts, reboots and every apply, until it is lifted. A change
that waits for confirmation is rolled back first.

A name is a workload's name, namespace/name or key; "host" is the host itself.`;

export function addQuarantine(program: Command, runner: Runner): void {
  const quarantine = withSessionOptions(withFormat(program.command("quarantine")))
    .description("cut a host or one of its workloads off, at once")
    .argument("<name>", `"host", or a workload of it`)
    .option("--host <name>", "which host", "local")
    .addOption(new Option("--hosts <selector>", "on each of these hosts, as in `host list`").conflicts("host"))
    .option("--typed <words>", "the words that several hosts, or a red environment, need with --hosts", "")
    .option("--allow-from <cidr,...>", `who may still reach the host (addresses or prefixes), or "none"`)
    .option("--port <port,...>", "TCP ports that they may reach", parsePorts, [])
    .option("--lift", "end the quarantine instead", false)
    .option("--reason <text>", "for the audit log", "")
    .addHelpText("after", HELP)
    .action((name: string, options: QuarantineOptions) =>
      runner.run(options, async (output) => {
        const { quarantineSubject } = await import("./quarantine.ts");
        return quarantineSubject(output, options, name);
      }),
    );
  withSessionOptions(withFormat(quarantine.command("list")))
    .description("who is in quarantine, on every host")
    .action((options: CommonOptions) =>
      runner.run(options, async (output) => {
        const { quarantineList } = await import("./quarantine.ts");
        return quarantineList(output, options);
      }),
    );
}

function parsePorts(text: string): number[] {
  return text.split(",").map((part) => {
    const port = /^\d{1,5}$/.test(part) ? Number(part) : 0;
    if (port >= 1 && port <= 65_535) return port;
    throw new InvalidArgumentError(`"${part}" is not a port.`);
  });
}
