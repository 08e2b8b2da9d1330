/** What is known of the journal of one host, while it is read. */
import { type Timestamp, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { JournalState } from "@wardline/api/wardline/agent/v1/records";
import type { FlowRecordBatch } from "@wardline/api/wardline/v1/flow_record";
import type { Clock } from "../ports.ts";
import type { HostFacts } from "./record-collector.ts";

/** Clocks that differ by less are right. */
const SMALLEST_OFFSET_MS = 5_000;

export class HostLedger {
  /** Why nothing is read; empty when it is. */
  problem = "";
  readonly #clock: Clock;
  #lastSequence = 0n;
  #newestSequence = 0n;
  #missedBatches = 0n;
  #lastRecordAt: Timestamp | undefined;
  #clockOffsetMs = 0n;
  #journalProblem = "";
  /** Everything that the host had was read: what comes now was written just now. */
  #isCaughtUp = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  begin(position: bigint): void {
    this.#lastSequence = position;
    this.#isCaughtUp = position >= this.#newestSequence;
  }

  noteJournal({ lastSequence, problem }: JournalState): void {
    this.#newestSequence = lastSequence;
    this.#journalProblem = problem.slice(0, 500);
    if (this.#lastSequence >= lastSequence) this.#isCaughtUp = true;
  }

  /** @param before sequence that was stored last */
  noteStored(batches: readonly FlowRecordBatch[], before: bigint, newestRecordMs: number): void {
    const last = batches.at(-1);
    if (!last) return;
    let expected = before + 1n;
    for (const { sequence } of batches) {
      this.#missedBatches += sequence - expected;
      expected = sequence + 1n;
    }
    if (last.sequence > this.#lastSequence) {
      if (newestRecordMs > 0) this.#lastRecordAt = timestampFromMs(newestRecordMs);
      if (last.sealedAt) this.#noteClock(timestampMs(last.sealedAt));
      this.#lastSequence = last.sequence;
    }
  }

  facts(): Omit<HostFacts, "hostId" | "host" | "refusedRecords"> {
    const waiting = this.#newestSequence - this.#lastSequence;
    return {
      lastSequence: this.#lastSequence,
      missedBatches: this.#missedBatches,
      waitingBatches: waiting > 0n ? waiting : 0n,
      clockOffsetMs: this.#clockOffsetMs,
      problem: this.problem || this.#journalProblem,
      ...(this.#lastRecordAt ? { lastRecordAt: this.#lastRecordAt } : {}),
    };
  }

  /** An old batch says nothing of the clock, unless it is from the future. */
  #noteClock(sealedAtMs: number): void {
    const offsetMs = Math.round(sealedAtMs - this.#clock.nowMs());
    const isWrong = Math.abs(offsetMs) >= SMALLEST_OFFSET_MS;
    if (this.#isCaughtUp || (isWrong && offsetMs > 0)) this.#clockOffsetMs = isWrong ? BigInt(offsetMs) : 0n;
  }
}
