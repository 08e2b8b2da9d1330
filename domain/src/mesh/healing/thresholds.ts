/**
 * Every limit of the healing, in one place. Monitor, analysis and verification ask these functions and nothing else, so that what
 * is a symptom to one is the same symptom to all. A value exactly on a limit belongs to the bad side (`>=`, or `<=` for quality),
 * a time exactly over is over (`>=`).
 */
import { FLAPPING } from "../flapping.ts";
import { MeshFault } from "./model.ts";

export const LIMITS = {
  /** Share of lost echoes. */
  lossShare: 0.1,
  latencyMs: 500,
  /** Of batman-adv: TQ / 255. */
  qualityShare: 0.3,
  /** Loss over fewer echoes is chance. */
  fewestEchoes: 5,
  /** One direction at the limit of loss, the other at most at this: it is asymmetric. */
  fineLossShare: 0.05,
  /** Ups and downs of one thing within the window that make it flap; the window is also the quiet that ends it. */
  flapChanges: FLAPPING.transitions,
  flapWindowMs: FLAPPING.windowMs,
  /** An observation that is older says nothing about now. Agents tell at least every 10 s. */
  staleMs: 15_000,
  /** A link to a host of which nothing was heard since is not called down before: the host itself may be gone. */
  suspicionMs: 12_000,
  /** Time that neighbours have to come back after a daemon or a host did. */
  reconnectMs: 15_000,
  /** A found (not configured) neighbour that is gone for longer is forgotten. */
  rememberedMs: 600_000,
} as const;

export const TIMES = {
  /** After an order was sent: the symptom has to begin to be gone. */
  actionLimitMs: 30_000,
  orderValidMs: 20_000,
  /** After an order's end of validity: no receipt will come any more. */
  receiptGraceMs: 5_000,
  breakerFailures: 3,
  breakerMs: 3_600_000,
  hourMs: 3_600_000,
} as const;

export const isLossy = (loss: number | undefined): boolean => loss !== undefined && loss >= LIMITS.lossShare;
export const isFineLoss = (loss: number | undefined): boolean => loss !== undefined && loss <= LIMITS.fineLossShare;
export const isSlow = (latencyMs: number | undefined): boolean =>
  latencyMs !== undefined && latencyMs >= LIMITS.latencyMs;
export const isPoor = (quality: number | undefined): boolean => quality !== undefined && quality <= LIMITS.qualityShare;
export const isStale = (receivedAtMs: number, nowMs: number): boolean => nowMs - receivedAtMs >= LIMITS.staleMs;

/** How long a symptom lasts before it is called a fault. */
const CONFIRMED_AFTER_MS: Readonly<Partial<Record<MeshFault, number>>> = {
  [MeshFault.DAEMON_DOWN]: 1_000,
  [MeshFault.DAEMON_HUNG]: 1_000,
  [MeshFault.DAEMON_UNSUPPORTED]: 1_000,
  // Nobody reached it for a second before that is a symptom.
  [MeshFault.HOST_GONE]: 1_000,
  [MeshFault.PEER_DOWN]: 1_000,
  [MeshFault.AGENT_GONE]: 2_000,
  [MeshFault.LINK_DEGRADED]: 10_000,
  [MeshFault.ASYMMETRIC_LOSS]: 10_000,
  [MeshFault.REDUNDANCY_LOST]: 15_000,
  [MeshFault.VERSION_SPLIT]: 5_000,
  [MeshFault.LINK_FLAPPING]: 0,
};

/** Loss that was tested for is no bad luck: half a second for the other end, which tests by itself, to say the same. */
const PROVEN_AFTER_MS = 500;

export function confirmedAfterMs(fault: MeshFault, isProven = false): number {
  const usualMs = CONFIRMED_AFTER_MS[fault] ?? 2_000;
  return isProven ? Math.min(PROVEN_AFTER_MS, usualMs) : usualMs;
}

/** A symptom that is younger may be confirmed at any moment: who decides looks more often then. */
export const UNSETTLED_MS = 2_500;

/** How long a fault lasts before something is done: many go by themselves, and a link that flaps is not acted on in between. */
const SETTLED_AFTER_MS: Readonly<Partial<Record<MeshFault, number>>> = {
  [MeshFault.DAEMON_DOWN]: 2_000,
  [MeshFault.DAEMON_HUNG]: 3_000,
  [MeshFault.PEER_DOWN]: 6_000,
  [MeshFault.PARTITION]: 6_000,
  [MeshFault.GATEWAY_LOST]: 5_000,
  [MeshFault.LINK_DEGRADED]: 30_000,
  [MeshFault.ASYMMETRIC_LOSS]: 30_000,
  [MeshFault.REDUNDANCY_LOST]: 30_000,
};

export function settledAfterMs(fault: MeshFault): number {
  return SETTLED_AFTER_MS[fault] ?? 5_000;
}
