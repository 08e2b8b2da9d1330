/** How many messages a person gets: a few at once, then one a minute in which the rest is put together. */

export interface Bucket {
  readonly tokens: number;
  readonly atMs: number;
}

export const BURST_MESSAGES = 10;
export const REFILL_MS = 60_000;

export const FULL_BUCKET: Bucket = { tokens: BURST_MESSAGES, atMs: 0 };

export function refilled({ tokens, atMs }: Bucket, nowMs: number): Bucket {
  if (tokens >= BURST_MESSAGES) return { tokens: BURST_MESSAGES, atMs: nowMs };
  const gained = Math.max(0, Math.floor((nowMs - atMs) / REFILL_MS));
  const filled = Math.min(BURST_MESSAGES, tokens + gained);
  return { tokens: filled, atMs: filled >= BURST_MESSAGES ? nowMs : atMs + gained * REFILL_MS };
}

/** When the next message may go. */
export function nextTokenAt({ tokens, atMs }: Bucket): number {
  return tokens > 0 ? atMs : atMs + REFILL_MS;
}
