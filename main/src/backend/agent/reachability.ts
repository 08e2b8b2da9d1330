/** What a failed attempt says about a host, and when the next one makes sense. */
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import { ErrorCode, type Failure } from "@wardline/domain/errors";

const FIRST_RETRY_MS = 250;
const LONGEST_LOCAL_RETRY_MS = 5_000;
const LONGEST_REMOTE_RETRY_MS = 30_000;

/** Causes by the code of the failure; the others are told by what was before. */
const BY_CODE: Partial<Record<ErrorCode, Reachability>> = {
  [ErrorCode.VERSION_MISMATCH]: Reachability.VERSION_MISMATCH,
  [ErrorCode.PERMISSION_DENIED]: Reachability.PERMISSION_DENIED,
  [ErrorCode.UNAUTHENTICATED]: Reachability.PERMISSION_DENIED,
  // sshd is there and forbids what is needed of it.
  [ErrorCode.HOST_UNSUPPORTED]: Reachability.PERMISSION_DENIED,
  [ErrorCode.HOST_UNREACHABLE]: Reachability.UNREACHABLE,
  [ErrorCode.INVALID_ARGUMENT]: Reachability.UNREACHABLE,
  [ErrorCode.HOST_KEY_UNKNOWN]: Reachability.HOST_KEY,
  [ErrorCode.HOST_KEY_CHANGED]: Reachability.HOST_KEY,
  [ErrorCode.SSH_AUTHENTICATION_FAILED]: Reachability.AUTHENTICATION,
  [ErrorCode.AGENT_MISSING]: Reachability.NO_AGENT,
};

export function reachabilityOf(problem: Failure, before: Reachability): Reachability {
  const known = BY_CODE[problem.code];
  if (known !== undefined) return known;
  if (before === Reachability.CONNECTED || before === Reachability.LOST) return Reachability.LOST;
  return problem.code === ErrorCode.DEADLINE_EXCEEDED ? Reachability.UNREACHABLE : Reachability.NO_AGENT;
}

/**
 * Whether only a person can change how the next attempt ends. Trying again by itself would be more than useless then:
 * refused logins get whole addresses banned.
 */
export function needsPerson(reachability: Reachability): boolean {
  return reachability === Reachability.HOST_KEY || reachability === Reachability.AUTHENTICATION;
}

/** Waits between attempts: doubling, capped, and never the same for everybody. */
export function retryDelayMs(attempt: number, random: () => number, isRemote = false): number {
  const longest = isRemote ? LONGEST_REMOTE_RETRY_MS : LONGEST_LOCAL_RETRY_MS;
  const ceiling = Math.min(longest, FIRST_RETRY_MS * 2 ** Math.min(attempt, 10));
  return ceiling * (0.5 + random() / 2);
}
