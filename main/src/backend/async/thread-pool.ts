/**
 * Threads for computing that would keep everybody else waiting: a few at a time, started when they are needed, ended when
 * nobody has needed them for a while. Who gives up on a call is free at once; its thread is asked to stop and, when it
 * does not, ended.
 */
import { Worker } from "node:worker_threads";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { failureFromBytes, type ThreadAnswer, type ThreadData } from "./thread-calls.ts";

export interface ThreadPoolOptions {
  /** What the threads run: a file that calls `serveCalls`. */
  readonly file: URL;
  /** What they do, for people: `questions`. */
  readonly what: string;
  /** At a time; default 2. */
  readonly threads?: number;
  /** That wait for a thread; default 16. More are refused. */
  readonly waiting?: number;
  /** Until a thread that was told to stop is ended; default 100 ms. */
  readonly graceMs?: number;
  /** After which a thread that nobody uses ends; default 60 s. What it keeps goes with it. */
  readonly idleMs?: number;
  /** Default 2,048. */
  readonly heapMegabytes?: number;
}

/** One thread, for as long as it is held; its calls are made one after the other. */
export interface HeldThread {
  /**
   * What comes back was made by a program of ours from what others wrote: look at it before it is used.
   * @throws the reason of the signal; Failure that the thread threw; Failure TOO_LARGE (no memory left); Error (a defect)
   */
  call(method: string, argument: unknown, transfer?: readonly ArrayBuffer[]): Promise<unknown>;
}

interface Pending {
  readonly id: number;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

class PooledThread {
  readonly #worker: Worker;
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #what: string;
  #pending: Pending | null = null;
  /** Of a call that somebody gave up on. */
  #unwanted: (() => void) | null = null;
  #calls = 0;
  isDead = false;
  /** Why it was ended by us. */
  #endedBecause: Error | null = null;

  constructor({ file, what, heapMegabytes = 2_048 }: ThreadPoolOptions) {
    this.#what = what;
    this.#worker = new Worker(file, {
      name: what,
      workerData: { stop: this.#stop } satisfies ThreadData,
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
    });
    this.#worker.on("message", (answer: ThreadAnswer) => this.#answer(answer));
    this.#worker.on("error", (error: Error) => this.#died(error));
    this.#worker.on("exit", () => this.#died(null));
    // A program that has nothing else to do may end.
    this.#worker.unref();
  }

  call(method: string, argument: unknown, transfer: readonly ArrayBuffer[], signal: AbortSignal): Promise<unknown> {
    if (signal.aborted) return Promise.reject(signal.reason);
    // What is sent to a thread that ended is never answered.
    if (this.isDead) return Promise.reject(this.#endedBecause ?? new Error(`A thread for ${this.#what} ended`));
    if (this.#pending) return Promise.reject(new Error("a thread does one call at a time"));
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#pending = null;
        reject(signal.reason);
      };
      const finish = () => signal.removeEventListener("abort", giveUp);
      this.#pending = {
        id,
        resolve: (value) => {
          finish();
          resolve(value);
        },
        reject: (error) => {
          finish();
          reject(error);
        },
      };
      signal.addEventListener("abort", giveUp, { once: true });
      Atomics.store(this.#stop, 0, 0);
      this.#worker.ref();
      this.#last = id;
      try {
        this.#worker.postMessage({ id, method, argument }, [...transfer]);
      } catch (error) {
        this.#answered = id;
        this.#pending.reject(error);
        this.#pending = null;
      }
    });
  }

  #last = 0;
  #answered = 0;

  /** Resolves when the thread can do something else; `false` = it had to be ended. */
  async settle(graceMs: number): Promise<boolean> {
    if (this.isDead) return false;
    if (this.#answered < this.#last) {
      Atomics.store(this.#stop, 0, 1);
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#unwanted = resolve;
        timer = setTimeout(resolve, graceMs);
      });
      clearTimeout(timer);
      this.#unwanted = null;
      if (this.#answered < this.#last) await this.end();
    }
    if (!this.isDead) this.#worker.unref();
    return !this.isDead;
  }

  async end(because: Error | null = null): Promise<void> {
    this.isDead = true;
    this.#endedBecause ??= because;
    await this.#worker.terminate();
  }

  #answer(answer: ThreadAnswer): void {
    this.#answered = answer.id;
    const pending = this.#pending;
    if (pending?.id !== answer.id) {
      this.#unwanted?.();
      return;
    }
    this.#pending = null;
    if ("value" in answer) pending.resolve(answer.value);
    else if ("failure" in answer) pending.reject(failureFromBytes(answer.failure));
    else pending.reject(new Error(`A thread for ${this.#what} failed: ${answer.defect}`));
  }

  #died(error: Error | null): void {
    this.isDead = true;
    this.#answered = this.#last;
    this.#unwanted?.();
    const isFull = (error as NodeJS.ErrnoException | null)?.code === "ERR_WORKER_OUT_OF_MEMORY";
    this.#pending?.reject(
      isFull
        ? new Failure({
            code: ErrorCode.TOO_LARGE,
            message: "Working this out needs more memory than it may have.",
            hint: "Ask about fewer: one host, one label, one port.",
          })
        : (this.#endedBecause ??
            new Error(`A thread for ${this.#what} ended: ${error?.message ?? "nobody knows why"}`)),
    );
    this.#pending = null;
  }
}

