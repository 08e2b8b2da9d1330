/** Long work in steps, so that others get their turn in between. A step ends with each `yield`. */

/** Work that may be left at each step. */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/** At once. */
export function finish<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** How long the event loop is held at most before others get their turn, unless one step takes longer. */
const TURN_MS = 4;

/** With turns for others. `check` throws when what the work is about has gone meanwhile. */
export async function finishInTurns<Result>(steps: Steps<Result>, check: () => void): Promise<Result> {
  let since = performance.now();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    if (performance.now() - since < TURN_MS) continue;
    await new Promise<void>((resolve) => setImmediate(resolve));
    check();
    since = performance.now();
  }
}
