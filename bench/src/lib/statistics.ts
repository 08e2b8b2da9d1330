/** Robust figures for small samples: these machines are shared, so means and single runs say little. */

export interface Summary {
  readonly runs: number;
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** First and third quartile (linear interpolation). */
  readonly q1: number;
  readonly q3: number;
}

/** Linear interpolation between the two nearest ranks (Hyndman and Fan, type 7). */
export function quantile(samples: readonly number[], fraction: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const position = (sorted.length - 1) * fraction;
  const low = sorted[Math.floor(position)];
  const high = sorted[Math.ceil(position)];
  if (low === undefined || high === undefined) throw new RangeError("quantile of no samples");
  return low + (high - low) * (position - Math.floor(position));
}

export function summarize(samples: readonly number[]): Summary {
  return {
    runs: samples.length,
    median: quantile(samples, 0.5),
    min: Math.min(...samples),
    max: Math.max(...samples),
    q1: quantile(samples, 0.25),
    q3: quantile(samples, 0.75),
  };
}

/** Summary of `left[i] / right[i]`: pairs of one round, so that a drift of the machine cancels out. */
export function summarizeRatios(left: readonly number[], right: readonly number[]): Summary {
  if (left.length !== right.length) throw new RangeError("ratios need pairs");
  return summarize(left.map((value, index) => value / (right[index] ?? Number.NaN)));
}

export function rounded(summary: Summary, digits = 2): Summary {
  const round = (value: number) => Number(value.toFixed(digits));
  return {
    runs: summary.runs,
    median: round(summary.median),
    min: round(summary.min),
    max: round(summary.max),
    q1: round(summary.q1),
    q3: round(summary.q3),
  };
}

const RESAMPLES = 2000;

/** 95 % interval of the median, by resampling. Says nothing with fewer than about eight samples, and little with ten. */
export function confidenceInterval(samples: readonly number[]): { readonly low: number; readonly high: number } {
  const medians = Array.from({ length: RESAMPLES }, () => {
    const resample = samples.map(() => samples[Math.floor(Math.random() * samples.length)] ?? Number.NaN);
    return quantile(resample, 0.5);
  });
  return { low: Number(quantile(medians, 0.025).toFixed(3)), high: Number(quantile(medians, 0.975).toFixed(3)) };
}

/** Of times that people wait: what is usual, what is rare, and the worst. */
export function spread(samples: readonly number[]): Record<"runs" | "p50" | "p95" | "max", number> {
  const of = (fraction: number) => Number(quantile(samples, fraction).toFixed(1));
  return { runs: samples.length, p50: of(0.5), p95: of(0.95), max: of(1) };
}
