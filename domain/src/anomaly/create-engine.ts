/** Puts detectors, calibration, habits and findings together for one host. All state is in {@link EngineState}. */
import type { FlowRecord } from "../flows/record.ts";
import { addToTail } from "./calibration/tail.ts";
import { limitOf, rarityOf, STATISTICAL } from "./calibration/thresholds.ts";
import { baselineSummary } from "./detectors/baseline.ts";
import { endHour, endMinute, learnRecord, observeRecord } from "./detectors/run.ts";
import type { DetectorContext, Signal } from "./detectors/signal.ts";
import type { AnomalyEngine, AnomalyEngineOptions } from "./engine.ts";
import { forgetOldHabits, learnHabits } from "./features/habits.ts";
import { type Seen, seeRecord } from "./features/seen.ts";
import { addToWindow, copyWindow, minuteWindow } from "./features/window.ts";
import { DETECTORS, type DetectorKind, type Finding } from "./finding.ts";
import { addEvidence, matchesFilter } from "./findings/evidence.ts";
import { giveFeedback, isConfirmedAttack, isSuppressed } from "./findings/feedback.ts";
import {
  drainFindings,
  endQuietFindings,
  isSpecific,
  isToldAlready,
  type LedgerEntry,
  offerEvidence,
  recordSignal,
} from "./findings/ledger.ts";
import type { AnomalySettings, GroupBaseline, HostSummary, ModelStatus, SavedModel } from "./model.ts";
import { loadState, saveState } from "./saving.ts";
import { type EngineState, freshLearned, freshState } from "./state.ts";
import { ADMIN_PORTS } from "./support/addresses.ts";

const STEP_MS = 10_000;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** A pause up to this long was quiet; a longer one was not watched. */
const QUIET_MS = HOUR_MS;
/** Records from which a new finding takes its first evidence. */
const RECENT_RECORDS = 2048;

/** @throws Failure when the saved model is damaged or of a newer version: the caller may then start without one. */
export function createAnomalyEngine(options: AnomalyEngineOptions): AnomalyEngine {
  return new HostEngine(options);
}

class HostEngine implements AnomalyEngine {
  readonly #host: string;
  readonly #seed: number;
  #settings: AnomalySettings;
  #state: EngineState;
  #group: GroupBaseline | null = null;
  /** A ring; not saved. */
  #recent: Seen[] = [];
  #recentAt = 0;
  readonly #context: DetectorContext;
  /** Ratio at which each detector speaks; worked out anew every hour. */
  #limits: Record<DetectorKind, number> | null = null;
  #isTraining = false;
  #leavesOutFindings = true;

  constructor({ host, seed, settings, model }: AnomalyEngineOptions) {
    this.#host = host;
    this.#seed = seed;
    this.#settings = settings;
    this.#state = model === null ? freshState(seed) : loadState(model);
    this.#context = this.#makeContext();
  }

  observe(records: readonly FlowRecord[], nowMs: number): readonly Finding[] {
    for (const record of records) this.#take(record, nowMs);
    return this.advance(nowMs);
  }

