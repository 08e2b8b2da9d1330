/** What maintenance does next: which files are merged, and which go. Pure, so that a day can be tried in a second. */
import type { HistoryResolution, RetentionLimits } from "../flow-history.ts";
import type { Partition } from "./catalog.ts";
import { fileStem, RESOLUTIONS } from "./layout.ts";

const DAY_MS = 86_400_000;
/** What merging holds in memory: 120 bytes for each. */
const MOST_MERGED_ROWS = 2_000_000;

export interface RollUpPlan {
  readonly resolution: Exclude<HistoryResolution, "record">;
  readonly stem: string;
  readonly sources: readonly Partition[];
}

/**
 * Minutes are made of each leaf as soon as it is sealed, hours of the minutes of a day of arrival once it is over, days of
 * the hours of a month: few files, each of which covers a stretch of leaves. Where a day or month is too much to merge at
 * once, it becomes several.
 */
export function planRollUps(partitions: readonly Partition[], nowMs: number): readonly RollUpPlan[] {
  return [
    ...runsOf(partitions, "record", "minute", nowMs),
    ...runsOf(partitions, "minute", "hour", nowMs),
    ...runsOf(partitions, "hour", "day", nowMs),
  ];
}

function runsOf(
  partitions: readonly Partition[],
  from: HistoryResolution,
  to: RollUpPlan["resolution"],
  nowMs: number,
): readonly RollUpPlan[] {
  const waiting = partitions.filter(
    (partition) => partition.resolution === from && partition.description && !isCoveredBy(partitions, partition, to),
  );
  const plans: RollUpPlan[] = [];
  let run: Partition[] = [];
  const close = () => {
    const [first, last] = [run[0], run.at(-1)];
    if (first && last) {
      plans.push({ resolution: to, stem: fileStem(to, first.firstLeaf, last.lastLeaf), sources: run });
    }
    run = [];
  };
  for (const partition of waiting) {
    if (run.length > 0 && !belongsTo(run, partition, to)) close();
    run.push(partition);
    if (to === "minute") close();
  }
  // The last run may still grow, until its day or month is over.
  const last = run.at(-1);
  if (last && periodOf(last, to) !== periodOfTime(nowMs, to)) close();
  return plans;
}

/** Whether every leaf of it is in a file of that resolution or a coarser one. */
function isCoveredBy(
  partitions: readonly Partition[],
  { firstLeaf, lastLeaf }: Partition,
  least: HistoryResolution,
): boolean {
  const rank = RESOLUTIONS.indexOf(least);
  return partitions.some(
    (other) =>
      RESOLUTIONS.indexOf(other.resolution) >= rank && other.firstLeaf <= firstLeaf && other.lastLeaf >= lastLeaf,
  );
}

function belongsTo(run: readonly Partition[], next: Partition, to: RollUpPlan["resolution"]): boolean {
  const last = run.at(-1)!;
  const rows = [...run, next].reduce((sum, { description }) => sum + (description?.rows ?? 0), 0);
  const isNeighbour = next.firstLeaf === last.lastLeaf + 1;
  return isNeighbour && rows <= MOST_MERGED_ROWS && periodOf(next, to) === periodOf(last, to);
}

function periodOf({ description }: Partition, to: RollUpPlan["resolution"]): string {
  return periodOfTime(description?.sealedAtMs ?? 0, to);
}

/** Day or month, UTC. */
function periodOfTime(timeMs: number, to: RollUpPlan["resolution"]): string {
  return new Date(timeMs).toISOString().slice(0, to === "day" ? 7 : 10);
}

export interface SizedPartition extends Partition {
  readonly sizeBytes: number;
}

/** Those that go, in the order of going. What is written now stays. */
export function planRetention(
  partitions: readonly SizedPartition[],
  limits: RetentionLimits,
  nowMs: number,
): readonly SizedPartition[] {
  const days = { record: limits.recordDays, minute: limits.minuteDays, hour: limits.hourDays, day: limits.dayDays };
  const sealed = partitions.filter(({ description }) => description !== null);
  const isOld = ({ description, resolution }: SizedPartition) =>
    description!.maxEndMs < nowMs - days[resolution] * DAY_MS;
  const gone = new Set(sealed.filter((partition) => isOld(partition) && !isNeeded(partitions, partition, isOld)));
  let rows = 0;
  let bytes = 0;
  for (const partition of partitions) {
    if (gone.has(partition)) continue;
    rows += partition.description?.rows ?? 0;
    bytes += partition.sizeBytes;
  }
  for (const partition of finestAndOldest(sealed.filter((candidate) => !gone.has(candidate)))) {
    if (rows <= limits.maxRecords && bytes <= limits.maxBytes) break;
    gone.add(partition);
    rows -= partition.description!.rows;
    bytes -= partition.sizeBytes;
  }
  return [...gone];
}

/** It was not merged yet into something that is kept for longer. */
function isNeeded(
  partitions: readonly SizedPartition[],
  partition: SizedPartition,
  isOld: (other: SizedPartition) => boolean,
): boolean {
  const next = RESOLUTIONS[RESOLUTIONS.indexOf(partition.resolution) + 1];
  if (next === undefined || isCoveredBy(partitions, partition, next)) return false;
  // A day more than everything is kept for: nothing coarser would be kept either.
  return !isOld({ ...partition, resolution: "day" });
}

/** Copies in coarser files make the loss small: those that have none go after all others. */
function finestAndOldest(sealed: readonly SizedPartition[]): readonly SizedPartition[] {
  const rank = (partition: SizedPartition) => {
    const index = RESOLUTIONS.indexOf(partition.resolution);
    const next = RESOLUTIONS[index + 1];
    return next !== undefined && isCoveredBy(sealed, partition, next) ? index : RESOLUTIONS.length;
  };
  const ranked = sealed.map((partition) => ({ partition, rank: rank(partition) }));
  ranked.sort((a, b) => a.rank - b.rank || a.partition.firstLeaf - b.partition.firstLeaf);
  return ranked.map(({ partition }) => partition);
}
