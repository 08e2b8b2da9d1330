/** Where a value and its normal band lie on a line from 0 to 1. */
import type { FindingFeature } from "@wardline/api/wardline/v1/anomaly";

export interface Placed {
  readonly value: number;
  /** `null` = the band is not known. */
  readonly band: { readonly low: number; readonly high: number } | null;
  /** Distances are powers of ten: the value is far beyond the band. */
  readonly isLogarithmic: boolean;
}

const LOGARITHMIC_FROM = 30;

/** Linear while both can be seen; logarithmic when the value is many times the band. */
export function placeFeature({ value, normalLow, normalHigh, hasBand }: FindingFeature): Placed {
  const shown = Number.isFinite(value) ? value : 0;
  const low = hasBand ? Math.min(normalLow, normalHigh) : 0;
  const high = hasBand ? Math.max(normalLow, normalHigh) : 0;
  const lowest = Math.min(0, shown, low);
  const highest = Math.max(shown, high, lowest + Number.EPSILON);
  const isLogarithmic = hasBand && lowest >= 0 && shown > LOGARITHMIC_FROM * Math.max(high, 1e-9) && shown > 10;
  const scale = isLogarithmic
    ? (at: number) => Math.log10(1 + at) / Math.log10(1 + highest)
    : (at: number) => (at - lowest) / (highest - lowest || 1);
  // Room at the right, so that the mark of the largest is whole.
  const place = (at: number) => Math.min(1, Math.max(0, scale(at))) * 0.96;
  return { value: place(shown), band: hasBand ? { low: place(low), high: place(high) } : null, isLogarithmic };
}