  advance(nowMs: number): readonly Finding[] {
    if (!Number.isFinite(nowMs)) return [];
    const { live, ledger } = this.#state;
    if (live.stepMs >= 0) this.#moveTo(Math.floor(nowMs / STEP_MS) * STEP_MS);
    endQuietFindings(ledger, nowMs);
    return drainFindings(ledger, this.#host, nowMs);
  }

  train(records: Iterable<readonly FlowRecord[]>, { leaveOutFindings }: { readonly leaveOutFindings: boolean }): void {
    const trainee = new HostEngine({ host: this.#host, seed: this.#seed, settings: this.#settings, model: null });
    trainee.#isTraining = true;
    trainee.#leavesOutFindings = leaveOutFindings;
    trainee.#group = this.#group;
    trainee.#state.feedback.signatures = [...this.#state.feedback.signatures];
    let lastMs = -1;
    for (const batch of records) {
      for (const record of batch) {
        // Recorded time is all the time there is: no record of it is from the future.
        trainee.#take(record, record.windowStartMs);
        lastMs = Math.max(lastMs, record.windowStartMs + STEP_MS);
      }
      endQuietFindings(trainee.#state.ledger, lastMs);
    }
    if (lastMs >= 0) trainee.advance(lastMs);
    const { learned } = trainee.#state;
    learned.trainedAtMs = this.#state.live.stepMs >= 0 ? this.#state.live.stepMs : lastMs < 0 ? null : lastMs;
    this.#state.learned = lastMs < 0 ? freshLearned() : learned;
    this.#limits = null;
  }

  feedback(finding: Finding, kind: "normal" | "confirmed" | "undo"): void {
    giveFeedback(this.#state.feedback, finding, kind);
    for (const entry of this.#state.ledger.entries.values()) {
      if (entry.id === finding.id) entry.isNormal = kind === "normal";
    }
  }

  setGroup(baseline: GroupBaseline | null): void {
    this.#group = baseline;
  }

  configure(settings: AnomalySettings): void {
    this.#settings = settings;
    this.#limits = null;
  }

  summary(): HostSummary {
    return {
      host: this.#host,
      windows: this.#state.learned.minutes,
      features: baselineSummary(this.#state.learned.baseline),
    };
  }

  status(): ModelStatus {
    const { learned, feedback, ledger } = this.#state;
    const hours = learned.minutes / 60;
    const wanted = this.#settings.learningHours;
    const state = this.#isTrained() ? "trained" : hours >= 1 ? "learning" : "untrained";
    return {
      state,
      reason:
        state === "trained"
          ? `${Math.floor(hours)} hours seen`
          : `${Math.floor(hours)} of ${wanted} hours seen: statistical detectors do not speak yet`,
      trainedAtMs: learned.trainedAtMs,
      trainedWindows: learned.minutes,
      learnedSinceMs: learned.sinceMs,
      excludedWindows: learned.excludedMinutes,
      groupHosts: this.#group?.hosts ?? 0,
      group: this.#group?.group ?? "",
      detectors: DETECTORS.map((detector) => ({
        detector,
        isEnabled: !this.#settings.disabled.includes(detector),
        isReady: !STATISTICAL.has(detector) || this.#isTrained(),
        findings: ledger.told[detector] ?? 0,
        suppressed: feedback.suppressed[detector] ?? 0,
      })),
    };
  }

  save(): SavedModel {
    return saveState(this.#state);
  }

  #isTrained(): boolean {
    return this.#state.learned.minutes >= this.#settings.learningHours * 60;
  }

  #take(record: FlowRecord, nowMs: number): void {
    const { live, learned, ledger, feedback } = this.#state;
    const seen = seeRecord(record, live.stepMs, nowMs);
    if (seen === null) {
      live.refusedRecords++;
      return;
    }
    const stepMs = Math.floor(record.windowStartMs / STEP_MS) * STEP_MS;
    if (live.stepMs < 0) this.#begin(stepMs);
    else if (stepMs > live.stepMs) this.#moveTo(stepMs);
    else if (stepMs < live.stepMs) live.lateRecords++;
    const isConfirmed = isConfirmedAttack(feedback, seen);
    // What is known to be an attack teaches nothing, and a history that is learned from needs no findings of it.
    if (this.#isTraining && isConfirmed) return;
    this.#remember(seen);
    const isSuspect = offerEvidence(ledger, seen) || isConfirmed;
    observeRecord(live, learned, seen, this.#context);
    if (isSuspect) live.cleanMinute ??= copyWindow(live.minute);
    addToWindow(live.minute, seen, learned.habits, ADMIN_PORTS);
    if (isSuspect) return;
    if (live.cleanMinute !== null) addToWindow(live.cleanMinute, seen, learned.habits, ADMIN_PORTS);
    learnHabits(learned.habits, seen);
    learnRecord(learned, seen);
  }

  #begin(stepMs: number): void {
    const { live, learned } = this.#state;
    live.stepMs = stepMs;
    live.watchingSinceMs = stepMs;
    live.minute = minuteWindow(Math.floor(stepMs / MINUTE_MS) * MINUTE_MS);
    learned.sinceMs = stepMs;
  }

  /** Closes every step, minute and hour before `stepMs`. */
  #moveTo(stepMs: number): void {
    const { live } = this.#state;
    if (stepMs <= live.stepMs) return;
    const isGap = stepMs - live.stepMs > QUIET_MS;
    let minuteMs = live.minute.startMs;
    const targetMs = Math.floor(stepMs / MINUTE_MS) * MINUTE_MS;
    while (minuteMs < targetMs) {
      live.stepMs = isGap ? stepMs : Math.min(stepMs, minuteMs + MINUTE_MS);
      this.#endMinute();
      const nextMs = isGap ? targetMs : minuteMs + MINUTE_MS;
      if (Math.floor(minuteMs / HOUR_MS) !== Math.floor(nextMs / HOUR_MS)) this.#endHour();
      minuteMs = nextMs;
      live.minute = minuteWindow(minuteMs);
      live.cleanMinute = null;
    }
    live.stepMs = stepMs;
  }

  #endMinute(): void {
    const { live, learned, random } = this.#state;
    const isLearned = endMinute(live, learned, this.#host, random, this.#context);
    if (isLearned) learned.minutes++;
    if (!isLearned || live.cleanMinute !== null) learned.excludedMinutes++;
  }

  #endHour(): void {
    const { live, learned } = this.#state;
    endHour(live, learned, live.stepMs, this.#context);
    // Statistical detectors have no peaks worth counting before they know the host.
    const isTrained = this.#isTrained();
    for (const detector of DETECTORS) {
      const isCounted = !live.spoiled[detector] && (isTrained || !STATISTICAL.has(detector));
      if (isCounted) addToTail(learned.tails[detector], live.peaks[detector]);
      live.peaks[detector] = 0;
      live.spoiled[detector] = false;
    }
    forgetOldHabits(learned.habits, live.stepMs);
    this.#limits = null;
  }

  #remember(seen: Seen): void {
    this.#recent[this.#recentAt] = seen;
    this.#recentAt = (this.#recentAt + 1) % RECENT_RECORDS;
  }

  /** Always of the state that there is: `train` replaces parts of it. */
  #makeContext(): DetectorContext {
    const engine = this;
    return {
      get habits() {
        return engine.#state.learned.habits;
      },
      get settings() {
        return engine.#settings;
      },
      get group() {
        return engine.#group;
      },
      get isTrained() {
        return engine.#isTrained();
      },
      get watchingSinceMs() {
        return engine.#state.live.watchingSinceMs;
      },
      offer: (detector, key, ratio, describe) => engine.#offer(detector, key, ratio, describe),
    };
  }

  #limitOf(detector: DetectorKind): number {
    if (this.#limits === null) {
      const { tails } = this.#state.learned;
      this.#limits = Object.fromEntries(
        DETECTORS.map((one) => [one, limitOf(one, tails[one], this.#settings)]),
      ) as Record<DetectorKind, number>;
    }
    return this.#limits[detector];
  }

  #offer(detector: DetectorKind, key: string, ratio: number, describe: () => Signal): boolean {
    const { live, learned, feedback, ledger } = this.#state;
    if (this.#settings.disabled.includes(detector) || !(ratio > 0)) return false;
    const limit = this.#limitOf(detector);
    if (ratio < limit || (this.#isTraining && !this.#leavesOutFindings)) {
      live.peaks[detector] = Math.max(live.peaks[detector], ratio);
      return false;
    }
    if (isToldAlready(ledger, detector, key, ratio, live.stepMs)) return true;
    const signal = describe();
    if (isSuppressed(feedback, signal)) return false;
    live.spoiled[detector] = true;
    const entry = recordSignal(ledger, this.#host, signal, rarityOf(learned.tails[detector], ratio));
    if (entry.evidenceTotal === 0) this.#collectEvidence(entry, entry.beganAtMs);
    else if (!isSpecific(signal.filter)) this.#collectEvidence(entry, signal.beganAtMs);
    return true;
  }

  #collectEvidence(entry: LedgerEntry, fromMs: number): void {
    for (let index = 0; index < this.#recent.length; index++) {
      const seen = this.#recent[(this.#recentAt + index) % this.#recent.length];
      if (seen === undefined || seen.lastMs < fromMs || !matchesFilter(entry.signal.filter, seen)) continue;
      addEvidence(entry.evidence, seen.record);
      entry.evidenceTotal++;
    }
  }
}
