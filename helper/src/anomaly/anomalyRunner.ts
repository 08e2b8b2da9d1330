/**
 * Detection on this host: feeds the engine from the journal, keeps what it finds, and answers for both. Enforcement never
 * waits for it, and none of its failures leaves it: they are in the model's status.
 */
import { create } from "@bufbuild/protobuf";
import { type Feedback, FeedbackSchema, type Finding as WireFinding } from "@wardline/api/wardline/v1/anomaly";
import type { AnomalySettings, Finding, GroupBaseline, HostSummary } from "@wardline/domain/anomaly";
import { Failure } from "@wardline/domain/errors";
import { fromWireFinding, timestampOf, toWireFinding, toWireModelStatus } from "@wardline/domain/wire";
import type { Logger } from "pino";
import type { Clock } from "../agent/clock.ts";
import type { RecordJournalView } from "../flows/records/ports.ts";
import { EngineThread } from "./engineThread.ts";
import { givenEarlier, wordOf } from "./feedbackWords.ts";
import type { FindingStore } from "./findingStore.ts";
import { JournalReading, type ReadBatch, turn } from "./journalReading.ts";
import { LiveEngine } from "./liveEngine.ts";
import type { ModelFile } from "./modelFile.ts";
import { Notices } from "./notices.ts";
import type { AnomalyAccess, AnomalyFigures, AnomalySharing, GivenFeedback } from "./ports.ts";
import { type RunnerTiming, USUAL_TIMING } from "./runnerTiming.ts";
import { highestScore, lateralEntries, NOTHING_LEARNED } from "./views.ts";
import { engineFailed, pause, sentence, trainsAlready, within } from "./waiting.ts";

export interface RunnerPorts {
  readonly hostName: string;
  readonly clock: Clock;
  readonly log: Pick<Logger, "info" | "warn" | "error">;
  readonly journal: RecordJournalView;
  readonly modelFile: ModelFile;
  readonly store: FindingStore;
  readonly settings: AnomalySettings;
  /** Findings have to be looked for again: what was kept of them was damaged. */
  readonly isStoreDamaged: boolean;
  /** What was found damaged at the start. */
  readonly notices: readonly string[];
  /** Another thread than the usual one (tests). */
  readonly thread?: EngineThread;
  readonly timing?: Partial<RunnerTiming>;
}

const LONGEST_PAUSE_MS = 300_000;
/** How long a caller waits for the engine to hear of feedback: it counts from now on in any case. */
const FEEDBACK_WITHIN_MS = 3_000;
const CLOSE_WITHIN_MS = 5_000;
/** One batch may end the thread so often before it is left out. */
const TRIES = 2;

export class AnomalyRunner implements AnomalyAccess, AnomalySharing {
  readonly #ports: RunnerPorts;
  readonly #timing: RunnerTiming;
  readonly #thread: EngineThread;
  readonly #engine: LiveEngine;
  readonly #reading: JournalReading;
  readonly #notices: Notices;
  readonly #ending = new AbortController();
  readonly #listeners = new Set<(findings: readonly WireFinding[] | null) => void>();
  readonly #newsListeners = new Set<() => void>();
  readonly #begun = new Map<string, number>();
  #settings: AnomalySettings;
  #isTraining = false;
  #wantsSave = false;
  #running: Promise<unknown> = Promise.resolve();
  /** Batches during which the thread was lost, and how often. */
  readonly #fatal = new Map<bigint, number>();
  #savedAtMs: number;
  #flushedAtMs: number;
  #advancedAtMs: number;

