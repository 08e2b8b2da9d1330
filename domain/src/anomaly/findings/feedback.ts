/** What people said of findings: what is like one that is normal is not told again, what is like a confirmed one never learned. */

import type { Direction } from "../../policy/model.ts";
import type { Signal } from "../detectors/signal.ts";
import type { Seen } from "../features/seen.ts";
import type { DetectorKind, Finding } from "../finding.ts";
import { remoteGroup } from "../support/addresses.ts";
import { shownText } from "../support/words.ts";

export interface Signature {
  readonly findingId: string;
  readonly kind: "normal" | "confirmed";
  readonly detector: DetectorKind;
  readonly direction: Direction;
  readonly process: string;
  readonly subjectKey: string;
  /** Empty = the finding was about no single remote. */
  readonly remoteGroup: string;
  readonly remote: string;
  readonly port: number;
  /** Of the feature that says how much it is. */
  readonly feature: string;
  readonly maxValue: number;
}

export interface FeedbackState {
  signatures: Signature[];
  /** Signals held back now, by signature and key: when the last came. */
  muted: Map<string, number>;
  suppressed: Record<string, number>;
}

const MAX_SIGNATURES = 500;
const MAX_MUTED = 1024;
/** The like may be this much larger than what was called normal. */
const VALUE_MARGIN = 1.5;
const EPISODE_MS = 3_600_000;

export function freshFeedback(): FeedbackState {
  return { signatures: [], muted: new Map(), suppressed: {} };
}

export function giveFeedback(state: FeedbackState, finding: Finding, kind: "normal" | "confirmed" | "undo"): void {
  state.signatures = state.signatures.filter(({ findingId }) => findingId !== finding.id);
  if (kind === "undo") return;
  const [feature] = finding.features;
  state.signatures.push({
    findingId: finding.id,
    kind,
    detector: finding.detector,
    direction: finding.direction,
    process: finding.process,
    subjectKey: finding.subjectKey,
    remoteGroup: finding.remote === "" ? "" : remoteGroup(finding.remote),
    remote: finding.remote,
    port: finding.port,
    feature: feature?.key ?? "",
    maxValue: feature?.value ?? 0,
  });
  if (state.signatures.length > MAX_SIGNATURES) state.signatures.shift();
}

/** Whether a person called the like of it normal; counts each episode once. */
export function isSuppressed(state: FeedbackState, signal: Signal): boolean {
  const value = signal.features[0]?.value ?? 0;
  const signature = state.signatures.find(
    (one) =>
      one.kind === "normal" &&
      one.detector === signal.detector &&
      one.direction === signal.direction &&
      one.process === shownText(signal.process, 32) &&
      one.subjectKey === signal.subjectKey &&
      one.port === signal.port &&
      one.remoteGroup === (signal.remote === "" ? "" : remoteGroup(signal.remote)) &&
      one.feature === (signal.features[0]?.key ?? "") &&
      (GROWS_WITH_TIME.has(one.feature) || value <= one.maxValue * VALUE_MARGIN),
  );
  if (signature === undefined) return false;
  const key = `${signature.findingId}|${signal.key}`;
  const last = state.muted.get(key);
  if (last === undefined || signal.atMs - last > Math.max(EPISODE_MS, signal.quietMs)) {
    state.suppressed[signal.detector] = (state.suppressed[signal.detector] ?? 0) + 1;
  }
  state.muted.delete(key);
  state.muted.set(key, signal.atMs);
  for (const old of state.muted.keys()) {
    if (state.muted.size <= MAX_MUTED) break;
    state.muted.delete(old);
  }
  return true;
}

/** Features that only say how long it has gone on. */
const GROWS_WITH_TIME: ReadonlySet<string> = new Set(["regular_contacts"]);

/** Traffic like what was confirmed to be an attack: never learned. */
export function isConfirmedAttack(state: FeedbackState, seen: Seen): boolean {
  return state.signatures.some(
    (one) =>
      one.kind === "confirmed" &&
      one.direction === seen.direction &&
      one.remote !== "" &&
      one.remote === seen.remote &&
      (one.port === 0 || one.port === seen.port),
  );
}
