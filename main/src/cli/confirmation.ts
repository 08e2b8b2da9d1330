/** Watches a pending generation to its end, with a countdown. */
import type { ApplyResponse } from "@wardline/api/wardline/console/v1/ship";
import type { PendingConfirmation } from "@wardline/api/wardline/v1/host";
import { formatDuration } from "./input/duration.ts";
import type { Output } from "./output.ts";
import type { Session } from "./session.ts";
import { visible } from "./terminal/visible.ts";

const POLL_MS = 500;
/** How often the time left is said where there is no terminal to redraw. */
const TELL_EVERY_MS = 10_000;
/** The agent's clock decides; a host that says nothing this long after the deadline is given up. */
const SILENCE_MS = 15_000;

export function remainingMs(pending: PendingConfirmation | undefined): number {
  const { seconds = 0n, nanos = 0 } = pending?.remaining ?? {};
  return Number(seconds) * 1000 + nanos / 1e6;
}

/** True when the generation was confirmed, false when the host returned to the one before. */
export async function waitForConfirmation(output: Output, session: Session, applied: ApplyResponse): Promise<boolean> {
  const { hostId, pending } = applied;
  const generation = pending?.generation?.number ?? 0n;
  const host = session.backend.registry.byId(hostId);
  const { connection } = host;
  const deadlineMs = Date.now() + remainingMs(pending);
  const never = new AbortController().signal;
  let toldLeftMs = Number.POSITIVE_INFINITY;
  for (;;) {
    const seen = connection.changes.version;
    const { status } = connection.state;
    const isPending = status?.pending?.generation?.number === generation;
    const isKnown = (status?.enforced?.number ?? 0n) >= generation || isPending || Date.now() > deadlineMs;
    if (status && isKnown && !isPending) break;
    const leftMs = deadlineMs - Date.now();
    if (leftMs < -SILENCE_MS) break;
    if (process.stderr.isTTY) process.stderr.write(`\r  ${formatDuration(leftMs)} left to confirm \u001b[K`);
    else if (toldLeftMs - leftMs >= TELL_EVERY_MS) {
      toldLeftMs = leftMs;
      output.note(`  ${formatDuration(leftMs)} left to confirm`);
    }
    await connection.changes.wait(seen, POLL_MS, never);
  }
  if (process.stderr.isTTY) process.stderr.write("\n");
  const { status } = connection.state;
  const isKept = status?.enforced?.number === generation && !status.pending;
  const name = visible(connection.hostName);
  output.note(
    isKept
      ? `Confirmed: generation ${generation} stays in force on ${name}.`
      : `Rolled back: generation ${generation} is no longer in force on ${name}.`,
  );
  return isKept;
}
