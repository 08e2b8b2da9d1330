/** `wardline start`: an agent, the backend, the browser host and a window, until Ctrl-C. */
import { BackendKind, type HostStatus } from "@wardline/api/wardline/v1/host";
import { EnforcementMode } from "@wardline/api/wardline/v1/policy";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { createBackend } from "../../backend/backend.ts";
import { startBrowserHost } from "../../browser/browser-host.ts";
import { type OpenBrowserResult, openBrowser } from "../../browser/open-browser.ts";
import { BACKENDS } from "../commands/host-list.ts";
import { EXIT, type ExitCode } from "../exit-code.ts";
import type { Output } from "../output.ts";
import type { StartOptions } from "../program.ts";
import { agentSocketOf, stateDirOf, userName } from "../session.ts";
import { visible, visibleLines } from "../terminal/visible.ts";
import { ensureLocalAgent, type LocalAgent } from "./local-agent.ts";
import { openConsoleLog } from "./logger.ts";

const FIRST_STATUS_MS = 3_000;

export async function start(output: Output, options: StartOptions): Promise<ExitCode> {
  const stopRequested = untilStopped();
  const stateDir = stateDirOf(options);
  const { logger, path: logPath } = openConsoleLog(stateDir);
  const agent = options.safeMode ? leftAlone(options) : await ensureLocalAgent(output, options);
  try {
    const backend = createBackend({
      stateDir,
      agentSocketPath: agent.socketPath,
      logger,
      shell: { kind: "browser" },
      userName: userName(),
      isSafeMode: options.safeMode,
      isReadOnly: options.readOnly || process.env.WARDLINE_READ_ONLY === "1",
    });
    const { connection } = backend.registry.local;
    let status: HostStatus | null = null;
    try {
      const host = await startBrowserHost({ backend, port: options.listenPort, logger });
      try {
        if (agent.problem === null) await connection.client(FIRST_STATUS_MS).catch(() => {});
        status = connection.state.status;
        const opened = await openWindow(options, host.url, stateDir);
        announce(output, { url: host.url, origin: host.origin, agent, status, opened, logPath });
        await stopRequested;
        status = connection.state.status;
      } finally {
        await host.close();
      }
    } finally {
      await backend.close();
    }
    await agent.process?.stop();
    output.note(farewell(agent, status));
    return EXIT.done;
  } catch (error) {
    await agent.process?.stop();
    throw error;
  }
}

/** Safe mode: nobody is called before a person asks, and nothing is started. */
function leftAlone(options: StartOptions): LocalAgent {
  const message = "Safe mode: no agent is contacted until you ask for it in the window.";
  return {
    socketPath: agentSocketOf(options),
    process: null,
    problem: new Failure({ code: ErrorCode.AGENT_UNREACHABLE, message }),
  };
}

/** Resolves at the first request to stop; the second one ends the process at once. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.on(signal, () => {
        if (asked) process.exit(EXIT.problems);
        asked = true;
        resolve();
      });
    }
  });
}

async function openWindow(options: StartOptions, url: string, stateDir: string): Promise<OpenBrowserResult> {
  if (!options.open) return { opened: false, reason: "" };
  try {
    return await openBrowser({ url, stateDir });
  } catch (error) {
    return { opened: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

interface Running {
  readonly url: string;
  readonly origin: string;
  readonly agent: LocalAgent;
  readonly status: HostStatus | null;
  readonly opened: OpenBrowserResult;
  readonly logPath: string;
}

function announce(output: Output, { url, origin, agent, status, opened, logPath }: Running): void {
  const info = status?.info;
  if (output.format === "json") {
    output.json({
      url,
      origin,
      opened: opened.opened,
      agent: {
        socket: agent.socketPath,
        startedHere: agent.process !== null,
        processId: info?.processId ?? agent.process?.pid ?? null,
        backend: info ? (BackendKind[info.backend]?.toLowerCase() ?? "") : "",
        problem: agent.problem?.message ?? null,
      },
      logPath,
    });
    return;
  }
  const { style } = output;
  const window = opened.opened ? "A window with the console opens." : "Open this address in a browser.";
  const why = !opened.opened && opened.reason ? ` (No window: ${opened.reason}.)` : "";
  output.text(
    [
      `${style.bold("Wardline is running.")} ${window}${why}`,
      `  Console  ${style.blue(url)}`,
      `  Agent    ${describeAgent(agent, status)}`,
      `  Log      ${logPath}`,
      "  Stop     Ctrl-C",
      "",
    ].join("\n"),
  );
}

function describeAgent(agent: LocalAgent, status: HostStatus | null): string {
  if (agent.problem !== null) {
    const hint = agent.problem.hint ? `\n           ${visible(agent.problem.hint)}` : "";
    return `none: ${visibleLines(agent.problem.message).replaceAll("\n", "\n           ")}${hint}`;
  }
  const info = status?.info;
  const origin = agent.process ? "started by this command" : "was running already";
  if (!info) return `${agent.socketPath}, ${origin}`;
  const only =
    info.backend === BackendKind.OBSERVE ? `\n           Nothing is enforced: ${visible(info.backendReason)}` : "";
  return `${BACKENDS[info.backend]}, process ${info.processId}, ${origin}${only}`;
}

/** One line: what goes on without the console. */
function farewell(agent: LocalAgent, status: HostStatus | null): string {
  const generation = status?.enforced?.number ?? 0n;
  const isEnforcing = status?.attached === true && generation > 0n && status.enforced?.mode === EnforcementMode.ENFORCE;
  const rules = isEnforcing
    ? `Generation ${generation} stays enforced in the kernel; to remove it: bin/wardline agent release`
    : "Nothing is enforced on this machine.";
  if (agent.problem !== null) return "Stopped.";
  return agent.process ? `Stopped, with the agent. ${rules}` : `Stopped; the agent goes on running. ${rules}`;
}
