import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureFromConnectError } from "@wardline/domain/wire";

/** The failure behind an error of a call to an agent: its own when it sent one, else what the gRPC status means. */
export function agentFailure(error: unknown, hostName: string): Failure {
  if (error instanceof Failure) return error;
  const sent = failureFromConnectError(error);
  if (sent) {
    const { code, message, hint, retryable, source, diagnostics } = sent;
    return new Failure(
      { code, message, hint, retryable, source, diagnostics, host: sent.host || hostName },
      { cause: error },
    );
  }
  const { code, rawMessage } = ConnectError.from(error);
  const base = { host: hostName };
  const options = { cause: error };
  switch (code) {
    case Code.Unavailable:
    case Code.Aborted:
    case Code.Canceled:
      return new Failure(
        {
          ...base,
          code: ErrorCode.AGENT_UNREACHABLE,
          message: `The connection to the agent on ${hostName} was lost.`,
          hint: "The console connects again by itself. What the host enforces stays as it is.",
          retryable: true,
        },
        options,
      );
    case Code.DeadlineExceeded:
      return new Failure(
        {
          ...base,
          code: ErrorCode.DEADLINE_EXCEEDED,
          message: `The agent on ${hostName} did not answer in time.`,
          hint: "Try again; if it stays, look at the agent's log.",
          retryable: true,
        },
        options,
      );
    case Code.Unimplemented:
      return new Failure(
        {
          ...base,
          code: ErrorCode.VERSION_MISMATCH,
          message: `The agent on ${hostName} does not know this request.`,
          hint: "Update the agent to the console's version.",
        },
        options,
      );
    case Code.PermissionDenied:
      return new Failure(
        {
          ...base,
          code: ErrorCode.PERMISSION_DENIED,
          message: `The agent on ${hostName} does not allow you this: ${rawMessage}`,
          hint: "Ask an administrator of that host for the role operator.",
        },
        options,
      );
    case Code.ResourceExhausted:
      return new Failure(
        { ...base, code: ErrorCode.TOO_LARGE, message: `The agent on ${hostName} refused the size: ${rawMessage}` },
        options,
      );
    default:
      return new Failure(
        {
          ...base,
          code: ErrorCode.INTERNAL,
          message: `The agent on ${hostName} failed: ${rawMessage}`,
          hint: "This is a defect; the agent's log has the details.",
        },
        options,
      );
  }
}
