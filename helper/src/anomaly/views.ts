/** What is asked of kept findings. Pure. */
import { DetectorKind, FeedbackKind } from "@wardline/api/wardline/v1/anomaly";
import { DETECTORS, type ModelStatus } from "@wardline/domain/anomaly";
import type { FindingEntry } from "./findingStore.ts";

const MAX_LATERAL = 50;

export const NOTHING_LEARNED: ModelStatus = {
  state: "untrained",
  reason: "nothing was seen yet",
  trainedAtMs: null,
  trainedWindows: 0,
  learnedSinceMs: null,
  excludedWindows: 0,
  groupHosts: 0,
  group: "",
  detectors: DETECTORS.map((detector) => ({
    ...{ detector, isEnabled: true, isReady: false, findings: 0, suppressed: 0 },
  })),
};

/** 0 to 100 over what goes on and nobody called normal. */
export function highestScore(entries: readonly FindingEntry[]): number {
  const open = entries.filter(({ isOver, feedback }) => !isOver && feedback[0]?.kind !== FeedbackKind.NORMAL);
  return open.reduce((highest, { score }) => Math.max(highest, score * 100), 0);
}

/** Newest first. */
export function lateralEntries(entries: readonly FindingEntry[]): readonly FindingEntry[] {
  return entries.filter(({ detector }) => detector === DetectorKind.LATERAL_MOVEMENT).slice(0, MAX_LATERAL);
}
