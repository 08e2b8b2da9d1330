import type { Clock } from "../../agent/clock.ts";

/**
 * Resolves after the delay, or at once when one of the signals is or becomes aborted; never rejects. Leaves nothing behind at
 * signals that live as long as the process.
 */
export function waitFor(clock: Clock, delayMs: number, ...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    if (signals.some(({ aborted }) => aborted)) {
      resolve();
      return;
    }
    const finish = (): void => {
      cancel();
      for (const signal of signals) signal.removeEventListener("abort", finish);
      resolve();
    };
    const cancel = clock.schedule(Math.max(0, delayMs), finish);
    for (const signal of signals) signal.addEventListener("abort", finish, { once: true });
  });
}

export interface BackOff {
  readonly firstMs: number;
  readonly longestMs: number;
}

/** Doubles with each failure up to the longest, and is spread over its upper half so that many do not come back as one. */
export function backOffMs({ firstMs, longestMs }: BackOff, failures: number, random: () => number): number {
  const fullMs = Math.min(longestMs, firstMs * 2 ** Math.min(failures, 30));
  return fullMs * (0.5 + random() / 2);
}

/** Sentence of whatever was thrown. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
