import { ErrorCode, Failure } from "@wardline/domain/errors";
import { nextTurn } from "../async/next-turn.ts";
import type { Clock } from "../ports.ts";

/** Work of one turn: so long may others wait. */
const TURN_MS = 8;
const MAX_MS = 30_000;

/** Runs work in pieces until it is done. @throws Failure CANCELED, DEADLINE_EXCEEDED */
export async function runSteps<Result>(
  steps: Generator<void, Result>,
  clock: Clock,
  signal: AbortSignal,
): Promise<Result> {
  const startedMs = clock.nowMs();
  for (;;) {
    const until = performance.now() + TURN_MS;
    while (performance.now() < until) {
      const step = steps.next();
      if (step.done) return step.value;
    }
    await nextTurn();
    if (signal.aborted)
      throw new Failure({ code: ErrorCode.CANCELED, message: "The picture was not wanted any more." });
    if (clock.nowMs() - startedMs > MAX_MS) {
      throw new Failure({
        code: ErrorCode.DEADLINE_EXCEEDED,
        message: `The picture was not done after ${MAX_MS / 1_000} seconds.`,
        hint: "Group by namespace, or look at fewer policies that name single addresses.",
      });
    }
  }
}
