/** Who needs a connection now. After the last one has gone it is kept for a while: the next call is often near. */
export class Demand {
  readonly #idleAfterMs: number;
  readonly #onIdle: () => void;
  readonly #waiting = new Set<() => void>();
  #count = 0;
  #lingering: NodeJS.Timeout | null = null;

  /** `onIdle` is called when nobody has needed it for that long. */
  constructor(idleAfterMs: number, onIdle: () => void) {
    this.#idleAfterMs = idleAfterMs;
    this.#onIdle = onIdle;
  }

  /** True while somebody needs it, and for the while after. */
  get isNeeded(): boolean {
    return this.#count > 0 || this.#lingering !== null;
  }

  /** Returns how to end the need; a second call does nothing. */
  add(): () => void {
    this.#count++;
    if (this.#lingering) clearTimeout(this.#lingering);
    this.#lingering = null;
    for (const wake of [...this.#waiting]) wake();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#count--;
      if (this.#count === 0) this.#linger();
    };
  }

  /** Resolves once somebody needs it, or when the signal aborts. */
  wait(signal: AbortSignal): Promise<void> {
    if (this.isNeeded || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        this.#waiting.delete(finish);
        signal.removeEventListener("abort", finish);
        resolve();
      };
      this.#waiting.add(finish);
      signal.addEventListener("abort", finish, { once: true });
    });
  }

  close(): void {
    if (this.#lingering) clearTimeout(this.#lingering);
    this.#lingering = null;
    this.#count = Number.POSITIVE_INFINITY;
  }

  #linger(): void {
    this.#lingering = setTimeout(() => {
      this.#lingering = null;
      this.#onIdle();
    }, this.#idleAfterMs);
    // A console that ends does not wait for it.
    this.#lingering.unref();
  }
}
