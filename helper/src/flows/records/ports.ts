/** How the parts that make, keep and look at flow records see each other. */
import type { JournalState } from "@wardline/api/wardline/agent/v1/records";
import type { FlowRecordBatch } from "@wardline/api/wardline/v1/flow_record";
import type { EncodedBatch } from "./batchBytes.ts";

/** The journal as readers see it: over the wire, and the detectors in this process. */
export interface RecordJournalView {
  state(): JournalState;
  /** Oldest first, after a sequence, in pieces; ends at the newest that there was at the beginning. What is gone is skipped. */
  read(afterSequence: bigint, signal: AbortSignal): AsyncIterable<readonly FlowRecordBatch[]>;
  /**
   * Called after each batch that reached the disk. It comes as bytes, which a listener that is not ready yet keeps for a tenth
   * of the memory that its records take. Returns the unsubscriber.
   */
  onBatch(listener: (batch: EncodedBatch) => void): () => void;
}
