/** A limit for one step that stands still while a person or an agent is asked. */
export class StepTimer {
  readonly #onTimeout: () => void;
  #leftMs: number;
  #startedAtMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #pauses = 0;

  constructor(limitMs: number, onTimeout: () => void) {
    this.#leftMs = limitMs;
    this.#onTimeout = onTimeout;
    this.#start();
  }

  async pausedDuring<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#pauses++ === 0) this.#stop();
    try {
      return await work();
    } finally {
      if (--this.#pauses === 0) this.#start();
    }
  }

  /** Ends it for good. */
  clear(): void {
    this.#stop();
    this.#pauses = Number.POSITIVE_INFINITY;
  }

  #start(): void {
    this.#startedAtMs = performance.now();
    this.#timer = setTimeout(this.#onTimeout, Math.max(0, this.#leftMs));
  }

  #stop(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#leftMs -= performance.now() - this.#startedAtMs;
  }
}
