/** The writing side of the history: takes the newest leaf over, adds to it, and begins another when it is full. */
import type { Clock, Logger } from "../../ports.ts";
import type { IngestBatch, JournalGap, JournalPosition } from "../flow-history.ts";
import type { ActiveCounts } from "./active-partition.ts";
import { type Catalog, newestBookkeeping } from "./catalog.ts";
import { HistoryThread, ThreadFailure } from "./history-thread.ts";
import { fileStem, type HostGap, type HostPosition, toGap } from "./layout.ts";
import { packBatches } from "./packed-batches.ts";

/** When a leaf is full. */
export interface LeafLimits {
  readonly rows: number;
  readonly ageMs: number;
  readonly series: number;
  /** Of the texts that it knows, in UTF-16 units. */
  readonly textLength: number;
}

export const USUAL_LEAF_LIMITS: LeafLimits = {
  rows: 1_000_000,
  ageMs: 86_400_000,
  series: 400_000,
  textLength: 64 * 1024 * 1024,
};

/** Packing happens on the main thread: some milliseconds for so many. */
const RECORDS_AT_ONCE = 4_000;
const MAX_TAKEOVERS = 4;

export interface RecordWriterPorts {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: LeafLimits;
  /** Called when this process has begun to write, and after each leaf that is full. */
  readonly onLeafChange: () => void;
  /** Moves a damaged file out of the way. */
  readonly onDamage: (path: string, reason: string) => Promise<void>;
}

interface Job {
  readonly batches: readonly IngestBatch[];
  readonly resolve: (added: number) => void;
  readonly reject: (error: unknown) => void;
}

export class RecordWriter {
  readonly #ports: RecordWriterPorts;
  readonly #thread = new HistoryThread(new URL("./writer-thread.ts", import.meta.url));
  readonly #jobs: Job[] = [];
  /** One thing after the other: each waits for the one before. */
  #turn: Promise<unknown> = Promise.resolve();
  #isPumping = false;
  #leaf: number | null = null;
  #counts: ActiveCounts = { rows: 0, series: 0, textLength: 0, firstArrivalMs: null };

  constructor(ports: RecordWriterPorts) {
    this.#ports = ports;
  }

  /** Whether this process writes; number of the leaf that it writes to. */
  get leaf(): number | null {
    return this.#leaf;
  }

  /** Rows of the leaf that is written; 0 when this process does not write. */
  get rows(): number {
    return this.#leaf === null ? 0 : this.#counts.rows;
  }

