/** What is missing of the history, in its place. */
import { type HistoryGap, HistoryGapCause } from "@wardline/api/wardline/console/v1/history";
import { optionalMs } from "../../../data/hosts-snapshot.ts";
import { formatQuantity, formatShortDateTime } from "../../../ui/index.ts";

/** `3 batches of db-1 were lost before they were read, 12:04:00 to 12:09:30`. */
export function gapText(gap: HistoryGap): string {
  const [sinceMs, untilMs] = [optionalMs(gap.since), optionalMs(gap.until)];
  const when =
    sinceMs === null || untilMs === null ? "" : `, ${formatShortDateTime(sinceMs)} to ${formatShortDateTime(untilMs)}`;
  switch (gap.cause) {
    case HistoryGapCause.NOT_READ_IN_TIME:
      return `${formatQuantity(gap.batches, "batch", "batches")} of ${gap.host} went before they were read${when}`;
    case HistoryGapCause.SILENT:
      return `${gap.host} does not deliver${sinceMs === null ? "" : ` since ${formatShortDateTime(sinceMs)}`}`;
    default:
      return `${gap.host} lost ${formatQuantity(gap.events, "event")}${when}`;
  }
}

/** The gap that lies between the times of two neighbours; the one that ends last when there are several. */
export function gapBetween(gaps: readonly HistoryGap[], oneMs: number, otherMs: number): HistoryGap | null {
  const [low, high] = oneMs < otherMs ? [oneMs, otherMs] : [otherMs, oneMs];
  for (const gap of gaps) {
    const untilMs = optionalMs(gap.until);
    if (untilMs !== null && untilMs > low && untilMs <= high) return gap;
  }
  return null;
}
