/** The asking side of the history: which partitions, which thread, and what to do when one of them is lost meanwhile. */
import type { FlowQuery, QueryNode } from "@wardline/domain/flows";
import type { LabelResolver, SearchProgress } from "../flow-history.ts";
import type { Catalog, Partition } from "./catalog.ts";
import { chooseCover, type Question } from "./cover.ts";
import { HistoryThread, ThreadFailure } from "./history-thread.ts";
import { RESOLUTIONS } from "./layout.ts";
import type { FileRef } from "./open-file.ts";
import type { GrowingLeaf } from "./reader-thread.ts";
import { refOf } from "./seal.ts";
import type { ResolvedLabels } from "./series-members.ts";

const READERS = 2;
const MAX_ATTEMPTS = 6;

export interface QuestionsPorts {
  readonly catalog: Catalog;
  readonly onDamage: (path: string, reason: string) => Promise<void>;
  /** Rows of the leaf that is written, as far as this process knows. */
  readonly activeRows: () => number;
  /** What is missing of the history, in words. */
  readonly missing: () => Promise<readonly string[]>;
}

/** What a question is asked of, and what is known before the answer. */
export interface Prepared {
  readonly files: readonly FileRef[];
  readonly labels: ResolvedLabels;
  readonly total: number;
  readonly coarsest: SearchProgress["coarsest"];
  readonly coarseBeforeMs: number | null;
  readonly gaps: readonly string[];
}

export class Questions {
  readonly #ports: QuestionsPorts;
  readonly #readers = Array.from(
    { length: READERS },
    () => new HistoryThread(new URL("./reader-thread.ts", import.meta.url)),
  );
  /** Keeps the results that are looked at as lists. */
  readonly #lists = new HistoryThread(new URL("./reader-thread.ts", import.meta.url));
  #asked = 0;

  constructor(ports: QuestionsPorts) {
    this.#ports = ports;
  }

  async prepare(question: Question, labels: LabelResolver): Promise<Prepared> {
    const { catalog, activeRows, missing } = this.#ports;
    const cover = chooseCover(await catalog.list(), question);
    const coarse = cover.filter(({ resolution }) => resolution !== "record");
    const rank = coarse.reduce((most, { resolution }) => Math.max(most, RESOLUTIONS.indexOf(resolution)), 0);
    const coarseEnds = coarse.map(({ description }) => description?.maxEndMs ?? 0);
    return {
      files: cover.map(fileRef),
      labels: resolveLabels(question.query.where, labels),
      total: cover.reduce((sum, { description }) => sum + (description?.records ?? activeRows()), 0),
      coarsest: RESOLUTIONS[rank] ?? "record",
      coarseBeforeMs: coarse.length === 0 ? null : Math.max(...coarseEnds),
      gaps: await missing(),
    };
  }

  /** Pieces of an answer. Ends quietly when the signal aborts. @throws ThreadFailure */
  async *stream<Piece>(method: "rows" | "groups", query: unknown, signal: AbortSignal): AsyncGenerator<Piece> {
    const reader = this.#reader();
    const id = ++this.#asked;
    const { flag, release } = cancellation(signal);
    try {
      await reader.call(method, { id, query, flag });
      while (!signal.aborted) {
        const piece = await reader.call<Piece | null>("next", { id });
        if (piece === null) return;
        yield piece;
      }
    } catch (error) {
      if (!isCancelled(error)) throw error;
    } finally {
      release();
      reader.call("end", { id }).catch(() => {});
    }
  }

  /** `null` when the signal aborted. @throws ThreadFailure */
  async ask<Answer>(method: "steps" | "ranks", query: unknown, signal: AbortSignal): Promise<Answer | null> {
    const { flag, release } = cancellation(signal);
    try {
      const reader = method === "ranks" ? this.#lists : this.#reader();
      return await reader.call<Answer>(method, { query, flag });
    } catch (error) {
      if (isCancelled(error)) return null;
      throw error;
    } finally {
      release();
    }
  }

  /** Of a leaf that is still written. @throws ThreadFailure */
  measure(path: string): Promise<GrowingLeaf> {
    return this.#reader().call<GrowingLeaf>("measure", { path });
  }

  /** Whether the question may be asked again: files that were lost are out of the way then. Throws it otherwise. */
  async recover(error: unknown, attempt: number): Promise<void> {
    if (!(error instanceof ThreadFailure) || attempt >= MAX_ATTEMPTS) throw error;
    const { kind, path, message } = error.problem;
    if (kind === "damaged") await this.#ports.onDamage(path, message);
    else if (kind !== "missing") throw error;
  }

  /** The file changes as a whole, or goes. */
  async release(path: string): Promise<void> {
    const threads = [...this.#readers, this.#lists];
    await Promise.all(threads.map((reader) => reader.isRunning && reader.call("release", { path })));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#readers, this.#lists].map((reader) => reader.close()));
  }

  #reader(): HistoryThread {
    return this.#readers.reduce((least, reader) => (reader.load < least.load ? reader : least));
  }
}

function fileRef({ path, description, firstLeaf, resolution }: Partition): FileRef {
  if (description) return refOf(path, description);
  const [minStartMs, minEndMs] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const [maxStartMs, maxEndMs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  return { path, resolution, firstLeaf, isSealed: false, records: 0, minStartMs, maxStartMs, minEndMs, maxEndMs };
}

function cancellation(signal: AbortSignal): { readonly flag: Int32Array; readonly release: () => void } {
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const cancel = () => {
    Atomics.store(flag, 0, 1);
  };
  if (signal.aborted) cancel();
  signal.addEventListener("abort", cancel, { once: true });
  return { flag, release: () => signal.removeEventListener("abort", cancel) };
}

function isCancelled(error: unknown): boolean {
  return error instanceof ThreadFailure && error.problem.kind === "cancelled";
}

function resolveLabels(where: FlowQuery["where"], labels: LabelResolver): ResolvedLabels {
  const found = new Map<string, { readonly subjectKeys: readonly string[]; readonly addresses: readonly string[] }>();
  const visit = (node: QueryNode): void => {
    if (node.kind === "and" || node.kind === "or") node.parts.forEach(visit);
    else if (node.kind === "not") visit(node.part);
    else if (node.kind === "field" && node.field === "label") {
      for (const label of node.values) {
        const { subjectKeys, addresses } = labels(label);
        found.set(label, { subjectKeys: [...subjectKeys], addresses: [...addresses] });
      }
    }
  };
  visit(where);
  return Object.fromEntries(found);
}
