/**
 * Flows of this host: the newest are kept in memory, and every reader has a queue of its own. Nothing here ever waits
 * for a reader: a slow one loses flows and is told how many.
 */
import type { Enforcer, EventLosses, FlowEvent, FlowProcess } from "../enforce/enforcer.ts";
import type { KeptFlow } from "./flowMessage.ts";

export const KEPT_FLOWS = 10_000;
export const READER_QUEUE = 16_384;
const MAX_BATCH = 500;

/** Says which program a process runs; see executables.ts. */
export interface ProgramNames {
  beginBatch(): void;
  pathOf(process: FlowProcess, eventBootNs: bigint): string;
}

export interface CgroupNames {
  get(id: bigint): string | undefined;
  learn(ids: Iterable<bigint>): Promise<void>;
}

/** One reader's view. `take` hands out what is there; `changed` resolves when there may be more. */
export class FlowReader {
  readonly #onClose: (reader: FlowReader) => void;
  #queue: KeptFlow[];
  #lag = 0n;
  #wake: (() => void) | null = null;

  constructor(history: readonly KeptFlow[], onClose: (reader: FlowReader) => void) {
    this.#queue = [...history];
    this.#onClose = onClose;
  }

  /** Flows that this reader was too slow for. */
  get lag(): bigint {
    return this.#lag;
  }

  get hasMore(): boolean {
    return this.#queue.length > 0;
  }

  /** Oldest first, at most one message full. */
  take(): readonly KeptFlow[] {
    return this.#queue.splice(0, MAX_BATCH);
  }

  push(flows: readonly KeptFlow[]): void {
    // History may be longer than the queue of new flows: it is only what the reader asked for.
    const room = Math.max(0, READER_QUEUE - this.#queue.length);
    this.#queue.push(...flows.slice(0, room));
    this.#lag += BigInt(Math.max(0, flows.length - room));
    this.#wake?.();
  }

  /** Waits for new flows, at most `timeoutMs`, or until the signal ends the stream. */
  async changed(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.hasMore || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      signal.addEventListener("abort", this.#wake, { once: true });
    });
    if (this.#wake) signal.removeEventListener("abort", this.#wake);
    this.#wake = null;
  }

  close(): void {
    this.#onClose(this);
    this.#wake?.();
  }
}

export class FlowHub {
  readonly #enforcer: Enforcer;
  readonly #cgroups: CgroupNames;
  readonly #programs: ProgramNames;
  readonly #kept: KeptFlow[] = [];
  readonly #readers = new Set<FlowReader>();
  readonly #listeners = new Set<(flows: readonly KeptFlow[]) => void>();
  readonly #stop: () => void;
  #nextId = 1n;
  #pipeline: Promise<void> = Promise.resolve();

  constructor(enforcer: Enforcer, cgroups: CgroupNames, programs: ProgramNames) {
    this.#enforcer = enforcer;
    this.#cgroups = cgroups;
    this.#programs = programs;
    this.#stop = enforcer.onEvents((events) => this.#receive(events));
  }

  losses(): EventLosses {
    return this.#enforcer.losses();
  }

  /** `history`: how many of the newest kept flows come first. Close the reader when done. */
  subscribe(history: number): FlowReader {
    const kept = history > 0 ? this.#kept.slice(-Math.min(history, KEPT_FLOWS)) : [];
    const reader = new FlowReader(kept, (closed) => this.#readers.delete(closed));
    this.#readers.add(reader);
    return reader;
  }

  /** Called with all flows, in their order, within this process: it never lags. Must not throw. Returns the unsubscriber. */
  onPublish(listener: (flows: readonly KeptFlow[]) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Runs the task after everything that was received until now is published. */
  inOrder(task: () => void): Promise<void> {
    const done = this.#pipeline.then(task);
    this.#pipeline = done.catch(() => undefined);
    return done;
  }

  /** Empty when unknown. */
  cgroupPathOf(id: bigint): string {
    return this.#cgroups.get(id) ?? "";
  }

  /** Resolves when everything that was received is published. */
  async close(): Promise<void> {
    this.#stop();
    for (const reader of this.#readers) reader.close();
    await this.#pipeline.catch(() => undefined);
  }

  /** Batches stay in order although a path may have to be looked up first. */
  #receive(events: readonly FlowEvent[]): void {
    // At once: a process may be gone while a path is looked up.
    this.#programs.beginBatch();
    const programs = events.map(({ process, bootNs }) =>
      process === null ? "" : this.#programs.pathOf(process, bootNs),
    );
    this.#pipeline = this.#pipeline.then(async () => {
      await this.#cgroups.learn(events.map((event) => event.cgroupId));
      this.#publish(events, programs);
    });
  }

  #publish(events: readonly FlowEvent[], programs: readonly string[]): void {
    const flows = events.map((event, position): KeptFlow => {
      const id = this.#nextId;
      this.#nextId += 1n;
      const cgroupPath = this.#cgroups.get(event.cgroupId) ?? "";
      return { id, event, cgroupPath, executable: programs[position] ?? "" };
    });
    for (const flow of flows) this.#kept.push(flow);
    // Removed in large steps: one step per batch would move the whole list each time.
    if (this.#kept.length > KEPT_FLOWS * 1.2) this.#kept.splice(0, this.#kept.length - KEPT_FLOWS);
    for (const reader of this.#readers) reader.push(flows);
    for (const listener of this.#listeners) listener(flows);
  }
}
