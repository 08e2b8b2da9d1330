/** The console of the demo: the ordinary command, with a home and a state of its own. */
import { spawn } from "node:child_process";
import { PROGRAM } from "../../processes.ts";

export interface DemoConsole {
  readonly stateDir: string;
  readonly agentSocket: string;
  /** Where it finds `.ssh`. */
  readonly home: string;
  /** More of `wardline start`, for example `--no-open`. */
  readonly consoleArguments: readonly string[];
  readonly stopRequested: Promise<void>;
}

/** Resolves to its exit code when it has ended, by itself or because it was asked to. */
export async function runConsole(options: DemoConsole): Promise<number> {
  const { stateDir, agentSocket, home, consoleArguments, stopRequested } = options;
  const args = ["start", "--state-dir", stateDir, "--agent-socket", agentSocket, ...consoleArguments];
  // In a group of its own: Ctrl-C reaches it once, through us, and it ends as it would at its own terminal.
  const child = spawn(PROGRAM, args, {
    env: { ...process.env, HOME: home, SSH_AUTH_SOCK: "" },
    stdio: "inherit",
    detached: true,
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 0));
  });
  void stopRequested.then(() => child.kill("SIGTERM"));
  return ended;
}
