/** Programs that a test starts: their output is kept, their state is waited for, and they are ended by their own id. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const PROGRAM = fileURLToPath(new URL("../../bin/wardline", import.meta.url));
const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 30_000;

export interface StartProgram {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

/** One started program. `name` is what its log is called. */
export class Program {
  readonly name: string;
  readonly child: ChildProcess;
  stdout = "";
  stderr = "";

  constructor({ name, command, args, cwd }: StartProgram) {
    this.name = name;
    this.child = spawn(command, args, {
      cwd,
      // A person's own settings are no part of a test, and no test changes them.
      env: { ...process.env, NO_COLOR: "1", XDG_CONFIG_HOME: join(cwd, "config") },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.stdout += text;
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.stderr += text;
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.name} was not started`);
    return this.child.pid;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Resolves to the output from the moment that it has the text. */
  async waitFor(text: string, limitMs = READY_LIMIT_MS): Promise<string> {
    const startedAtMs = performance.now();
    for (;;) {
      const output = this.stdout + this.stderr;
      if (output.includes(text)) return output;
      if (this.hasEnded) throw new Error(`${this.name} ended before it printed ${text}:\n${output}`);
      if (performance.now() - startedAtMs > limitMs) throw new Error(`${this.name} did not print ${text}:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }

  /** Sends the signal, and SIGKILL when the program stays. Resolves when it is gone. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.hasEnded || this.child.pid === undefined) return;
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill(signal);
    const limit = setTimeout(() => this.child.kill("SIGKILL"), STOP_LIMIT_MS);
    await ended;
    clearTimeout(limit);
  }

  writeLog(directory: string): void {
    writeFileSync(join(directory, `${this.name}.log`), `${this.stdout}\n--- stderr ---\n${this.stderr}`);
  }
}

export interface CommandResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `bin/wardline` with these arguments to its end. */
export async function runWardline(args: readonly string[], cwd: string): Promise<CommandResult> {
  const program = new Program({ name: "wardline", command: PROGRAM, args, cwd });
  const exitCode = await new Promise<number | null>((resolve) => program.child.once("close", resolve));
  return { exitCode, stdout: program.stdout, stderr: program.stderr };
}
