/** Reaches an agent on another machine: its Unix socket, through SSH. */
import { create } from "@bufbuild/protobuf";
import { type HostAccess, HostAccessSchema } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { DEFAULT_AGENT_SOCKET } from "../paths.ts";
import type { SshConnector, SshSession } from "../ssh/ssh-session.ts";
import type { AgentDialer, AgentLink, DialOptions, RemoteDialerFactory } from "./dialer.ts";
import { http2Link } from "./http2-link.ts";

/** Directories above the socket in which nobody but root may put something in its place. */
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

export interface SshDialerOptions {
  readonly connector: SshConnector;
  readonly hostId: string;
  /** Read at each attempt: the person may change it. */
  readonly access: () => HostAccess;
}

export class SshDialer implements AgentDialer {
  readonly #options: SshDialerOptions;

  constructor(options: SshDialerOptions) {
    this.#options = options;
  }

  get address(): string {
    const { user, address, port } = this.#options.access();
    return `${user === "" ? "" : `${user}@`}${address}${port === 0 ? "" : `:${port}`}`;
  }

  /** A new login each time. @throws Failure as `SshConnector.connect` and `SshSession.openSocket` */
  async dial({ signal, isInteractive = false }: DialOptions = {}): Promise<AgentLink> {
    const { connector, hostId, access } = this.#options;
    const way = access();
    const session = await connector.connect(way, {
      hostId,
      isInteractive,
      signal: signal ?? new AbortController().signal,
    });
    const giveUp = () => session.close();
    signal?.addEventListener("abort", giveUp, { once: true });
    try {
      return await linkTo(session, way.agentSocket || DEFAULT_AGENT_SOCKET);
    } catch (error) {
      session.close();
      throw error;
    } finally {
      signal?.removeEventListener("abort", giveUp);
    }
  }
}

/** The record is read at each attempt: the person may change it. */
export function sshDialerFactory(connector: SshConnector): RemoteDialerFactory {
  return (record) => {
    const access = () => record().access ?? create(HostAccessSchema);
    return new SshDialer({ connector, hostId: record().id, access });
  };
}

/** The session ends with the link, and the link with the session. */
export async function linkTo(session: SshSession, socketPath: string): Promise<AgentLink> {
  const [stream] = await Promise.all([session.openSocket(socketPath), requireTrustedOwner(session, socketPath)]);
  const link = http2Link(stream);
  const end = () => link.close();
  session.ended.addEventListener("abort", end, { once: true });
  if (session.ended.aborted) end();
  return {
    client: link.client,
    cluster: link.cluster,
    anomalies: link.anomalies,
    mesh: link.mesh,
    records: link.records,
    session,
    close() {
      session.ended.removeEventListener("abort", end);
      link.close();
      session.close();
    },
  };
}

/**
 * The agent runs as root: a socket of anybody else, or one in a directory that others may write, could be an impostor's.
 * Where the machine does not tell (no SFTP), the account that we log in with is what is trusted.
 */
export async function requireTrustedOwner(session: SshSession, socketPath: string): Promise<void> {
  const directory = socketPath.slice(0, socketPath.lastIndexOf("/")) || "/";
  const [socket, parent] = await Promise.all([session.owner(socketPath), session.owner(directory)]);
  if (socket !== null && socket.userId !== 0) throw impostor(session, socketPath, `belongs to user ${socket.userId}`);
  if (parent === null) return;
  if (parent.userId !== 0) throw impostor(session, directory, `belongs to user ${parent.userId}`);
  if ((parent.mode & WRITABLE_BY_OTHERS) !== 0 && (parent.mode & STICKY) === 0) {
    throw impostor(session, directory, "may be written by others");
  }
}

function impostor(session: SshSession, path: string, why: string): Failure {
  return new Failure({
    code: ErrorCode.PERMISSION_DENIED,
    message: `${path} on ${session.summary.address} ${why}, so the process behind the socket may be an impostor. It was not contacted.`,
    hint: "Find out who made it; the agent's socket and its directory belong to root.",
  });
}
