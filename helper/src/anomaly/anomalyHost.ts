/**
 * Detection as the agent holds it: loaded a while after the start, or with the first question about it, and never by an agent
 * that was told to do without. What is wrong with it is in the model's status; the agent runs in any case.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "@wardline/api/wardline/v1/anomaly";
import { type AnomalySettings, type GroupBaseline, type HostSummary, USUAL_SETTINGS } from "@wardline/domain/anomaly";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { toWireModelStatus } from "@wardline/domain/wire";
import type { Logger } from "pino";
import type { Clock } from "../agent/clock.ts";
import { makeDirectory } from "../files/directory.ts";
import type { RecordJournalView } from "../flows/records/ports.ts";
import type { AnomalyRunner } from "./anomalyRunner.ts";
import type { AnomalyAccess, AnomalyFigures, AnomalySharing, GivenFeedback } from "./ports.ts";
import type { RunnerTiming } from "./runnerTiming.ts";
import { NOTHING_LEARNED } from "./views.ts";

export interface AnomalyOptions {
  readonly isOff: boolean;
  /** Until somebody sets another number. */
  readonly learningHours: number;
}

export interface AnomalyHostPorts {
  readonly stateDir: string;
  readonly hostName: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** `null` = nothing is recorded on this host. */
  readonly journal: RecordJournalView | null;
  readonly options: AnomalyOptions;
  readonly timing?: Partial<RunnerTiming>;
}

/** When the agent has its start behind it. */
const LOAD_AFTER_MS = 2_000;

export class AnomalyHost implements AnomalyAccess, AnomalySharing {
  readonly #ports: AnomalyHostPorts;
  readonly #listeners = new Set<(findings: readonly Finding[] | null) => void>();
  readonly #newsListeners = new Set<() => void>();
  #timer: NodeJS.Timeout | null = null;
  #unsubscribe: () => void = () => {};
  #runner: AnomalyRunner | null = null;
  #loading: Promise<AnomalyRunner> | null = null;
  #group: GroupBaseline | null = null;
  #problem: string;
  #isClosed = false;

  constructor(ports: AnomalyHostPorts) {
    this.#ports = ports;
    this.#problem = offBecause(ports);
  }

  /** Returns at once. A host on which nothing was ever recorded loads nothing. */
  start(): void {
    const { journal, stateDir } = this.#ports;
    if (this.#problem !== "" || journal === null) return;
    if (journal.state().lastSequence > 0n || existsSync(join(stateDir, "anomaly"))) {
      this.#loadSoon();
      return;
    }
    this.#unsubscribe = journal.onBatch(() => {
      this.#unsubscribe();
      this.#loadSoon();
    });
  }

  #loadSoon(): void {
    this.#timer = setTimeout(() => void this.#load().catch(() => undefined), LOAD_AFTER_MS);
    this.#timer.unref();
  }

  /** Saves everything. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe();
    if (this.#timer) clearTimeout(this.#timer);
    await (await this.#loading?.catch(() => null))?.close();
  }

  async list(limit: number, afterId: string) {
    if (this.#problem !== "") return { findings: [], total: 0 };
    return (await this.#load()).list(limit, afterId);
  }

  async finding(id: string) {
    return (await this.#load()).finding(id);
  }

  model() {
    if (this.#runner) return this.#runner.model();
    const { learningHours } = this.#ports.options;
    const settings: AnomalySettings = { ...USUAL_SETTINGS, learningHours };
    return { status: toWireModelStatus(NOTHING_LEARNED, { settings, problem: this.#problem }), settings };
  }

  /** As `model`, once it is loaded. */
  async loadedModel() {
    if (this.#problem === "") await this.#load().catch(() => undefined);
    return this.model();
  }

  async train(request: { readonly days: number; readonly leaveOutFindings: boolean }) {
    return (await this.#load()).train(request);
  }

  async feedback(id: string, given: GivenFeedback) {
    return (await this.#load()).feedback(id, given);
  }

  async configure(settings: AnomalySettings) {
    return (await this.#load()).configure(settings);
  }

  onChange(listener: (findings: readonly Finding[] | null) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async summary(): Promise<HostSummary | null> {
    return this.#runner?.summary() ?? null;
  }

  async setGroup(baseline: GroupBaseline | null): Promise<void> {
    this.#group = baseline;
    await this.#runner?.setGroup(baseline);
  }

  async lateralFindings() {
    return this.#runner?.lateralFindings() ?? [];
  }

  async setChains(chains: ReadonlyMap<string, readonly string[]>): Promise<void> {
    await this.#runner?.setChains(chains);
  }

  onNews(listener: () => void): () => void {
    this.#newsListeners.add(listener);
    return () => this.#newsListeners.delete(listener);
  }

  /** `null` = detection is off, or was not loaded yet. */
  figures(): AnomalyFigures | null {
    return this.#runner?.figures() ?? null;
  }

  #load(): Promise<AnomalyRunner> {
    if (this.#problem !== "" || this.#isClosed) return Promise.reject(isOff(this.#problem || "The agent ends."));
    this.#loading ??= this.#start().catch((error: unknown) => {
      this.#loading = null;
      const failure = error instanceof Failure ? error.message : String(error);
      this.#ports.log.error({ err: error }, "detection could not be started");
      this.#problem = `Detection could not be started: ${failure}`;
      for (const listener of this.#listeners) listener(null);
      throw error;
    });
    return this.#loading;
  }

  async #start(): Promise<AnomalyRunner> {
    const { stateDir, options, journal, hostName, clock, log, timing } = this.#ports;
    const [{ AnomalyRunner }, { FindingStore }, { ModelFile }] = await Promise.all([
      import("./anomalyRunner.ts"),
      import("./findingStore.ts"),
      import("./modelFile.ts"),
    ]);
    const directory = join(stateDir, "anomaly");
    if (!existsSync(directory)) makeDirectory(directory, 0o700);
    const modelFile = new ModelFile(directory);
    const settings = (await modelFile.readSettings()) ?? { ...USUAL_SETTINGS, learningHours: options.learningHours };
    const { store, isDamaged, problem } = await FindingStore.open(directory);
    const runner = new AnomalyRunner({
      ...{ hostName, clock, log, modelFile, store, settings },
      journal: journal!,
      isStoreDamaged: isDamaged,
      notices: problem === "" ? [] : [problem],
      ...(timing ? { timing } : {}),
    });
    runner.onChange((findings) => {
      for (const listener of this.#listeners) listener(findings);
    });
    runner.onNews(() => {
      for (const listener of this.#newsListeners) listener();
    });
    if (this.#group) await runner.setGroup(this.#group);
    runner.start();
    this.#runner = runner;
    return runner;
  }
}

function offBecause({ options, journal }: AnomalyHostPorts): string {
  if (options.isOff) return "Detection is off on this host: its agent was started with --no-anomaly.";
  if (journal === null) return "Detection is off on this host: its flows are not recorded.";
  return "";
}

function isOff(message: string): Failure {
  const hint = "Start the agent without --no-anomaly.";
  return new Failure({ code: ErrorCode.HOST_UNSUPPORTED, message, hint });
}
