/** What detection knows and what can be set of it. */
import type { DetectorKind } from "./finding.ts";

export interface AnomalySettings {
  readonly targetFalseAlarmsPerDay: number;
  readonly disabled: readonly DetectorKind[];
  /** Hours of own history before statistical detectors speak. */
  readonly learningHours: number;
}

export const USUAL_SETTINGS: AnomalySettings = { targetFalseAlarmsPerDay: 0.5, disabled: [], learningHours: 24 };

export interface ModelStatus {
  readonly state: "untrained" | "learning" | "trained";
  /** Why it is in that state: `2 of 24 hours seen`. */
  readonly reason: string;
  readonly trainedAtMs: number | null;
  readonly trainedWindows: number;
  readonly learnedSinceMs: number | null;
  readonly excludedWindows: number;
  readonly groupHosts: number;
  readonly group: string;
  readonly detectors: readonly {
    readonly detector: DetectorKind;
    readonly isEnabled: boolean;
    readonly isReady: boolean;
    readonly findings: number;
    readonly suppressed: number;
  }[];
}

/** One host's habits in a few numbers per feature: its one vote. */
export interface HostSummary {
  readonly host: string;
  readonly windows: number;
  readonly features: Readonly<Record<string, { readonly median: number; readonly spread: number }>>;
}

/** Medians over the hosts of a group. */
export interface GroupBaseline {
  readonly group: string;
  readonly hosts: number;
  readonly features: Readonly<Record<string, { readonly median: number; readonly spread: number }>>;
}

/** JSON text with version and checksum. */
export type SavedModel = string;
