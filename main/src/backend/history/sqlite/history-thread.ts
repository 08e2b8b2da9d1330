/** A thread of the history as the main thread sees it: it is started when it is needed, and anew when it has died. */
import { Worker } from "node:worker_threads";
import type { ThreadAnswer, ThreadProblem } from "./thread-protocol.ts";

/** A call that a thread could not do. */
export class ThreadFailure extends Error {
  readonly problem: ThreadProblem;

  constructor(problem: ThreadProblem) {
    super(problem.message);
    this.problem = problem;
  }
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class HistoryThread {
  readonly #file: URL;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | null = null;
  #calls = 0;

  constructor(file: URL) {
    this.#file = file;
  }

  /** Calls that are not answered yet. */
  get load(): number {
    return this.#waiting.size;
  }

  /** Whether it was started. */
  get isRunning(): boolean {
    return this.#worker !== null;
  }

  /** @throws ThreadFailure */
  call<Result>(method: string, argument: unknown, transfer: readonly ArrayBuffer[] = []): Promise<Result> {
    const worker = this.#start();
    const id = ++this.#calls;
    return new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, method, argument }, [...transfer]);
    }) as Promise<Result>;
  }

  async close(): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
    this.#end("the history was closed");
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(this.#file);
    this.#worker = worker;
    worker.on("message", (answer: ThreadAnswer) => this.#answer(answer));
    worker.on("error", (error: Error) => this.#died(worker, `a thread of the history failed: ${error.message}`));
    worker.on("exit", () => this.#died(worker, "a thread of the history ended"));
    // A program that has nothing else to do may end.
    worker.unref();
    return worker;
  }

  #answer(answer: ThreadAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if (this.#waiting.size === 0) this.#worker?.unref();
    if (!waiting) return;
    if ("problem" in answer) waiting.reject(new ThreadFailure(answer.problem));
    else waiting.resolve(answer.value);
  }

  #died(worker: Worker, message: string): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    this.#end(message);
  }

  #end(message: string): void {
    for (const { reject } of this.#waiting.values()) {
      reject(new ThreadFailure({ kind: "other", message, code: "", path: "" }));
    }
    this.#waiting.clear();
  }
}
