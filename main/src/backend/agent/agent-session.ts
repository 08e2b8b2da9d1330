/** One connection to an agent from its greeting to its end. What comes over it is a stranger's: bounded in rate and size. */
import type { HandshakeResponse } from "@wardline/api/wardline/agent/v1/agent";
import { HandshakeResponseSchema } from "@wardline/api/wardline/agent/v1/agent";
import type { HostStatus } from "@wardline/api/wardline/v1/host";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Clock } from "../ports.ts";
import { API_MAX, API_MIN, CONSOLE_VERSION } from "../version.ts";
import { boundMessage } from "./bounded-message.ts";
import { boundStatus } from "./bounded-status.ts";
import type { AgentClient, AgentLink } from "./dialer.ts";

const HANDSHAKE_TIMEOUT_MS = 5_000;
/** The agent sends a status at least every 2 s. */
const STATUS_SILENCE_MS = 7_000;
/** Read at once; an agent that sends more is read slower, and its own buffers fill up. */
const STATUS_BURST = 50;
const STATUS_PAUSE_MS = 100;

export interface FollowOptions {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly hostName: () => string;
  readonly statusSilenceMs?: number;
  readonly onGreeting: (greeting: HandshakeResponse) => void;
  readonly onStatus: (status: HostStatus) => void;
}

/**
 * Shakes hands. `onAnswer` sees the answer before it is known whether both speak a common revision.
 * @throws Failure VERSION_MISMATCH, or what the transport throws
 */
export async function greet(
  client: AgentClient,
  signal: AbortSignal,
  onAnswer: (greeting: HandshakeResponse) => void = () => {},
): Promise<HandshakeResponse> {
  const greeting = await client.handshake(
    { clientName: "wardline-console", clientVersion: CONSOLE_VERSION, apiMin: API_MIN, apiMax: API_MAX },
    { timeoutMs: HANDSHAKE_TIMEOUT_MS, signal },
  );
  boundMessage(HandshakeResponseSchema, greeting, { maxTextLength: 200 });
  onAnswer(greeting);
  requireCommonVersion(greeting);
  return greeting;
}

/**
 * Shakes hands and follows the status, which counts once `learning` has ended. Always ends in an error.
 * @throws Failure, or what the transport throws
 */
export async function followAgent(link: AgentLink, options: FollowOptions, learning: Promise<void>): Promise<never> {
  try {
    const [greeting] = await Promise.all([greet(link.client, options.signal), learning]);
    options.onGreeting(greeting);
    await followStatus(link, options);
  } catch (error) {
    // Where the SSH connection broke, that is the reason and not what it did to the stream.
    const reason: unknown = link.session?.ended.aborted ? link.session.ended.reason : null;
    throw reason instanceof Failure ? reason : error;
  }
  throw new Failure({
    code: ErrorCode.AGENT_UNREACHABLE,
    message: `The agent on ${options.hostName()} ended the connection.`,
    hint: "The console connects again by itself. What the host enforces stays as it is.",
    retryable: true,
  });
}

/** Ends when the agent does, or at a gap: then a status was lost, and the next connection begins with a whole one. */
async function followStatus(link: AgentLink, options: FollowOptions): Promise<void> {
  const { statusSilenceMs = STATUS_SILENCE_MS, clock } = options;
  const silence = new AbortController();
  const restart = () => setTimeout(() => silence.abort(), statusSilenceMs);
  let timer = restart();
  try {
    const signal = AbortSignal.any([silence.signal, options.signal]);
    let expected = 1n;
    let allowance = STATUS_BURST;
    let countedAtMs = clock.nowMs();
    for await (const message of link.client.watchStatus({}, { signal })) {
      clearTimeout(timer);
      if (message.sequence !== expected++) return;
      if (message.status) options.onStatus(boundStatus(message.status));
      const nowMs = clock.nowMs();
      allowance = Math.min(STATUS_BURST, allowance + Math.max(0, nowMs - countedAtMs) / STATUS_PAUSE_MS) - 1;
      countedAtMs = nowMs;
      if (allowance < 1) await clock.sleep(STATUS_PAUSE_MS, signal);
      timer = restart();
    }
  } catch (error) {
    if (!silence.signal.aborted) throw error;
    throw new Failure({
      code: ErrorCode.AGENT_UNREACHABLE,
      message: `The agent on ${options.hostName()} has sent nothing for ${statusSilenceMs / 1000} s.`,
      hint: "The console connects again by itself. What the host enforces stays as it is.",
      retryable: true,
    });
  } finally {
    clearTimeout(timer);
  }
}

function requireCommonVersion(greeting: HandshakeResponse): void {
  if (greeting.apiMin <= API_MAX && greeting.apiMax >= API_MIN) return;
  const agentIsNewer = greeting.apiMin > API_MAX;
  throw new Failure({
    code: ErrorCode.VERSION_MISMATCH,
    message: `The agent (version ${greeting.agentVersion}) and this console (version ${CONSOLE_VERSION}) share no API revision: it speaks ${greeting.apiMin} to ${greeting.apiMax}, the console ${API_MIN} to ${API_MAX}.`,
    hint: agentIsNewer ? "Update the console." : "Update the agent. What it enforces stays enforced meanwhile.",
  });
}
