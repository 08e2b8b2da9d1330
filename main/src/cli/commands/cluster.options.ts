/** `wardline cluster …`: members, leader, store. */
import { type Command, Option } from "commander";
import { UsageError } from "../exit-code.ts";
import { parseDuration } from "../input/duration.ts";
import { type CommonOptions, type Runner, withFormat, withSessionOptions } from "../registration.ts";

export interface ClusterOptions extends CommonOptions {
  /** Which host is asked. */
  readonly host: string;
}

export interface StoreOptions {
  readonly etcd: readonly string[];
  readonly embedded: boolean;
  readonly user?: string;
  readonly passwordFile?: string;
  readonly ca?: string;
  readonly usersPerMember: boolean;
}

export interface InitOptions extends ClusterOptions, StoreOptions {
  readonly trustDomain: string;
  readonly peerAddress: string;
  readonly label: Readonly<Record<string, string>>;
  readonly lease?: number;
}

export interface JoinOptions extends ClusterOptions {
  readonly hosts?: string;
  readonly cluster?: string;
  readonly peerAddress: string;
  readonly candidate: boolean;
  readonly label: Readonly<Record<string, string>>;
}

export interface TokenOptions extends ClusterOptions {
  readonly member: string;
  readonly candidate: boolean;
  readonly label: Readonly<Record<string, string>>;
  readonly expiresIn: number;
}

export interface ReasonOptions extends ClusterOptions {
  readonly reason: string;
  readonly yes: boolean;
}

export interface BackendOptions extends ClusterOptions, StoreOptions {
  readonly yes: boolean;
}

export interface CertificateOptions extends ClusterOptions {
  readonly out: string;
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly validFor?: number;
}

const JOIN_HELP = `
Either this machine (or --host) is let in with a token that "cluster token" made on a member:
  wardline cluster join - < token          or          wardline cluster join TOKEN
or hosts of this console are let in by name, each with a token of its own that goes from one SSH connection to the other:
  wardline cluster join --cluster prod --hosts web-1,web-2 --candidate
Labels are given by whoever lets a host in; a host says nothing about its own.`;

const BACKEND_HELP = `
Without a user mutual TLS with the members' own certificates is used. Certificates for the servers are made with
"cluster certificate".`;

export function withHost(command: Command): Command {
  return withSessionOptions(withFormat(command)).option("--host <name>", "which host to ask", "local");
}

export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** @throws UsageError */
export function collectLabel(
  value: string,
  before: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const at = value.indexOf("=");
  if (at > 0) return { ...before, [value.slice(0, at)]: value.slice(at + 1) };
  throw new UsageError(`"${value}" is not a label.`, "Labels are key=value.");
}

export function addCluster(program: Command, runner: Runner): void {
  const cluster = program.command("cluster").description("hosts that agree on one desired state");
  addMembership(cluster, runner);
  addViews(cluster, runner);
  addStore(cluster, runner);
}

function addMembership(cluster: Command, runner: Runner): void {
  withStore(withHost(cluster.command("init")))
    .description("make a cluster of one host")
    .argument("<name>", "a-z, 0-9 and -")
    .option("--trust-domain <name>", "of its certificates; NAME.wardline without", "")
    .option("--peer-address <address:port>", "where other members reach this host; proposed without", "")
    .option("--label <key=value>", "of this host; may be given several times", collectLabel, {})
    .option("--lease <time>", "how long a leader may be silent (2s to 60s)", parseDuration)
    .action((name: string, options: InitOptions) =>
      runner.run(options, async (output) => {
        const { clusterInit } = await import("./cluster-membership.ts");
        return clusterInit(output, options, name);
      }),
    );
  withHost(cluster.command("join"))
    .description("let a host into a cluster")
    .argument("[token]", `a token for this host, "-" = from standard input`)
    .option("--hosts <selector>", "these hosts of the console instead, as in `host list`")
    .option("--cluster <name>", "which cluster, with --hosts")
    .option("--peer-address <address:port>", "where other members reach the host; proposed without", "")
    .option("--candidate", "with --hosts: they may lead", false)
    .option("--label <key=value>", "with --hosts: of each; may be given several times", collectLabel, {})
    .addHelpText("after", JOIN_HELP)
    .action((token: string | undefined, options: JoinOptions) =>
      runner.run(options, async (output) => {
        const { clusterJoin } = await import("./cluster-membership.ts");
        return clusterJoin(output, options, token);
      }),
    );
  withHost(cluster.command("token"))
    .description("a secret that lets one host in, once; it is printed and never shown again")
    .option("--member <name>", "only a host of this name", "")
    .option("--candidate", "it may lead", false)
    .option("--label <key=value>", "of that host; may be given several times", collectLabel, {})
    .option("--expires-in <time>", "1m to 24h", parseDuration, 600_000)
    .action((options: TokenOptions) =>
      runner.run(options, async (output) => {
        const { clusterToken } = await import("./cluster-membership.ts");
        return clusterToken(output, options);
      }),
    );
  withReason(withHost(cluster.command("leave")))
    .description("take a host out of its cluster: what it enforces stays")
    .action((options: ReasonOptions) =>
      runner.run(options, async (output) => {
        const { clusterLeave } = await import("./cluster-membership.ts");
        return clusterLeave(output, options);
      }),
    );
  withReason(withHost(cluster.command("remove")))
    .description("end another host's membership, dead or not: its certificate counts no more")
    .argument("<member>", "its name in the cluster")
    .action((member: string, options: ReasonOptions) =>
      runner.run(options, async (output) => {
        const { clusterRemove } = await import("./cluster-membership.ts");
        return clusterRemove(output, options, member);
      }),
    );
  withHost(cluster.command("resign"))
    .description("let another candidate lead")
    .option("--reason <text>", "for the audit log", "")
    .action((options: ReasonOptions) =>
      runner.run(options, async (output) => {
        const { clusterResign } = await import("./cluster-membership.ts");
        return clusterResign(output, options);
      }),
    );
}

