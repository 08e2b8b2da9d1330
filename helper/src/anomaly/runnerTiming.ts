/** How often detection does what. */
export interface RunnerTiming {
  readonly saveEveryMs: number;
  readonly flushEveryMs: number;
  /** How often the engine is told of time in which nothing happened, and how far that stays behind the clock. */
  readonly advanceEveryMs: number;
  readonly advanceLagMs: number;
  readonly firstPauseMs: number;
}

export const USUAL_TIMING: RunnerTiming = {
  saveEveryMs: 600_000,
  flushEveryMs: 60_000,
  advanceEveryMs: 10_000,
  advanceLagMs: 30_000,
  firstPauseMs: 1_000,
};
