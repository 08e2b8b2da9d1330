/** Replays recorded flows through a candidate and counts what becomes of them. */
import type { PolicyWorld } from "../model.ts";
import type { FlowAnswer, SimulationCounts, SimulationResult } from "./classes.ts";
import {
  ColumnBuilder,
  enforcedCode,
  type FlowColumns,
  flowAt,
  KIND_END,
  kindCode,
  questionOf,
  WORD,
  WORDS_IN_FLOW,
} from "./flow-columns.ts";
import { FlowJudge } from "./flow-judge.ts";
import { FlowTexts } from "./flow-texts.ts";
import { type GroupCounter, GroupTable, seenOrNull } from "./group-table.ts";
import type { GroupOptions } from "./label-groups.ts";
import { NumberTable } from "./number-table.ts";
import type { FlowBatch, LineProblem } from "./read-flows.ts";
import type { RecordedFlow } from "./recorded-flow.ts";

export interface SimulationOptions {
  readonly candidate: PolicyWorld;
  /** What the flows are also compared with: the present policies and inventory. */
  readonly base?: PolicyWorld | null;
  /** Every n-th flow is judged, the others are counted; default 1. */
  readonly sampleEvery?: number;
  /** Most groups of a class that are listed; default 1,000. */
  readonly maxGroups?: number;
  readonly grouping?: GroupOptions;
}

export const DEFAULT_MAX_GROUPS = 1_000;
/** Answers that are remembered at a time; a bound on memory, not on what is counted. */
const MAX_REMEMBERED = 500_000;
/** Counters of a question: one for each verdict that may have been recorded. */
const COUNTERS_OF_QUESTION = 3;

interface Answers {
  readonly candidate: FlowAnswer;
  readonly base: FlowAnswer | null;
}

export class Simulation {
  readonly #candidate: FlowJudge;
  readonly #base: FlowJudge | null;
  readonly #groups: GroupTable;
  readonly #sampleEvery: number;
  /** What flows that are no columns are turned into. */
  readonly #ownTexts = new FlowTexts();
  readonly #ownColumns = new ColumnBuilder();
  /** The list that the numbers below belong to. */
  #texts: readonly string[] = [];
  /** Ends, recording endpoint and host, direction, protocol and port: all that an answer depends on. */
  #questions = new NumberTable();
  #answers: Answers[] = [];
  #counters: (GroupCounter | null)[] = [];
  #read = 0;
  #judged = 0;
  #unreadable = 0;
  #firstSeenMs = Number.POSITIVE_INFINITY;
  #lastSeenMs = Number.NEGATIVE_INFINITY;

