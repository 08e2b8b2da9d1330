import { type Command, Option } from "commander";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface ConfigExportOptions extends CommonOptions {
  readonly output?: string;
}

export interface ConfigImportOptions extends CommonOptions {
  readonly replaceAll: boolean;
  readonly acceptKey: string;
  readonly reason: string;
  readonly ticket: string;
  readonly yes: boolean;
}

export interface ConfigTrustOptions extends CommonOptions {
  readonly name: string;
  readonly remove: boolean;
}

export interface ConfigSourceOptions extends CommonOptions {
  readonly branch: string;
  readonly folder: string;
  readonly every: number;
  readonly reason: string;
  readonly ticket: string;
}

const EXPORT_HELP = `
The archive is a tar of plain text with a signed list of digests; nothing in it is secret, and the same configuration
gives the same bytes. Receivers of alerts get their passwords again on the other side.`;

const IMPORT_HELP = `
Shows who signed the archive and what would change, then asks. Everything is imported or nothing; what the workspace was
before is kept as a version. A key that nobody here knows has to be accepted by its fingerprint (--accept-key).

Exit code 1 when the person said no, 2 when the archive is not sound.`;

const SOURCE_HELP = `
  show                       what is watched, and what it has that the workspace has not
  folder <path>              watch a folder of this machine
  git <url>                  fetch a branch of a git remote (https or ssh; keys come from your ssh agent)
  take                       take over all that does not conflict, as a new version; applies nothing
  publish                    write the workspace back: into the folder, or as a commit that is pushed
  remove                     watch nothing any more`;

export function addConfig(program: Command, runner: Runner): void {
  const config = program
    .command("config")
    .description("the whole configuration as one signed archive, and where policies come from");
  withSessionOptions(withFormat(config.command("export")))
    .description("policies, inventory, hosts, alerts, views and settings in one archive, without secrets")
    .option("-o, --output <file>", "where to write it; - is standard output")
    .addHelpText("after", EXPORT_HELP)
    .action((options: ConfigExportOptions) =>
      runner.run(options, async (output) => {
        const { configExport } = await import("./config.ts");
        return configExport(output, options);
      }),
    );
  withSessionOptions(withFormat(config.command("import")))
    .description("show what an archive would change, then import it")
    .argument("<file>", "the archive; - is standard input")
    .option("--replace-all", "what the archive has not goes away", false)
    .option("--accept-key <fingerprint>", "accept this unknown signer once", "")
    .option("--reason <text>", "for the history", "")
    .option("--ticket <id>", "for the history", "")
    .option("-y, --yes", "do not ask before importing", false)
    .addHelpText("after", IMPORT_HELP)
    .action((file: string, options: ConfigImportOptions) =>
      runner.run(options, async (output) => {
        const { configImport } = await import("./config.ts");
        return configImport(output, options, file);
      }),
    );
  withSessionOptions(withFormat(config.command("verify")))
    .description("say who signed an archive, whether it is sound, and what it would change; changes nothing")
    .argument("<file>", "the archive; - is standard input")
    .option("--replace-all", "as for an import", false)
    .action((file: string, options: ConfigImportOptions) =>
      runner.run(options, async (output) => {
        const { configVerify } = await import("./config.ts");
        return configVerify(output, options, file);
      }),
    );
  withSessionOptions(withFormat(config.command("show-key")))
    .description("the key of this console, and those it knows")
    .action((options: CommonOptions) =>
      runner.run(options, async (output) => {
        const { configShowKey } = await import("./config.ts");
        return configShowKey(output, options);
      }),
    );
  withSessionOptions(withFormat(config.command("trust-key")))
    .description("know whose archives these are")
    .argument("<key>", "what `wardline config show-key` prints there; with --remove a fingerprint")
    .option("--name <text>", "whose it is", "")
    .option("--remove", "do not know it any more", false)
    .action((key: string, options: ConfigTrustOptions) =>
      runner.run(options, async (output) => {
        const { configTrustKey } = await import("./config.ts");
        return configTrustKey(output, options, key);
      }),
    );
  withSessionOptions(withFormat(config.command("source")))
    .description("an outside source of the policies: a folder or a git remote")
    .argument("[verb]", "show, folder, git, take, publish, remove", "show")
    .argument("[where]", "the folder or the address")
    .option("--branch <name>", "of a git remote", "main")
    .option("--folder <path>", "folder of the repository that holds the policies", "")
    .addOption(new Option("--every <seconds>", "how often a remote is fetched").argParser(Number).default(300))
    .option("--reason <text>", "for the history, and as the message of a commit", "")
    .option("--ticket <id>", "for the history, and in the message of a commit", "")
    .addHelpText("after", SOURCE_HELP)
    .action((verb: string, where: string | undefined, options: ConfigSourceOptions) =>
      runner.run(options, async (output) => {
        const { configSource } = await import("./config-source.ts");
        return configSource(output, options, verb, where ?? "");
      }),
    );
}
