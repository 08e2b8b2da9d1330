/** The system's `ssh`: the one place that starts it. Arguments are always a list; no shell of ours is in between. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, isAbsolute, join } from "node:path";

export type SshProcess = ChildProcessWithoutNullStreams;

const KILL_AFTER_MS = 2000;

/** Path of `ssh` on this machine; `null` when there is none. */
export function findSsh(environment: NodeJS.ProcessEnv): string | null {
  for (const directory of (environment.PATH ?? process.env.PATH ?? "/usr/bin:/bin").split(delimiter)) {
    // A relative directory would let the place where the console was started decide.
    if (!isAbsolute(directory)) continue;
    const path = join(directory, process.platform === "win32" ? "ssh.exe" : "ssh");
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  }
  return null;
}

export function startSsh(program: string, args: readonly string[], environment: NodeJS.ProcessEnv): SshProcess {
  const child = spawn(program, [...args], {
    // Messages in a language that can be read here.
    env: { ...environment, PATH: environment.PATH ?? process.env.PATH, LC_ALL: "C" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  // A program that ended takes no more input; what that means is seen from its end.
  child.stdin.on("error", () => {});
  return child;
}

/** Asks it to end, then makes it. */
export function endSsh(child: SshProcess): void {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), KILL_AFTER_MS);
  child.once("exit", () => clearTimeout(timer));
  timer.unref();
}
