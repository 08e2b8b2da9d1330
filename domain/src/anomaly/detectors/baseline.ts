/**
 * Volumes of five minutes against this host's own habit at that hour: of the week once it knows enough weeks, of the day
 * before that, and of any time at first. Levels follow slowly, and what lies far off pulls no harder than what lies near.
 */

import { FEATURES, type MinuteWindow } from "../features/window.ts";
import type { GroupBaseline, HostSummary } from "../model.ts";
import { shownBytes, shownNumber, shownText } from "../support/words.ts";
import { ANY_EVIDENCE, type DetectorContext, type Signal } from "./signal.ts";

interface Metric {
  /** Index in the minute's quantities. */
  readonly feature: number;
  /** Below it nothing is worth telling. In five minutes. */
  readonly floor: number;
  /** Different ends do not add up over minutes: the largest counts. */
  readonly isSum: boolean;
}

const metric = (key: string, floor: number, isSum = true): Metric => ({
  feature: FEATURES.findIndex((feature) => feature.key === key),
  floor,
  isSum,
});

export const BASELINE_METRICS: readonly Metric[] = [
  metric("out_connections", 150),
  metric("out_remotes", 40, false),
  metric("out_sent", 2e7),
  metric("out_received", 1e8),
  metric("in_connections", 300),
  metric("in_remotes", 100, false),
  metric("in_sent", 2e8),
  metric("in_received", 1e8),
  metric("failed", 60),
];

const BINS = 1 + 24 + 168;
/** Level, spread and number of windows of each bin. */
const CELL = 3;
export const BASELINE_MINUTES = 5;
const HOUR_MS = 3_600_000;
/** Two weeks of that hour, two days of it, an hour of any. */
const ENOUGH = { week: 24, day: 12, any: 12 };
/** Up to this above the highest of the hours around it is no news, as a power of e. */
const ABOVE_PEAK = 0.7;
/** A day's growth of a peak, once there is one; what it loses a day without being reached. */
const PEAK_GROWTH = 0.4;
const PEAK_LOSS_A_WINDOW = 0.02 / 288;
const SLOWEST_RATE = 0.01;
const PULL_LIMIT = 2.5;
/** A habit is never known better than this, as a power of e. */
const LEAST_SPREAD = 0.25;
const USUAL_DISTANCE = 6;
/** A host's level may lie this far above the median of its group, in the group's spreads and beyond a factor of e. */
const GROUP_DISTANCE = 6;
const FEWEST_GROUP_HOSTS = 3;

export interface BaselineHabit {
  /** By metric, bin and part. */
  readonly cells: Float32Array;
  /** By metric and hour of the day: what was highest on normal days, slowly forgotten. Jobs come at their hours. */
  readonly peaks: Float32Array;
}

export interface BaselineState {
  sums: number[];
  /** Without what belongs to findings. */
  cleanSums: number[];
  minutes: number;
  startMs: number;
}

export function freshBaselineHabit(): BaselineHabit {
  return {
    cells: new Float32Array(BASELINE_METRICS.length * BINS * CELL),
    peaks: new Float32Array(BASELINE_METRICS.length * 24),
  };
}

export function freshBaseline(): BaselineState {
  return { sums: BASELINE_METRICS.map(() => 0), cleanSums: BASELINE_METRICS.map(() => 0), minutes: 0, startMs: -1 };
}

export interface EndedMinute {
  readonly minute: MinuteWindow;
  readonly quantities: readonly number[];
  readonly clean: readonly number[];
}

/** A minute has ended; with every fifth the habit is asked, and learns unless it found something. */
export function observeBaseline(
  state: BaselineState,
  habit: BaselineHabit,
  { minute, quantities, clean }: EndedMinute,
  host: string,
  context: DetectorContext,
): void {
  if (state.minutes === 0) state.startMs = minute.startMs;
  for (const [index, { feature, isSum }] of BASELINE_METRICS.entries()) {
    state.sums[index] = joined(state.sums[index] ?? 0, quantities[feature] ?? 0, isSum);
    state.cleanSums[index] = joined(state.cleanSums[index] ?? 0, clean[feature] ?? 0, isSum);
  }
  state.minutes++;
  const lastMs = state.startMs + (BASELINE_MINUTES - 1) * 60_000;
  if (state.minutes < BASELINE_MINUTES && minute.startMs < lastMs) return;
  if (!judge(state, habit, host, context)) learn(state, habit, context.isTrained);
  Object.assign(state, freshBaseline());
}

const joined = (known: number, value: number, isSum: boolean): number =>
  isSum ? known + value : Math.max(known, value);

interface Deviation {
  readonly metric: Metric;
  readonly value: number;
  readonly distance: number;
  readonly level: number;
  readonly spread: number;
}

function judge(state: BaselineState, habit: BaselineHabit, host: string, context: DetectorContext): boolean {
  if (!context.isTrained) return false;
  const deviations: Deviation[] = [];
  for (const [index, metric] of BASELINE_METRICS.entries()) {
    const value = state.sums[index] ?? 0;
    const usual = usualOf(habit, index, state.startMs, context.group);
    if (usual === null) continue;
    const above = Math.log1p(value) - peakAround(habit, index, state.startMs) - ABOVE_PEAK;
    if (above <= 0) continue;
    const distance = ((Math.log1p(value) - usual.level) / usual.spread) * Math.min(1, value / metric.floor);
    if (distance > 0) deviations.push({ metric, value, distance, ...usual });
  }
  deviations.sort((left, right) => right.distance - left.distance);
  const [top] = deviations;
  if (top === undefined) return false;
  const ratio = top.distance / USUAL_DISTANCE;
  return context.offer("baseline", FEATURES[top.metric.feature]?.key ?? "", ratio, () =>
    describe(state, deviations, ratio, host),
  );
}

