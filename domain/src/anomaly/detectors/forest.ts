/** The isolation forest over a host's minutes: combinations of quantities that this host's normal minutes do not have. */

import { FEATURE_COUNT, FEATURES, type MinuteWindow, vectorOf } from "../features/window.ts";
import { nextBelow, nextRandom, type RandomState } from "../support/random.ts";
import { shownBytes, shownNumber, shownText } from "../support/words.ts";
import { type Forest, forestContributions, forestScore, growForest, USUAL_FOREST } from "./isolation-forest.ts";
import { ANY_EVIDENCE, type DetectorContext, type Signal } from "./signal.ts";

export interface ForestHabit {
  /** Rows of features of normal minutes: a sample of the last two weeks. */
  readonly sample: Float32Array;
  rows: number;
  offered: number;
  sinceBuilt: number;
  built: BuiltForest | null;
}

/** What a forest is grown from, always the same one. */
export interface BuiltForest {
  readonly points: Float32Array;
  readonly seed: number;
}

const SAMPLE_ROWS = 1024;
const FIRST_ROWS = 256;
const REBUILT_AFTER = 720;
/** A sample of so many minutes: none of them stays for ever, and a day can change no more than a fourteenth. */
const MEMORY_MINUTES = 20_160;
const TOLD_FEATURES = 5;
/** The score at which the usual threshold lies, in distances of the 99th percentile from the median. */
const USUAL_DISTANCE = 2.2;

export function freshForest(): ForestHabit {
  return { sample: new Float32Array(SAMPLE_ROWS * FEATURE_COUNT), rows: 0, offered: 0, sinceBuilt: 0, built: null };
}

interface Grown {
  readonly forest: Forest;
  readonly median: number;
  readonly distance: number;
  readonly usual: Float32Array;
  readonly low: Float32Array;
  readonly high: Float32Array;
}

/** Grown from plain state: a cache, not state. */
const grownForests = new WeakMap<BuiltForest, Grown>();

function grownOf(built: BuiltForest): Grown {
  const known = grownForests.get(built);
  if (known !== undefined) return known;
  const { points, seed } = built;
  const forest = growForest(points, FEATURE_COUNT, { ...USUAL_FOREST, seed });
  const rows = points.length / FEATURE_COUNT;
  const scores = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    scores[row] = forestScore(forest, points.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT));
  }
  scores.sort();
  const column = (feature: number, share: number): number => {
    const values = Float32Array.from({ length: rows }, (_, row) => points[row * FEATURE_COUNT + feature] ?? 0).sort();
    return values[Math.min(rows - 1, Math.floor(share * rows))] ?? 0;
  };
  const all = (share: number) => Float32Array.from({ length: FEATURE_COUNT }, (_, feature) => column(feature, share));
  const median = scores[rows >> 1] ?? 0.5;
  const grown = {
    forest,
    median,
    distance: Math.max(0.02, (scores[Math.floor(rows * 0.99)] ?? median) - median),
    usual: all(0.5),
    low: all(0.02),
    high: all(0.98),
  };
  grownForests.set(built, grown);
  return grown;
}

/** 0 = as usual, 1 = at the usual threshold; `null` before there is a forest. */
export function forestRatio(habit: ForestHabit, vector: Float32Array): number | null {
  if (habit.built === null) return null;
  const { forest, median, distance } = grownOf(habit.built);
  return (forestScore(forest, vector) - median) / (USUAL_DISTANCE * distance);
}

export function observeForest(
  habit: ForestHabit,
  window: MinuteWindow,
  quantities: readonly number[],
  host: string,
  context: DetectorContext,
): boolean {
  const vector = vectorOf(quantities);
  const ratio = forestRatio(habit, vector);
  if (ratio === null || habit.built === null) return false;
  if (!context.isTrained) return false;
  const grown = grownOf(habit.built);
  return context.offer("isolation-forest", "host", ratio, () =>
    describe(grown, vector, quantities, window, host, ratio),
  );
}

function describe(
  grown: Grown,
  vector: Float32Array,
  quantities: readonly number[],
  window: MinuteWindow,
  host: string,
  ratio: number,
): Signal {
  const shares = forestContributions(grown.forest, vector, grown.usual);
  const order = shares
    .map((share, feature) => ({ share, feature }))
    .sort((left, right) => right.share - left.share || left.feature - right.feature)
    .slice(0, TOLD_FEATURES);
  const features = order.map(({ share, feature }) => {
    const { key, name, unit } = FEATURES[feature] ?? FEATURES[0];
    return {
      key,
      name,
      value: quantities[feature] ?? 0,
      normal: { low: plain(feature, grown.low[feature] ?? 0), high: plain(feature, grown.high[feature] ?? 0) },
      unit,
      weight: share,
    };
  });
  const told = features
    .slice(0, 3)
    .map(
      ({ name, value, normal, unit }) =>
        `${name} ${shown(value, unit)} (usually ${shown(normal.low, unit)} to ${shown(normal.high, unit)})`,
    );
  const [{ feature: top } = { feature: 0 }] = order;
  const isInward = (FEATURES[top]?.key ?? "").startsWith("in_");
  return {
    detector: "isolation-forest",
    // Whatever is unusual in a minute belongs together: one finding, as long as it goes on.
    key: "host",
    ratio,
    severity: ratio > 2 ? "medium" : "low",
    sentence: `A minute of ${shownText(host, 48)} was unlike its others: ${told.join("; ")}.`,
    beganAtMs: window.startMs,
    atMs: window.startMs + 59_000,
    subjectKey: "",
    process: "",
    remote: "",
    port: 0,
    direction: isInward ? "ingress" : "egress",
    features,
    filter: ANY_EVIDENCE,
    actions: [],
    quietMs: 600_000,
  };
}

function plain(feature: number, value: number): number {
  return FEATURES[feature]?.isLog ? Math.round(Math.expm1(value)) : Math.round(value * 100) / 100;
}

function shown(value: number, unit: string): string {
  return unit.startsWith("bytes") ? shownBytes(value) : shownNumber(value);
}

/** A normal minute: into the sample; now and then a new forest. */
export function learnForest(habit: ForestHabit, quantities: readonly number[], random: RandomState): void {
  habit.offered++;
  let row = habit.rows;
  if (row < SAMPLE_ROWS) habit.rows++;
  else if (nextRandom(random) < SAMPLE_ROWS / Math.min(habit.offered, MEMORY_MINUTES))
    row = nextBelow(random, SAMPLE_ROWS);
  else row = -1;
  if (row >= 0) habit.sample.set(vectorOf(quantities), row * FEATURE_COUNT);
  habit.sinceBuilt++;
  if (habit.rows < FIRST_ROWS || (habit.built !== null && habit.sinceBuilt < REBUILT_AFTER)) return;
  habit.sinceBuilt = 0;
  habit.built = {
    points: habit.sample.slice(0, habit.rows * FEATURE_COUNT),
    seed: Math.floor(nextRandom(random) * 2 ** 31),
  };
}
