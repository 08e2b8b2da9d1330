/**
 * An isolation forest: rare points are cut off from the rest by few random cuts. Seeded, in typed arrays.
 *
 * Unlike the textbook's, a node remembers the range of the points that made it: a point far outside of that range is as good
 * as isolated there, instead of going on as if it were the outermost of the points that were known. What was never seen
 * while learning is what counts here.
 */
import { nextBelow, nextRandom, type RandomState, seededRandom } from "../support/random.ts";

export interface Forest {
  readonly dimensions: number;
  readonly trees: number;
  readonly nodesPerTree: number;
  /** Of each node; -1 = a leaf. */
  readonly features: Int8Array;
  readonly thresholds: Float32Array;
  readonly lows: Float32Array;
  readonly highs: Float32Array;
  /** Index of the right child; the left one follows its parent. */
  readonly rights: Int32Array;
  /** Of leaves: how deep a point is there, with what further cuts would add. */
  readonly depths: Float32Array;
  readonly averageDepth: number;
}

export interface ForestOptions {
  readonly trees: number;
  readonly subsample: number;
  readonly seed: number;
  /** How far outside of a node's range, in widths of it, a point is cut off; infinite = never, as in the textbook. */
  readonly rangeMargin: number;
}

export const USUAL_FOREST: Omit<ForestOptions, "seed"> = { trees: 100, subsample: 256, rangeMargin: 0.5 };

/** Average depth of an unsuccessful search in a binary tree of `count` points. */
export function averageDepthOf(count: number): number {
  if (count <= 1) return 0;
  if (count === 2) return 1;
  return 2 * (Math.log(count - 1) + 0.5772156649015329) - (2 * (count - 1)) / count;
}

interface Growth {
  readonly points: Float32Array;
  readonly order: Int32Array;
  readonly maxDepth: number;
  readonly random: RandomState;
  readonly forest: Forest;
  readonly constant: Uint8Array;
  next: number;
}

/** `points` are rows of `dimensions`; at least two rows. */
export function growForest(points: Float32Array, dimensions: number, options: ForestOptions): Forest {
  const rows = Math.floor(points.length / dimensions);
  const subsample = Math.min(options.subsample, rows);
  const nodesPerTree = 2 * subsample;
  const size = options.trees * nodesPerTree;
  const forest: Forest = {
    dimensions,
    trees: options.trees,
    nodesPerTree,
    features: new Int8Array(size).fill(-1),
    thresholds: new Float32Array(size).fill(options.rangeMargin),
    lows: new Float32Array(size),
    highs: new Float32Array(size),
    rights: new Int32Array(size),
    depths: new Float32Array(size),
    averageDepth: averageDepthOf(subsample),
  };
  const random = seededRandom(options.seed);
  const rowsInOrder = Int32Array.from({ length: rows }, (_, index) => index);
  for (let tree = 0; tree < options.trees; tree++) {
    for (let index = 0; index < subsample; index++) {
      const other = index + nextBelow(random, rows - index);
      const row = rowsInOrder[other] ?? 0;
      rowsInOrder[other] = rowsInOrder[index] ?? 0;
      rowsInOrder[index] = row;
    }
    const growth: Growth = {
      points,
      order: rowsInOrder.slice(0, subsample),
      maxDepth: Math.ceil(Math.log2(Math.max(2, subsample))),
      random,
      forest,
      constant: new Uint8Array(dimensions),
      next: tree * nodesPerTree,
    };
    grow(growth, 0, subsample, 0, options.rangeMargin);
  }
  return forest;
}

function grow(growth: Growth, from: number, to: number, depth: number, margin: number): void {
  const { forest } = growth;
  const node = growth.next++;
  const cut = depth >= growth.maxDepth || to - from <= 1 ? null : chooseCut(growth, from, to);
  if (cut === null) {
    forest.depths[node] = depth + averageDepthOf(to - from);
    return;
  }
  const { feature, low, high, threshold } = cut;
  forest.features[node] = feature;
  forest.thresholds[node] = threshold;
  const width = Math.max(high - low, 0.05) * margin;
  forest.lows[node] = low - width;
  forest.highs[node] = high + width;
  forest.depths[node] = depth + 1;
  const middle = partition(growth, from, to, feature, threshold);
  grow(growth, from, middle, depth + 1, margin);
  forest.rights[node] = growth.next;
  grow(growth, middle, to, depth + 1, margin);
}

interface Cut {
  readonly feature: number;
  readonly low: number;
  readonly high: number;
  readonly threshold: number;
}

/** Any feature in which the points differ, at any place between them. */
function chooseCut({ points, order, random, forest, constant }: Growth, from: number, to: number): Cut | null {
  const { dimensions } = forest;
  constant.fill(0);
  let left = dimensions;
  while (left > 0) {
    let pick = nextBelow(random, left);
    let feature = 0;
    for (; feature < dimensions; feature++) if (constant[feature] === 0 && pick-- === 0) break;
    let low = Number.POSITIVE_INFINITY;
    let high = Number.NEGATIVE_INFINITY;
    for (let index = from; index < to; index++) {
      const value = points[(order[index] ?? 0) * dimensions + feature] ?? 0;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (high > low) {
      const threshold = Math.fround(low + nextRandom(random) * (high - low));
      return { feature, low, high, threshold: threshold >= high ? low : threshold };
    }
    constant[feature] = 1;
    left--;
  }
  return null;
}

/** Points up to the threshold first; where the others begin. */
function partition(
  { points, order, forest }: Growth,
  from: number,
  to: number,
  feature: number,
  threshold: number,
): number {
  let middle = from;
  for (let index = from; index < to; index++) {
    const row = order[index] ?? 0;
    if ((points[row * forest.dimensions + feature] ?? 0) > threshold) continue;
    order[index] = order[middle] ?? 0;
    order[middle] = row;
    middle++;
  }
  return middle;
}

/** 0 to 1; about 0.5 = like all, towards 1 = cut off at once. */
export function forestScore(forest: Forest, point: Float32Array): number {
  const { features, thresholds, lows, highs, rights, depths } = forest;
  let sum = 0;
  for (let tree = 0; tree < forest.trees; tree++) {
    let node = tree * forest.nodesPerTree;
    for (;;) {
      const feature = features[node] as number;
      if (feature < 0) break;
      const value = point[feature] as number;
      // Far outside of what made this node: cut off here, at the depth of a child that is a leaf.
      if (value < (lows[node] as number) || value > (highs[node] as number)) break;
      node = value <= (thresholds[node] as number) ? node + 1 : (rights[node] as number);
    }
    sum += depths[node] as number;
  }
  return 2 ** (-sum / forest.trees / Math.max(1e-9, forest.averageDepth));
}

/** Share of each feature in the score: how much lower it were with that feature at its usual value. */
export function forestContributions(forest: Forest, point: Float32Array, usual: Float32Array): number[] {
  const whole = forestScore(forest, point);
  const changed = point.slice();
  const drops = Array.from(point, (value, feature) => {
    changed[feature] = usual[feature] ?? 0;
    const drop = Math.max(0, whole - forestScore(forest, changed));
    changed[feature] = value;
    return drop;
  });
  const sum = drops.reduce((total, drop) => total + drop, 0);
  return drops.map((drop) => (sum > 0 ? drop / sum : 1 / drops.length));
}
