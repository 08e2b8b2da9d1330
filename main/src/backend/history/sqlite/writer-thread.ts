/** The thread that writes: one at a time, of one process. */
import { ActivePartition } from "./active-partition.ts";
import type { JournalBook } from "./journal-book.ts";
import type { HostGap, HostPosition } from "./layout.ts";
import type { PackedBatches } from "./packed-layout.ts";
import { createLeaf } from "./seal.ts";
import { serve } from "./thread-protocol.ts";

let active: ActivePartition | null = null;

function opened(): ActivePartition {
  if (!active) throw new Error("No partition is open.");
  return active;
}

/** What the partition remembers is ahead of the file after a failure. */
function close(): void {
  active?.close();
  active = null;
}

function change<Result>(body: (book: JournalBook) => Result): Result {
  try {
    return opened().change(body);
  } catch (error) {
    close();
    throw error;
  }
}

serve({
  create({ path, positions, gaps }: { path: string; positions: readonly HostPosition[]; gaps: readonly HostGap[] }) {
    createLeaf(path, positions, gaps);
  },
  open({ path, leaf }: { path: string; leaf: number }) {
    close();
    active = new ActivePartition(path, leaf);
    return active.counts;
  },
  ingest({ packed, nowMs }: { packed: PackedBatches; nowMs: number }) {
    try {
      const isNew = opened().ingest(packed, nowMs);
      return { isNew, counts: opened().counts };
    } catch (error) {
      close();
      throw error;
    }
  },
  /** Nothing more is added to the partition that is open; the next one goes on where it ended. */
  roll({ path, leaf }: { path: string; leaf: number }) {
    const { positions, gaps } = change((book) => book.all());
    createLeaf(path, positions, gaps);
    close();
    active = new ActivePartition(path, leaf);
    return active.counts;
  },
  journals({ hostId }: { hostId: string }) {
    const { book } = opened();
    return { positions: book.positions(hostId), gaps: book.gaps(hostId) };
  },
  allGaps() {
    return opened().book.all().gaps;
  },
  addGaps(gaps: readonly HostGap[]) {
    change((book) => book.addGaps(gaps));
  },
  abandon(gap: HostGap) {
    change((book) => book.abandon(gap));
  },
  forgetJournals({ hostId }: { hostId: string }) {
    change((book) => book.forget(hostId));
  },
  close,
});
