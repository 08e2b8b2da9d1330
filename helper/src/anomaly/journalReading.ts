/** The journal as the detectors read it: batches in order, as plain records, in turns with everything else of the agent. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { FlowRecordBatch } from "@wardline/api/wardline/v1/flow_record";
import type { FlowRecord } from "@wardline/domain/flows";
import { fromWireFlowRecord } from "@wardline/domain/wire";
import { decodeBatch, type EncodedBatch } from "../flows/records/batchBytes.ts";
import type { RecordJournalView } from "../flows/records/ports.ts";

/** Batches that arrive while the detectors are busy, as bytes: a quarter MiB each. With more they read the journal again. */
const MAX_ARRIVED = 16;
const PIECE = 250;

export interface ReadBatch {
  readonly sequence: bigint;
  readonly records: readonly FlowRecord[];
}

export class JournalReading {
  readonly #journal: RecordJournalView;
  readonly #hostName: string;
  readonly #arrived: EncodedBatch[] = [];
  readonly #unsubscribe: () => void;
  #wake: () => void = () => {};

  constructor(journal: RecordJournalView, hostName: string) {
    this.#journal = journal;
    this.#hostName = hostName;
    this.#unsubscribe = journal.onBatch((batch) => {
      this.#arrived.push(batch);
      if (this.#arrived.length > MAX_ARRIVED) this.#arrived.shift();
      this.#wake();
    });
  }

  get journalId(): string {
    return this.#journal.state().journalId;
  }

  get isEmpty(): boolean {
    return this.#journal.state().lastSequence === 0n;
  }

  /** Everything after a sequence, up to now. */
  async *after(sequence: bigint, signal: AbortSignal): AsyncGenerator<ReadBatch> {
    for (let next = sequence; !signal.aborted; ) {
      const batch = this.#following(next);
      if (batch) {
        yield await this.#plain(decodeBatch(batch.bytes));
        next = batch.sequence;
        continue;
      }
      if (this.#journal.state().lastSequence <= next) return;
      const before = next;
      for await (const batches of this.#journal.read(next, signal)) {
        for (const one of batches) {
          if (one.sequence <= next) continue;
          yield await this.#plain(one);
          next = one.sequence;
        }
      }
      // What its state names cannot be read: it is gone, or damaged.
      if (next === before) return;
    }
  }

  /** All that is kept, not older than a moment, in pieces of bounded size. */
  async *history(sinceMs: number, untilSequence: bigint, signal: AbortSignal): AsyncGenerator<readonly FlowRecord[]> {
    for await (const batches of this.#journal.read(0n, signal)) {
      for (const batch of batches) {
        if (batch.sequence > untilSequence) return;
        if (batch.sealedAt && timestampMs(batch.sealedAt) < sinceMs) continue;
        const { records } = await this.#plain(batch);
        if (records.length > 0) yield records;
      }
    }
  }

  /** Resolves when a batch has arrived, at the latest after the time. */
  arrival(withinMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#arrived.length > 0) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", finish);
        this.#wake = () => {};
        resolve();
      };
      const timer = setTimeout(finish, withinMs);
      timer.unref();
      signal.addEventListener("abort", finish, { once: true });
      this.#wake = finish;
    });
  }

  /** Ends the wait that is under way. */
  wake(): void {
    this.#wake();
  }

  close(): void {
    this.#unsubscribe();
  }

  #following(sequence: bigint): EncodedBatch | null {
    while (this.#arrived[0] && this.#arrived[0].sequence <= sequence) this.#arrived.shift();
    return this.#arrived[0]?.sequence === sequence + 1n ? (this.#arrived.shift() ?? null) : null;
  }

  async #plain({ sequence, records }: FlowRecordBatch): Promise<ReadBatch> {
    const plain: FlowRecord[] = [];
    for (const [index, record] of records.entries()) {
      plain.push(fromWireFlowRecord(record, this.#hostName));
      if (index % PIECE === PIECE - 1) await turn();
    }
    return { sequence, records: plain };
  }
}

/** Lets everything else of the agent run first. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
