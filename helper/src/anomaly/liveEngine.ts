/**
 * The engine of this host over the life of its thread: opened from what was saved, together with its place in the journal,
 * and opened again from there when the thread was lost. Whoever feeds it asks for the place and goes on from it.
 */
import type { AnomalySettings, Finding, GroupBaseline, ModelStatus } from "@wardline/domain/anomaly";
import { detectionSeedOf, windowsOf } from "@wardline/domain/anomaly";
import type { FlowRecord } from "@wardline/domain/flows";
import type { EngineSlot } from "./engineCore.ts";
import { type EngineThread, ThreadEnded } from "./engineThread.ts";
import type { KeptModel, ModelFile } from "./modelFile.ts";

export interface JournalPlace {
  readonly journalId: string;
  /** The newest batch that the engine has seen. */
  readonly sequence: bigint;
}

export interface LiveEnginePorts {
  readonly thread: EngineThread;
  readonly hostName: string;
  readonly modelFile: ModelFile;
  readonly settings: () => AnomalySettings;
  /** What people said, newest of each finding; and how often anybody said anything. */
  readonly feedback: () => Promise<readonly GivenEarlier[]>;
  readonly feedbackNumber: () => number;
  readonly onNotice: (notice: string) => void;
}

export interface GivenEarlier {
  readonly finding: Finding;
  readonly kind: "normal" | "confirmed";
}

const NOWHERE: JournalPlace = { journalId: "", sequence: 0n };
/** Records of a window that go over to the thread at once: a millisecond of this one. */
const PIECE = 250;

export class LiveEngine {
  readonly #ports: LiveEnginePorts;
  #openedIn = 0;
  #place = NOWHERE;
  #status: ModelStatus | null = null;
  #group: GroupBaseline | null = null;
  #windows = 0;

  constructor(ports: LiveEnginePorts) {
    this.#ports = ports;
  }

  get place(): JournalPlace {
    return this.#place;
  }

  /** `null` before it was opened. */
  get status(): ModelStatus | null {
    return this.#status;
  }

  /** Windows that were looked at since the start of the agent. */
  get windows(): number {
    return this.#windows;
  }

  get isOpen(): boolean {
    return this.#openedIn !== 0 && this.#openedIn === this.#ports.thread.generation;
  }

  /** Goes on from the newest saved model. Throws `ThreadEnded`, and `Failure` when the model cannot be read. */
  async open(): Promise<void> {
    if (this.isOpen) return;
    const { thread, modelFile, onNotice, feedbackNumber } = this.#ports;
    const { kept, problem } = await modelFile.read();
    if (problem !== "") onNotice(problem);
    const opened = kept === null ? null : await this.#openFrom(kept);
    if (opened === null) {
      this.#status = await thread.call("live", "open", this.#options(null));
      this.#place = NOWHERE;
    } else {
      this.#status = opened;
      this.#place = { journalId: kept!.journalId, sequence: kept!.sequence };
    }
    if (opened === null || kept?.feedbackNumber !== feedbackNumber()) {
      for (const { finding, kind } of await this.#ports.feedback()) {
        this.#status = await thread.call("live", "feedback", finding, kind);
      }
    }
    if (this.#group) this.#status = await thread.call("live", "setGroup", this.#group);
    this.#openedIn = thread.generation;
  }

  /** Everything of one batch. What was found; the place moves on. Throws `ThreadEnded`, and what the engine threw. */
  async observe(place: JournalPlace, records: readonly FlowRecord[]): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    try {
      for (const { endMs, records: inWindow } of windowsOf(records)) {
        findings.push(...(await this.#observeWindow("live", endMs, inWindow)));
        this.#windows += 1;
      }
    } catch (error) {
      // What the engine cannot take now it cannot take later: only a thread that was lost is worth another try.
      if (!(error instanceof ThreadEnded)) this.#place = place;
      throw error;
    }
    this.#place = place;
    return findings;
  }

  /** Leaves a batch out. */
  skip(place: JournalPlace): void {
    this.#place = place;
  }

  async advance(nowMs: number): Promise<readonly Finding[]> {
    const { findings, status } = await this.#ports.thread.call("live", "advance", nowMs);
    this.#status = status;
    return findings;
  }

  async train(records: AsyncIterable<readonly FlowRecord[]>, leaveOutFindings: boolean): Promise<void> {
    this.#status = await this.#ports.thread.train("live", records, { leaveOutFindings });
  }

  async feedback(finding: Finding, kind: "normal" | "confirmed" | "undo"): Promise<void> {
    if (this.isOpen) this.#status = await this.#ports.thread.call("live", "feedback", finding, kind);
  }

  async configure(settings: AnomalySettings): Promise<void> {
    if (this.isOpen) this.#status = await this.#ports.thread.call("live", "configure", settings);
  }

  async setGroup(baseline: GroupBaseline | null): Promise<void> {
    this.#group = baseline;
    if (this.isOpen) this.#status = await this.#ports.thread.call("live", "setGroup", baseline);
  }

  summary() {
    return this.#ports.thread.call("live", "summary");
  }

  /** Throws `Failure` DISK_FULL, INTERNAL and `ThreadEnded`. */
  async save(): Promise<void> {
    if (!this.isOpen) return;
    const place = this.#place;
    const feedbackNumber = this.#ports.feedbackNumber();
    const model = await this.#ports.thread.call("live", "save");
    await this.#ports.modelFile.write({ ...place, feedbackNumber, model });
  }

  /** What an engine that knows nothing finds in recorded batches: for findings that were lost. */
  async *search(batches: AsyncIterable<readonly FlowRecord[]>): AsyncGenerator<readonly Finding[]> {
    const { thread } = this.#ports;
    await thread.call("search", "open", this.#options(null));
    const { generation } = thread;
    for await (const records of batches) {
      for (const { endMs, records: inWindow } of windowsOf(records)) {
        yield await this.#observeWindow("search", endMs, inWindow);
        if (thread.generation !== generation) throw new ThreadEnded("the search has to begin anew");
      }
    }
    await thread.call("search", "close");
  }

  async #openFrom({ model }: KeptModel): Promise<ModelStatus | null> {
    const { thread, modelFile, onNotice } = this.#ports;
    try {
      return await thread.call("live", "open", this.#options(model));
    } catch (error) {
      if (error instanceof ThreadEnded) throw error;
      onNotice(await modelFile.moveAside(`cannot be used (${error instanceof Error ? error.message : error})`));
      return null;
    }
  }

  async #observeWindow(slot: EngineSlot, endMs: number, records: readonly FlowRecord[]): Promise<readonly Finding[]> {
    const { thread } = this.#ports;
    for (let from = 0; from < records.length; from += PIECE) {
      await thread.give(slot, records.slice(from, from + PIECE));
    }
    const { findings, status } = await thread.call(slot, "observe", endMs);
    if (slot === "live") this.#status = status;
    return findings;
  }

  #options(model: string | null) {
    const { hostName, settings } = this.#ports;
    return { host: hostName, seed: detectionSeedOf(hostName), settings: settings(), model };
  }
}
