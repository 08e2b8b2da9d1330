/**
 * The history of flows in partitions of SQLite: see docs/architecture.md. The main thread only passes things on; all work
 * on files is done by threads: one that writes, two that answer, one that seals and merges.
 */
import type { FlowQuery } from "@wardline/domain/flows";
import type { Clock, Logger } from "../../ports.ts";
import type {
  FlowHistory,
  HistoryState,
  IngestBatch,
  JournalGap,
  JournalPosition,
  LabelResolver,
  RetentionLimits,
  RowsOptions,
  RowsRead,
  SearchProgress,
} from "../flow-history.ts";
import { Catalog } from "./catalog.ts";
import type { Question } from "./cover.ts";
import { Damages } from "./damages.ts";
import { plainRecord, storedRecord } from "./found-records.ts";
import { historyFailure } from "./history-failure.ts";
import { fromSnapshotToken, fromToken, toSnapshotToken, toToken } from "./page-token.ts";
import { type Prepared, Questions } from "./questions.ts";
import type { RankedAnswer } from "./ranked-rows.ts";
import type { GrowingLeaf } from "./reader-thread.ts";
import { type LeafLimits, RecordWriter, USUAL_LEAF_LIMITS } from "./record-writer.ts";
import type { Place, RowAnswer } from "./row-queries.ts";
import type { GroupAnswer, StepAnswer } from "./sum-queries.ts";
import { Upkeep } from "./upkeep.ts";

export interface SqliteHistoryPorts {
  /** Of the partitions; made when the first record arrives. */
  readonly directory: string;
  /** Asked before each round of maintenance. */
  readonly retention: () => RetentionLimits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leafLimits?: Partial<LeafLimits>;
}

export class SqliteHistory implements FlowHistory {
  readonly #ports: SqliteHistoryPorts;
  readonly #catalog: Catalog;
  readonly #writer: RecordWriter;
  readonly #questions: Questions;
  readonly #upkeep: Upkeep;
  readonly #damages: Damages;
  readonly #closing = new AbortController();
  /** Why records are not stored, or files not maintained; `null` while all is well. */
  #writeProblem: string | null = null;
  #upkeepProblem: string | null = null;

