import type { Clock } from "../agent/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly number: number;
  readonly run: () => void;
}

/** Time that passes only in a simulation: the next timer is always due at once, and everything it sets off is let finish. */
export class SimulatedClock implements Clock {
  #nowMs = 1_000_000;
  #timers: Timer[] = [];
  #count = 0;

  bootNs(): bigint {
    return BigInt(Math.round(this.#nowMs * 1e6));
  }

  wallMs(): number {
    return 1_700_000_000_000 + this.#nowMs;
  }

  schedule(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), number: this.#count++, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = this.#earliest();
      if (!next || next.atMs > untilMs) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      await settle();
    }
    this.#nowMs = untilMs;
  }

  #earliest(): Timer | undefined {
    let earliest: Timer | undefined;
    for (const timer of this.#timers) {
      if (!earliest || timer.atMs < earliest.atMs || (timer.atMs === earliest.atMs && timer.number < earliest.number)) {
        earliest = timer;
      }
    }
    return earliest;
  }
}

/** Lets every promise that can go on do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
