import { closeSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import type { Clock } from "../ports.ts";

const WAIT_MS = 3_000;
const RETRY_MS = 25;
/** A change takes milliseconds: who holds on longer has died. */
const STALE_MS = 10_000;

/**
 * One change at a time, over all processes that use the file: two that change different settings must not undo each other.
 * @throws Failure when another one holds it for too long, and what the system says
 */
export async function withFileLock<Result>(path: string, clock: Clock, body: () => Result): Promise<Result> {
  const lockPath = `${path}.lock`;
  const deadlineMs = clock.nowMs() + WAIT_MS;
  while (!take(lockPath)) {
    if (clock.nowMs() > deadlineMs)
      throw new Failure({
        code: ErrorCode.DEADLINE_EXCEEDED,
        message: "Another window or command is changing the settings and does not end.",
        hint: `Try again; when it stays so, remove ${lockPath}.`,
        retryable: true,
      });
    await clock.sleep(RETRY_MS);
  }
  try {
    return body();
  } finally {
    rmSync(lockPath, { force: true });
  }
}

function take(lockPath: string): boolean {
  try {
    const file = openSync(lockPath, "wx", 0o600);
    writeSync(file, `${process.pid}\n`);
    closeSync(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    // The age is the file system's, like the time of the file: a clock of a test is not.
    const age = Date.now() - (statSync(lockPath, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
    if (age > STALE_MS) rmSync(lockPath, { force: true });
    return false;
  }
}
