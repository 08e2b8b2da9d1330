/** Stored flows in pieces, oldest first. Between two pieces other work of the process gets its turn. */
import type { FlowFilter } from "@wardline/api/wardline/console/v1/flows";
import type { FlowBatch } from "@wardline/domain/policy/simulate";
import type { FlowsTable } from "../store/flows-table.ts";

/** Read from the store and judged in a few milliseconds. */
const BATCH_FLOWS = 500;

export interface RecordedFlows {
  /** Matching flows that were stored when this began. */
  readonly total: number;
  readonly batches: AsyncIterable<FlowBatch>;
}

/** What is stored while they are read does not belong to them. @throws Failure INVALID_ARGUMENT as the filter */
export function recordedFlows(flows: FlowsTable, filter: FlowFilter | undefined, signal: AbortSignal): RecordedFlows {
  const untilId = flows.newestId();
  return { total: flows.countMatching(filter, untilId), batches: readBatches(flows, filter, untilId, signal) };
}

async function* readBatches(
  flows: FlowsTable,
  filter: FlowFilter | undefined,
  untilId: number,
  signal: AbortSignal,
): AsyncGenerator<FlowBatch> {
  for (let afterId = 0; !signal.aborted; ) {
    const batch = flows.recordedBetween(filter, afterId, untilId, BATCH_FLOWS);
    yield { flows: batch, problems: [], problemCount: 0 };
    if (batch.length < BATCH_FLOWS) return;
    afterId = batch.at(-1)?.id ?? untilId;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