  constructor(ports: RunnerPorts) {
    const { hostName, modelFile, store, clock } = ports;
    this.#ports = ports;
    this.#timing = { ...USUAL_TIMING, ...ports.timing };
    this.#settings = ports.settings;
    this.#notices = new Notices(clock, ports.notices);
    this.#thread = ports.thread ?? new EngineThread();
    this.#engine = new LiveEngine({
      ...{ thread: this.#thread, hostName, modelFile },
      settings: () => this.#settings,
      feedback: () => givenEarlier(store),
      feedbackNumber: () => store.feedbackNumber,
      onNotice: (notice) => this.#notices.add(notice),
    });
    this.#reading = new JournalReading(ports.journal, hostName);
    this.#savedAtMs = this.#flushedAtMs = this.#advancedAtMs = clock.wallMs();
  }

  start(): void {
    this.#running = Promise.all([this.#run(), this.#ports.isStoreDamaged ? this.#searchAgain() : null]);
  }

  /** Saves the model and the findings. Never rejects. */
  async close(): Promise<void> {
    this.#ending.abort();
    // A thread that does not answer is not waited for: the agent ends.
    await within(CLOSE_WITHIN_MS, this.#running);
    this.#reading.close();
    try {
      await within(CLOSE_WITHIN_MS, this.#engine.save());
    } catch (error) {
      this.#ports.log.warn({ problem: sentence(error) }, "the model of the detectors was not saved");
    }
    await this.#thread.close();
    await this.#ports.store.close();
  }

  async list(limit: number, afterId: string) {
    const entries = this.#ports.store.entries();
    const from = afterId === "" ? 0 : entries.findIndex(({ id }) => id === afterId) + 1;
    if (afterId !== "" && from === 0) await this.#ports.store.whole(afterId);
    const ids = entries.slice(from, from + limit).map(({ id }) => id);
    return { findings: await this.#ports.store.heads(ids), total: entries.length };
  }

  finding(id: string): Promise<WireFinding> {
    return this.#ports.store.whole(id);
  }

  model() {
    const { problem } = this.#ports.store;
    const problems = [...this.#notices.current(), ...(problem === "" ? [] : [problem])];
    const status = this.#engine.status ?? NOTHING_LEARNED;
    const settings = this.#settings;
    return { status: toWireModelStatus(status, { settings, problem: problems.join(" ") }), settings };
  }

  async train({
    days,
    leaveOutFindings,
  }: {
    readonly days: number;
    readonly leaveOutFindings: boolean;
  }): Promise<void> {
    if (this.#isTraining) throw trainsAlready();
    this.#isTraining = true;
    try {
      await this.#engine.open();
      const { signal } = this.#ending;
      const sinceMs = days === 0 ? 0 : this.#ports.clock.wallMs() - days * 86_400_000;
      await this.#engine.train(this.#reading.history(sinceMs, this.#engine.place.sequence, signal), leaveOutFindings);
      this.#soon();
    } catch (error) {
      throw error instanceof Failure ? error : engineFailed(error);
    } finally {
      this.#isTraining = false;
      this.#tell(null);
    }
    for (const listener of this.#newsListeners) listener();
  }

  async feedback(id: string, { kind, actor, reason }: GivenFeedback): Promise<WireFinding> {
    const time = timestampOf(this.#ports.clock.wallMs());
    const given: Feedback = create(FeedbackSchema, { kind, actor, reason, time });
    const kept = await this.#ports.store.addFeedback(id, given);
    const finding = fromWireFinding(kept);
    if (finding)
      await within(
        FEEDBACK_WITHIN_MS,
        this.#contained(() => this.#engine.feedback(finding, wordOf(kind))),
      );
    this.#soon();
    this.#tell([kept]);
    return kept;
  }

  async configure(settings: AnomalySettings): Promise<void> {
    await this.#ports.modelFile.writeSettings(settings);
    this.#settings = settings;
    await within(
      FEEDBACK_WITHIN_MS,
      this.#contained(() => this.#engine.configure(settings)),
    );
    this.#soon();
    this.#tell(null);
  }

  onChange(listener: (findings: readonly WireFinding[] | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async summary(): Promise<HostSummary | null> {
    return this.#engine.isOpen && this.#engine.status?.state === "trained" ? this.#engine.summary() : null;
  }

  async setGroup(baseline: GroupBaseline | null): Promise<void> {
    await this.#contained(() => this.#engine.setGroup(baseline));
    this.#tell(null);
  }

  async lateralFindings(): Promise<readonly WireFinding[]> {
    const entries = lateralEntries(this.#ports.store.entries());
    return Promise.all(entries.map(({ id }) => this.#ports.store.whole(id)));
  }

  async setChains(chains: ReadonlyMap<string, readonly string[]>): Promise<void> {
    for (const [id, chain] of chains) {
      const changed = await this.#ports.store.setChain(id, chain).catch(() => null);
      if (changed) this.#tell([changed]);
    }
  }

  onNews(listener: () => void): () => void {
    this.#newsListeners.add(listener);
    return () => this.#newsListeners.delete(listener);
  }

  figures(): AnomalyFigures {
    return {
      status: this.model().status,
      highestScore: highestScore(this.#ports.store.entries()),
      kept: this.#ports.store.size,
      begun: this.#begun,
      scoringSeconds: this.#thread.cpuSeconds,
      windows: this.#engine.windows,
    };
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#catchUp(signal);
        await this.#upkeep(true);
        failures = 0;
        this.#notices.clear("engine");
        await this.#reading.arrival(this.#timing.advanceEveryMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        const problem = `The detectors cannot run: ${sentence(error)}.`;
        this.#ports.log.warn({ problem }, "detection failed; it is tried again");
        this.#notices.set("engine", problem);
        this.#tell(null);
        await pause(Math.min(LONGEST_PAUSE_MS, this.#timing.firstPauseMs * 2 ** failures++), signal);
      }
    }
  }

  /** Everything that the journal has and the engine has not seen. */
  async #catchUp(signal: AbortSignal): Promise<void> {
    const { modelFile } = this.#ports;
    // A host on which nothing ever happened needs no thread.
    if (!this.#engine.isOpen && this.#reading.isEmpty && !modelFile.exists()) return;
    await this.#engine.open();
    const { journalId } = this.#reading;
    if (this.#engine.place.journalId !== journalId) this.#engine.skip({ journalId, sequence: 0n });
    for await (const batch of this.#reading.after(this.#engine.place.sequence, signal)) {
      await this.#observe(journalId, batch);
      await this.#upkeep(false);
    }
  }

  async #observe(journalId: string, { sequence, records }: ReadBatch): Promise<void> {
    const place = { journalId, sequence };
    if ((this.#fatal.get(sequence) ?? 0) >= TRIES) {
      this.#notices.add(`Batch ${sequence} of the journal was left out: the detectors failed on it ${TRIES} times.`);
      this.#engine.skip(place);
      return;
    }
    this.#advancedAtMs = this.#ports.clock.wallMs();
    this.#fatal.set(sequence, (this.#fatal.get(sequence) ?? 0) + 1);
    const findings = await this.#engine.observe(place, records);
    this.#fatal.delete(sequence);
    await this.#keep(findings);
  }

  /** Time passes for the engine only where nothing waits in the journal: what comes after it would be of the past. */
  async #upkeep(isCaughtUp: boolean): Promise<void> {
    const nowMs = this.#ports.clock.wallMs();
    const { saveEveryMs, flushEveryMs, advanceEveryMs, advanceLagMs } = this.#timing;
    if (isCaughtUp && this.#engine.isOpen && nowMs - this.#advancedAtMs >= advanceEveryMs && !this.#isTraining) {
      this.#advancedAtMs = nowMs;
      await this.#keep(await this.#engine.advance(nowMs - advanceLagMs));
    }
    if (Math.abs(nowMs - this.#flushedAtMs) >= flushEveryMs) {
      this.#flushedAtMs = nowMs;
      await this.#ports.store.flush(true);
    }
    if (this.#isTraining || !(this.#wantsSave || Math.abs(nowMs - this.#savedAtMs) >= saveEveryMs)) return;
    this.#wantsSave = false;
    this.#savedAtMs = nowMs;
    await this.#engine.save();
  }

  async #keep(findings: readonly Finding[]): Promise<void> {
    const changed: WireFinding[] = [];
    for (const finding of findings) {
      if (this.#ports.store.entry(finding.id) === null) this.#countBegun(finding);
      changed.push(...this.#ports.store.put([toWireFinding(finding)]));
      if (changed.length % 4 === 0) await turn();
    }
    if (changed.length === 0) return;
    await this.#ports.store.flush();
    this.#tell(changed);
    if (findings.some(({ detector }) => detector === "lateral-movement"))
      for (const tell of this.#newsListeners) tell();
  }

  #countBegun({ detector, severity }: Finding): void {
    const key = `${detector} ${severity}`;
    this.#begun.set(key, (this.#begun.get(key) ?? 0) + 1);
  }

  /** What a damaged store has lost is found once more in what the journal still has. */
  async #searchAgain(): Promise<void> {
    const { store, log } = this.#ports;
    const { signal } = this.#ending;
    try {
      const { lastSequence } = this.#ports.journal.state();
      for await (const findings of this.#engine.search(this.#reading.history(0, lastSequence, signal))) {
        await this.#keep(findings.filter(({ id }) => store.entry(id)?.place == null));
      }
    } catch (error) {
      if (!signal.aborted) log.warn({ problem: sentence(error) }, "lost findings were not found again");
    }
  }

  /** Takes place once the engine is there; what goes wrong is said in the status and nowhere else. */
  async #contained(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#ports.log.warn(
        { problem: sentence(error) },
        "the detectors did not take something; they will at their start",
      );
    }
  }

  /** Saves at the next occasion, which is now unless something is under way. */
  #soon(): void {
    this.#wantsSave = true;
    this.#reading.wake();
  }

  #tell(findings: readonly WireFinding[] | null): void {
    for (const listener of this.#listeners) listener(findings);
  }
}
