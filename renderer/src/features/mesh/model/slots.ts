/** The time slider: equal slots of a span that ends now, and where gaps lie in it. Pure. */
import type { MeshGap } from "@wardline/api/wardline/console/v1/mesh";
import { optionalMs } from "../../../data/hosts-snapshot.ts";

export const MINUTE_MS = 60_000;

export const SPANS = [
  { value: "3600000", label: "1 hour" },
  { value: "21600000", label: "6 hours" },
  { value: "86400000", label: "1 day" },
  { value: "604800000", label: "7 days" },
  { value: "2592000000", label: "30 days" },
] as const;

export interface Slot {
  readonly fromMs: number;
  readonly untilMs: number;
  readonly count: number;
  /** 0 to 1 of the fullest. */
  readonly height: number;
}

export function slotsOf(counts: readonly number[], fromMs: number, untilMs: number): Slot[] {
  const lengthMs = (untilMs - fromMs) / Math.max(1, counts.length);
  const fullest = Math.max(1, ...counts);
  return counts.map((count, index) => ({
    fromMs: fromMs + index * lengthMs,
    untilMs: fromMs + (index + 1) * lengthMs,
    count,
    // The smallest is still to be seen beside the largest.
    height: count === 0 ? 0 : 0.15 + 0.85 * Math.sqrt(count / fullest),
  }));
}

/** Parts of the span from 0 to 1 of which nothing is known: gaps, and what is before the history. */
export function unknownParts(
  gaps: readonly MeshGap[],
  earliestMs: number | null,
  fromMs: number,
  untilMs: number,
): { readonly start: number; readonly end: number }[] {
  const place = (ms: number) => Math.min(1, Math.max(0, (ms - fromMs) / (untilMs - fromMs)));
  const parts = gaps.map((gap) => ({
    start: place(optionalMs(gap.from) ?? fromMs),
    end: place(optionalMs(gap.to) ?? untilMs),
  }));
  if (earliestMs !== null) parts.push({ start: 0, end: place(earliestMs) });
  return parts.filter(({ start, end }) => end > start);
}

export function slotAt(slots: readonly Slot[], ms: number): Slot | undefined {
  return slots.find(({ fromMs, untilMs }) => ms >= fromMs && ms < untilMs);
}
