/** How regular a row of moments is: a timer leaves a beat, people and servers do not. */

export interface Regularity {
  /** Of the beat. */
  readonly periodMs: number;
  /** Median distance of the intervals from the period. */
  readonly jitterMs: number;
  /** 1 = like a clock, 0 = like chance (the intervals of chance arrivals have a ratio of spread to median of 0.69). */
  readonly steadiness: number;
  /** Share of moments with another one a period later: the autocorrelation at that lag, 0 to 1, beyond chance. */
  readonly echo: number;
  /** Powers of ten by which chance arrivals are unlikely to have half of their intervals so close to their median. */
  readonly evidence: number;
}

/** What chance arrivals have of spread against median. */
const CHANCE_SPREAD = 0.694;
/** Chance arrivals have this density of intervals at their median, times the median. */
const CHANCE_DENSITY = Math.LN2 / 2;
const LONGEST_MULTIPLE = 4;
/** Missed beats are made up for only when they are few: folding makes chance look regular. */
const MOST_FOLDED = 0.25;
/** No host's clock and scheduler tell more. */
const FINEST_JITTER = 0.002;

/** `moments` rise; `null` with fewer than five, or when a glance shows no beat. */
export function regularityOf(moments: readonly number[]): Regularity | null {
  if (moments.length < 5) return null;
  const intervals: number[] = [];
  let sum = 0;
  for (let index = 1; index < moments.length; index++) {
    const interval = (moments[index] ?? 0) - (moments[index - 1] ?? 0);
    intervals.push(interval);
    sum += interval;
  }
  const mean = sum / intervals.length;
  let deviation = 0;
  for (const interval of intervals) deviation += Math.abs(interval - mean);
  if (deviation > 0.6 * sum) return null;
  const middle = median(intervals);
  if (middle <= 0) return null;
  const folded = intervals.map((interval) => {
    const multiple = Math.round(interval / middle);
    return multiple >= 2 && multiple <= LONGEST_MULTIPLE ? interval / multiple : interval;
  });
  const foldedCount = folded.filter((interval, index) => interval !== intervals[index]).length;
  const used = foldedCount <= MOST_FOLDED * intervals.length ? folded : intervals;
  const periodMs = median(used);
  const jitterMs = median(used.map((interval) => Math.abs(interval - periodMs)));
  return {
    periodMs,
    jitterMs,
    steadiness: Math.max(0, 1 - jitterMs / periodMs / CHANCE_SPREAD),
    echo: echoOf(moments, periodMs),
    evidence: evidenceOf(intervals.length - foldedCount, jitterMs / periodMs),
  };
}

/** Of `count` chance intervals, half lie within `spread` of the median with a chance of about C(n, n/2) · p^(n/2). */
function evidenceOf(count: number, spread: number): number {
  const half = Math.floor(count / 2);
  const chance = Math.min(1, 2 * CHANCE_DENSITY * Math.max(FINEST_JITTER, spread));
  let ways = 0;
  for (let index = 1; index <= half; index++) ways += Math.log10((count - half + index) / index);
  return Math.max(0, -(ways + half * Math.log10(chance)));
}

/** Autocorrelation of the moments at one lag, tolerant by an eighth of the period. */
function echoOf(moments: readonly number[], periodMs: number): number {
  const tolerance = periodMs / 8;
  const first = moments[0] ?? 0;
  const last = moments.at(-1) ?? 0;
  let asked = 0;
  let found = 0;
  let from = 0;
  for (const moment of moments) {
    const target = moment + periodMs;
    if (target > last + tolerance) break;
    asked++;
    while (from < moments.length && (moments[from] ?? 0) < target - tolerance) from++;
    if ((moments[from] ?? Number.POSITIVE_INFINITY) <= target + tolerance) found++;
  }
  if (asked < 3) return 0;
  const density = (moments.length / Math.max(1, last - first)) * 2 * tolerance;
  const chance = 1 - Math.exp(-density);
  return Math.max(0, (found / asked - chance) / (1 - chance));
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
