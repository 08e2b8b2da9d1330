/**
 * A conflating signal: many changes between two waits count as one. For streams of state, where only the newest matters
 * and a slow reader must not make a queue.
 */
export class ChangeSignal {
  readonly #waiters = new Set<() => void>();
  #version = 0;

  get version(): number {
    return this.#version;
  }

  notify(): void {
    this.#version++;
    for (const wake of [...this.#waiters]) wake();
  }

  /** Calls the listener at each change, synchronously. Returns the disposer. */
  subscribe(listener: () => void): () => void {
    this.#waiters.add(listener);
    return () => this.#waiters.delete(listener);
  }

  /** Resolves once the version differs from the given one, the time is over, or the signal aborts. */
  wait(seenVersion: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#version !== seenVersion || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        this.#waiters.delete(finish);
        signal.removeEventListener("abort", finish);
        resolve();
      };
      const timer = setTimeout(finish, timeoutMs);
      this.#waiters.add(finish);
      signal.addEventListener("abort", finish, { once: true });
    });
  }
}

/** One signal for several. Call the disposer when it is no longer needed. */
export function mergeSignals(sources: readonly ChangeSignal[]): { changes: ChangeSignal; dispose(): void } {
  const changes = new ChangeSignal();
  const disposers = sources.map((source) => source.subscribe(() => changes.notify()));
  return {
    changes,
    dispose() {
      for (const dispose of disposers) dispose();
    },
  };
}

/** One signal for a set that changes: the sources are asked for again whenever `membership` notifies. */
export function mergeChangingSignals(
  membership: ChangeSignal,
  sources: () => readonly ChangeSignal[],
): { changes: ChangeSignal; dispose(): void } {
  const changes = new ChangeSignal();
  let disposers = new Map<ChangeSignal, () => void>();
  const notify = () => changes.notify();
  const follow = () => {
    const next = new Map<ChangeSignal, () => void>();
    for (const source of sources()) next.set(source, disposers.get(source) ?? source.subscribe(notify));
    for (const [source, dispose] of disposers) if (!next.has(source)) dispose();
    disposers = next;
  };
  const leave = membership.subscribe(() => {
    follow();
    notify();
  });
  follow();
  return {
    changes,
    dispose() {
      leave();
      for (const dispose of disposers.values()) dispose();
    },
  };
}
