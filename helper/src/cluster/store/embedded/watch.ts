/**
 * A watch of the embedded store reads the history itself: however slow the consumer, nothing is kept for it in memory, and
 * nothing is lost as long as the history is there.
 */
import type { StoreEvent, WatchBatch, WatchRequest } from "../clusterStore.ts";
import { compacted, invalid } from "../storeFailure.ts";
import { type Bounds, boundsOf } from "./versions.ts";

const PAGE_EVENTS = 512;

export interface History {
  revision(): bigint;
  compacted(): bigint;
  changes(bounds: Bounds, first: bigint, last: bigint, limit: number): StoreEvent[];
  onChange(listener: () => void): () => void;
}

export async function* followHistory(history: History, request: WatchRequest): AsyncGenerator<WatchBatch> {
  const { signal } = request;
  if (request.fromRevision < 1n) throw invalid("A watch begins at revision 1 or later.");
  const bounds = boundsOf(request.prefix);
  let next = request.fromRevision;
  let changed = Promise.withResolvers<void>();
  const wake = () => changed.resolve();
  const stop = history.onChange(wake);
  signal.addEventListener("abort", wake);
  try {
    while (!signal.aborted) {
      const gone = history.compacted();
      if (next <= gone) throw compacted(`The history up to revision ${gone} is gone.`);
      changed = Promise.withResolvers<void>();
      const page = readPage(history, bounds, next);
      for (const batch of page.batches) {
        next = batch.revision + 1n;
        yield batch;
        if (signal.aborted) return;
      }
      // Also what was none of this watch's business was seen: no compaction overtakes it.
      if (page.upTo >= next) next = page.upTo + 1n;
      if (history.revision() < next) await changed.promise;
    }
  } finally {
    stop();
    signal.removeEventListener("abort", wake);
  }
}

/** Whole revisions. */
function readPage(history: History, bounds: Bounds, first: bigint): { batches: WatchBatch[]; upTo: bigint } {
  const last = history.revision();
  if (first > last) return { batches: [], upTo: last };
  const events = history.changes(bounds, first, last, PAGE_EVENTS);
  const batches = group(events);
  if (events.length < PAGE_EVENTS) return { batches, upTo: last };
  const cutOff = batches.pop()!.revision;
  if (batches.length > 0) return { batches, upTo: cutOff - 1n };
  return { batches: group(history.changes(bounds, cutOff, cutOff, Number.MAX_SAFE_INTEGER)), upTo: cutOff };
}

function group(events: readonly StoreEvent[]): WatchBatch[] {
  const batches: { readonly revision: bigint; readonly events: StoreEvent[] }[] = [];
  for (const event of events) {
    const revision = event.item.modRevision;
    const batch = batches.at(-1);
    if (batch?.revision === revision) batch.events.push(event);
    else batches.push({ revision, events: [event] });
  }
  return batches;
}
