/**
 * The thread of the detectors, seen from the agent: started at the first call, ended when a call takes too long, and
 * started again by the next one. What it knew is gone then: whoever uses it opens an engine anew (`generation`).
 */
import { getAsset, isSea } from "node:sea";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { FlowRecord } from "@wardline/domain/flows";
import type { EngineSlot } from "./engineCore.ts";
import type { AnswerMessage, CallMessage, CallName, EngineCalls, PulledRecords } from "./engineProtocol.ts";

/** The bundle of engineWorker.ts in the single executable. */
export const WORKER_ASSET = "anomaly-worker.js";

const CALL_WITHIN_MS = 60_000;
/** Training looks at everything that is kept. */
const TRAIN_WITHIN_MS = 15 * 60_000;
/** Detectors are bounded by themselves; this keeps a defect of theirs from taking the host's memory. */
const MEMORY = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 3, stackSizeMb: 4 };

export interface EngineThreadOptions {
  readonly callWithinMs?: number;
  /** Another thread than the agent's own (tests). */
  readonly startWorker?: () => Worker;
}

/** The thread is gone: what was asked was not answered, and no engine is open any more. */
export class ThreadEnded extends Error {}

interface Waiting {
  readonly resolve: (answer: AnswerMessage) => void;
  readonly reject: (error: Error) => void;
}

export class EngineThread {
  readonly #options: EngineThreadOptions;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #serial = 0;
  #generation = 0;
  #cpuUs = 0;
  #endedCpuUs = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(options: EngineThreadOptions = {}) {
    this.#options = options;
  }

  /** Grows with each thread that was started: another number = no engine is open. */
  get generation(): number {
    return this.#generation;
  }

  /** Of all threads so far. */
  get cpuSeconds(): number {
    return (this.#endedCpuUs + this.#cpuUs) / 1e6;
  }

  /** Throws `ThreadEnded`, and `Error` with what the engine said. */
  async call<Name extends Exclude<CallName, "train" | "give">>(
    slot: EngineSlot,
    name: Name,
    ...given: Parameters<EngineCalls[Name]>
  ): Promise<ReturnType<EngineCalls[Name]>> {
    return (await this.#ask(slot, name, given, this.#options.callWithinMs ?? CALL_WITHIN_MS)) as ReturnType<
      EngineCalls[Name]
    >;
  }

  /** A piece of a window. Returns when it was taken. */
  async give(slot: EngineSlot, records: readonly FlowRecord[]): Promise<void> {
    await this.#ask(slot, "give", [records], this.#options.callWithinMs ?? CALL_WITHIN_MS);
  }

  /** The thread takes piece after piece from `records`; calls made meanwhile wait until it has ended. */
  async train(
    slot: EngineSlot,
    records: AsyncIterable<readonly FlowRecord[]>,
    options: { readonly leaveOutFindings: boolean },
  ): Promise<ReturnType<EngineCalls["train"]>> {
    const { port1, port2 } = new MessageChannel();
    const answers = new SharedArrayBuffer(4);
    const count = new Int32Array(answers);
    const iterator = records[Symbol.asyncIterator]();
    const answer = (message: PulledRecords) => {
      port1.postMessage(message);
      Atomics.add(count, 0, 1);
      Atomics.notify(count, 0);
    };
    port1.on("message", () => {
      iterator.next().then(
        ({ done, value }) => answer(done ? null : { records: value }),
        (error: unknown) => answer({ problem: error instanceof Error ? error.message : String(error) }),
      );
    });
    try {
      const given = [{ port: port2, answers }, options];
      const status = await this.#ask(slot, "train", given, TRAIN_WITHIN_MS, [port2]);
      return status as ReturnType<EngineCalls["train"]>;
    } finally {
      port1.close();
      await iterator.return?.();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end(new ThreadEnded("the detectors end"));
  }

  /** One call after the other: the time of a call does not run while another one is worked on. */
  #ask(
    slot: EngineSlot,
    name: CallName,
    given: readonly unknown[],
    withinMs: number,
    transfer: readonly MessagePort[] = [],
  ): Promise<unknown> {
    const answered = this.#turn.then(() => this.#send(slot, name, given, withinMs, transfer));
    this.#turn = answered.catch(() => undefined);
    return answered;
  }

  async #send(
    slot: EngineSlot,
    name: CallName,
    given: readonly unknown[],
    withinMs: number,
    transfer: readonly MessagePort[],
  ): Promise<unknown> {
    if (this.#isClosed) throw new ThreadEnded("the detectors end");
    const worker = this.#started();
    const id = ++this.#serial;
    const message: CallMessage = { id, slot, name, given };
    const timer = setTimeout(() => {
      void this.#end(new ThreadEnded(`the detectors did not answer "${name}" within ${withinMs / 1000} s`));
    }, withinMs);
    timer.unref();
    try {
      const { result, problem } = await new Promise<AnswerMessage>((resolve, reject) => {
        this.#waiting.set(id, { resolve, reject });
        worker.postMessage(message, transfer);
      });
      if (problem !== undefined) throw new Error(problem);
      return result;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  #started(): Worker {
    if (this.#worker) return this.#worker;
    const worker = this.#options.startWorker?.() ?? startWorker();
    this.#worker = worker;
    this.#generation += 1;
    worker.on("message", (answer: AnswerMessage) => {
      if (this.#worker !== worker) return;
      this.#cpuUs = answer.cpuUs;
      this.#waiting.get(answer.id)?.resolve(answer);
    });
    const ended = (reason: string) => {
      if (this.#worker === worker) void this.#end(new ThreadEnded(reason));
    };
    worker.on("error", (error) => ended(`the detectors failed: ${error instanceof Error ? error.message : error}`));
    worker.on("exit", (code) => ended(`the detectors ended with ${code}`));
    // An agent that stops waits for nobody.
    worker.unref();
    return worker;
  }

  async #end(reason: ThreadEnded): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    this.#endedCpuUs += this.#cpuUs;
    this.#cpuUs = 0;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(reason);
    await worker?.terminate();
  }
}

function startWorker(): Worker {
  const options = { resourceLimits: MEMORY, name: "anomaly" };
  if (isSea()) return new Worker(getAsset(WORKER_ASSET, "utf8"), { ...options, eval: true });
  return new Worker(new URL("./engineWorker.ts", import.meta.url), options);
}
