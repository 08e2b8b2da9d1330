import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { AgentDialer, AgentLink, DialOptions } from "./dialer.ts";

/** Dials, and gives up in time also where the dialer does not. A link that comes too late is closed. @throws Failure */
export async function dialWithin(
  dialer: AgentDialer,
  options: Required<DialOptions>,
  limitMs: number,
  hostName: string,
): Promise<AgentLink> {
  // Ended by hand: a signal that fires later could end what was connected long ago.
  const overdue = new AbortController();
  const timer = setTimeout(() => overdue.abort(), limitMs);
  const signal = AbortSignal.any([options.signal, overdue.signal]);
  let isOver = false;
  const dialling = dialer.dial({ ...options, signal }).then((link) => {
    if (isOver) link.close();
    return link;
  });
  const ended = new Promise<never>((_, reject) => {
    const end = () => reject(stopped(hostName));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
  try {
    return await Promise.race([dialling, ended]);
  } catch (error) {
    isOver = true;
    // Whatever it still ends in was decided here.
    dialling.catch(() => {});
    throw overdue.signal.aborted ? tooSlow(hostName, limitMs) : error;
  } finally {
    clearTimeout(timer);
    ended.catch(() => {});
  }
}

function tooSlow(hostName: string, limitMs: number): Failure {
  return new Failure({
    code: ErrorCode.HOST_UNREACHABLE,
    message: `${hostName} was not connected within ${limitMs / 1000} s.`,
    hint: "`wardline host check` shows at which step it stops.",
    retryable: true,
  });
}

function stopped(hostName: string): Failure {
  return new Failure({
    code: ErrorCode.CANCELED,
    message: `The connection to ${hostName} was given up.`,
    retryable: true,
  });
}

export function noAnswer(hostName: string): Failure {
  return new Failure({
    code: ErrorCode.AGENT_UNREACHABLE,
    message: `${hostName} has not answered yet.`,
    hint: "Try again in a moment; `wardline host check` shows where it stops.",
    retryable: true,
  });
}
