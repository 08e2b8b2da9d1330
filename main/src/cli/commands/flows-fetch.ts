/** Before the history is asked: what the agent of this machine has not delivered yet, when nobody else reads it. */
import { existsSync } from "node:fs";
import { agentSocketOf, type Session, type SessionOptions } from "../session.ts";

const FIRST_CONTACT_MS = 1_500;
/** How long its newest records are waited for. */
const SETTLE_MS = 600;

/** Never fails: an agent that cannot be reached is named among what is missing. */
export async function fetchNewest({ backend }: Session, options: SessionOptions): Promise<void> {
  if (!existsSync(agentSocketOf(options))) return;
  const { collected, registry } = backend;
  const seen = collected.stored.version;
  try {
    await registry.local.connection.client(FIRST_CONTACT_MS);
    await collected.stored.wait(seen, SETTLE_MS, AbortSignal.timeout(SETTLE_MS));
  } catch {
    // What is stored is answered all the same.
  }
}

/** Ends what it runs at the first Ctrl-C; what was shown by then stays. Returns whether it was interrupted. */
export async function untilStopped(body: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    await body(stopping.signal);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
  return stopping.signal.aborted;
}
