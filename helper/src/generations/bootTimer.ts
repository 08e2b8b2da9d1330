import { bootMs, type Clock } from "../agent/clock.ts";

export const TIMER_STEP_MS = 1_000;

/**
 * Runs at a moment on the boot clock; returns the canceller. Looks at the clock in steps: a timer alone would stand still
 * while the machine is suspended.
 */
export function atBootTime(clock: Clock, atBootMs: number, run: () => void): () => void {
  let cancel = () => {};
  const step = () => {
    const leftMs = atBootMs - bootMs(clock);
    if (leftMs <= 0) run();
    else cancel = clock.schedule(Math.min(leftMs, TIMER_STEP_MS), step);
  };
  step();
  return () => cancel();
}
