/** How a program gets into a test machine: its control group first, then its namespaces. */
import { ENTER_CGROUP } from "./machine-root.ts";

export interface MachineDoor {
  /** Of the machine's first process. */
  readonly pid: number;
  /** Below the machine's own; it must exist. */
  readonly cgroup: string;
}

/** A program and its arguments that run `words` on the machine, as its root. */
export function insideMachine({ pid, cgroup }: MachineDoor, words: readonly string[]): [string, string[]] {
  const enter = ["nsenter", `--target=${pid}`, "--mount", "--net", "--uts", "--ipc", "--cgroup", "--wd=/"];
  return ["sh", ["-c", ENTER_CGROUP, "enter", cgroup, ...enter, ...words]];
}
