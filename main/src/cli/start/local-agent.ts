/** Makes sure that an agent runs on this machine: the one that is there, or one that this command starts. */
import { join, resolve } from "node:path";
import { ErrorCode, type Failure } from "@wardline/domain/errors";
import { DEFAULT_AGENT_SOCKET } from "../../backend/paths.ts";
import type { Output } from "../output.ts";
import { agentSocketOf, ownAgentSocket, type SessionOptions, stateDirOf } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import { AgentProcess, tryAgent } from "./agent-process.ts";

export interface LocalAgentOptions extends SessionOptions {
  /** Further options of `wardline agent run`; they win over ours. */
  readonly agentArguments?: readonly string[];
}

export interface LocalAgent {
  readonly socketPath: string;
  /** The child, when this command started it. */
  readonly process: AgentProcess | null;
  /** Why there is none; `null` when one answers. */
  readonly problem: Failure | null;
}

/** Never fails: the console opens without an agent too, and shows why there is none. */
export async function ensureLocalAgent(output: Output, options: LocalAgentOptions): Promise<LocalAgent> {
  const present = agentSocketOf(options);
  const problem = await tryAgent(present);
  if (problem === null) return { socketPath: present, process: null, problem: null };
  // Somebody is there and does not want us: a second agent would not help.
  if (problem.code !== ErrorCode.AGENT_UNREACHABLE) return { socketPath: present, process: null, problem };
  return startAgent(output, options);
}

async function startAgent(output: Output, options: LocalAgentOptions): Promise<LocalAgent> {
  const socketPath = socketToStart(options);
  const agent = new AgentProcess({
    socketPath,
    args: agentArguments(options, socketPath),
    onUnexpectedEnd: (message, lastWords) => {
      output.note(message);
      for (const line of lastWords.slice(-5)) output.note(`  ${visible(line)}`);
    },
  });
  try {
    await agent.start();
    return { socketPath, process: agent, problem: null };
  } catch (error) {
    return { socketPath, process: null, problem: error as Failure };
  }
}

/** Root has the system's place, others one of their own. */
function socketToStart(options: SessionOptions): string {
  const given = options.agentSocket ?? process.env.WARDLINE_AGENT_SOCKET;
  return given || (process.getuid?.() === 0 ? DEFAULT_AGENT_SOCKET : ownAgentSocket());
}

function agentArguments(options: LocalAgentOptions, socketPath: string): string[] {
  const stateDir = process.getuid?.() === 0 ? [] : ["--state-dir", join(stateDirOf(options), "agent")];
  return ["--socket", resolve(socketPath), ...stateDir, ...(options.agentArguments ?? [])];
}
