/** Asks the thread of the language, and starts it again when it is stuck or ends. */
import type { FleetFacts } from "@wardline/domain/policy/language";
import type { Answers, FromWorker, QuestionKind, Questions, ToWorker } from "./protocol.ts";

/** The part of a `Worker` that is used. */
export interface WorkerPort {
  postMessage(message: ToWorker): void;
  terminate(): void;
  onmessage: ((event: MessageEvent<FromWorker>) => void) | null;
  onerror: ((event: ErrorEvent) => void) | null;
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** The limits of the reader keep a check far below it. */
const ANSWER_WITHIN_MS = 30_000;

export class LanguageClient {
  readonly #create: () => WorkerPort;
  readonly #texts = new Map<string, string>();
  readonly #waiting = new Map<number, Waiting>();
  #facts: FleetFacts | null = null;
  #worker: WorkerPort | null = null;
  #nextId = 1;

  constructor(create: () => WorkerPort) {
    this.#create = create;
  }

  /** Gives texts; what the thread has already is not sent again. Line ends are `\n`. Returns whether something was new. */
  setTexts(texts: Iterable<readonly [string, string]>, removed: readonly string[] = []): boolean {
    const changed = [...texts].filter(([path, text]) => this.#texts.get(path) !== text);
    const gone = removed.filter((path) => this.#texts.delete(path));
    for (const [path, text] of changed) this.#texts.set(path, text);
    if (changed.length === 0 && gone.length === 0) return false;
    this.#worker?.postMessage({ kind: "texts", texts: changed.map(([path, text]) => ({ path, text })), removed: gone });
    return true;
  }

  setFacts(facts: FleetFacts): void {
    this.#facts = facts;
    this.#worker?.postMessage({ kind: "facts", facts });
  }

  get paths(): readonly string[] {
    return [...this.#texts.keys()];
  }

  /** Rejects when the thread fails or does not answer in time; the next question goes to a new one. */
  ask<Kind extends QuestionKind>(question: Kind, input: Questions[Kind]): Promise<Answers[Kind]> {
    const worker = this.#running();
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#restart("The check of these texts took too long."), ANSWER_WITHIN_MS);
      this.#waiting.set(id, { resolve: resolve as (answer: unknown) => void, reject, timer });
      worker.postMessage({ kind: "ask", id, question, input });
    });
  }

  close(): void {
    this.#restart("closed");
  }

  #running(): WorkerPort {
    if (this.#worker) return this.#worker;
    const worker = this.#create();
    worker.onmessage = ({ data }) => this.#settle(data);
    worker.onerror = (event) => this.#restart(event.message || "The thread that checks could not be started.");
    this.#worker = worker;
    worker.postMessage({ kind: "texts", texts: [...this.#texts].map(([path, text]) => ({ path, text })), removed: [] });
    if (this.#facts) worker.postMessage({ kind: "facts", facts: this.#facts });
    return worker;
  }

  #settle(message: FromWorker): void {
    const waiting = this.#waiting.get(message.id);
    if (!waiting) return;
    this.#waiting.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.kind === "answer") waiting.resolve(message.answer);
    else waiting.reject(new Error(message.message));
  }

  #restart(reason: string): void {
    this.#worker?.terminate();
    this.#worker = null;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Error(reason));
    }
    this.#waiting.clear();
  }
}
