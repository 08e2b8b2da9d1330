/** One command on one channel: bounded in output and time. */
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { ClientChannel } from "ssh2";
import { OutputCollector } from "../output-collector.ts";
import type { RunOptions, RunResult } from "../ssh-session.ts";

const USUAL_TIMEOUT_MS = 30_000;

export interface RunContext extends RunOptions {
  /** Aborts when the connection has ended. */
  readonly ended: AbortSignal;
}

/** @throws Failure TOO_LARGE, DEADLINE_EXCEEDED, CANCELED, AGENT_UNREACHABLE (the connection was lost) */
export function runCommand(channel: ClientChannel, hostName: string, context: RunContext): Promise<RunResult> {
  const { timeoutMs = USUAL_TIMEOUT_MS, signal, ended } = context;
  return new Promise((resolve, reject) => {
    const output = new OutputCollector(hostName, context);
    let exitCode: number | null = null;
    let isSettled = false;
    const settle = (failure: Failure | null) => {
      if (isSettled) return;
      isSettled = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
      ended.removeEventListener("abort", lose);
      if (failure === null) return resolve({ exitCode, ...output.result() });
      // Closing the channel alone leaves the program running until it writes.
      if (!ended.aborted) {
        terminate(channel);
        channel.close();
      }
      reject(failure);
    };
    const cancel = () => settle(commandCanceled(hostName));
    const lose = () => settle(ended.reason as Failure);
    const timer = setTimeout(() => settle(commandTimedOut(hostName, timeoutMs)), timeoutMs);
    if (ended.aborted) return lose();
    if (signal?.aborted) return cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    ended.addEventListener("abort", lose, { once: true });
    const take = (which: "stdout" | "stderr") => (chunk: Buffer) => {
      const failure = output.add(which, chunk);
      if (failure) settle(failure);
    };
    channel.on("data", take("stdout"));
    channel.stderr.on("data", take("stderr"));
    channel.on("exit", (code: number | null) => {
      exitCode = code;
    });
    channel.on("close", () => settle(null));
    channel.end(Buffer.from(context.input ?? []));
  });
}

/** ssh2 sends no signal once the input has ended, although the protocol allows it (RFC 4254, section 6.9). */
function terminate(channel: ClientChannel): void {
  const { outgoing, _client } = channel as unknown as {
    outgoing?: { id: number; state: string };
    _client?: { _protocol?: { signal?: (id: number, name: string) => void } };
  };
  // A server ends the connection over a channel that it no longer knows.
  if (outgoing?.state === "open" || outgoing?.state === "eof") _client?._protocol?.signal?.(outgoing.id, "TERM");
}

export function commandCanceled(hostName: string): Failure {
  return new Failure({ code: ErrorCode.CANCELED, message: `The work on ${hostName} was canceled.`, retryable: true });
}

export function commandTimedOut(hostName: string, timeoutMs: number): Failure {
  return new Failure({
    code: ErrorCode.DEADLINE_EXCEEDED,
    message: `A command on ${hostName} did not end within ${timeoutMs / 1000} s.`,
    hint: "Look at the load of the machine, then try again.",
    retryable: true,
  });
}
