/**
 * Which window a moment belongs to. Windows follow the wall clock, and the wall clock may jump:
 * - forward: the open window ends at once, the next is the one that the clock says. Those between do not exist.
 * - back, by a minute at most: the open window goes on until the clock has passed its end again, so none overlap.
 * - back, by more: what was recorded before has the times of a wrong clock. Windows follow the new time at once, and times of
 *   the day that were recorded before may come again. Sequences of batches grow in any case.
 */
export const MAX_HOLD_MS = 60_000;

export class WindowClock {
  readonly windowMs: number;
  readonly #wallMs: () => number;
  /** Windows up to this one are sealed. */
  #sealed: number;

  /** `lastEndMs`: end of the newest window that was ever recorded; 0 = none. */
  constructor(windowMs: number, wallMs: () => number, lastEndMs: number) {
    this.windowMs = windowMs;
    this.#wallMs = wallMs;
    this.#sealed = Math.ceil(lastEndMs / windowMs) - 1;
    this.#followClock();
  }

  /** The first window that is not sealed, and the one that is open now. */
  get range(): { readonly first: number; readonly open: number } {
    this.#followClock();
    const first = this.#sealed + 1;
    return { first, open: Math.max(Math.floor(this.#wallMs() / this.windowMs), first) };
  }

  /** How long until the open window can be sealed, `graceMs` after its end; 0 = now. */
  dueInMs(graceMs: number): number {
    this.#followClock();
    return Math.max(0, (this.#sealed + 2) * this.windowMs + graceMs - this.#wallMs());
  }

  /** Seals every window that ended `graceMs` ago. Returns the index of the last one. */
  seal(graceMs: number): number {
    this.#sealed = Math.max(this.#sealed, Math.floor((this.#wallMs() - graceMs) / this.windowMs) - 1);
    return this.#sealed;
  }

  /** Seals the open window too: at a stop. What comes after belongs to the next one. */
  sealOpen(): number {
    this.#sealed = this.range.open;
    return this.#sealed;
  }

  endMs(index: number): number {
    return (index + 1) * this.windowMs;
  }

  #followClock(): void {
    const now = Math.floor(this.#wallMs() / this.windowMs);
    const aheadMs = (this.#sealed + 1) * this.windowMs - this.#wallMs();
    if (aheadMs > MAX_HOLD_MS + this.windowMs) this.#sealed = now - 1;
  }
}
