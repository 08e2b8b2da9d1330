import { ErrorCode } from "@wardline/domain/errors";

/** What a script may rely on; the same for every command. */
export const EXIT = {
  done: 0,
  /** The command worked and found problems, or what was asked for was refused. */
  problems: 1,
  wrongUsage: 2,
  unreachable: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The person typed something that cannot be meant. */
export class UsageError extends Error {
  readonly hint: string;

  constructor(message: string, hint = "") {
    super(message);
    this.name = "UsageError";
    this.hint = hint;
  }
}

export function exitCodeOf(code: ErrorCode): ExitCode {
  switch (code) {
    case ErrorCode.AGENT_UNREACHABLE:
    case ErrorCode.DEADLINE_EXCEEDED:
    case ErrorCode.UNAUTHENTICATED:
    case ErrorCode.PERMISSION_DENIED:
    case ErrorCode.VERSION_MISMATCH:
    case ErrorCode.HOST_UNREACHABLE:
    case ErrorCode.HOST_KEY_UNKNOWN:
    case ErrorCode.HOST_KEY_CHANGED:
    case ErrorCode.SSH_AUTHENTICATION_FAILED:
    case ErrorCode.AGENT_MISSING:
      return EXIT.unreachable;
    case ErrorCode.INVALID_ARGUMENT:
    case ErrorCode.NOT_FOUND:
    case ErrorCode.CONFIRMATION_REQUIRED:
    case ErrorCode.QUERY_INVALID:
      return EXIT.wrongUsage;
    default:
      return EXIT.problems;
  }
}
