/** Every command with its options. Actions load their code when they run: `policy check` never loads a database. */
import { Command, Option } from "commander";
import { addAlert } from "./commands/alert.options.ts";
import { addAnomaly } from "./commands/anomaly.options.ts";
import { addAsk } from "./commands/ask.options.ts";
import { addAudit } from "./commands/audit.options.ts";
import { addCluster, type ClusterOptions } from "./commands/cluster.options.ts";
import { addConfig } from "./commands/config.options.ts";
import { addDiscovery } from "./commands/discovery.options.ts";
import { addFlows } from "./commands/flows.options.ts";
import { addHostCommands } from "./commands/host.options.ts";
import { addHostAgentCommands } from "./commands/host-agent.options.ts";
import { addMesh } from "./commands/mesh.options.ts";
import { addNote } from "./commands/note.options.ts";
import { addPanic } from "./commands/panic.options.ts";
import { addPolicyBlame } from "./commands/policy-blame.options.ts";
import { addPolicyCheck } from "./commands/policy-check.options.ts";
import { addPolicyCluster, parseNumber } from "./commands/policy-cluster.options.ts";
import { addPolicyDiff } from "./commands/policy-diff.options.ts";
import { addPolicyEval } from "./commands/policy-eval.options.ts";
import { addPolicyExport } from "./commands/policy-export.options.ts";
import { addPolicyPicture } from "./commands/policy-picture.options.ts";
import { addPolicyReach } from "./commands/policy-reach.options.ts";
import { addPolicyRollout, type RolloutOptions, withRolloutOptions } from "./commands/policy-rollout.options.ts";
import { addPolicySettle } from "./commands/policy-settle.options.ts";
import { addPolicySimulate } from "./commands/policy-simulate.options.ts";
import { addPolicySuggest } from "./commands/policy-suggest.options.ts";
import { addPolicyTest } from "./commands/policy-test.options.ts";
import { addPolicyVerdicts } from "./commands/policy-verdicts.options.ts";
import { addQuarantine } from "./commands/quarantine.options.ts";
import { addSettings } from "./commands/settings.options.ts";
import { addSupport } from "./commands/support.options.ts";
import { EXIT, type ExitCode, UsageError } from "./exit-code.ts";
import { parseDuration } from "./input/duration.ts";
import { type CommonOptions, type Outcome, Runner, withFormat, withSessionOptions } from "./registration.ts";
import type { SessionOptions } from "./session.ts";

const EXIT_CODES = `
Exit codes: 0 done, 1 found problems, 2 wrong usage, 3 could not reach something.`;

/** The outcome is filled in while the program runs. */
export function createProgram(version: string, outcome: Outcome): Command {
  const program = new Command("wardline")
    .description("Zero-trust network policy for your own hosts.")
    .version(version, "-V, --version", "print the version")
    .addHelpText("after", EXIT_CODES)
    .helpCommand(true)
    // An option belongs to the command that it stands behind: `flows` and its subcommands have some of the same name.
    .enablePositionalOptions()
    .showSuggestionAfterError(true);
  const runner = new Runner(outcome);
  addPolicyCommands(program.command("policy").description("check, plan, apply and look at policies"), runner);
  addAsk(program, runner);
  addFlows(program, runner);
  addAnomaly(program, runner);
  addAlert(program, runner);
  const host = program.command("host").description("the hosts of this console");
  addHostCommands(host, runner);
  addHostAgentCommands(host, runner);
  addAgentCommands(program.command("agent").description("the agent that enforces on this machine"), runner);
  addCluster(program, runner);
  addMesh(program, runner);
  addDiscovery(program, runner);
  addNote(program, runner);
  addQuarantine(program, runner);
  addPanic(program, runner);
  addAudit(program, runner);
  addConfig(program, runner);
  addSettings(program, runner);
  addSupport(program, runner);
  addStartCommand(program, runner);
  return program;
}

