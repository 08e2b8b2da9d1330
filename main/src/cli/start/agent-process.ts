/** The agent as a child process: started, watched until it answers, started again when it dies, and ended cleanly. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { UnixSocketDialer } from "../../backend/agent/unix-dialer.ts";
import { greet } from "../commands/agent.ts";

const PROGRAM = fileURLToPath(new URL("../../../../bin/wardline", import.meta.url));
const READY_LIMIT_MS = 20_000;
const READY_POLL_MS = 50;
const STOP_LIMIT_MS = 10_000;
const KEPT_LINES = 20;
const FIRST_RESTART_MS = 1_000;
const LONGEST_RESTART_MS = 30_000;
/** An agent that lived this long has not failed at its start. */
const HEALTHY_AFTER_MS = 60_000;

export interface AgentProcessOptions {
  readonly socketPath: string;
  /** Arguments after `agent run`. */
  readonly args: readonly string[];
  /** Told about each unexpected end: what happened and the agent's last words. */
  readonly onUnexpectedEnd?: (message: string, lastWords: readonly string[]) => void;
}

export class AgentProcess {
  readonly #options: AgentProcessOptions;
  readonly #lastWords: string[] = [];
  #child: ChildProcess | null = null;
  #isStopping = false;
  #restartTimer: NodeJS.Timeout | null = null;
  #restartMs = FIRST_RESTART_MS;

  constructor(options: AgentProcessOptions) {
    this.#options = options;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get lastWords(): readonly string[] {
    return this.#lastWords;
  }

  /** Starts it and waits until it answers on its socket. @throws Failure AGENT_UNREACHABLE with its last words */
  async start(): Promise<void> {
    const child = this.#spawn();
    const startedAtMs = performance.now();
    try {
      while (!(await this.#answers())) {
        if (hasEnded(child)) throw this.#failure(`ended at once (${describeEnd(child)})`);
        if (performance.now() - startedAtMs > READY_LIMIT_MS) {
          throw this.#failure(`did not answer on ${this.#options.socketPath} within ${READY_LIMIT_MS / 1000} s`);
        }
        await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
      }
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#superviseFrom(child, performance.now());
  }

  /** Ends it; what it enforces in the kernel stays. Resolves when the process is gone. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#restartTimer) clearTimeout(this.#restartTimer);
    const child = this.#child;
    if (!child || hasEnded(child)) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    const limit = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
    await ended;
    clearTimeout(limit);
  }

  #spawn(): ChildProcess {
    // A process group of its own: Ctrl-C is for us, and we end the agent in the right order.
    const child = spawn(PROGRAM, ["agent", "run", ...this.#options.args], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    child.on("error", (error) => this.#keep(error.message));
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream }).on("line", (line) => this.#keep(line));
    }
    this.#child = child;
    return child;
  }

  #superviseFrom(child: ChildProcess, healthySinceMs: number): void {
    const onExit = () => {
      if (this.#isStopping) return;
      if (performance.now() - healthySinceMs > HEALTHY_AFTER_MS) this.#restartMs = FIRST_RESTART_MS;
      const delayMs = this.#restartMs;
      this.#restartMs = Math.min(LONGEST_RESTART_MS, delayMs * 2);
      const message = `The agent has ended (${describeEnd(child)}). It is started again in ${delayMs / 1000} s; what was enforced stays enforced in the kernel.`;
      this.#options.onUnexpectedEnd?.(message, [...this.#lastWords]);
      this.#restartTimer = setTimeout(() => this.#superviseFrom(this.#spawn(), performance.now()), delayMs);
    };
    if (hasEnded(child)) onExit();
    else child.once("exit", onExit);
  }

  #keep(line: string): void {
    this.#lastWords.push(line);
    if (this.#lastWords.length > KEPT_LINES) this.#lastWords.shift();
  }

  async #answers(): Promise<boolean> {
    return (await tryAgent(this.#options.socketPath)) === null;
  }

  #failure(what: string): Failure {
    const words = this.#lastWords.length > 0 ? ` Its last words:\n  ${this.#lastWords.join("\n  ")}` : "";
    return new Failure({
      code: ErrorCode.AGENT_UNREACHABLE,
      message: `The agent ${what}.${words}`,
      hint: "Start it by itself to see more: bin/wardline agent run",
    });
  }
}

/** `null` when an agent answers on the socket, else why not. */
export async function tryAgent(socketPath: string): Promise<Failure | null> {
  try {
    const link = await new UnixSocketDialer(socketPath).dial();
    try {
      await greet(link.client);
      return null;
    } finally {
      link.close();
    }
  } catch (error) {
    if (error instanceof Failure) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new Failure({ code: ErrorCode.AGENT_UNREACHABLE, message: `${socketPath}: ${message}` }, { cause: error });
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

function describeEnd(child: ChildProcess): string {
  return child.signalCode ? `signal ${child.signalCode}` : `exit code ${child.exitCode ?? "unknown"}`;
}
