/** Stored flows in pieces, oldest first. Between two pieces other work of the process gets its turn. */

import type { FlowFilter } from "@wardline/api/wardline/console/v1/flows";
import type { FlowBatch } from "@wardline/domain/policy/simulate";
import { nextTurn } from "../async/next-turn.ts";
import type { FlowsTable } from "../store/flows-table.ts";

/** Work of one turn: so long may others wait. */
const TURN_MS = 8;
const FIRST_BATCH_FLOWS = 50;
const MIN_BATCH_FLOWS = 20;
const MAX_BATCH_FLOWS = 2000;
/** Counted in one turn. */
const COUNTED_IDS = 10_000;

export interface RecordedFlows {
  /** Matching flows that were stored when this began. */
  readonly total: number;
  readonly batches: AsyncIterable<FlowBatch>;
}

/** What is stored while they are read does not belong to them. @throws Failure INVALID_ARGUMENT as the filter */
export async function recordedFlows(
  flows: FlowsTable,
  filter: FlowFilter | undefined,
  signal: AbortSignal,
): Promise<RecordedFlows> {
  const untilId = flows.newestId();
  const total = await countRecorded(flows, filter, untilId, signal);
  return { total, batches: readBatches(flows, filter, untilId, signal) };
}

/** Matching flows up to an id; fewer when the signal aborts. @throws Failure INVALID_ARGUMENT as the filter */
export async function countRecorded(
  flows: Pick<FlowsTable, "oldestId" | "countBetween">,
  filter: FlowFilter | undefined,
  untilId: number,
  signal: AbortSignal,
): Promise<number> {
  let total = 0;
  for (let afterId = flows.oldestId() - 1; afterId < untilId && !signal.aborted; afterId += COUNTED_IDS) {
    total += flows.countBetween(filter, afterId, Math.min(untilId, afterId + COUNTED_IDS));
    await nextTurn();
  }
  return total;
}

/** As many at a time as are read and judged in one turn: how long that takes depends on the policies. */
async function* readBatches(
  flows: FlowsTable,
  filter: FlowFilter | undefined,
  untilId: number,
  signal: AbortSignal,
): AsyncGenerator<FlowBatch> {
  let size = FIRST_BATCH_FLOWS;
  for (let afterId = 0; !signal.aborted; ) {
    const startMs = performance.now();
    const batch = flows.recordedBetween(filter, afterId, untilId, size);
    yield { flows: batch, problems: [], problemCount: 0 };
    if (batch.length < size) return;
    afterId = batch.at(-1)?.id ?? untilId;
    const tookMs = performance.now() - startMs;
    size = Math.round(size * Math.min(2, Math.max(0.25, TURN_MS / tookMs)));
    size = Math.min(MAX_BATCH_FLOWS, Math.max(MIN_BATCH_FLOWS, size));
    await nextTurn();
  }
}
