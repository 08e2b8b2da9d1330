/** Waiting that keeps no process alive, and errors as sentences. */
import { ErrorCode, Failure } from "@wardline/domain/errors";

/** Without a full stop. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
}

export function within(timeoutMs: number, work: Promise<unknown>): Promise<unknown> {
  return Promise.race([work, pause(timeoutMs, new AbortController().signal)]);
}

export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    timer.unref();
    signal.addEventListener("abort", finish, { once: true });
  });
}

export function trainsAlready(): Failure {
  return new Failure({
    code: ErrorCode.ALREADY_EXISTS,
    message: "The detectors of this host are learning already.",
    hint: "Wait for that to end.",
    retryable: true,
  });
}

export function engineFailed(error: unknown): Failure {
  const message = `The detectors could not learn: ${sentence(error)}.`;
  return new Failure(
    { code: ErrorCode.INTERNAL, message, hint: "The agent's log on that host says more." },
    { cause: error },
  );
}
