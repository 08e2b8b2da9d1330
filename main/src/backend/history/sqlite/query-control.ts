/** Between a query and the thread that runs it: whether it was cancelled, and when it should say how far it is. */

/** The query was cancelled. */
export class Cancelled extends Error {}

const SAY_AFTER_MS = 100;

export class QueryControl {
  readonly #flag: Int32Array;
  #saidAtMs = performance.now();

  /** @param flag shared with the thread that asks; not 0 = cancelled */
  constructor(flag: Int32Array) {
    this.#flag = flag;
  }

  /** Called after each block, some milliseconds of work at most. @throws Cancelled */
  check(): void {
    if (Atomics.load(this.#flag, 0) !== 0) throw new Cancelled("the query was cancelled");
  }

  /** Whether it is time for a word; asking counts as having said it. */
  isDue(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#saidAtMs < SAY_AFTER_MS) return false;
    this.#saidAtMs = nowMs;
    return true;
  }
}

/** First and last moment (exclusive); infinite where it is open. */
export interface TimeWindow {
  readonly sinceMs: number;
  readonly untilMs: number;
}

interface Extent {
  readonly minStartMs: number;
  readonly maxStartMs: number;
  readonly minEndMs: number;
  readonly maxEndMs: number;
}

/** Every window of it shares a moment with the given one. */
export function isWithin({ minEndMs, maxStartMs }: Extent, { sinceMs, untilMs }: TimeWindow): boolean {
  return minEndMs > sinceMs && maxStartMs < untilMs;
}

/** None does. */
export function isOutside({ minStartMs, maxEndMs }: Extent, { sinceMs, untilMs }: TimeWindow): boolean {
  return maxEndMs <= sinceMs || minStartMs >= untilMs;
}
