import type { Clock } from "../agent/clock.ts";

/** A clock that moves only by `advance`, which runs what becomes due on the way. */
export class FakeClock implements Clock {
  #bootMs = 1_000_000;
  #scheduled: { readonly atMs: number; readonly run: () => void }[] = [];
  /** Wall time is free to jump. */
  wallOffsetMs = 1_700_000_000_000;

  bootNs(): bigint {
    return BigInt(this.#bootMs) * 1_000_000n;
  }

  wallMs(): number {
    return this.wallOffsetMs + this.#bootMs;
  }

  schedule(delayMs: number, run: () => void): () => void {
    const entry = { atMs: this.#bootMs + Math.ceil(delayMs), run };
    this.#scheduled.push(entry);
    return () => {
      this.#scheduled = this.#scheduled.filter((other) => other !== entry);
    };
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.#bootMs + ms;
    for (;;) {
      const next = this.#scheduled.filter((entry) => entry.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (!next) break;
      this.#scheduled = this.#scheduled.filter((other) => other !== next);
      this.#bootMs = Math.max(this.#bootMs, next.atMs);
      next.run();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    this.#bootMs = untilMs;
  }
}
