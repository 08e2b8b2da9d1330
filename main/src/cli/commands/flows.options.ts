/** `wardline flows …`: the live tail, and the history. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { UsageError } from "../exit-code.ts";
import { parseDuration } from "../input/duration.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";
import type { SessionOptions } from "../session.ts";

export interface FlowsOptions extends SessionOptions {
  readonly follow: boolean;
  readonly limit: number;
  readonly query?: string;
  readonly verdict?: "allow" | "deny";
  readonly port?: number;
  readonly address?: string;
  readonly process?: string;
  readonly user?: string;
  readonly text?: string;
  readonly since?: number;
}

export interface FlowsQueryOptions extends CommonOptions {
  readonly since?: number;
  readonly limit: number;
}

export interface FlowsTopOptions extends FlowsQueryOptions {
  readonly by: string;
  readonly order: string;
}

export interface FlowsMapOptions extends CommonOptions {
  readonly since?: number;
  readonly by: string;
  readonly compare?: number;
  readonly maxNodes: number;
}

export interface FlowsExportOptions extends CommonOptions {
  readonly since?: number;
  readonly limit: number;
  readonly csv: boolean;
  readonly columns?: string;
  readonly otlp?: string;
  readonly follow: boolean;
  readonly metrics: boolean;
  readonly otlpHeaders?: string;
  readonly otlpCa?: string;
  readonly otlpCert?: string;
  readonly otlpKey?: string;
  /** Of one look at the store; for tests. */
  readonly every: number;
}

export interface FlowsRetentionOptions extends CommonOptions {
  readonly records?: number;
  readonly minutes?: number;
  readonly hours?: number;
  readonly days?: number;
  readonly maxRecords?: number;
  readonly maxSize?: number;
  readonly dryRun: boolean;
}

export interface FlowsSaveOptions extends CommonOptions {
  readonly description: string;
  readonly by?: string;
}

const QUERY_HELP = `
Words of the query stand side by side: port:443 verdict:deny -peer:10.0.0.0/8 since:-2h "some text"
What is excluded can also be written !port:53 or NOT port:53. @NAME stands for a saved query.
Put it in single quotes where the shell would read something else into it. docs/flows.md has the language.`;

const OTLP_HELP = `
With --otlp, records go to a collector as log records and their sums as metrics. Headers, such as a token, come from
OTEL_EXPORTER_OTLP_HEADERS or from the file of --otlp-headers (one "name: value" a line), never from the command line.
With --follow it goes on where it ended the last time, for the same collector and query.`;

export function addFlows(program: Command, runner: Runner): void {
  // Options after a subcommand are the subcommand's.
  const flows = withSessionOptions(withFormat(program.command("flows"))).enablePositionalOptions();
  addLive(flows, runner);
  addQuery(flows, runner);
  addTop(flows, runner);
  addMap(flows, runner);
  addExport(flows, runner);
  addStats(flows, runner);
  addRetention(flows, runner);
  addSaved(flows, runner);
}

const SINGLE_FILTERS = ["verdict", "port", "address", "process", "user", "text", "since"];

function addLive(flows: Command, runner: Runner): void {
  flows
    .description("connections as the hosts decided them, with the policy that decided; subcommands ask the history")
    .option("-f, --follow", "go on with new ones", false)
    .option("-n, --limit <count>", "how many of the newest", parseCount, 50)
    .addOption(new Option("--query <text>", "only what this query says, as in `flows query`").conflicts(SINGLE_FILTERS))
    .addOption(new Option("--verdict <verdict>", "only these").choices(["allow", "deny"]))
    .option("--port <number>", "only this destination port", parsePortNumber)
    .option("--address <cidr>", "only with this address or prefix at either end")
    .option("--process <name>", "only of this process: its name, the path of its program, or its id")
    .option("--user <user>", "only of processes that this user runs: name or number")
    .option("--text <text>", "only with this text in any column")
    .option("--since <time>", "only from the last 10m, 2h …", parseDuration)
    .action((options: CommonOptions & FlowsOptions) =>
      runner.run(options, async (output) => {
        const { flows: run } = await import("./flows.ts");
        return run(output, options);
      }),
    );
}

/** Words of a query may begin with a hyphen. */
function withQuery(command: Command): Command {
  return withJson(withSessionOptions(withFormat(command)))
    .argument("[query...]", "what to look for; everything without")
    .allowUnknownOption(true)
    .option("--since <time>", "only from the last 10m, 2h, 7d …", parseDuration)
    .addHelpText("after", QUERY_HELP);
}

function withJson(command: Command): Command {
  return command.addOption(new Option("--json", "as --format json").implies({ format: "json" }));
}

function addQuery(flows: Command, runner: Runner): void {
  withQuery(flows.command("query"))
    .description("records of the history, newest first")
    .option("--limit <count>", "how many at most", parseMany, 200)
    .action((words: string[], options: FlowsQueryOptions) =>
      runner.run(options, async (output) => {
        const { flowsQuery } = await import("./flows-query.ts");
        return flowsQuery(output, options, words);
      }),
    );
}

function addTop(flows: Command, runner: Runner): void {
  withQuery(flows.command("top"))
    .description("the largest sums: who talks most, to whom, over what")
    .option(
      "--by <dimensions>",
      "one to three: host, source, destination, peer, port, protocol, process, user, verdict, policy, rule, direction, subject, source-name, destination-name",
      "peer,port",
    )
    .addOption(
      new Option("--order <measure>", "largest first by this")
        .choices(["connections", "bytes", "denied", "records", "packets"])
        .default("connections"),
    )
    .option("--limit <count>", "how many groups, at most 1000", parseCount, 20)
    .action((words: string[], options: FlowsTopOptions) =>
      runner.run(options, async (output) => {
        const { flowsTop } = await import("./flows-top.ts");
        return flowsTop(output, options, words);
      }),
    );
}

