/**
 * Whether a packet may still be in the slot that decides nothing. One that read the control word right before it changed
 * walks the former slot's tables to the end of its program, so that slot must not be written before a grace period has
 * passed. Waiting for it blocks for about 11 ms; it is done a moment after each change, so that a later apply finds it done.
 */
const DELAY_MS = 50;

export class SlotReaders {
  readonly #waitForAll: () => void;
  readonly #onQuiet: () => void;
  #mayBeInside = true;
  #timer: NodeJS.Timeout | null = null;

  /**
   * Takes the slot for one that was left just now: a process before this one may have ended right after its flip.
   * `onQuiet` is called when the wait is over before anybody wanted the slot: nothing in it changes any more.
   */
  constructor(waitForAll: () => void, onQuiet: () => void = () => {}) {
    this.#waitForAll = waitForAll;
    this.#onQuiet = onQuiet;
    this.left();
  }

  /** The control word has just taken the decision from a slot. */
  left(): void {
    this.#mayBeInside = true;
    this.#timer ??= setTimeout(() => this.#waitLater(), DELAY_MS).unref();
  }

  #waitLater(): void {
    this.#timer = null;
    if (!this.#mayBeInside) return;
    try {
      this.wait();
      this.#onQuiet();
    } catch {
      // Whoever wants the slot waits again, and says why it cannot.
    }
  }

  /** Returns when the slot may be written. Throws what the kernel answers. */
  wait(): void {
    if (!this.#mayBeInside) return;
    this.#waitForAll();
    this.#mayBeInside = false;
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
