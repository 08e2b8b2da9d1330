/**
 * The journal of flow records: batches in append-only files, numbered without a gap. It never waits for a reader and never
 * lets one see a batch that is not on the disk. When the disk is full or broken the newest windows wait in memory, the
 * state says why, and what has to be given up is counted.
 */
import { create } from "@bufbuild/protobuf";
import { type JournalState, JournalStateSchema } from "@wardline/api/wardline/agent/v1/records";
import type { FlowRecordBatch } from "@wardline/api/wardline/v1/flow_record";
import { toTimestamp } from "../../agent/clock.ts";
import { toWriteFailure } from "../../files/atomicFile.ts";
import { Mutex } from "../../generations/mutex.ts";
import { decodeBatch, type EncodedBatch } from "./batchBytes.ts";
import { JournalQueue, type RecordGroup } from "./journalQueue.ts";
import { readBatches } from "./journalReader.ts";
import { isEmpty, type JournalLimits, JournalStore } from "./journalStore.ts";
import type { RecordJournalView } from "./ports.ts";
import type { Segment } from "./segments.ts";

export const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
export const DEFAULT_MAX_AGE_MS = 30 * 86_400_000;
const DEFAULT_QUEUE_BYTES = 4 * 1024 * 1024;
/** Sentences about damage that the status shows. */
const MAX_PROBLEMS = 3;

export interface JournalOptions extends JournalLimits {
  /** Of windows that cannot be written. */
  readonly queueBytes?: number;
  /** Called with what somebody should know: damage, a disk that refuses, windows that were given up. */
  readonly onProblem?: (problem: string) => void;
}

/** Counted since the agent started. */
export interface JournalFigures {
  readonly batches: number;
  readonly records: number;
  /** Events of windows that were given up. */
  readonly lostEvents: number;
  readonly sizeBytes: number;
  readonly hasProblem: boolean;
}

export class RecordJournal implements RecordJournalView {
  readonly #options: JournalOptions;
  readonly #queue: JournalQueue;
  readonly #mutex = new Mutex();
  readonly #batchListeners = new Set<(batch: EncodedBatch) => void>();
  readonly #changeListeners = new Set<() => void>();
  readonly #damages: string[] = [];
  readonly #counts = { batches: 0, records: 0, lostEvents: 0 };
  #store: JournalStore | null = null;
  #problem = "";
  #isClosed = false;

  private constructor(options: JournalOptions) {
    this.#options = options;
    this.#queue = new JournalQueue(options.queueBytes ?? DEFAULT_QUEUE_BYTES);
  }

  /** Never fails: a journal that cannot be opened says why in its state and tries again with each window. */
  static async open(options: JournalOptions): Promise<RecordJournal> {
    const journal = new RecordJournal(options);
    await journal.#mutex.run(() => journal.#attempt(async () => {}));
    return journal;
  }

  state(): JournalState {
    const maxBytes = BigInt(this.#options.maxBytes);
    const state = create(JournalStateSchema, { maxBytes, problem: this.#problem });
    const store = this.#store;
    if (store === null) return state;
    const oldest = store.segments.find((segment) => !isEmpty(segment));
    state.journalId = store.id;
    state.lastSequence = store.last;
    state.firstSequence = oldest?.firstSequence ?? (store.last === 0n ? 0n : store.last + 1n);
    state.sizeBytes = BigInt(store.sizeBytes);
    state.removedBatches = store.removed;
    if (oldest) state.oldestAt = toTimestamp(oldest.oldestMs);
    return state;
  }

  /** Sentences for the host's status. */
  get problems(): readonly string[] {
    const stalled = this.#problem === "" ? [] : [`Flow records are not written: ${this.#problem}`];
    return [...stalled, ...this.#damages];
  }

  get figures(): JournalFigures {
    return { ...this.#counts, sizeBytes: this.#store?.sizeBytes ?? 0, hasProblem: this.#problem !== "" };
  }

  /** End of the newest window that was ever written, on the wall clock; 0 = none. */
  get lastWindowEndMs(): number {
    return this.#store?.lastWindowEndMs ?? 0;
  }

  /** Resolves when it is on the disk, or waits in memory. Never rejects. */
  append(group: RecordGroup): Promise<void> {
    return this.#mutex.run(async () => {
      const lost = this.#queue.push(group);
      this.#counts.lostEvents += lost;
      if (lost > 0) this.#options.onProblem?.(`${lost} flow events were given up: their window could not be written.`);
      await this.#flush();
    });
  }

  /** Removes what is too old although nothing comes, and tries again with what waits. */
  tick(): Promise<void> {
    return this.#mutex.run(async () => {
      await this.#flush();
      await this.#attempt((store) => store.removeOld());
    });
  }

  async *read(afterSequence: bigint, signal: AbortSignal): AsyncGenerator<readonly FlowRecordBatch[]> {
    for await (const batches of this.readEncoded(afterSequence, signal))
      yield batches.map(({ bytes }) => decodeBatch(bytes));
  }

  /** The same as bytes of their messages. */
  readEncoded(afterSequence: bigint, signal: AbortSignal): AsyncIterable<readonly EncodedBatch[]> {
    const source = {
      segments: () => this.#store?.segments ?? [],
      last: this.#store?.last ?? 0n,
      onDamage: (segment: Segment) => this.#repair(segment),
    };
    return readBatches(source, afterSequence, signal);
  }

  onBatch(listener: (batch: EncodedBatch) => void): () => void {
    this.#batchListeners.add(listener);
    return () => void this.#batchListeners.delete(listener);
  }

  /** Called after each write that reached the disk, and when the problem of the state came or went. */
  onChange(listener: () => void): () => void {
    this.#changeListeners.add(listener);
    return () => void this.#changeListeners.delete(listener);
  }

  /** Writes what waits. What cannot be written now is lost. */
  close(): Promise<void> {
    return this.#mutex.run(async () => {
      if (this.#isClosed) return;
      await this.#flush();
      this.#isClosed = true;
      await this.#store?.close();
    });
  }

  async #flush(): Promise<void> {
    for (let first = this.#queue.first; first !== undefined; first = this.#queue.first) {
      const group = first;
      const { lost } = this.#queue;
      const written = await this.#attempt((store) => store.write(group, lost));
      if (written === null) return;
      this.#queue.shift(lost);
      this.#counts.batches += written.length;
      this.#counts.records += group.records;
      this.#tell(written);
    }
  }

  /** `null` when it failed; the state says why. */
  async #attempt<T>(task: (store: JournalStore) => Promise<T>): Promise<T | null> {
    if (this.#isClosed) return null;
    try {
      this.#store ??= await JournalStore.open(this.#options, (problem) => this.#say(problem));
      const result = await task(this.#store);
      this.#setProblem("");
      return result;
    } catch (error) {
      this.#setProblem(toWriteFailure(error, "the journal of flow records").message);
      return null;
    }
  }

  #setProblem(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    if (problem !== "") this.#options.onProblem?.(problem);
    for (const listener of this.#changeListeners) listener();
  }

  async #repair(segment: Segment): Promise<void> {
    await this.#mutex.run(() =>
      this.#attempt(async (store) => {
        const damage = await store.repair(segment);
        if (damage !== null) this.#say(damage);
      }),
    );
  }

  #say(problem: string): void {
    this.#damages.push(problem);
    this.#damages.splice(0, this.#damages.length - MAX_PROBLEMS);
    this.#options.onProblem?.(problem);
  }

  #tell(batches: readonly EncodedBatch[]): void {
    for (const listener of this.#changeListeners) listener();
    for (const batch of batches) for (const listener of this.#batchListeners) listener(batch);
  }
}
