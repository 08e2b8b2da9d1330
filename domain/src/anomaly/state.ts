/** All that an engine knows, as plain data: what it learned of the host, and what it is in the middle of. */
import { freshTail, type TailState } from "./calibration/tail.ts";
import { type BaselineHabit, type BaselineState, freshBaseline, freshBaselineHabit } from "./detectors/baseline.ts";
import { type BeaconState, freshBeacon } from "./detectors/beacon.ts";
import { type BruteForceState, type DoorHabits, freshBruteForce, freshDoorHabits } from "./detectors/brute-force.ts";
import { type DenyBurstState, type DenyHabits, freshDenyBurst, freshDenyHabits } from "./detectors/deny-burst.ts";
import {
  type ExfiltrationState,
  freshExfiltration,
  freshVolumeHabits,
  type VolumeHabits,
} from "./detectors/exfiltration.ts";
import { type ForestHabit, freshForest } from "./detectors/forest.ts";
import { freshHostScan, type HostScanState } from "./detectors/host-scan.ts";
import { type AdminEdges, freshAdminEdges, freshLateral, type LateralState } from "./detectors/lateral-movement.ts";
import { freshNovelty, freshNoveltyHabit, type NoveltyHabit, type NoveltyState } from "./detectors/novelty.ts";
import { freshPortScan, type PortScanState } from "./detectors/port-scan.ts";
import { freshHabits, type Habits } from "./features/habits.ts";
import { type MinuteWindow, minuteWindow } from "./features/window.ts";
import { DETECTORS, type DetectorKind } from "./finding.ts";
import { type FeedbackState, freshFeedback } from "./findings/feedback.ts";
import { freshLedger, type LedgerState } from "./findings/ledger.ts";
import { type RandomState, seededRandom } from "./support/random.ts";

/** What `train` replaces. */
export interface LearnedState {
  readonly habits: Habits;
  /** Of each detector: the highest ratio of each normal hour. */
  readonly tails: Record<DetectorKind, TailState>;
  readonly baseline: BaselineHabit;
  readonly forest: ForestHabit;
  readonly volumes: VolumeHabits;
  readonly doors: DoorHabits;
  readonly denies: DenyHabits;
  readonly adminEdges: AdminEdges;
  readonly novelty: NoveltyHabit;
  /** Minutes that were learned from, left out of it, and seen in all. */
  minutes: number;
  excludedMinutes: number;
  sinceMs: number | null;
  trainedAtMs: number | null;
}

export interface LiveState {
  /** Start of the open step of 10 s; -1 = nothing was seen yet. */
  stepMs: number;
  watchingSinceMs: number;
  minute: MinuteWindow;
  /** The same without what belongs to findings: what is learned from. `null` = there is no such thing in it. */
  cleanMinute: MinuteWindow | null;
  /** Highest ratio of each detector in this hour, and whether a finding lay in it. */
  readonly peaks: Record<DetectorKind, number>;
  readonly spoiled: Record<DetectorKind, boolean>;
  readonly portScan: PortScanState;
  readonly hostScan: HostScanState;
  readonly beacon: BeaconState;
  readonly bruteForce: BruteForceState;
  readonly lateral: LateralState;
  readonly denyBurst: DenyBurstState;
  readonly exfiltration: ExfiltrationState;
  readonly novelty: NoveltyState;
  readonly baseline: BaselineState;
  /** Records that could not be: no time, from the future. And those that came late. */
  refusedRecords: number;
  lateRecords: number;
}

export interface EngineState {
  learned: LearnedState;
  live: LiveState;
  ledger: LedgerState;
  feedback: FeedbackState;
  random: RandomState;
}

function forEachDetector<Value>(make: () => Value): Record<DetectorKind, Value> {
  return Object.fromEntries(DETECTORS.map((detector) => [detector, make()])) as Record<DetectorKind, Value>;
}

export function freshLearned(): LearnedState {
  return {
    habits: freshHabits(),
    tails: forEachDetector(freshTail),
    baseline: freshBaselineHabit(),
    forest: freshForest(),
    volumes: freshVolumeHabits(),
    doors: freshDoorHabits(),
    denies: freshDenyHabits(),
    adminEdges: freshAdminEdges(),
    novelty: freshNoveltyHabit(),
    minutes: 0,
    excludedMinutes: 0,
    sinceMs: null,
    trainedAtMs: null,
  };
}

export function freshState(seed: number): EngineState {
  return {
    learned: freshLearned(),
    live: {
      stepMs: -1,
      watchingSinceMs: -1,
      minute: minuteWindow(-1),
      cleanMinute: null,
      peaks: forEachDetector(() => 0),
      spoiled: forEachDetector(() => false),
      portScan: freshPortScan(),
      hostScan: freshHostScan(),
      beacon: freshBeacon(),
      bruteForce: freshBruteForce(),
      lateral: freshLateral(),
      denyBurst: freshDenyBurst(),
      exfiltration: freshExfiltration(),
      novelty: freshNovelty(),
      baseline: freshBaseline(),
      refusedRecords: 0,
      lateRecords: 0,
    },
    ledger: freshLedger(),
    feedback: freshFeedback(),
    random: seededRandom(seed),
  };
}