function addViews(cluster: Command, runner: Runner): void {
  withHost(cluster.command("status"))
    .description("members, leader, store and who has which set; exit code 1 when something is wrong")
    .action((options: ClusterOptions) =>
      runner.run(options, async (output) => {
        const { clusterStatus } = await import("./cluster-status.ts");
        return clusterStatus(output, options);
      }),
    );
  withSessionOptions(withFormat(cluster.command("list")))
    .description("the clusters that this console's hosts are in")
    .action((options: CommonOptions) =>
      runner.run(options, async (output) => {
        const { clusterList } = await import("./cluster-status.ts");
        return clusterList(output, options);
      }),
    );
  withHost(cluster.command("watch"))
    .description("what happens to members, leader and set, until Ctrl-C; with JSON one status a line")
    .action((options: ClusterOptions) =>
      runner.run(options, async (output) => {
        const { clusterWatch } = await import("./cluster-watch.ts");
        return clusterWatch(output, options);
      }),
    );
}

function addStore(cluster: Command, runner: Runner): void {
  const backend = cluster.command("backend").description("where the agreed state is kept");
  withHost(backend.command("show"))
    .description("the store and its servers as a host sees them")
    .action((options: ClusterOptions) =>
      runner.run(options, async (output) => {
        const { backendShow } = await import("./cluster-backend.ts");
        return backendShow(output, options);
      }),
    );
  withStore(withHost(backend.command("test")))
    .description("ask a store whether it could be used, without using it")
    .addHelpText("after", BACKEND_HELP)
    .action((options: BackendOptions) =>
      runner.run(options, async (output) => {
        const { backendTest } = await import("./cluster-backend.ts");
        return backendTest(output, options);
      }),
    );
  withStore(withHost(backend.command("set")))
    .description("carry everything over into another store, and go on there")
    .option("-y, --yes", "do not ask", false)
    .addHelpText("after", BACKEND_HELP)
    .action((options: BackendOptions) =>
      runner.run(options, async (output) => {
        const { backendSet } = await import("./cluster-backend.ts");
        return backendSet(output, options);
      }),
    );
  withHost(cluster.command("certificate"))
    .description("a certificate of the cluster for a server such as etcd; its key is made here and stays here")
    .argument("<name>", "a-z, 0-9 and -")
    .requiredOption("--out <dir>", "where NAME.key, NAME.crt and ca.crt are written; nothing is overwritten")
    .option("--dns <name>", "a DNS name of it; may be given several times", collect, [])
    .option("--ip <address>", "an address of it; may be given several times", collect, [])
    .option("--valid-for <time>", "1h to 90d", parseDuration)
    .action((name: string, options: CertificateOptions) =>
      runner.run(options, async (output) => {
        const { clusterCertificate } = await import("./cluster-certificate.ts");
        return clusterCertificate(output, options, name);
      }),
    );
}

function withReason(command: Command): Command {
  return command.option("--reason <text>", "for the audit log", "").option("-y, --yes", "do not ask", false);
}

function withStore(command: Command): Command {
  return command
    .option("--etcd <url>", "a server of etcd; may be given several times", collect, [])
    .addOption(new Option("--embedded", "a file on the host: one node, no failover").default(false))
    .option("--user <name>", "of etcd, instead of certificates")
    .option("--password-file <path>", `its password; "-" = from standard input`)
    .option("--ca <path>", "PEM of who signed the servers' certificates; the cluster's own authority without")
    .option("--users-per-member", "etcd itself holds each member to what it may, by its certificate", false);
}
