/** Replays recorded flows through a candidate and counts what becomes of them. */
import type { PolicyWorld } from "../model.ts";
import type { FlowAnswer, SimulationCounts, SimulationResult } from "./classes.ts";
import { FlowJudge } from "./flow-judge.ts";
import { type GroupCounter, GroupTable } from "./group-table.ts";
import type { GroupOptions } from "./label-groups.ts";
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
const PORTS = 2 ** 16;

/** Everything about flows that only differ in time and in what was recorded. */
interface Remembered {
  readonly candidate: FlowAnswer;
  readonly base: FlowAnswer | null;
  /** By recorded verdict: allow, deny, none. */
  readonly counters: [GroupCounter | null, GroupCounter | null, GroupCounter | null];
}

export class Simulation {
  readonly #candidate: FlowJudge;
  readonly #base: FlowJudge | null;
  readonly #groups: GroupTable;
  readonly #sampleEvery: number;
  /** By the numbers of both ends, then by protocol and port: small whole numbers are the fastest keys. */
  #known: (Map<number, Map<number, Remembered>> | undefined)[] = [];
  /** By recorded endpoint, then by address. */
  readonly #ends = new Map<string, Map<string, number>>();
  #endCount = 0;
  #remembered = 0;
  #read = 0;
  #judged = 0;
  #unreadable = 0;
  #firstSeenMs: number | null = null;
  #lastSeenMs: number | null = null;

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
    const position = this.#read++;
    const { timeMs, enforced } = flow;
    if (timeMs !== null) {
      if (this.#firstSeenMs === null || timeMs < this.#firstSeenMs) this.#firstSeenMs = timeMs;
      if (this.#lastSeenMs === null || timeMs > this.#lastSeenMs) this.#lastSeenMs = timeMs;
    }
    if (this.#sampleEvery > 1 && position % this.#sampleEvery !== 0) return;
    this.#judged++;
    const remembered = this.#answers(flow);
    const slot = enforced === "allow" ? 0 : enforced === "deny" ? 1 : 2;
    let counter = remembered.counters[slot];
    if (counter === null) {
      counter = this.#groups.counter(flow, remembered.candidate, remembered.base);
      remembered.counters[slot] = counter;
    }
    counter.count(flow);
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
      firstSeenMs: this.#firstSeenMs,
      lastSeenMs: this.#lastSeenMs,
    };
  }

  result(isCancelled = false): SimulationResult {
    return { ...this.counts(), ...this.#groups.list(), isCancelled };
  }

  #answers(flow: RecordedFlow): Remembered {
    if (this.#remembered >= MAX_REMEMBERED || this.#endCount >= MAX_REMEMBERED) this.#forget();
    const from = this.#end(flow.sourceAddress, flow.direction === "egress" ? flow : null);
    const to = this.#end(flow.destinationAddress, flow.direction === "ingress" ? flow : null);
    let byTo = this.#known[from];
    if (!byTo) {
      byTo = new Map();
      this.#known[from] = byTo;
    }
    let byPort = byTo.get(to);
    if (!byPort) {
      byPort = new Map();
      byTo.set(to, byPort);
    }
    const service = flow.protocol * PORTS + flow.port;
    let remembered = byPort.get(service);
    if (!remembered) {
      const candidate = this.#candidate.answer(flow);
      remembered = { candidate, base: this.#base?.answer(flow) ?? null, counters: [null, null, null] };
      byPort.set(service, remembered);
      this.#remembered++;
    }
    return remembered;
  }

  /** A number for an address with the endpoint that the host recorded there. */
  #end(address: string, recordedBy: RecordedFlow | null): number {
    const owner = recordedBy === null ? "" : ownerOf(recordedBy);
    let numbers = this.#ends.get(owner);
    if (!numbers) {
      numbers = new Map();
      this.#ends.set(owner, numbers);
    }
    let number = numbers.get(address);
    if (number === undefined) {
      number = this.#endCount++;
      numbers.set(address, number);
    }
    return number;
  }

  #forget(): void {
    this.#known = [];
    this.#ends.clear();
    this.#endCount = 0;
    this.#remembered = 0;
  }
}

/** What tells recorded ends with one address apart; see `FlowJudge`. */
function ownerOf({ subjectKey, host }: RecordedFlow): string {
  return subjectKey.startsWith("Host/") ? subjectKey : `${subjectKey} ${host}`;
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
  for await (const { flows, problems, problemCount } of batches) {
    if (run.signal?.aborted) return simulation.result(true);
    const taken = flows.length > limit - read ? flows.slice(0, limit - read) : flows;
    for (const flow of taken) simulation.add(flow);
    read += taken.length;
    simulation.addUnreadable(problemCount);
    yield { ...simulation.counts(), problems };
    if (read >= limit) break;
  }
  return simulation.result(run.signal?.aborted ?? false);
}
