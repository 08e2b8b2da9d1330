/** Reaches an agent through its Unix socket, after making sure whose socket it is. */
import { stat } from "node:fs/promises";
import { createConnection, type Socket } from "node:net";
import { dirname } from "node:path";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AgentDialer, AgentLink } from "./dialer.ts";
import { http2Link } from "./http2-link.ts";

const CONNECT_TIMEOUT_MS = 3000;

export class UnixSocketDialer implements AgentDialer {
  readonly address: string;

  constructor(socketPath: string) {
    this.address = socketPath;
  }

  async dial(): Promise<AgentLink> {
    await requireTrustedSocket(this.address);
    const socket = await connect(this.address);
    return http2Link(socket);
  }
}

/** The agent runs as root, or (in development) as the person at the console. Anybody else could only be an impostor. */
async function requireTrustedSocket(path: string): Promise<void> {
  const ownUserId = process.getuid?.() ?? 0;
  try {
    const [socket, directory] = await Promise.all([stat(path), stat(dirname(path))]);
    if (!socket.isSocket()) {
      throw new Failure({
        code: ErrorCode.AGENT_UNREACHABLE,
        message: `${path} is not a socket.`,
        hint: "Give the path of the agent's socket with --agent-socket.",
      });
    }
    for (const [name, entry] of [
      [path, socket],
      [dirname(path), directory],
    ] as const) {
      if (entry.uid === 0 || entry.uid === ownUserId) continue;
      throw new Failure({
        code: ErrorCode.PERMISSION_DENIED,
        message: `${name} belongs to user ${entry.uid}, neither to root nor to you, so the process behind it may be an impostor. It was not contacted.`,
        hint: "Find out who made it; the agent's socket belongs to root.",
      });
    }
  } catch (error) {
    throw reachFailure(error, path);
  }
}

function connect(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path });
    const fail = (error: Error) => {
      socket.destroy();
      reject(reachFailure(error, path));
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () =>
      fail(
        new Failure({
          code: ErrorCode.AGENT_UNREACHABLE,
          message: `The agent behind ${path} did not accept a connection within ${CONNECT_TIMEOUT_MS / 1000} s.`,
          hint: "Look at the agent's log: journalctl -u wardline-agent",
          retryable: true,
        }),
      ),
    );
    socket.once("error", fail);
    socket.once("connect", () => {
      socket.setTimeout(0);
      socket.off("error", fail);
      resolve(socket);
    });
  });
}

/** What a failed attempt means to the person, by the system's error code. */
export function reachFailure(error: unknown, path: string): Failure {
  if (error instanceof Failure) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const options = { cause: error };
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return new Failure(
        {
          code: ErrorCode.AGENT_UNREACHABLE,
          message: `No agent runs on this machine: there is no socket ${path}.`,
          hint: "Start it as root: bin/wardline agent run (or systemctl start wardline-agent).",
          retryable: true,
        },
        options,
      );
    case "ECONNREFUSED":
      return new Failure(
        {
          code: ErrorCode.AGENT_UNREACHABLE,
          message: `The agent has ended: the socket ${path} is there and nobody listens. Rules that were enforced stay enforced in the kernel.`,
          hint: "Start it again as root: bin/wardline agent run (or systemctl start wardline-agent).",
          retryable: true,
        },
        options,
      );
    case "EACCES":
    case "EPERM":
      return new Failure(
        {
          code: ErrorCode.PERMISSION_DENIED,
          message: `You may not use the agent's socket ${path}.`,
          hint: "Have an administrator add you to the group `wardline`, then log in again.",
        },
        options,
      );
    default:
      return new Failure(
        {
          code: ErrorCode.AGENT_UNREACHABLE,
          message: `The agent's socket ${path} could not be reached (${code || String(error)}).`,
          hint: "Look at the agent's log: journalctl -u wardline-agent",
          retryable: true,
        },
        options,
      );
  }
}
