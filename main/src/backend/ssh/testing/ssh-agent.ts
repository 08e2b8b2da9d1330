/** A real ssh-agent for one test. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

const START_LIMIT_MS = 15_000;
const POLL_MS = 10;

export interface SshAgent {
  readonly socket: string;
  /** @param key path of a private key without a passphrase; its certificate, if any, lies beside it */
  add(key: string): void;
  stop(): void;
}

/** Resolves when it answers: its socket is there before it listens. */
export async function startSshAgent(socket: string): Promise<SshAgent> {
  const child = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  try {
    await untilAnswers(child, socket);
  } catch (error) {
    child.kill();
    throw error;
  }
  return {
    socket,
    add: (key) =>
      void execFileSync("ssh-add", ["-q", key], { env: { ...process.env, SSH_AUTH_SOCK: socket }, stdio: "pipe" }),
    stop: () => void child.kill(),
  };
}

async function untilAnswers(child: ChildProcess, socket: string): Promise<void> {
  let failure: Error | null = null;
  child.once("error", (error) => {
    failure = error;
  });
  const end = performance.now() + START_LIMIT_MS;
  while (!(await accepts(socket))) {
    if (failure) throw failure;
    if (child.exitCode !== null) throw new Error(`ssh-agent ended with ${child.exitCode}`);
    if (performance.now() > end) throw new Error(`ssh-agent does not answer on ${socket}`);
    await delay(POLL_MS);
  }
}

function accepts(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket, () => {
      connection.destroy();
      resolve(true);
    }).once("error", () => resolve(false));
  });
}