function addPolicyCommands(policy: Command, runner: Runner): void {
  addPolicyCheck(policy, runner);

  withSessionOptions(withFormat(policy.command("explain")))
    .description("say whether a connection is allowed, and which rules decide")
    .requiredOption("--from <end>", "who connects: a name, namespace/name, key or address")
    .requiredOption("--to <end>", "to whom: a name, namespace/name, key or address")
    .requiredOption("--port <port>", "443/tcp, 53/udp, icmp, 8/icmp")
    .option("--policies <dir>", "folder or file with policies, instead of the workspace")
    .option("--inventory <file>", "file or folder with Host and Workload documents")
    .action((options: CommonOptions & ExplainOptions) =>
      runner.run(options, async (output) => {
        const { policyExplain } = await import("./commands/policy-explain.ts");
        return policyExplain(output, options);
      }),
    );

  addPolicyCluster(policy, runner);
  addPolicyEval(policy, runner);
  addPolicyExport(policy, runner);
  addPolicyReach(policy, runner);
  addPolicyPicture(policy, runner);
  addPolicyDiff(policy, runner);
  addPolicyTest(policy, runner);
  addPolicySimulate(policy, runner);
  addPolicyVerdicts(policy, runner);
  addPolicySuggest(policy, runner);
  addPolicyBlame(policy, runner);

  withSessionOptions(withFormat(policy.command("plan")))
    .description("show what an apply would change; changes nothing")
    .argument("[file...]", "the whole desired set; without any: the workspace")
    .option("--policies <dir>", "folder with the whole desired set")
    .option("--hosts <selector>", "only for these hosts, as in `host list`", "all")
    .action((names: string[], options: CommonOptions & { policies?: string; hosts: string }) =>
      runner.run(options, async (output) => {
        const { policyPlan } = await import("./commands/policy-plan.ts");
        return policyPlan(output, options, desiredNames(names, options.policies));
      }),
    );

  addPolicyRollout(policy, runner);

  withRolloutOptions(withSessionOptions(withFormat(policy.command("apply"))))
    .description("plan, then put the policies in force until they are confirmed or time runs out")
    .argument("[file...]", "the whole desired set (it becomes the workspace); without any: the workspace")
    .option("--policies <dir>", "folder with the whole desired set")
    .addOption(
      new Option("--confirm-within <time>", "roll back unless confirmed in this time (5s to 1h)")
        .argParser(parseDuration)
        .default(120_000, "2m"),
    )
    .addOption(
      new Option("--mode <mode>", "what to do with what is denied").choices(["observe", "enforce"]).default("enforce"),
    )
    .option("--reason <text>", "for the history", "")
    .option("--ticket <id>", "the ticket behind it, for the history", "")
    .option("--override-tests <reason>", "apply although policy tests fail; the reason is kept in the history")
    .option("-y, --yes", "do not ask before applying", false)
    .option("--wait", "stay until it is confirmed or rolled back", false)
    .action((names: string[], options: CommonOptions & ApplyOptions & RolloutOptions & { policies?: string }) =>
      runner.run(options, async (output) => {
        const { policyApply } = await import("./commands/policy-apply.ts");
        return policyApply(output, options, desiredNames(names, options.policies));
      }),
    );

  addPolicySettle(policy, runner);

  withSessionOptions(withFormat(policy.command("list")))
    .description("the files of the workspace and how they stand against what is enforced")
    .option("--versions", "the kept versions instead", false)
    .addOption(new Option("--cluster", "the documents of the cluster instead").conflicts("versions").default(false))
    .option("--host <name>", "with --cluster: which host to ask", "local")
    .action((options: ClusterOptions & { versions: boolean; cluster: boolean }) =>
      runner.run(options, async (output) => {
        if (options.cluster) {
          const { listClusterDocuments } = await import("./commands/policy-cluster.ts");
          return listClusterDocuments(output, options);
        }
        const { policyList } = await import("./commands/policy-list.ts");
        return policyList(output, options);
      }),
    );

  withSessionOptions(withFormat(policy.command("show")))
    .description("print a file of the workspace, or a document of the cluster")
    .argument("<path>", "path as in `wardline policy list`; without .yaml a name as in `policy list --cluster`")
    .option("--at <version>", "of the document; the newest without", parseNumber)
    .option("--host <name>", "which host to ask for a document of the cluster", "local")
    .action((path: string, options: ClusterOptions & { at?: bigint }) =>
      runner.run(options, async (output) => {
        if (options.at !== undefined || !/\.(ya?ml|json)$/i.test(path)) {
          const { showClusterDocument } = await import("./commands/policy-cluster.ts");
          return showClusterDocument(output, options, path, options.at);
        }
        const { policyShow } = await import("./commands/policy-list.ts");
        return policyShow(output, options, path);
      }),
    );
}