interface Waiting {
  readonly take: (thread: PooledThread) => void;
  readonly fail: (error: unknown) => void;
}

export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #idle = new Map<PooledThread, NodeJS.Timeout>();
  readonly #held = new Set<PooledThread>();
  readonly #waiting = new Set<Waiting>();
  #isClosed = false;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
  }

  /** Threads that work or are kept ready. */
  get size(): number {
    return this.#idle.size + this.#held.size;
  }

  /**
   * Runs `work` with a thread of its own, as soon as one is free.
   * @throws the reason of the signal; Failure TOO_LARGE when too many wait already; what `work` throws
   */
  async use<Result>(signal: AbortSignal, work: (thread: HeldThread) => Promise<Result>): Promise<Result> {
    const thread = await this.hold(signal);
    try {
      return await work(thread);
    } finally {
      thread.release();
    }
  }

  /**
   * The same for work that is no one function: whoever holds a thread releases it. An aborted signal releases it too: who
   * waits for something else meanwhile, or is not read from any more, keeps no thread from the others.
   */
  async hold(signal: AbortSignal): Promise<HeldThread & { readonly release: () => void }> {
    const thread = await this.#take(signal);
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      signal.removeEventListener("abort", release);
      // Who gave up waits for nothing more.
      void this.#giveBack(thread);
    };
    if (signal.aborted) release();
    else signal.addEventListener("abort", release, { once: true });
    return {
      call: (method, argument, transfer = []) => {
        if (isHeld) return thread.call(method, argument, transfer, signal);
        return Promise.reject(signal.aborted ? signal.reason : new Error("the thread was released"));
      },
      release,
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const all = [...this.#idle.keys(), ...this.#held];
    for (const timer of this.#idle.values()) clearTimeout(timer);
    this.#idle.clear();
    for (const { fail } of this.#waiting) fail(closed());
    this.#waiting.clear();
    await Promise.all(all.map((thread) => thread.end(closed())));
  }

  #take(signal: AbortSignal): Promise<PooledThread> {
    const { threads = 2, waiting = 16, what } = this.#options;
    if (signal.aborted) return Promise.reject(signal.reason);
    if (this.#isClosed) return Promise.reject(closed());
    // The one that was used last knows most of what is asked about.
    for (const [thread, timer] of [...this.#idle].reverse()) {
      clearTimeout(timer);
      this.#idle.delete(thread);
      if (thread.isDead) continue;
      this.#held.add(thread);
      return Promise.resolve(thread);
    }
    if (this.#held.size < threads) {
      const thread = new PooledThread(this.#options);
      this.#held.add(thread);
      return Promise.resolve(thread);
    }
    if (this.#waiting.size >= waiting) {
      return Promise.reject(
        new Failure({
          code: ErrorCode.TOO_LARGE,
          message: `${threads + waiting} ${what} are being worked out already.`,
          hint: "Try again when some of them are done, or cancel one.",
          retryable: true,
        }),
      );
    }
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        this.#waiting.delete(own);
        reject(signal.reason);
      };
      const own: Waiting = {
        take: (thread) => {
          signal.removeEventListener("abort", giveUp);
          resolve(thread);
        },
        fail: (error) => {
          signal.removeEventListener("abort", giveUp);
          reject(error);
        },
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.add(own);
    });
  }

  async #giveBack(used: PooledThread): Promise<void> {
    const { graceMs = 100, idleMs = 60_000 } = this.#options;
    const isWell = await used.settle(graceMs);
    this.#held.delete(used);
    if (this.#isClosed) return isWell ? used.end() : undefined;
    const [next] = this.#waiting;
    if (next) {
      this.#waiting.delete(next);
      const thread = isWell ? used : new PooledThread(this.#options);
      this.#held.add(thread);
      next.take(thread);
      return;
    }
    if (!isWell) return;
    const timer = setTimeout(() => {
      this.#idle.delete(used);
      void used.end();
    }, idleMs);
    timer.unref();
    this.#idle.set(used, timer);
  }
}

function closed(): Failure {
  return new Failure({ code: ErrorCode.CANCELED, message: "The console is closing." });
}
