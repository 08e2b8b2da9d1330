import { type Command, InvalidArgumentError, Option } from "commander";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface AuditListOptions extends CommonOptions {
  readonly hosts: string;
  readonly action: string;
  readonly actor: string;
  readonly text: string;
  readonly export?: "csv" | "ndjson";
  readonly limit: number;
}

export interface AuditVerifyOptions extends CommonOptions {
  readonly hosts: string;
}

export interface AuditAcceptOptions extends CommonOptions {
  readonly reason: string;
}

const VERIFY_HELP = `
Each host chains its entries; this console keeps a copy of what it has seen. A log that was cut short, written anew or
changed in the middle is named with its first entry that does not fit, and stays so until a person accepts it.

Exit code 1 when a log does not verify, 3 when a host could not be asked.`;

export function addAudit(program: Command, runner: Runner): void {
  const audit = program.command("audit").description("who changed what on the hosts, and whether the record is whole");
  withSessionOptions(withFormat(audit.command("list")))
    .description("entries of all hosts by time, newest first, from the copy that this console keeps")
    .option("--hosts <selector>", "only of these hosts; console = what was done with this console", "all")
    .option("--action <name>", "only this action: apply, confirm, rollback, quarantine, …", "")
    .option("--actor <actor>", "only of this actor, as it is written: alice (1000)", "")
    .option("--text <words>", "only entries with this in any of their texts", "")
    .addOption(
      new Option("--export <format>", "everything that fits, oldest last, with the hashes").choices(["csv", "ndjson"]),
    )
    .option("--limit <number>", "how many, at most 1000", parseLimit, 50)
    .action((options: AuditListOptions) =>
      runner.run(options, async (output) => {
        const { auditList } = await import("./audit.ts");
        return auditList(output, options);
      }),
    );
  withSessionOptions(withFormat(audit.command("verify")))
    .description("fetch what is new, and prove that nothing was changed, removed or cut off")
    .option("--hosts <selector>", "only of these hosts", "all")
    .addHelpText("after", VERIFY_HELP)
    .action((options: AuditVerifyOptions) =>
      runner.run(options, async (output) => {
        const { auditVerify } = await import("./audit.ts");
        return auditVerify(output, options);
      }),
    );
  withSessionOptions(withFormat(audit.command("accept")))
    .description("go on with the log that a host has now; what was seen before stays")
    .argument("<host>", "name of the host")
    .requiredOption("--reason <text>", "why it is not the log that was seen before")
    .action((host: string, options: AuditAcceptOptions) =>
      runner.run(options, async (output) => {
        const { auditAccept } = await import("./audit.ts");
        return auditAccept(output, options, host);
      }),
    );
}

function parseLimit(text: string): number {
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= 1000) return limit;
  throw new InvalidArgumentError(`"${text}" is not a number from 1 to 1000.`);
}
