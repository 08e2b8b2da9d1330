/** How many flows a second reach the store: what a reader of any question is told, so that it knows what goes by. */

const WINDOW_MS = 5_000;

export class ArrivalRate {
  readonly #initialPerSecond: number;
  /** When which flow was the newest, oldest first; the first is at least as old as the window, once there is one. */
  readonly #samples: { readonly atMs: number; readonly newestId: number }[];
  readonly #startMs: number;

  /** @param initialPerSecond what is taken for the time before the reader began */
  constructor(initialPerSecond: number, newestId: number, nowMs: number) {
    this.#initialPerSecond = initialPerSecond;
    this.#startMs = nowMs;
    this.#samples = [{ atMs: nowMs, newestId }];
  }

  /** Ids are given one by one, so the distance of two is how many came. */
  perSecond(newestId: number, nowMs: number): number {
    this.#samples.push({ atMs: nowMs, newestId });
    while ((this.#samples[1]?.atMs ?? nowMs) <= nowMs - WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0] ?? { atMs: nowMs, newestId };
    const seenMs = Math.max(0, nowMs - first.atMs);
    const arrived = newestId - first.newestId;
    const before = Math.max(0, WINDOW_MS - (nowMs - this.#startMs));
    return (arrived + (this.#initialPerSecond * before) / 1_000) / ((seenMs + before) / 1_000 || 1);
  }
}
