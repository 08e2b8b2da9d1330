/** Every command with its options. Actions load their code when they run: `policy check` never loads a database. */
import { Command, Option } from "commander";
import { addAudit } from "./commands/audit.options.ts";
import { addHostCommands } from "./commands/host.options.ts";
import { addHostAgentCommands } from "./commands/host-agent.options.ts";
import { addPanic } from "./commands/panic.options.ts";
import { addPolicyCheck } from "./commands/policy-check.options.ts";
import { addPolicyDiff } from "./commands/policy-diff.options.ts";
import { addPolicyEval } from "./commands/policy-eval.options.ts";
import { addPolicyExport } from "./commands/policy-export.options.ts";
import { addPolicyReach } from "./commands/policy-reach.options.ts";
import { addPolicyRollout, type RolloutOptions, withRolloutOptions } from "./commands/policy-rollout.options.ts";
import { addPolicySimulate } from "./commands/policy-simulate.options.ts";
import { addPolicySuggest } from "./commands/policy-suggest.options.ts";
import { addPolicyTest } from "./commands/policy-test.options.ts";
import { addQuarantine } from "./commands/quarantine.options.ts";
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
    .showSuggestionAfterError(true);
  const runner = new Runner(outcome);
  addPolicyCommands(program.command("policy").description("check, plan, apply and look at policies"), runner);
  addFlowsCommand(program, runner);
  const host = program.command("host").description("the hosts of this console");
  addHostCommands(host, runner);
  addHostAgentCommands(host, runner);
  addAgentCommands(program.command("agent").description("the agent that enforces on this machine"), runner);
  addQuarantine(program, runner);
  addPanic(program, runner);
  addAudit(program, runner);
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

  addPolicyEval(policy, runner);
  addPolicyExport(policy, runner);
  addPolicyReach(policy, runner);
  addPolicyDiff(policy, runner);
  addPolicyTest(policy, runner);
  addPolicySimulate(policy, runner);
  addPolicySuggest(policy, runner);

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
    .option("--override-tests <reason>", "apply although policy tests fail; the reason is kept in the history")
    .option("-y, --yes", "do not ask before applying", false)
    .option("--wait", "stay until it is confirmed or rolled back", false)
    .action((names: string[], options: CommonOptions & ApplyOptions & RolloutOptions & { policies?: string }) =>
      runner.run(options, async (output) => {
        const { policyApply } = await import("./commands/policy-apply.ts");
        return policyApply(output, options, desiredNames(names, options.policies));
      }),
    );

  for (const verb of ["confirm", "rollback"] as const) {
    withSessionOptions(withFormat(policy.command(verb)))
      .description(verb === "confirm" ? "keep what waits for confirmation" : "return to the generation before, at once")
      .option("--generation <number>", "only when it is this generation", parseGeneration)
      .option("--host <id>", "which host", "local")
      .addOption(new Option("--hosts <selector>", "each of these hosts, as in `host list`").conflicts("host"))
      .option("--typed <words>", "the words that several hosts, or a red environment, need with --hosts", "")
      .option("--reason <text>", "for the history", "")
      .action((options: CommonOptions & SettleOptions) =>
        runner.run(options, async (output) => {
          const { policyConfirm, policyRollback } = await import("./commands/policy-settle.ts");
          return verb === "confirm" ? policyConfirm(output, options) : policyRollback(output, options);
        }),
      );
  }

  withSessionOptions(withFormat(policy.command("list")))
    .description("the files of the workspace and how they stand against what is enforced")
    .option("--versions", "the kept versions instead", false)
    .action((options: CommonOptions & { versions: boolean }) =>
      runner.run(options, async (output) => {
        const { policyList } = await import("./commands/policy-list.ts");
        return policyList(output, options);
      }),
    );

  withSessionOptions(withFormat(policy.command("show")))
    .description("print a file of the workspace")
    .argument("<path>", "path as in `wardline policy list`")
    .action((path: string, options: CommonOptions) =>
      runner.run(options, async (output) => {
        const { policyShow } = await import("./commands/policy-list.ts");
        return policyShow(output, options, path);
      }),
    );
}

function addFlowsCommand(program: Command, runner: Runner): void {
  withSessionOptions(withFormat(program.command("flows")))
    .description("connections as the hosts decided them, with the policy that decided")
    .option("-f, --follow", "go on with new ones", false)
    .option("-n, --limit <count>", "how many of the newest", parseCount, 50)
    .addOption(new Option("--verdict <verdict>", "only these").choices(["allow", "deny"]))
    .option("--port <number>", "only this destination port", parsePortNumber)
    .option("--address <cidr>", "only with this address or prefix at either end")
    .option("--process <name>", "only of this process: its name, the path of its program, or its id")
    .option("--user <user>", "only of processes that this user runs: name or number")
    .option("--text <text>", "only with this text in any column")
    .option("--since <time>", "only from the last 10m, 2h …", parseDuration)
    .action((options: CommonOptions & FlowsOptions) =>
      runner.run(options, async (output) => {
        const { flows } = await import("./commands/flows.ts");
        return flows(output, options);
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
  readonly overrideTests?: string;
  readonly yes: boolean;
  readonly wait: boolean;
}

export interface SettleOptions extends SessionOptions {
  readonly generation?: bigint;
  readonly host: string;
  readonly hosts?: string;
  readonly reason: string;
  readonly typed: string;
}

export interface FlowsOptions extends SessionOptions {
  readonly follow: boolean;
  readonly limit: number;
  readonly verdict?: "allow" | "deny";
  readonly port?: number;
  readonly address?: string;
  readonly process?: string;
  readonly user?: string;
  readonly text?: string;
  readonly since?: number;
}

export interface StartOptions extends SessionOptions {
  readonly open: boolean;
  readonly listenPort: number;
  readonly readOnly: boolean;
  readonly agentArguments?: readonly string[];
}

function desiredNames(names: readonly string[], policies: string | undefined): readonly string[] {
  if (names.length > 0 && policies !== undefined) {
    throw new UsageError("Give files or --policies, not both.");
  }
  return policies === undefined ? names : [policies];
}

function parseGeneration(text: string): bigint {
  if (/^\d{1,18}$/.test(text)) return BigInt(text);
  throw new UsageError(`"${text}" is not the number of a generation.`);
}

function parseCount(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 10_000) return Number(text);
  throw new UsageError(`"${text}" is not a number up to 10000.`);
}

function parsePortNumber(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new UsageError(`"${text}" is not a port number.`);
}

/** Wrong usage as commander tells it; help and version are no errors. */
export function exitCodeOfUsage(commanderExitCode: number): ExitCode {
  return commanderExitCode === 0 ? EXIT.done : EXIT.wrongUsage;
}
