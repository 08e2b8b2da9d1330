/** Runs commands as bin/wardline does, in this process: many of them in the time that one process takes to start. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, CommanderError } from "commander";
import { createProgram, exitCodeOfUsage } from "../program.ts";
import type { Outcome } from "../registration.ts";
import { reportFailure } from "../report-failure.ts";

export interface InProcessResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** One command at a time: standard output and the environment are the process's own. */
export class InProcessCli {
  readonly dir = mkdtempSync(join(tmpdir(), "wardline-in-process-"));
  readonly socketPath: string;
  readonly #environment: Readonly<Record<string, string>>;

  /** @param socketPath of an agent that runs already */
  constructor(socketPath?: string) {
    this.socketPath = socketPath ?? join(this.dir, "agent.sock");
    this.#environment = { WARDLINE_STATE_DIR: join(this.dir, "state"), WARDLINE_AGENT_SOCKET: this.socketPath };
  }

  path(name: string): string {
    return join(this.dir, name);
  }

  async run(...argv: string[]): Promise<InProcessResult> {
    return this.start(...argv).ended;
  }

  /** Runs with `--format json` and reads the answer. */
  async json(...argv: string[]) {
    const { exitCode, stdout, stderr } = await this.run(...argv, "--format", "json");
    return { exitCode, value: stdout === "" ? null : JSON.parse(stdout), stderr };
  }

  /** For commands that go on until they are interrupted. */
  start(...argv: string[]): { ended: Promise<InProcessResult>; stdout(): string; interrupt(): void } {
    const text = { stdout: "", stderr: "" };
    const restore = [capture(process.stdout, text, "stdout"), capture(process.stderr, text, "stderr")];
    const before = { ...process.env };
    Object.assign(process.env, this.#environment);
    const ended = runProgram(argv).finally(() => {
      for (const back of restore) back();
      for (const name of Object.keys(this.#environment)) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    });
    return {
      ended: ended.then((exitCode) => ({ exitCode, ...text })),
      stdout: () => text.stdout,
      interrupt: () => void process.emit("SIGINT"),
    };
  }

  dispose(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

async function runProgram(argv: readonly string[]): Promise<number> {
  const outcome: Outcome = { exitCode: 0, format: argv.includes("json") ? "json" : "text" };
  const program = createProgram("test", outcome);
  applyToAll(program, (command) => command.exitOverride());
  try {
    await program.parseAsync([...argv], { from: "user" });
    return outcome.exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return exitCodeOfUsage(error.exitCode);
    return reportFailure(error, outcome.format);
  }
}

function applyToAll(command: Command, change: (command: Command) => void): void {
  change(command);
  for (const child of command.commands) applyToAll(child, change);
}

function capture(stream: NodeJS.WriteStream, text: Record<string, string>, name: "stdout" | "stderr"): () => void {
  const original = stream.write;
  stream.write = ((chunk: string | Uint8Array) => {
    text[name] = (text[name] ?? "") + (typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8"));
    return true;
  }) as typeof stream.write;
  return () => {
    stream.write = original;
  };
}
