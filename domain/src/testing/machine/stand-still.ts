/** Processes that stand still, as on a machine that was suspended: their sockets stay open, and nobody answers. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";

const LIMIT_MS = 20_000;

/**
 * Stops a process of this machine; SIGCONT lets it go on. Resolves when it does nothing any more: the signal itself only wakes one of its threads,
 * and until that one has its turn on a busy machine the others go on and answer.
 */
export async function standStill(pid: number): Promise<void> {
  // 0 and less are whole groups, ours among them.
  if (pid <= 0) throw new Error("the process does not run");
  process.kill(pid, "SIGSTOP");
  const deadlineMs = performance.now() + LIMIT_MS;
  while (!threadStates(pid).every((state) => state === "T" || state === "t")) {
    if (performance.now() > deadlineMs) throw new Error(`process ${pid} does not stop`);
    await setTimeout(1);
  }
}

/** One letter for each thread; those that have ended meanwhile are left out. Empty where there is no /proc. */
function threadStates(pid: number): readonly string[] {
  const directory = `/proc/${pid}/task`;
  return threadsIn(directory).flatMap((thread) => {
    const text = readOrNull(`${directory}/${thread}/stat`);
    // The name before it may hold anything.
    const state = text?.slice(text.lastIndexOf(")") + 2, text.lastIndexOf(")") + 3);
    return state === undefined || "ZX".includes(state) ? [] : [state];
  });
}

function threadsIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
