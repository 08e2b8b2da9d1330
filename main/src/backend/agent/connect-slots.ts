/**
 * How many connections are made at once, over all hosts. A machine that hangs gives its place back after a while, although
 * its attempt goes on: dead machines must not keep the living waiting.
 */
const USUAL_CAPACITY = 16;
const USUAL_HOLD_MS = 2_000;

export class ConnectSlots {
  readonly #capacity: number;
  readonly #holdMs: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  constructor(capacity = USUAL_CAPACITY, holdMs = USUAL_HOLD_MS) {
    this.#capacity = capacity;
    this.#holdMs = holdMs;
  }

  /** Waits for a place, first come first served. Returns how to give it back; at the latest the time limit does. */
  async take(signal: AbortSignal): Promise<() => void> {
    if (this.#taken < this.#capacity) this.#taken++;
    else if (!(await this.#turn(signal))) return () => {};
    let isHeld = true;
    const giveBack = () => {
      if (!isHeld) return;
      isHeld = false;
      clearTimeout(timer);
      const next = this.#waiting.shift();
      // The place goes from hand to hand, so that nobody can come in between.
      if (next) next();
      else this.#taken--;
    };
    const timer = setTimeout(giveBack, this.#holdMs);
    return giveBack;
  }

  /** True when a place was handed over; false when the signal aborted first. */
  #turn(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      const proceed = () => {
        signal.removeEventListener("abort", leave);
        resolve(true);
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(proceed), 1);
        resolve(false);
      };
      this.#waiting.push(proceed);
      signal.addEventListener("abort", leave, { once: true });
    });
  }
}