const AGENT_PROGRAMS = [
  ["run", "run the agent in this terminal (as root; see `wardline agent run --help`)"],
  ["boot", "put the last confirmed policies in force and end, for the boot unit (as root)"],
  ["uninstall", "end enforcement and remove what the agent made on this machine (as root; no agent may run)"],
  ["test-run", "ask the kernel about packets, for `wardline policy eval` (as root; attaches nothing)"],
] as const;

function addAgentCommands(agent: Command, runner: Runner): void {
  // `bin/wardline` starts the agent itself and never comes here; this is its line in the help.
  for (const [verb, description] of AGENT_PROGRAMS) {
    agent
      .command(verb)
      .description(description)
      .allowUnknownOption(true)
      .action(() => {
        throw new UsageError("The agent is started by bin/wardline.", `Run: bin/wardline agent ${verb}`);
      });
  }
  withSessionOptions(withFormat(agent.command("status")))
    .description("what the agent on this machine is doing")
    .action((options: CommonOptions) =>
      runner.run(options, async (output) => {
        const { agentStatus } = await import("./commands/agent.ts");
        return agentStatus(output, options);
      }),
    );
  withSessionOptions(withFormat(agent.command("release")))
    .description("remove every rule from the kernel: this machine enforces nothing afterwards")
    .option("--reason <text>", "for the audit log", "")
    .option("-y, --yes", "do not ask", false)
    .argument("[agent-options...]", "after --: options of `wardline agent run`, for when no agent runs")
    .action((agentArguments: string[], options: CommonOptions & { reason: string; yes: boolean }) =>
      runner.run(options, async (output) => {
        const { agentRelease } = await import("./commands/agent.ts");
        return agentRelease(output, { ...options, agentArguments });
      }),
    );
}

function addStartCommand(program: Command, runner: Runner): void {
  withSessionOptions(withFormat(program.command("start")))
    .description("open the console for this machine")
    .option("--no-open", "print the address and open no window")
    .option("--listen-port <number>", "port on 127.0.0.1; 0 = any free one", parsePortNumber, 0)
    .option("--read-only", "look and plan, and change nothing (WARDLINE_READ_ONLY=1)", false)
    .option("--safe-mode", "without your settings; no agent is started or contacted until you ask for it", false)
    .argument("[agent-options...]", "after --: options of `wardline agent run`, for when no agent runs yet")
    .action((agentArguments: string[], options: CommonOptions & StartOptions) =>
      runner.run(options, async (output) => {
        const { start } = await import("./start/start.ts");
        return start(output, { ...options, agentArguments });
      }),
    );
}

export interface ExplainOptions extends SessionOptions {
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly policies?: string;
  readonly inventory?: string;
}

export interface ApplyOptions extends SessionOptions {
  readonly confirmWithin: number;
  readonly mode: "observe" | "enforce";
  readonly reason: string;
  readonly ticket: string;
  readonly overrideTests?: string;
  readonly yes: boolean;
  readonly wait: boolean;
}

export interface StartOptions extends SessionOptions {
  readonly open: boolean;
  readonly listenPort: number;
  readonly readOnly: boolean;
  readonly safeMode: boolean;
  readonly agentArguments?: readonly string[];
}

function desiredNames(names: readonly string[], policies: string | undefined): readonly string[] {
  if (names.length > 0 && policies !== undefined) {
    throw new UsageError("Give files or --policies, not both.");
  }
  return policies === undefined ? names : [policies];
}

function parsePortNumber(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new UsageError(`"${text}" is not a port number.`);
}

/** Wrong usage as commander tells it; help and version are no errors. */
export function exitCodeOfUsage(commanderExitCode: number): ExitCode {
  return commanderExitCode === 0 ? EXIT.done : EXIT.wrongUsage;
}
