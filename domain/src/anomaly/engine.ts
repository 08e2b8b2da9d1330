/**
 * The detectors of one host as one thing: fed with records in order of time, it says what is not normal. Pure: no clock and no
 * randomness but what it is given; the same records in the same order give the same findings, so a backtest is the same code.
 */
import type { FlowRecord } from "../flows/record.ts";
import type { Finding } from "./finding.ts";
import type { AnomalySettings, GroupBaseline, HostSummary, ModelStatus, SavedModel } from "./model.ts";

export interface AnomalyEngineOptions {
  readonly host: string;
  readonly seed: number;
  readonly settings: AnomalySettings;
  /** From `save()`; `null` = untrained. @throws Failure when it is damaged or of a newer version. */
  readonly model: SavedModel | null;
}

/** What people said of findings, as the engine needs it. */
export interface FeedbackEntry {
  readonly findingId: string;
  readonly kind: "normal" | "confirmed";
}

export interface AnomalyEngine {
  /** Records of one window or more, in order of time. New and changed findings, each whole. */
  observe(records: readonly FlowRecord[], nowMs: number): readonly Finding[];
  /** Windows without records end too: call at least every window. */
  advance(nowMs: number): readonly Finding[];
  /** Learns from recorded history instead of what it knows; the rest goes on as it was. */
  train(records: Iterable<readonly FlowRecord[]>, options: { readonly leaveOutFindings: boolean }): void;
  feedback(finding: Finding, kind: "normal" | "confirmed" | "undo"): void;
  /** What the group's hosts have in common; `null` = none. One host can shift it by no more than one vote. */
  setGroup(baseline: GroupBaseline | null): void;
  configure(settings: AnomalySettings): void;
  /** This host's share of the group baseline. */
  summary(): HostSummary;
  status(): ModelStatus;
  /** Everything, for the next start. At most 4 MiB. */
  save(): SavedModel;
}
