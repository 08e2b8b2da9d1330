/** A real agent in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

/** From source, as `bin/wardline agent run` starts it. */
export const AGENT_FROM_SOURCE: readonly string[] = [`${ROOT}bin/wardline`, "agent", "run"];
export const AGENT_EXECUTABLE_PATH = `${ROOT}dist/wardline-agent`;

export interface ReadyLine {
  readonly ready: true;
  readonly pid: number;
  readonly socket: string;
  readonly backend: string;
  readonly startupMs: number;
}

export class AgentProcess {
  readonly #child: ChildProcess;
  readonly ready: ReadyLine;

  private constructor(child: ChildProcess, ready: ReadyLine) {
    this.#child = child;
    this.ready = ready;
  }

  /** Resolves with the ready line; rejects with what the agent said when it ends before. */
  static start(
    command: readonly string[],
    options: readonly string[],
    environment = process.env,
  ): Promise<AgentProcess> {
    const [program = "", ...rest] = command;
    const child = spawn(program, [...rest, ...options], { env: environment, stdio: ["ignore", "pipe", "pipe"] });
    let errors = "";
    child.stderr.on("data", (chunk) => {
      errors += String(chunk);
    });
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the agent ended with ${code}: ${errors}`)));
      createInterface({ input: child.stdout }).once("line", (line) => {
        resolve(new AgentProcess(child, JSON.parse(line) as ReadyLine));
      });
    });
  }

  /** Resolves when the process has ended, by whatever. */
  get ended(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => this.#child.once("exit", () => resolve()));
  }

  /** Ends this process and waits for it. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill(signal);
    await ended;
  }
}
