/** Entry of the agent: `bin/wardline agent run …` from source, `wardline-agent run …` as the single executable. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { pino } from "pino";
import { bootAgent } from "./agent/bootAgent.ts";
import { giveMemoryBack } from "./agent/memoryUpkeep.ts";
import type { AgentOptions } from "./agent/options.ts";
import { HELP, readCommandLine, systemSurroundings, UsageError } from "./agent/options.ts";
import { type RunningAgent, runAgent } from "./agent/runAgent.ts";
import { KernelUnavailable, testRun } from "./agent/testRun.ts";
import { uninstallAgent } from "./agent/uninstall.ts";
import { AGENT_BUILD, AGENT_VERSION, API_MAX, API_MIN } from "./agent/version.ts";
import { boundAllocator } from "./linux/bpf/allocator.ts";
import { StartError } from "./server/socket.ts";

const EXIT_PROBLEM = 1;
const EXIT_USAGE = 2;
const EXIT_UNREACHABLE = 3;

function printVersion(json: boolean): void {
  const version = {
    version: AGENT_VERSION,
    build: AGENT_BUILD,
    apiMin: API_MIN,
    apiMax: API_MAX,
    node: process.version,
  };
  console.log(json ? JSON.stringify(version) : `wardline-agent ${AGENT_VERSION} (${AGENT_BUILD})`);
}

function closeOnSignals(agent: RunningAgent, log: pino.Logger): void {
  const stop = (signal: NodeJS.Signals) => {
    log.info({ signal }, "stopping; what is enforced stays enforced");
    agent.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, "stopping failed");
        process.exit(EXIT_PROBLEM);
      },
    );
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

async function run(options: AgentOptions): Promise<void> {
  boundAllocator();
  // Written at once: the last lines before a crash are the ones that matter.
  const log = pino({ level: options.logLevel, base: { pid: process.pid } }, pino.destination({ dest: 2, sync: true }));
  process.on("uncaughtException", (error) => {
    log.fatal({ err: error }, "the agent ends; what is enforced stays enforced");
    process.exit(EXIT_PROBLEM);
  });
  const agent = await runAgent(options, { log });
  closeOnSignals(agent, log);
  const ready = {
    ready: true,
    pid: process.pid,
    socket: options.socketPath,
    backend: agent.backend,
    startupMs: Math.round(performance.now()),
  };
  log.info(ready, "ready");
  console.log(JSON.stringify(ready));
  giveMemoryBack();
}

/** One line of JSON, and every problem in words: units show both on the console of the machine. */
async function boot(options: AgentOptions): Promise<void> {
  const log = pino({ level: options.logLevel, base: { pid: process.pid } }, pino.destination({ dest: 2, sync: true }));
  const report = await bootAgent(options, { log });
  console.log(JSON.stringify({ booted: true, ...report }));
  for (const problem of report.problems) console.error(`wardline: ${problem}`);
  process.exit(report.problems.length === 0 ? 0 : EXIT_PROBLEM);
}

async function main(): Promise<void> {
  const command = readCommandLine(process.argv.slice(2), systemSurroundings());
  if (command.kind === "help") process.stdout.write(HELP);
  else if (command.kind === "version") printVersion(command.json);
  else if (command.kind === "test-run") await testRun(process.stdin, process.stdout);
  else if (command.kind === "boot") await boot(command.options);
  else if (command.kind === "uninstall") await uninstallAgent(command);
  else await run(command.options);
}

main().catch((error: unknown) => {
  if (error instanceof UsageError) {
    console.error(`wardline-agent: ${error.message}\n\n${HELP}`);
    process.exit(EXIT_USAGE);
  }
  if (error instanceof KernelUnavailable) {
    console.error(`wardline-agent: ${error.message}`);
    process.exit(EXIT_UNREACHABLE);
  }
  if (error instanceof Failure) {
    console.error(`wardline-agent: ${error.message}`);
    process.exit(error.code === ErrorCode.INVALID_ARGUMENT ? EXIT_USAGE : EXIT_PROBLEM);
  }
  console.error(`wardline-agent: ${error instanceof StartError ? error.message : describe(error)}`);
  process.exit(EXIT_PROBLEM);
});

/** A failed start of any other kind is a defect: keep where it happened. */
function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