  constructor(ports: SqliteHistoryPorts) {
    this.#ports = ports;
    const { directory, clock, logger, retention } = ports;
    const catalog = new Catalog(directory);
    this.#catalog = catalog;
    const onDamage = (path: string, reason: string) => this.#damages.found(path, reason);
    this.#writer = new RecordWriter({
      ...{ catalog, clock, logger, onDamage },
      limits: { ...USUAL_LEAF_LIMITS, ...ports.leafLimits },
      onLeafChange: () => this.#upkeep.wake(this.#closing.signal),
    });
    this.#questions = new Questions({
      ...{ catalog, onDamage },
      activeRows: () => this.#writer.rows,
      missing: () => this.#damages.missing(),
    });
    const release = (path: string) => this.#questions.release(path);
    this.#damages = new Damages({ catalog, writer: this.#writer, release, logger });
    this.#upkeep = new Upkeep({
      ...{ catalog, clock, logger, retention, release, onDamage },
      activeLeaf: () => this.#writer.leaf,
      rollIfDue: () => this.#writer.rollIfDue(),
      onRound: (error) => this.#noteRound(error),
    });
  }

  async positions(hostId: string): Promise<readonly JournalPosition[]> {
    return (await this.#attempt(() => this.#writer.journals(hostId))).positions;
  }

  async gaps(hostId: string): Promise<readonly JournalGap[]> {
    return (await this.#attempt(() => this.#writer.journals(hostId))).gaps;
  }

  async abandon(hostId: string, { journalId, firstSequence, lastSequence }: JournalGap): Promise<void> {
    const sequences = { firstSequence: Number(firstSequence), lastSequence: Number(lastSequence) };
    await this.#attempt(() => this.#writer.abandon({ hostId, journalId, ...sequences }));
  }

  async ingest(batches: readonly IngestBatch[]): Promise<number> {
    try {
      const added = await this.#attempt(() => this.#writer.ingest(batches));
      this.#writeProblem = null;
      return added;
    } catch (error) {
      this.#writeProblem = error instanceof Error ? error.message : String(error);
      throw error;
    }
  }

  async *search(
    query: FlowQuery,
    options: { readonly limit: number; readonly pageToken: string; readonly labels: LabelResolver },
    signal: AbortSignal,
  ): ReturnType<FlowHistory["search"]> {
    const { limit, pageToken, labels } = options;
    const isFirstPage = pageToken === "";
    for await (const { answer, prepared, matched } of this.#rows(
      query,
      "newest",
      limit,
      fromToken(pageToken),
      labels,
      signal,
    )) {
      const { rows, next, searched, isComplete } = answer;
      yield {
        records: rows.map(storedRecord),
        progress: progressOf(prepared, matched, searched, isComplete && isFirstPage),
        nextPageToken: toToken(next),
      };
    }
  }

  async rows(query: FlowQuery, options: RowsOptions, signal: AbortSignal): Promise<RowsRead | null> {
    const { order, from, atMs, limit, labels } = options;
    const snapshot = fromSnapshotToken(options.snapshot);
    for (let attempt = 1; ; attempt++) {
      const question = { query, wantsRows: true, stepMs: null };
      const prepared = await this.#attempt(() => this.#questions.prepare(question, labels));
      const { files, labels: resolved } = prepared;
      try {
        const asked = { files, query, labels: resolved, order, from, atMs, limit, snapshot };
        const answer = await this.#questions.ask<RankedAnswer>("ranks", asked, signal);
        if (!answer) return null;
        const { rows, rowCount, matched, searched, newer } = answer;
        return {
          ...{ rows: rows.map(storedRecord), from: answer.from, rowCount, listed: rowCount, newer },
          snapshot: toSnapshotToken(answer.snapshot),
          progress: progressOf(prepared, matched, searched, true),
        };
      } catch (error) {
        await this.#attempt(() => this.#questions.recover(error, attempt));
      }
    }
  }

  async *group(
    query: FlowQuery,
    { by, order, limit, labels }: Parameters<FlowHistory["group"]>[1],
    signal: AbortSignal,
  ): ReturnType<FlowHistory["group"]> {
    const question = { query, wantsRows: false, stepMs: null };
    for (let attempt = 1; ; attempt++) {
      const prepared = await this.#attempt(() => this.#questions.prepare(question, labels));
      const { files, labels: resolved } = prepared;
      try {
        const asked = { files, query, labels: resolved, by, order, limit };
        for await (const answer of this.#questions.stream<GroupAnswer>("groups", asked, signal)) {
          const isComplete = answer.files === files.length;
          const { groups, total, groupCount, searched } = answer;
          yield { groups, total, groupCount, progress: progressOf(prepared, total.records, searched, isComplete) };
        }
        return;
      } catch (error) {
        await this.#attempt(() => this.#questions.recover(error, attempt));
      }
    }
  }

  async series(
    query: FlowQuery,
    { stepMs, splitBy, labels }: Parameters<FlowHistory["series"]>[1],
    signal: AbortSignal,
  ): ReturnType<FlowHistory["series"]> {
    for (let attempt = 1; ; attempt++) {
      const question = { query, wantsRows: false, stepMs };
      const prepared = await this.#attempt(() => this.#questions.prepare(question, labels));
      const { files, labels: resolved } = prepared;
      try {
        const asked = { files, query, labels: resolved, stepMs, splitBy };
        const answer = await this.#questions.ask<StepAnswer>("steps", asked, signal);
        if (!answer) return { points: [], progress: progressOf(prepared, 0, 0, false) };
        const { points, matched, searched } = answer;
        return { points, progress: progressOf(prepared, matched, searched, true) };
      } catch (error) {
        await this.#attempt(() => this.#questions.recover(error, attempt));
      }
    }
  }

  async *replay(
    query: FlowQuery,
    { labels }: { readonly labels: LabelResolver },
    signal: AbortSignal,
  ): ReturnType<FlowHistory["replay"]> {
    for await (const { answer } of this.#rows(query, "oldest", Number.POSITIVE_INFINITY, null, labels, signal)) {
      if (answer.rows.length > 0) yield answer.rows.map(plainRecord);
    }
  }

  async state(): Promise<HistoryState> {
    const partitions = await this.#attempt(() => this.#catalog.list());
    const infos = await Promise.all(
      partitions.map(async ({ stem, resolution, description, path }) => {
        const { records, minStartMs, maxEndMs } = description
          ? { ...description, records: description.rows }
          : await this.#measure(path);
        const sizeBytes = await this.#catalog.sizeOf(stem);
        return { id: stem, resolution, oldestMs: minStartMs, newestMs: maxEndMs, records, sizeBytes };
      }),
    );
    const problems = [this.#writeProblem, this.#upkeepProblem].filter((problem) => problem !== null);
    return {
      backend: "sqlite",
      records: infos.reduce((sum, { records }) => sum + records, 0),
      sizeBytes: await this.#catalog.sizeBytes(),
      oldestMs: infos.reduce<number | null>(
        (least, { oldestMs, records }) => (records === 0 || (least !== null && least <= oldestMs) ? least : oldestMs),
        null,
      ),
      partitions: infos,
      problems: [...problems, ...(await this.#damages.problems())],
    };
  }

  async retain(limits: RetentionLimits, nowMs: number, apply: boolean): ReturnType<FlowHistory["retain"]> {
    return await this.#attempt(() => this.#upkeep.retain(limits, nowMs, apply));
  }

  async forgetHost(hostId: string): Promise<void> {
    // In this order: a round of maintenance waits for the writer too.
    const forget = () => this.#writer.forget(hostId, () => this.#upkeep.forget(hostId));
    await this.#attempt(() => this.#upkeep.alone(forget));
  }

  /** One round of what otherwise happens every minute: sealing, merging, removing, checking. */
  async maintain(): Promise<void> {
    await this.#attempt(() => this.#upkeep.round());
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#writer.close();
    await Promise.all([this.#upkeep.close(), this.#questions.close()]);
  }

  /** Goes on where it was when a file is lost meanwhile. */
  async *#rows(
    query: FlowQuery,
    order: "newest" | "oldest",
    limit: number,
    after: Place | null,
    labels: LabelResolver,
    signal: AbortSignal,
  ): AsyncGenerator<{ readonly answer: RowAnswer; readonly prepared: Prepared; readonly matched: number }> {
    const question: Question = { query, wantsRows: true, stepMs: null };
    let left = limit;
    let from = after;
    let before = 0;
    for (let attempt = 1; ; attempt++) {
      const prepared = await this.#attempt(() => this.#questions.prepare(question, labels));
      const asked = { files: prepared.files, query, labels: prepared.labels, order, limit: left, after: from };
      let matched = before;
      try {
        for await (const answer of this.#questions.stream<RowAnswer>("rows", asked, signal)) {
          matched = before + answer.matched;
          left -= answer.rows.length;
          from = answer.next ?? from;
          yield { answer, prepared, matched };
        }
        return;
      } catch (error) {
        before = matched;
        await this.#attempt(() => this.#questions.recover(error, attempt));
      }
    }
  }

  /** A leaf that is not sealed: another process may write it, or move it out of the way meanwhile. */
  async #measure(path: string): Promise<GrowingLeaf> {
    try {
      return await this.#questions.measure(path);
    } catch {
      return { records: this.#writer.rows, minStartMs: 0, maxEndMs: 0 };
    }
  }

  #noteRound(error: unknown): void {
    if (this.#closing.signal.aborted) return;
    const failure = historyFailure(error, this.#ports.directory);
    this.#upkeepProblem = failure instanceof Error ? failure.message : null;
    if (error) this.#ports.logger.warn({ err: error }, "the history of flows is not maintained");
  }

  async #attempt<Result>(body: () => Promise<Result>): Promise<Result> {
    try {
      return await body();
    } catch (error) {
      throw historyFailure(error, this.#ports.directory);
    }
  }
}

function progressOf(prepared: Prepared, matched: number, searched: number, isComplete: boolean): SearchProgress {
  const { coarsest, coarseBeforeMs, gaps } = prepared;
  // Before the end, how many records of the window there are is known of whole partitions only.
  const total = isComplete ? searched : Math.max(prepared.total, searched);
  return { matched, isComplete, searched, total, coarsest, coarseBeforeMs, gaps };
}
