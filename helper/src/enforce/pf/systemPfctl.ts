/** The one place that starts pfctl. Synchronous, because a flip is: the caller's next line relies on it. */
import { spawnSync } from "node:child_process";
import type { PfCommands, PfctlResult } from "./commands.ts";

export const PFCTL_PATH = "/sbin/pfctl";

/** A large table takes a second or two to load; a pfctl that hangs must not hang the agent. */
const TIMEOUT_MS = 30_000;
/** A listing of every state of a busy host. */
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

/** `path` is absolute: nothing is looked up in PATH, and nothing of the agent's environment is passed on. */
export function systemPfctl(path: string = PFCTL_PATH, timeoutMs = TIMEOUT_MS): PfCommands {
  return {
    run(commandLine, input = ""): PfctlResult {
      const { status, signal, stdout, stderr, error } = spawnSync(path, [...commandLine], {
        input,
        env: {},
        cwd: "/",
        shell: false,
        timeout: timeoutMs,
        killSignal: "SIGKILL",
        maxBuffer: MAX_OUTPUT_BYTES,
        encoding: "utf8",
      });
      // It may end without reading its input, which is no failure of its own: the exit code says how it ended.
      const problem = status === null ? describeProblem(path, error, signal) : null;
      return { exitCode: status, stdout: stdout ?? "", stderr: stderr ?? "", problem };
    },
  };
}

function describeProblem(path: string, error: Error | undefined, signal: string | null): string {
  const code = error !== undefined && "code" in error ? String(error.code) : "";
  if (code === "ENOENT") return `${path} does not exist`;
  if (code === "EACCES") return `${path} may not be run`;
  if (code === "ETIMEDOUT") return `${path} did not end in time`;
  return error?.message ?? `${path} was ended by ${signal ?? "an unknown signal"}`;
}