/** Level and spread of the finest bin that is known well enough; `null` when none is. */
function usualOf(
  { cells }: BaselineHabit,
  index: number,
  atMs: number,
  group: GroupBaseline | null,
): { readonly level: number; readonly spread: number } | null {
  for (const [bin, enough] of binsOf(atMs)) {
    const cell = (index * BINS + bin) * CELL;
    if ((cells[cell + 2] ?? 0) < enough) continue;
    const level = cells[cell] ?? 0;
    return { level: boundByGroup(level, index, group), spread: Math.max(LEAST_SPREAD, 1.25 * (cells[cell + 1] ?? 0)) };
  }
  return null;
}

function peakAround({ peaks }: BaselineHabit, index: number, atMs: number): number {
  const hour = Math.floor(atMs / HOUR_MS) % 24;
  let most = 0;
  for (const near of [hour + 23, hour, hour + 1]) most = Math.max(most, peaks[index * 24 + (near % 24)] ?? 0);
  return most;
}

function boundByGroup(level: number, index: number, group: GroupBaseline | null): number {
  const key = FEATURES[BASELINE_METRICS[index]?.feature ?? 0]?.key ?? "";
  const common = group === null || group.hosts < FEWEST_GROUP_HOSTS ? undefined : group.features[key];
  if (common === undefined || !Number.isFinite(common.median) || !(common.spread >= 0)) return level;
  return Math.min(level, common.median + 1 + GROUP_DISTANCE * Math.max(LEAST_SPREAD, common.spread));
}

function binsOf(atMs: number): readonly (readonly [number, number])[] {
  const hour = Math.floor(atMs / HOUR_MS);
  return [
    [25 + (hour % 168), ENOUGH.week],
    [1 + (hour % 24), ENOUGH.day],
    [0, ENOUGH.any],
  ];
}

function learn(state: BaselineState, { cells, peaks }: BaselineHabit, isTrained: boolean): void {
  const hour = Math.floor(state.startMs / HOUR_MS) % 24;
  for (let index = 0; index < BASELINE_METRICS.length; index++) {
    const value = Math.log1p(state.cleanSums[index] ?? 0);
    const peak = (peaks[index * 24 + hour] ?? 0) - PEAK_LOSS_A_WINDOW;
    // A twelfth of a day's growth with each window of that hour.
    const reach = isTrained ? Math.min(value, peak + PEAK_GROWTH / 12) : value;
    peaks[index * 24 + hour] = Math.max(0, peak, reach);
    for (const [bin] of binsOf(state.startMs)) learnCell(cells, (index * BINS + bin) * CELL, value);
  }
}

function learnCell(cells: Float32Array, cell: number, value: number): void {
  const count = cells[cell + 2] ?? 0;
  const rate = Math.max(1 / (count + 1), SLOWEST_RATE);
  const level = cells[cell] ?? 0;
  const spread = cells[cell + 1] ?? 0;
  const limit = count < 10 ? Number.POSITIVE_INFINITY : PULL_LIMIT * Math.max(LEAST_SPREAD, spread);
  const error = Math.max(-limit, Math.min(limit, value - level));
  cells[cell] = level + rate * error;
  cells[cell + 1] = count === 0 ? LEAST_SPREAD : spread + rate * (Math.abs(error) - spread);
  cells[cell + 2] = Math.min(count + 1, 10_000);
}

function describe(state: BaselineState, deviations: readonly Deviation[], ratio: number, host: string): Signal {
  const told = deviations.slice(0, 4).map(({ metric, value, distance, level, spread }) => {
    const { key, name, unit } = FEATURES[metric.feature] ?? FEATURES[0];
    return {
      key,
      name: `${name} in five minutes`,
      value,
      normal: {
        low: Math.max(0, Math.round(Math.expm1(level - 3 * spread))),
        high: Math.round(Math.expm1(level + 3 * spread)),
      },
      unit: unit.replace("/min", ""),
      weight: distance,
    };
  });
  const [top] = told;
  const shown = (value: number) => (top?.unit === "bytes" ? shownBytes(value) : shownNumber(value));
  const hour = new Date(state.startMs).getUTCHours();
  return {
    detector: "baseline",
    key: top?.key ?? "",
    ratio,
    severity: ratio > 2.5 ? "medium" : "low",
    sentence: `${shownText(host, 48)} had ${shown(top?.value ?? 0)} of ${top?.name ?? ""}; around ${String(hour).padStart(2, "0")}:00 UTC it usually has ${shown(top?.normal.low ?? 0)} to ${shown(top?.normal.high ?? 0)}.`,
    beganAtMs: state.startMs,
    atMs: state.startMs + BASELINE_MINUTES * 60_000 - 1000,
    subjectKey: "",
    process: "",
    remote: "",
    port: 0,
    direction: (top?.key ?? "").startsWith("in_") ? "ingress" : "egress",
    features: told,
    filter: {
      ...ANY_EVIDENCE,
      direction: top?.key === "failed" ? null : (top?.key ?? "").startsWith("in_") ? "ingress" : "egress",
      failedOnly: top?.key === "failed",
    },
    actions: [],
    quietMs: 900_000,
  };
}

/** This host's vote: its level and spread of any time. */
export function baselineSummary({ cells }: BaselineHabit): HostSummary["features"] {
  return Object.fromEntries(
    BASELINE_METRICS.map(({ feature }, index) => {
      const cell = index * BINS * CELL;
      return [FEATURES[feature]?.key ?? "", { median: cells[cell] ?? 0, spread: 1.25 * (cells[cell + 1] ?? 0) }];
    }),
  );
}
