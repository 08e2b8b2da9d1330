/**
 * How good one direction of a link is, 0 to 100, from what was measured of it and from nothing else:
 *
 *     score = 100 × 1/(1 + latency/240 ms) × e^(−10 × loss) × quality × throughput/(throughput + 2 Mbit/s)
 *
 * Factors of figures that were not measured are left out; with none there is no score and the class is UNMEASURED.
 * Throughput counts for batman-adv only, which estimates what a link can carry; other meshes tell what it carries now.
 * The mesh's own cost is not an input: it is made of the same round trips.
 *
 * Classes begin at 90 (excellent), 70 (good), 50 (fair) and 25 (poor), each inclusive; below is bad. A direction changes its
 * class only when the score is 2 beyond the bound, so that a score at a bound does not change it with every reading.
 *
 * By latency alone that is 27, 103, 240 and 720 ms; by loss alone 1 %, 3.6 %, 7 % and 14 %.
 */
import { LinkClass } from "@wardline/api/wardline/console/v1/mesh";
import { MeshProvider } from "@wardline/api/wardline/v1/mesh";

const HALF_AT_LATENCY_MS = 240;
const LOSS_WEIGHT = 10;
const HALF_AT_BITS_PER_SECOND = 2e6;
/** Scores are kept to a tenth. */
const STEPS_PER_POINT = 10;
const MARGIN = 2;

export const CLASS_BOUNDS: readonly (readonly [linkClass: LinkClass, from: number])[] = [
  [LinkClass.EXCELLENT, 90],
  [LinkClass.GOOD, 70],
  [LinkClass.FAIR, 50],
  [LinkClass.POOR, 25],
  [LinkClass.BAD, 0],
];

export interface ScoredFigures {
  readonly latencyMs: number | null;
  readonly loss: number | null;
  readonly quality: number | null;
  readonly throughputBitsPerSecond: number | null;
}

/** `null` = nothing that counts was measured. */
export function scoreOf(figures: ScoredFigures, provider: MeshProvider): number | null {
  const { latencyMs, loss, quality } = figures;
  const throughput = provider === MeshProvider.BATMAN ? figures.throughputBitsPerSecond : null;
  if (latencyMs === null && loss === null && quality === null && throughput === null) return null;
  let share = 1;
  if (latencyMs !== null) share /= 1 + latencyMs / HALF_AT_LATENCY_MS;
  if (loss !== null) share *= Math.exp(-LOSS_WEIGHT * loss);
  if (quality !== null) share *= quality;
  if (throughput !== null) share *= throughput / (throughput + HALF_AT_BITS_PER_SECOND);
  return Math.round(share * 100 * STEPS_PER_POINT) / STEPS_PER_POINT;
}

/** `before`: the class that the direction has; it is kept near its bounds. */
export function classOf(score: number | null, before: LinkClass = LinkClass.UNMEASURED): LinkClass {
  if (score === null) return LinkClass.UNMEASURED;
  const index = CLASS_BOUNDS.findIndex(([linkClass]) => linkClass === before);
  if (index !== -1) {
    const from = CLASS_BOUNDS[index]![1];
    const below = CLASS_BOUNDS[index - 1]?.[1] ?? Number.POSITIVE_INFINITY;
    if (score >= from - MARGIN && score < below + MARGIN) return before;
  }
  return CLASS_BOUNDS.find(([, from]) => score >= from)?.[0] ?? LinkClass.BAD;
}

const ORDER = [LinkClass.UNMEASURED, ...CLASS_BOUNDS.map(([linkClass]) => linkClass)];

/** Of a link: that of its worse direction; a direction that was not measured says nothing. */
export function worseClass(one: LinkClass, other: LinkClass): LinkClass {
  return ORDER.indexOf(one) >= ORDER.indexOf(other) ? one : other;
}
