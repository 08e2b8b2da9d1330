/** The engines of one thread, and what is called on them. No clock, no files: it can run anywhere. */
import { receiveMessageOnPort } from "node:worker_threads";
import type { AnomalyEngine, AnomalyEngineOptions, Finding } from "@wardline/domain/anomaly";
import type { FlowRecord } from "@wardline/domain/flows";
import type { EngineCalls, Observed, PulledRecords, RecordPull } from "./engineProtocol.ts";

export type CreateEngine = (options: AnomalyEngineOptions) => AnomalyEngine;
/** `search` looks for findings again in recorded time, beside the live one. */
export type EngineSlot = "live" | "search";

/** How long a thread in training waits for the next records before it gives up: somebody else has died. */
const PULL_WITHIN_MS = 60_000;

export class EngineCore {
  readonly #createEngine: CreateEngine;
  readonly #engines = new Map<EngineSlot, OneEngine>();

  constructor(createEngine: CreateEngine) {
    this.#createEngine = createEngine;
  }

  call(slot: EngineSlot, name: keyof EngineCalls, given: readonly unknown[]): unknown {
    let engine = this.#engines.get(slot);
    if (!engine) {
      engine = new OneEngine(this.#createEngine);
      this.#engines.set(slot, engine);
    }
    if (name === "close") return void this.#engines.delete(slot);
    return (engine[name] as (...given: unknown[]) => unknown).apply(engine, [...given]);
  }
}

class OneEngine implements EngineCalls {
  readonly #createEngine: CreateEngine;
  #engine: AnomalyEngine | null = null;
  #given: FlowRecord[] = [];

  constructor(createEngine: CreateEngine) {
    this.#createEngine = createEngine;
  }

  open(options: AnomalyEngineOptions) {
    this.#given = [];
    this.#engine = this.#createEngine(options);
    return this.#engine.status();
  }

  close(): void {
    this.#engine = null;
  }

  give(records: readonly FlowRecord[]): void {
    for (const record of records) this.#given.push(record);
  }

  observe(nowMs: number): Observed {
    const records = this.#given;
    this.#given = [];
    return this.#observed(this.#opened.observe(records, nowMs));
  }

  advance(nowMs: number): Observed {
    return this.#observed(this.#opened.advance(nowMs));
  }

  train(pull: RecordPull, options: { readonly leaveOutFindings: boolean }) {
    try {
      this.#opened.train(pulled(pull), options);
    } finally {
      pull.port.close();
    }
    return this.#opened.status();
  }

  feedback(finding: Finding, kind: "normal" | "confirmed" | "undo") {
    this.#opened.feedback(finding, kind);
    return this.#opened.status();
  }

  setGroup(baseline: Parameters<AnomalyEngine["setGroup"]>[0]) {
    this.#opened.setGroup(baseline);
    return this.#opened.status();
  }

  configure(settings: Parameters<AnomalyEngine["configure"]>[0]) {
    this.#opened.configure(settings);
    return this.#opened.status();
  }

  summary() {
    return this.#opened.summary();
  }

  save() {
    return this.#opened.save();
  }

  get #opened(): AnomalyEngine {
    if (this.#engine) return this.#engine;
    throw new Error("no engine is open");
  }

  #observed(findings: readonly Finding[]): Observed {
    return { findings, status: this.#opened.status() };
  }
}

/** Asks for records and waits for them: the engine wants them one after the other, and this thread has nothing else to do. */
function* pulled({ port, answers }: RecordPull): Generator<readonly FlowRecord[]> {
  const count = new Int32Array(answers);
  for (;;) {
    const seen = Atomics.load(count, 0);
    port.postMessage("next");
    if (Atomics.wait(count, 0, seen, PULL_WITHIN_MS) === "timed-out") throw new Error("the records stayed away");
    const message = receiveMessageOnPort(port)?.message as PulledRecords | undefined;
    if (message === undefined) throw new Error("the records stayed away");
    if (message === null) return;
    if ("problem" in message) throw new Error(message.problem);
    yield message.records;
  }
}
