/**
 * Which partitions answer a question. Every record is in one leaf, and a leaf is in at most one file of each resolution:
 * files that share no leaf never count a record twice. Of all ways to cover the leaves, the one is taken that leaves out
 * least, is exact, and reads least.
 */
import type { FlowQuery } from "@wardline/domain/flows";
import type { Partition } from "./catalog.ts";
import { BUCKET_MS, RESOLUTIONS } from "./layout.ts";
import { isOutside, isWithin } from "./query-control.ts";
import { isOfSeries } from "./selection.ts";
import { windowOf } from "./sum-queries.ts";

export interface Question {
  readonly query: FlowQuery;
  /** Rows are wanted as they came, not sums of them. */
  readonly wantsRows: boolean;
  /** Sums are wanted for each multiple of this; `null` = altogether. */
  readonly stepMs: number | null;
}

const MISSING_COST = 1e15;
const INEXACT_COST = 1e9;
/** A guess for the newest leaf, whose rows nobody has counted. */
const ACTIVE_ROWS = 500_000;

/** Those that the window touches, oldest leaf first. */
export function chooseCover(partitions: readonly Partition[], question: Question): readonly Partition[] {
  const bounds = [...new Set(partitions.flatMap(({ firstLeaf, lastLeaf }) => [firstLeaf, lastLeaf + 1]))].sort(
    (a, b) => a - b,
  );
  const starting = Map.groupBy(partitions, ({ firstLeaf }) => firstLeaf);
  // From the end: the cheapest way to cover what begins at each bound.
  const cheapest = new Map<number, { readonly cost: number; readonly step: Partition | null; readonly next: number }>();
  const last = bounds.at(-1) ?? 0;
  cheapest.set(last, { cost: 0, step: null, next: last });
  for (let index = bounds.length - 2; index >= 0; index--) {
    const from = bounds[index]!;
    const next = bounds[index + 1]!;
    let best: { cost: number; step: Partition | null; next: number } = {
      cost: (cheapest.get(next)?.cost ?? 0) + MISSING_COST,
      step: null,
      next,
    };
    for (const step of starting.get(from) ?? []) {
      const cost = (cheapest.get(step.lastLeaf + 1)?.cost ?? 0) + costOf(step, question);
      if (cost < best.cost) best = { cost, step, next: step.lastLeaf + 1 };
    }
    cheapest.set(from, best);
  }
  const chosen: Partition[] = [];
  for (let at = bounds[0] ?? last; at !== last; ) {
    const { step, next } = cheapest.get(at)!;
    if (step && !isUntouched(step, question)) chosen.push(step);
    at = next;
  }
  return chosen;
}

function isUntouched({ description }: Partition, { query }: Question): boolean {
  return description !== null && (description.rows === 0 || isOutside(description, windowOf(query)));
}

function costOf(partition: Partition, question: Question): number {
  if (isUntouched(partition, question)) return 1;
  const { description, firstLeaf, lastLeaf, resolution } = partition;
  if (!description) return ACTIVE_ROWS;
  const leaves = lastLeaf - firstLeaf + 1;
  if (!isExact(partition, question)) return RESOLUTIONS.indexOf(resolution) * leaves * INEXACT_COST;
  const isByTotals = !question.wantsRows && question.stepMs === null && isWithin(description, windowOf(question.query));
  return 1 + (isByTotals ? description.series / 10 : description.rows);
}

/** Whether its rows say the same as the records that it was made of. */
export function isExact({ resolution, description }: Partition, { query, wantsRows, stepMs }: Question): boolean {
  const bucketMs = BUCKET_MS[resolution];
  if (bucketMs === 0 || !description) return true;
  // Measures, and ids of processes, are of one record each.
  if (wantsRows || !isOfSeries(query.where)) return false;
  if (stepMs !== null && stepMs % bucketMs !== 0) return false;
  if (isWithin(description, windowOf(query))) return true;
  const isOnBorder = (timeMs: number | null) => timeMs === null || timeMs % bucketMs === 0;
  return isOnBorder(query.sinceMs) && isOnBorder(query.untilMs) && !description.straddles;
}