  /** How many records are new. @throws ThreadFailure */
  ingest(batches: readonly IngestBatch[]): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ batches, resolve, reject });
      void this.#pump();
    });
  }

  async journals(
    hostId: string,
  ): Promise<{ readonly positions: readonly JournalPosition[]; readonly gaps: readonly JournalGap[] }> {
    const { positions, gaps } = await this.#call<{ positions: readonly HostPosition[]; gaps: readonly HostGap[] }>(
      "journals",
      { hostId },
    );
    return {
      positions: positions.map(({ journalId, sequence }) => ({ journalId, sequence: BigInt(sequence) })),
      gaps: gaps.map(toGap),
    };
  }

  allGaps(): Promise<readonly HostGap[]> {
    return this.#call("allGaps", null);
  }

  addGaps(gaps: readonly HostGap[]): Promise<void> {
    return this.#call("addGaps", gaps);
  }

  abandon(gap: HostGap): Promise<void> {
    return this.#call("abandon", gap);
  }

  /** Runs while nothing is written; the leaf is opened anew afterwards. */
  forget(hostId: string, whileClosed: () => Promise<void>): Promise<void> {
    return this.#inTurn(async () => {
      await this.#withOpen(() => this.#thread.call("forgetJournals", { hostId }));
      await this.#thread.call("close", null);
      this.#leaf = null;
      await whileClosed();
    });
  }

  /** Begins another leaf when this one is full, or old. */
  async rollIfDue(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#leaf !== null && this.#isFull()) await this.#roll();
    });
  }

  async close(): Promise<void> {
    await this.#turn.catch(() => {});
    if (this.#leaf !== null) await this.#thread.call("close", null).catch(() => {});
    this.#leaf = null;
    await this.#thread.close();
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    try {
      while (this.#jobs.length > 0) await this.#inTurn(() => this.#ingestSome(this.#takeJobs()));
    } finally {
      this.#isPumping = false;
    }
  }

  /** Several hosts share one transaction. */
  #takeJobs(): readonly Job[] {
    let records = 0;
    let count = 0;
    for (const { batches } of this.#jobs) {
      if (count > 0 && records >= RECORDS_AT_ONCE) break;
      for (const batch of batches) for (const each of batch.batches) records += each.records.length;
      count++;
    }
    return this.#jobs.splice(0, count);
  }

  async #ingestSome(jobs: readonly Job[]): Promise<void> {
    try {
      const counts = jobs.map(({ batches }) =>
        batches.flatMap((each) => each.batches.map((batch) => batch.records.length)),
      );
      const { isNew } = await this.#withOpen(() => {
        const packed = packBatches(jobs.flatMap(({ batches }) => batches));
        const argument = { packed, nowMs: this.#ports.clock.nowMs() };
        return this.#thread.call<{ isNew: readonly boolean[]; counts: ActiveCounts }>("ingest", argument, [
          packed.records.buffer,
        ]);
      }).then((answer) => {
        this.#counts = answer.counts;
        return answer;
      });
      let at = 0;
      for (const [index, { resolve }] of jobs.entries()) {
        resolve(counts[index]!.reduce((sum, count) => sum + (isNew[at++] ? count : 0), 0));
      }
    } catch (error) {
      for (const { reject } of jobs) reject(error);
      return;
    }
    if (this.#isFull()) {
      // What was stored is stored: a leaf that cannot be changed now is changed later.
      await this.#roll().catch((error: unknown) => this.#ports.logger.warn({ err: error }, "no new partition"));
    }
  }

  #isFull(): boolean {
    const { rows, series, textLength, firstArrivalMs } = this.#counts;
    const { limits, clock } = this.#ports;
    if (rows >= limits.rows || series >= limits.series || textLength >= limits.textLength) return true;
    return firstArrivalMs !== null && clock.nowMs() - firstArrivalMs >= limits.ageMs;
  }

  async #roll(): Promise<void> {
    const next = (this.#leaf ?? 0) + 1;
    try {
      this.#counts = await this.#thread.call("roll", { path: this.#pathOf(next), leaf: next });
      this.#leaf = next;
    } catch (error) {
      this.#leaf = null;
      throw error;
    }
    this.#ports.onLeafChange();
  }

  #call<Result>(method: string, argument: unknown): Promise<Result> {
    return this.#inTurn(() => this.#withOpen(() => this.#thread.call<Result>(method, argument)));
  }

  #inTurn<Result>(body: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(body, body);
    this.#turn = result.catch(() => {});
    return result;
  }

  /** With a leaf that this process owns. The thread closes it at each failure. */
  async #withOpen<Result>(body: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        if (this.#leaf === null) await this.#takeOver();
        return await body();
      } catch (error) {
        this.#leaf = null;
        if (!(error instanceof ThreadFailure) || attempt >= MAX_TAKEOVERS) throw error;
        const { kind, path, message } = error.problem;
        if (kind === "damaged") await this.#ports.onDamage(path, message);
        else if (kind !== "lost-ownership" && kind !== "missing") throw error;
      }
    }
  }

  async #takeOver(): Promise<void> {
    const { catalog, onLeafChange } = this.#ports;
    await catalog.create();
    const partitions = await catalog.list();
    const newest = partitions.reduce(
      (most, { lastLeaf }) => Math.max(most, lastLeaf),
      await catalog.newestDamagedLeaf(),
    );
    const open = partitions.find(({ description, lastLeaf }) => !description && lastLeaf === newest);
    const leaf = open ? open.firstLeaf : newest + 1;
    const path = this.#pathOf(leaf);
    if (!open) await this.#thread.call("create", { path, ...newestBookkeeping(partitions) });
    this.#counts = await this.#thread.call("open", { path, leaf });
    this.#leaf = leaf;
    onLeafChange();
  }

  #pathOf(leaf: number): string {
    return this.#ports.catalog.pathOf(fileStem("record", leaf, leaf));
  }
}
