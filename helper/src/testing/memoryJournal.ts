/** A journal of flow records in memory, and records to put into it. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type JournalState, JournalStateSchema } from "@wardline/api/wardline/agent/v1/records";
import {
  type FlowRecord,
  type FlowRecordBatch,
  FlowRecordBatchSchema,
  FlowRecordSchema,
} from "@wardline/api/wardline/v1/flow_record";
import { Direction, Verdict } from "@wardline/api/wardline/v1/policy";
import { timestampOf } from "@wardline/domain/wire";
import type { EncodedBatch } from "../flows/records/batchBytes.ts";
import type { RecordJournalView } from "../flows/records/ports.ts";

export const WINDOW_MS = 10_000;

export class MemoryJournal implements RecordJournalView {
  journalId = "journal-1";
  readonly batches: FlowRecordBatch[] = [];
  readonly #listeners = new Set<(batch: EncodedBatch) => void>();

  state(): JournalState {
    return create(JournalStateSchema, {
      journalId: this.journalId,
      firstSequence: this.batches[0]?.sequence ?? 0n,
      lastSequence: this.batches.at(-1)?.sequence ?? 0n,
    });
  }

  async *read(afterSequence: bigint, signal: AbortSignal): AsyncGenerator<readonly FlowRecordBatch[]> {
    const wanted = this.batches.filter(({ sequence }) => sequence > afterSequence);
    for (let from = 0; from < wanted.length && !signal.aborted; from += 10) yield wanted.slice(from, from + 10);
  }

  onBatch(listener: (batch: EncodedBatch) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** One batch. */
  write(records: readonly FlowRecord[], sealedAtMs = 0): void {
    const batch = create(FlowRecordBatchSchema, {
      sequence: (this.batches.at(-1)?.sequence ?? 0n) + 1n,
      sealedAt: timestampOf(sealedAtMs || endOf(records)),
      records: [...records],
    });
    this.batches.push(batch);
    const encoded = { sequence: batch.sequence, bytes: toBinary(FlowRecordBatchSchema, batch) };
    for (const listener of this.#listeners) listener(encoded);
  }
}

function endOf(records: readonly FlowRecord[]): number {
  const start = records[0]?.windowStart;
  return (start ? Number(start.seconds) * 1000 : 0) + WINDOW_MS;
}

/** One answered TCP connection from the host to a server, unless something else is said. */
export function flowRecord(windowStartMs: number, over: MessageInitShape<typeof FlowRecordSchema> = {}): FlowRecord {
  return create(FlowRecordSchema, {
    windowStart: timestampOf(windowStartMs),
    windowSeconds: WINDOW_MS / 1000,
    firstSeen: timestampOf(windowStartMs + 1_000),
    lastSeen: timestampOf(windowStartMs + 2_000),
    direction: Direction.EGRESS,
    protocol: 6,
    sourceAddress: "10.77.0.2",
    destinationAddress: "10.77.0.1",
    destinationPort: 443,
    verdict: Verdict.ALLOW,
    enforced: Verdict.ALLOW,
    subjectKey: "Host/alpha",
    started: 1n,
    ended: 1n,
    packets: 10n,
    originatorBytes: 800n,
    responderBytes: 4_000n,
    ...over,
  });
}

/** A window in which the host tries many ports of a peer that answers none. */
export function portScan(windowStartMs: number, victim = "10.77.0.1", count = 200): FlowRecord[] {
  return Array.from({ length: count }, (_, index) =>
    flowRecord(windowStartMs, {
      destinationAddress: victim,
      destinationPort: 1_000 + index,
      packets: 2n,
      originatorBytes: 60n,
      responderBytes: 40n,
      process: { pid: 7, userId: 0, userName: "root", command: "nmap", executable: "/usr/bin/nmap" },
    }),
  );
}
