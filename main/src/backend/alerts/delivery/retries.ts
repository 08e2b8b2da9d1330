/** When a message is tried again, and when no more. */

const FIRST_MS = 5_000;
const LONGEST_MS = 1_800_000;

/** Given up after so long: what it says is history by then. */
export const GIVE_UP_AFTER_MS = 86_400_000;
export const DESKTOP_GIVE_UP_AFTER_MS = 3_600_000;
export const LONGEST_RETRY_MS = 3_600_000;
const MOST_ATTEMPTS = 60;

/** Doubling up to half an hour, and never the same for all. @param attempts that were made */
export function retryDelayMs(attempts: number, random: () => number): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempts - 1, 20));
  return Math.round(ceiling * (0.5 + random() / 2));
}

/** `null` = that was the last one. */
export function nextAttemptAt(options: {
  readonly kind: string;
  readonly madeAtMs: number;
  readonly attempts: number;
  readonly retryAfterMs: number;
  readonly nowMs: number;
  readonly random: () => number;
}): number | null {
  const { kind, madeAtMs, attempts, retryAfterMs, nowMs, random } = options;
  const isDesktop = kind === "desktop";
  const giveUpAtMs = madeAtMs + (isDesktop ? DESKTOP_GIVE_UP_AFTER_MS : GIVE_UP_AFTER_MS);
  // A window that opens is noticed soon; asking costs nothing.
  if (isDesktop) return nowMs + retryAfterMs > giveUpAtMs ? null : nowMs + Math.max(retryAfterMs, 1_000);
  const nextMs = nowMs + Math.max(retryAfterMs, retryDelayMs(attempts, random));
  return attempts >= MOST_ATTEMPTS || nextMs > giveUpAtMs ? null : nextMs;
}