  /** Throws `POLICY_UNSUPPORTED` as `orderPolicies`. */
  constructor(options: SimulationOptions) {
    this.#candidate = new FlowJudge(options.candidate);
    this.#base = options.base ? new FlowJudge(options.base) : null;
    this.#sampleEvery = Math.max(1, Math.floor(options.sampleEvery ?? 1));
    this.#groups = new GroupTable({
      inventories: [options.candidate.inventory, ...(options.base ? [options.base.inventory] : [])],
      hasBase: this.#base !== null,
      maxGroups: options.maxGroups ?? DEFAULT_MAX_GROUPS,
      grouping: options.grouping ?? {},
    });
  }

  add(flow: RecordedFlow): void {
    if (this.#ownColumns.addFlow(flow, this.#ownTexts)) {
      const { timesMs, words } = this.#ownColumns;
      this.addColumns({ count: 1, timesMs, words, texts: this.#ownTexts.texts });
      this.#ownColumns.count = 0;
      this.#ownTexts.renewWhenFull();
    } else if (this.#isAsked(flow.timeMs ?? Number.NaN)) {
      this.#groups.counter(flow, ...this.#ask(flow)).count(flow.timeMs ?? Number.NaN, flow.kind === "end");
    }
  }

  /** The first flows of the columns, or all. */
  addColumns(columns: FlowColumns, count = columns.count): void {
    if (columns.texts !== this.#texts || this.#questions.size >= MAX_REMEMBERED) this.#forget(columns.texts);
    const { timesMs, words } = columns;
    for (let index = 0; index < count; index++) {
      const timeMs = timesMs[index]!;
      if (!this.#isAsked(timeMs)) continue;
      const at = index * WORDS_IN_FLOW;
      const what = words[at + WORD.what]!;
      const question = this.#questions.numberOf(
        words[at + WORD.source]!,
        words[at + WORD.destination]!,
        words[at + WORD.subject]!,
        words[at + WORD.host]!,
        questionOf(what),
      );
      const place = question * COUNTERS_OF_QUESTION + enforcedCode(what);
      const counter = this.#counters[place] ?? this.#newCounter(question, place, columns, index);
      counter.count(timeMs, kindCode(what) === KIND_END);
    }
  }

  #isAsked(timeMs: number): boolean {
    const position = this.#read++;
    if (timeMs < this.#firstSeenMs) this.#firstSeenMs = timeMs;
    if (timeMs > this.#lastSeenMs) this.#lastSeenMs = timeMs;
    if (this.#sampleEvery > 1 && position % this.#sampleEvery !== 0) return false;
    this.#judged++;
    return true;
  }

  /** A line that is no flow. */
  addUnreadable(count: number): void {
    this.#unreadable += count;
  }

  counts(): SimulationCounts {
    const { recorded, base, unmatched, observed } = this.#groups.totals();
    return {
      read: this.#read,
      judged: this.#judged,
      sampledOut: this.#read - this.#judged,
      unreadable: this.#unreadable,
      recorded,
      base,
      unmatched,
      observed,
      firstSeenMs: seenOrNull(this.#firstSeenMs),
      lastSeenMs: seenOrNull(this.#lastSeenMs),
    };
  }

  result(isCancelled = false): SimulationResult {
    return { ...this.counts(), ...this.#groups.list(), isCancelled };
  }

  #newCounter(question: number, place: number, columns: FlowColumns, index: number): GroupCounter {
    const flow = flowAt(columns, index);
    let answers = this.#answers[question];
    if (!answers) {
      const [candidate, base] = this.#ask(flow);
      answers = { candidate, base };
      this.#answers.push(answers);
      this.#counters.push(null, null, null);
    }
    const counter = this.#groups.counter(flow, answers.candidate, answers.base);
    this.#counters[place] = counter;
    return counter;
  }

  #ask(flow: RecordedFlow): [candidate: FlowAnswer, base: FlowAnswer | null] {
    return [this.#candidate.answer(flow), this.#base?.answer(flow) ?? null];
  }

  #forget(texts: readonly string[]): void {
    this.#texts = texts;
    this.#questions = new NumberTable();
    this.#answers = [];
    this.#counters = [];
  }
}

export interface SimulationProgress extends SimulationCounts {
  /** The first unreadable lines of the last batch. */
  readonly problems: readonly LineProblem[];
}

export interface SimulationRun extends SimulationOptions {
  /** Ends the run; what was counted until then is the result. */
  readonly signal?: AbortSignal;
  /** Ends the run after so many flows. */
  readonly limit?: number;
}

/**
 * Replays all batches; yields after each one and returns the result. Between two batches nothing is held but the counts
 * and bounded caches.
 */
export async function* simulateFlows(
  batches: AsyncIterable<FlowBatch> | Iterable<FlowBatch>,
  run: SimulationRun,
): AsyncGenerator<SimulationProgress, SimulationResult> {
  const simulation = new Simulation(run);
  const limit = run.limit ?? Number.POSITIVE_INFINITY;
  let read = 0;
  for await (const batch of batches) {
    if (run.signal?.aborted) return simulation.result(true);
    read += addBatch(simulation, batch, limit - read);
    simulation.addUnreadable(batch.problemCount);
    yield { ...simulation.counts(), problems: batch.problems };
    if (read >= limit) break;
  }
  return simulation.result(run.signal?.aborted ?? false);
}

function addBatch(simulation: Simulation, batch: FlowBatch, limit: number): number {
  const { columns } = batch;
  if (columns) {
    const count = Math.min(columns.count, limit);
    simulation.addColumns(columns, count);
    return count;
  }
  const flows = batch.flows.length > limit ? batch.flows.slice(0, limit) : batch.flows;
  for (const flow of flows) simulation.add(flow);
  return flows.length;
}
