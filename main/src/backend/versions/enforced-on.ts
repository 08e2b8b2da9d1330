/** Which hosts enforce some contents, and since when without a break. */
import type { Enforcement } from "./version-index.ts";

export interface EnforcedRun {
  readonly hostId: string;
  readonly sinceMs: number;
  /** When something else took its place; `null` = it is enforced still, as far as receipts tell. */
  readonly untilMs: number | null;
}

/** The last run of each host, in the order in which they began. */
export function enforcedRuns(enforcements: readonly Enforcement[], ids: ReadonlySet<string>): EnforcedRun[] {
  const runs = new Map<string, { hostId: string; sinceMs: number; untilMs: number | null }>();
  for (const { hostId, versionId, sinceMs } of enforcements) {
    const run = runs.get(hostId);
    if (ids.has(versionId)) {
      if (!run || run.untilMs !== null) runs.set(hostId, { hostId, sinceMs, untilMs: null });
    } else if (run && run.untilMs === null) run.untilMs = sinceMs;
  }
  return [...runs.values()].sort((one, other) => one.sinceMs - other.sinceMs);
}
