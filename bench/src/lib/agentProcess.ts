/** The real agent as a child process, from source or as the single executable, on a lab's cgroup subtree. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { KernelLab } from "@wardline/helper/testing/kernelLab";

const root = fileURLToPath(new URL("../../..", import.meta.url));

export type AgentForm = "source" | "executable";

export interface AgentProcess {
  readonly socketPath: string;
  /** From spawn to the ready line, as its parent sees it. */
  readonly readyMs: number;
  residentMiB(): number;
  /** Of that, what is in no file. */
  ownMiB(): number;
  /** Processor time used so far, user and system, in seconds. */
  processorSeconds(): number;
  stop(): Promise<void>;
}

const COMMANDS: Record<AgentForm, readonly [string, readonly string[]]> = {
  source: [join(root, "bin/wardline"), ["agent", "run"]],
  executable: [join(root, "dist/wardline-agent"), ["run"]],
};

function exited(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => child.once("exit", () => resolve()));
}

/** Resident memory of any process, in MiB. */
export function residentMiB(pid: number | undefined, kind: "VmRSS" | "RssAnon" = "VmRSS"): number {
  return Number(new RegExp(`${kind}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/** Processor time that any process has used so far, user and system, in seconds. */
export function processorSeconds(pid: number | undefined): number {
  ticksPerSecond ??= Number(execFileSync("getconf", ["CLK_TCK"]).toString());
  // Fields 14 and 15 (utime, stime), counted after the command, which may hold blanks.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

let ticksPerSecond: number | undefined;

export async function startAgent(lab: KernelLab, form: AgentForm): Promise<AgentProcess> {
  const [command, args] = COMMANDS[form];
  const socketPath = join(lab.directory, "agent.sock");
  const start = performance.now();
  const child = spawn(
    command,
    [
      ...args,
      ...["--socket", socketPath],
      ...["--state-dir", join(lab.directory, "state")],
      ...["--bpffs-dir", lab.bpffsDir],
      ...["--cgroup-root", lab.cgroupRoot],
      ...["--host-name", "bench"],
      ...["--log-level", "error"],
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", () => resolve());
    child.once("exit", (code) => reject(new Error(`the agent ended with ${code} before it was ready`)));
  });
  const readyMs = performance.now() - start;
  return {
    socketPath,
    readyMs,
    residentMiB: () => residentMiB(child.pid),
    ownMiB: () => residentMiB(child.pid, "RssAnon"),
    processorSeconds: () => processorSeconds(child.pid),
    async stop() {
      child.kill("SIGTERM");
      await exited(child);
    },
  };
}
