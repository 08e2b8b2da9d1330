/** Makes sure that an agent runs on this machine: the one that is there, or one that this command starts. */
import { join } from "node:path";
import { ErrorCode, type Failure } from "@wardline/domain/errors";
import { DEFAULT_AGENT_SOCKET } from "../../backend/paths.ts";
import type { Output } from "../output.ts";
import { agentSocketOf, ownAgentSocket, type SessionOptions, stateDirOf } from "../session.ts";
import { visible } from "../terminal/visible.ts";
import { AgentProcess, tryAgent } from "./agent-process.ts";

export interface LocalAgent {
  readonly socketPath: string;
  /** The child, when this command started it. */
  readonly process: AgentProcess | null;
  /** Why there is none; `null` when one answers. */
  readonly problem: Failure | null;
}

/** Never fails: the console opens without an agent too, and shows why there is none. */
export async function ensureLocalAgent(output: Output, options: SessionOptions): Promise<LocalAgent> {
  const present = agentSocketOf(options);
  const problem = await tryAgent(present);
  if (problem === null) return { socketPath: present, process: null, problem: null };
  // Somebody is there and does not want us: a second agent would not help.
  if (problem.code !== ErrorCode.AGENT_UNREACHABLE) return { socketPath: present, process: null, problem };
  return startAgent(output, options);
}

export async function startAgent(output: Output, options: SessionOptions): Promise<LocalAgent> {
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

/** Root has the system's place; others their runtime directory, or the console's own directory where there is none. */
function socketToStart(options: SessionOptions): string {
  const given = options.agentSocket ?? process.env.WARDLINE_AGENT_SOCKET;
  if (given) return given;
  if (process.getuid?.() === 0) return DEFAULT_AGENT_SOCKET;
  return ownAgentSocket() ?? join(stateDirOf(options), "agent.sock");
}

function agentArguments(options: SessionOptions, socketPath: string): string[] {
  const args = ["--socket", socketPath];
  if (process.getuid?.() === 0) return args;
  return [...args, "--backend", "observe", "--state-dir", join(stateDirOf(options), "agent")];
}
