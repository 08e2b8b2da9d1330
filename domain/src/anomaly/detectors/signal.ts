/** What a detector says of a window, before it is known whether anybody is told. */

import type { Direction } from "../../policy/model.ts";
import type { Habits } from "../features/habits.ts";
import type { AnomalySeverity, DetectorKind, FindingAction } from "../finding.ts";
import type { AnomalySettings, GroupBaseline } from "../model.ts";

/** Plain data, because it is saved: which records belong to a finding. */
export interface EvidenceFilter {
  readonly direction: Direction | null;
  /** Empty = any. */
  readonly remotes: readonly string[];
  /** 0 = any. */
  readonly port: number;
  readonly protocol: number;
  /** `null` = any. */
  readonly process: string | null;
  readonly failedOnly: boolean;
}

export const ANY_EVIDENCE: EvidenceFilter = {
  direction: null,
  remotes: [],
  port: 0,
  protocol: 0,
  process: null,
  failedOnly: false,
};

export interface SignalFeature {
  readonly key: string;
  readonly name: string;
  readonly value: number;
  readonly normal: { readonly low: number; readonly high: number } | null;
  readonly unit: string;
  /** Relative to the others'. */
  readonly weight: number;
}

export interface Signal {
  readonly detector: DetectorKind;
  /** What it is about, within the detector. */
  readonly key: string;
  /** How far beyond the usual threshold: 1 = at it. */
  readonly ratio: number;
  readonly severity: AnomalySeverity;
  readonly sentence: string;
  readonly beganAtMs: number;
  readonly atMs: number;
  readonly subjectKey: string;
  readonly process: string;
  readonly remote: string;
  readonly port: number;
  readonly direction: Direction;
  /** The first is the one that the chart shows. */
  readonly features: readonly SignalFeature[];
  readonly filter: EvidenceFilter;
  readonly actions: readonly FindingAction[];
  /** Without a further signal for so long it is over. */
  readonly quietMs: number;
  /** The host is too little known to keep what it does out of learning for that: told, and learned all the same. */
  readonly isTentative?: boolean;
}

export interface DetectorContext {
  readonly habits: Habits;
  readonly settings: AnomalySettings;
  readonly group: GroupBaseline | null;
  /** Enough of the host was seen for what is statistical. */
  readonly isTrained: boolean;
  /** When this engine began to look at all. */
  readonly watchingSinceMs: number;
  /**
   * Tells the calibration how high a window came, and when that is high enough for somebody to know, raises the signal.
   * `ratio` is against the detector's usual threshold, `key` the signal's. True when it was raised.
   */
  offer(detector: DetectorKind, key: string, ratio: number, describe: () => Signal): boolean;
}
