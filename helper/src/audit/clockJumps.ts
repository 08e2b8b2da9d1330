/** Notices that somebody set the wall clock, by holding it against the clock that only counts. */

/** Wall clock against boot clock since the last look: less is the work of a time server. */
const CLOCK_JUMP_MS = 2_000;

export class ClockJumps {
  readonly #wallMs: () => number;
  readonly #bootMs: (() => number) | null;
  #offsetMs: number;

  /** @param bootMs milliseconds since boot; `null` = jumps are not noticed */
  constructor(wallMs: () => number, bootMs: (() => number) | null) {
    this.#wallMs = wallMs;
    this.#bootMs = bootMs;
    this.#offsetMs = bootMs === null ? 0 : wallMs() - bootMs();
  }

  /** Hands the sentence about a jump since the last mark to `write`; when that fails, it is said again the next time. */
  async mark(write: (detail: string) => Promise<void>): Promise<void> {
    if (this.#bootMs === null) return;
    const offsetMs = this.#wallMs() - this.#bootMs();
    const jumpMs = offsetMs - this.#offsetMs;
    if (Math.abs(jumpMs) >= CLOCK_JUMP_MS) {
      const seconds = (Math.abs(jumpMs) / 1000).toFixed(1);
      await write(`the wall clock was set ${jumpMs > 0 ? "forward" : "back"} by ${seconds} s since the entry before`);
    }
    this.#offsetMs = offsetMs;
  }
}