function addMap(flows: Command, runner: Runner): void {
  withQuery(flows.command("map"))
    .description("who talks to whom; with --compare what changed")
    .option("--by <grouping>", "host, workload, or label:KEY", "host")
    .option("--compare <time>", "this long until now against as long before: 24h, 7d …", parseDuration)
    .option("--max-nodes <count>", "more addresses than this are put together by network", parseCount, 200)
    .action((words: string[], options: FlowsMapOptions) =>
      runner.run(options, async (output) => {
        const { flowsMap } = await import("./flows-map.ts");
        return flowsMap(output, options, words);
      }),
    );
}

function addExport(flows: Command, runner: Runner): void {
  withQuery(flows.command("export"))
    .description("records as lines of JSON, ending with how many there were; or to a collector by OTLP")
    .option("--limit <count>", "how many at most; 0 = all", parseMany, 0)
    .option("--csv", "as CSV with a header (RFC 4180), formulas made harmless", false)
    .option("--columns <names>", "of CSV, in this order: when,host,peer,port,…; all when left out")
    .option("--otlp <url>", "send to this OpenTelemetry collector: https://collector:4318")
    .option("--follow", "go on with new ones, and after a restart where it ended (with --otlp)", false)
    .option("--no-metrics", "send no metrics (with --otlp)")
    .option("--otlp-headers <file>", "file with headers for the collector")
    .option("--otlp-ca <file>", "certificates of authorities that the collector's is checked against, in PEM")
    .option("--otlp-cert <file>", "client certificate for the collector, in PEM")
    .option("--otlp-key <file>", "its key, in PEM")
    .addOption(new Option("--every <time>").argParser(parseDuration).default(5_000).hideHelp())
    .addHelpText("after", OTLP_HELP)
    .action((words: string[], options: FlowsExportOptions) =>
      runner.run(options, async (output) => {
        const { flowsExport } = await import("./flows-export.ts");
        return flowsExport(output, options, words);
      }),
    );
}

function addStats(flows: Command, runner: Runner): void {
  withJson(withSessionOptions(withFormat(flows.command("stats"))))
    .description("what the history holds, of which hosts, what is missing, and how long it is kept")
    .action((options: CommonOptions) =>
      runner.run(options, async (output) => {
        const { flowsStats } = await import("./flows-stats.ts");
        return flowsStats(output, options);
      }),
    );
}

function addRetention(flows: Command, runner: Runner): void {
  withJson(withSessionOptions(withFormat(flows.command("retention"))))
    .description("how long flows are kept; with options: another choice, and what goes at once")
    .option("--records <age>", "records of ten seconds, such as 7d", parseDuration)
    .option("--minutes <age>", "their sums by minute", parseDuration)
    .option("--hours <age>", "their sums by hour", parseDuration)
    .option("--days <age>", "their sums by day", parseDuration)
    .option("--max-records <count>", "of everything together", parseMany)
    .option("--max-size <size>", "of everything together, such as 8GiB", parseSize)
    .option("--dry-run", "only say what would go", false)
    .action((options: FlowsRetentionOptions) =>
      runner.run(options, async (output) => {
        const { flowsRetention } = await import("./flows-retention.ts");
        return flowsRetention(output, options);
      }),
    );
}

function addSaved(flows: Command, runner: Runner): void {
  const saved = flows.command("saved").description("queries kept by name; `flows query @NAME` asks them");
  withJson(
    withSessionOptions(withFormat(saved.command("list", { isDefault: true }))).description("the saved queries"),
  ).action((options: CommonOptions) =>
    runner.run(options, async (output) => {
      const { listSaved } = await import("./flows-saved.ts");
      return listSaved(output, options);
    }),
  );
  withSessionOptions(withFormat(saved.command("add")))
    .description("keep a query, or replace the one of that name")
    .argument("<name>", "letters, digits and hyphens")
    .argument("<query...>", "the query")
    .allowUnknownOption(true)
    .option("--description <text>", "what it is for", "")
    .option("--by <dimensions>", "how `flows top @NAME` groups it")
    .action((name: string, words: string[], options: FlowsSaveOptions) =>
      runner.run(options, async (output) => {
        const { addSavedQuery } = await import("./flows-saved.ts");
        return addSavedQuery(output, options, name, words);
      }),
    );
  withSessionOptions(withFormat(saved.command("remove")))
    .description("forget a saved query")
    .argument("<name>", "as in the list")
    .action((name: string, options: CommonOptions) =>
      runner.run(options, async (output) => {
        const { removeSavedQuery } = await import("./flows-saved.ts");
        return removeSavedQuery(output, options, name);
      }),
    );
}

function parseCount(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 10_000) return Number(text);
  throw new UsageError(`"${text}" is not a number up to 10000.`);
}

function parseMany(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError(`"${text}" is not a number up to 999999999.`);
}

/** `8GiB`, `500M`, as in queries. */
function parseSize(text: string): number {
  const parts = /^(\d{1,6}(?:\.\d{1,3})?)([kMGT]i?B?|)$/.exec(text);
  const unit = parts?.[2] ?? "";
  const power = unit === "" ? 0 : "kMGT".indexOf(unit[0] ?? "") + 1;
  const bytes = Math.round(Number(parts?.[1]) * (unit.includes("i") ? 1024 : 1000) ** power);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new InvalidArgumentError(`"${text}" is not a size such as 8GiB or 500M.`);
}

function parsePortNumber(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new UsageError(`"${text}" is not a port number.`);
}
