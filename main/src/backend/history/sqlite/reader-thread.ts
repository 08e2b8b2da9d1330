/** A thread that answers questions. Long ones are taken up piece by piece, so that several go on at a time. */
import { FileCache } from "./file-cache.ts";
import { guarded, openForReading } from "./partition-database.ts";
import { QueryControl } from "./query-control.ts";
import { type RankedQuery, RankedRows } from "./ranked-rows.ts";
import { findRows, type RowQuery } from "./row-queries.ts";
import { type GroupQuery, groupRecords, type StepQuery, sumBySteps } from "./sum-queries.ts";
import { serve } from "./thread-protocol.ts";

const cache = new FileCache();
const ranked = new RankedRows(cache);
const running = new Map<number, Iterator<unknown>>();

export interface GrowingLeaf {
  readonly records: number;
  /** Of its windows; 0 while it has none. */
  readonly minStartMs: number;
  readonly maxEndMs: number;
}

interface Asked<Query> {
  readonly id: number;
  readonly query: Query;
  /** Not 0 = cancelled. */
  readonly flag: Int32Array;
}

serve({
  rows({ id, query, flag }: Asked<RowQuery>) {
    running.set(id, findRows(cache, query, new QueryControl(flag)));
  },
  groups({ id, query, flag }: Asked<GroupQuery>) {
    running.set(id, groupRecords(cache, query, new QueryControl(flag)));
  },
  /** The next piece of an answer; `null` when there is none. */
  next({ id }: { id: number }) {
    try {
      const step = running.get(id)?.next();
      if (step && !step.done) return step.value;
    } catch (error) {
      running.delete(id);
      throw error;
    }
    running.delete(id);
    return null;
  },
  end({ id }: { id: number }) {
    running.get(id)?.return?.();
    running.delete(id);
  },
  steps({ query, flag }: Asked<StepQuery>) {
    return sumBySteps(cache, query, new QueryControl(flag));
  },
  ranks({ query, flag }: Asked<RankedQuery>) {
    return ranked.read(query, new QueryControl(flag));
  },
  /** What a leaf that is still written has by now: whoever writes it may be another process. */
  measure({ path }: { path: string }): GrowingLeaf {
    const database = openForReading(path);
    try {
      const measured = `SELECT coalesce(sum(row_count), 0) AS records, coalesce(min(min_start_ms), 0) AS minStartMs,
        coalesce(max(max_end_ms), 0) AS maxEndMs FROM blocks`;
      return guarded(path, () => database.prepare<[], GrowingLeaf>(measured).get()!);
    } finally {
      database.close();
    }
  },
  release({ path }: { path: string }) {
    cache.close(path);
    ranked.forget(path);
  },
});
