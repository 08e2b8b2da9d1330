/** Runs bin/wardline as a person's shell would: a child process with its own state directory and socket. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../../../bin/wardline", import.meta.url));
const READY_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 60_000;

export interface CliResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCli {
  readonly child: ChildProcess;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Waits until the text is in the output. */
  waitFor(text: string): Promise<void>;
  /** Sends the signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export class CliSandbox {
  readonly dir = mkdtempSync(join(tmpdir(), "wardline-cli-"));
  readonly stateDir = join(this.dir, "state");
  readonly socketPath = join(this.dir, "run", "agent.sock");
  readonly #running = new Set<ChildProcess>();

  constructor() {
    mkdirSync(join(this.dir, "run"), { mode: 0o755 });
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  async run(args: readonly string[], input: string | null = null): Promise<CliResult> {
    const running = this.#spawn(args, input);
    const exitCode = await ended(running.child);
    return { exitCode, stdout: running.stdout(), stderr: running.stderr() };
  }

  /** Runs with `--format json` and reads the answer; the exit code comes along. */
  async json(args: readonly string[]): Promise<{ exitCode: number | null; value: unknown; stderr: string }> {
    const { exitCode, stdout, stderr } = await this.run([...args, "--format", "json"]);
    return { exitCode, value: stdout === "" ? null : JSON.parse(stdout), stderr };
  }

  start(args: readonly string[]): RunningCli {
    return this.#spawn(args, null);
  }

  /** An agent that enforces nothing, on the socket of this sandbox. */
  async startAgent(): Promise<RunningCli> {
    const agent = this.start(["agent", "run", ...this.agentOptions()]);
    await agent.waitFor('"ready":true');
    return agent;
  }

  agentOptions(): string[] {
    const places = ["--socket", this.socketPath, "--state-dir", this.path("agent")];
    return [...places, "--backend", "observe", "--host-name", "here"];
  }

  /** Asks first: a console ends the agent that it started, which a kill would leave behind. */
  async dispose(): Promise<void> {
    await Promise.all(
      [...this.#running].map(async (child) => {
        child.kill("SIGTERM");
        const limit = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
        await ended(child);
        clearTimeout(limit);
      }),
    );
    rmSync(this.dir, { recursive: true, force: true });
  }

  #spawn(args: readonly string[], input: string | null): RunningCli {
    const child = spawn(PROGRAM, args, {
      cwd: this.dir,
      env: { ...process.env, WARDLINE_STATE_DIR: this.stateDir, WARDLINE_AGENT_SOCKET: this.socketPath, NO_COLOR: "" },
      stdio: [input === null ? "ignore" : "pipe", "pipe", "pipe"],
    });
    this.#running.add(child);
    child.once("exit", () => this.#running.delete(child));
    child.stdin?.end(input);
    let stdout = "";
    let stderr = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk;
    });
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk;
    });
    return {
      child,
      stdout: () => stdout,
      stderr: () => stderr,
      async waitFor(text) {
        const startedAtMs = performance.now();
        while (!stdout.includes(text) && !stderr.includes(text)) {
          const isOver = child.exitCode !== null || child.signalCode !== null;
          if (isOver || performance.now() - startedAtMs > READY_LIMIT_MS) {
            throw new Error(`${args.join(" ")} did not print ${text}:\n${stdout}\n${stderr}`);
          }
          await new Promise((resolve) => setTimeout(resolve, 25));
        }
      },
      async stop(signal = "SIGINT") {
        child.kill(signal);
        return ended(child);
      },
    };
  }
}

/** After all output has arrived. */
function ended(child: ChildProcess): Promise<number | null> {
  if (child.stdout?.closed && child.stderr?.closed && (child.exitCode !== null || child.signalCode !== null)) {
    return Promise.resolve(child.exitCode);
  }
  return new Promise((resolve) => child.once("close", (exitCode) => resolve(exitCode)));
}
