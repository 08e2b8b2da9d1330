/** From a detector's tail and the wanted number of false alarms to the ratio at which it speaks, and what a ratio is worth. */
import type { DetectorKind } from "../finding.ts";
import type { Rarity } from "../findings/ledger.ts";
import type { AnomalySettings } from "../model.ts";
import { type TailState, tailChance, tailScore } from "./tail.ts";

/** Parts of the wanted false alarms that a detector may use up. Together 1. */
const SHARES: Readonly<Record<DetectorKind, number>> = {
  baseline: 0.18,
  "isolation-forest": 0.18,
  novelty: 0.12,
  exfiltration: 0.12,
  beacon: 0.12,
  "deny-burst": 0.08,
  "port-scan": 0.05,
  "host-scan": 0.05,
  "brute-force": 0.05,
  "lateral-movement": 0.05,
};

/** These have a threshold that holds for any host; the host's own hours move it, within these factors. */
const BOUNDS: Readonly<Record<"structural" | "statistical", { readonly low: number; readonly high: number }>> = {
  structural: { low: 0.6, high: 2 },
  statistical: { low: 0.8, high: 3 },
};

export const STATISTICAL: ReadonlySet<DetectorKind> = new Set(["baseline", "isolation-forest", "novelty"]);

const HOURS_PER_DAY = 24;

/**
 * The host's own hours can raise a threshold only to {@link BOUNDS}, however long somebody takes for it: what lies beyond is
 * told whatever the host has got used to.
 */
export function limitOf(detector: DetectorKind, tail: TailState, { targetFalseAlarmsPerDay }: AnomalySettings): number {
  const perHour = (targetFalseAlarmsPerDay * SHARES[detector]) / HOURS_PER_DAY;
  const wanted = tailScore(tail, perHour);
  if (wanted === null) return 1;
  const { low, high } = BOUNDS[STATISTICAL.has(detector) ? "statistical" : "structural"];
  return Math.min(high, Math.max(low, wanted));
}

/** Without a calibration the score says only how far beyond the threshold it is: 0.95 at it. */
export function rarityOf(tail: TailState, ratio: number): Rarity {
  const chance = tailChance(tail, ratio);
  if (chance === null) return { score: 1 - 0.05 / Math.max(1, ratio), falseAlarmsPerDay: null };
  return { score: 1 - chance, falseAlarmsPerDay: chance * HOURS_PER_DAY };
}
