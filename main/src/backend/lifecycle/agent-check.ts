/** Asks an agent over an SSH connection who it is and what it enforces, before and after it is exchanged. */
import { Emergency, type HostStatus } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { agentFailure } from "../agent/agent-failure.ts";
import { http2Link } from "../agent/http2-link.ts";
import { requireTrustedOwner } from "../agent/ssh-dialer.ts";
import { DEFAULT_AGENT_SOCKET } from "../paths.ts";
import type { SshSession } from "../ssh/ssh-session.ts";
import { API_MAX, API_MIN, CONSOLE_VERSION } from "../version.ts";
import type { AgentIdentity } from "./versions.ts";

const CALL_TIMEOUT_MS = 10_000;

export interface AgentReport {
  readonly identity: AgentIdentity;
  readonly status: HostStatus;
}

/**
 * Over a channel of a connection that stays.
 * @throws Failure AGENT_MISSING, PERMISSION_DENIED, AGENT_UNREACHABLE and what the agent answers
 */
export async function askAgent(session: SshSession, path: string, hostName: string): Promise<AgentReport> {
  const socketPath = path || DEFAULT_AGENT_SOCKET;
  const [socket] = await Promise.all([session.openSocket(socketPath), requireTrustedOwner(session, socketPath)]);
  const { client, close } = http2Link(socket);
  try {
    const call = { timeoutMs: CALL_TIMEOUT_MS };
    const greeting = await client.handshake(
      { clientName: "wardline-console", clientVersion: CONSOLE_VERSION, apiMin: API_MIN, apiMax: API_MAX },
      call,
    );
    const { status } = await client.getStatus({}, call);
    if (!status) throw new Failure({ code: ErrorCode.INTERNAL, message: "The agent sent no status." });
    return { identity: { version: greeting.agentVersion, build: greeting.agentBuild }, status };
  } catch (error) {
    throw agentFailure(error, hostName);
  } finally {
    close();
  }
}

/** Ends in which there is nobody to ask, or nobody who answers this login. */
const SILENT = new Set([
  ...[ErrorCode.AGENT_MISSING, ErrorCode.AGENT_UNREACHABLE, ErrorCode.PERMISSION_DENIED, ErrorCode.UNAUTHENTICATED],
  ...[ErrorCode.HOST_UNSUPPORTED, ErrorCode.VERSION_MISMATCH],
]);

/**
 * What the agent that is there says of itself; `null` when nobody answers this login.
 * @param force takes an agent that answers wrongly for none: installing over it is the way out
 */
export async function reportBefore(
  session: SshSession,
  path: string,
  hostName: string,
  force: boolean,
): Promise<AgentReport | null> {
  try {
    return await askAgent(session, path, hostName);
  } catch (error) {
    const isSilent = error instanceof Failure && (force || SILENT.has(error.code));
    if (isSilent && !session.ended.aborted) return null;
    throw error;
  }
}

/**
 * What differs between before and after that an exchange of the agent must not change; `null` = nothing. A newer generation is
 * somebody's apply, or a name that resolves otherwise, and no difference in this sense.
 */
export function enforcementDifference(before: HostStatus, after: HostStatus): string | null {
  const [was, is] = [before.enforced, after.enforced];
  if ((was?.number ?? 0n) > (is?.number ?? 0n)) {
    return `it enforced generation ${was?.number} before and ${is?.number ?? 0n} after`;
  }
  if (was && is && was.number === is.number && (was.programDigest !== is.programDigest || was.mode !== is.mode)) {
    return `generation ${is.number} is not what it was before`;
  }
  if (before.attached && !after.attached) return "its programs were attached before and are not now";
  if (before.info?.backend !== after.info?.backend) return "it enforces by another backend than before";
  if (before.emergency !== after.emergency) {
    return `its emergency brake was ${emergencyName(before.emergency)} and is ${emergencyName(after.emergency)}`;
  }
  const missing = before.quarantines.find(
    ({ subjectKey }) => !after.quarantines.some((quarantine) => quarantine.subjectKey === subjectKey),
  );
  return missing ? "a quarantine is gone" : null;
}

function emergencyName(emergency: Emergency): string {
  if (emergency === Emergency.OPEN) return "open";
  return emergency === Emergency.CLOSED ? "closed" : "off";
}
