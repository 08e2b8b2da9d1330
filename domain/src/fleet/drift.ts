/** How far what a host enforces is from what it should enforce. */

export type DriftKind = "none" | "other-state" | "behind" | "never-applied" | "unknown";

export interface DriftFacts {
  /** State that was last confirmed for the host from here, 64 hex digits; empty = none was. */
  readonly desiredStateDigest: string;
  /** What it enforces; `null` when it never said. Empty = nothing was ever applied there. */
  readonly enforcedStateDigest: string | null;
  /** A change was rolled out while it was away, and waits for its return. */
  readonly isAwaited: boolean;
  /** Whether what is known of it is of now. */
  readonly isConnected: boolean;
}

export function driftOf({ desiredStateDigest, enforcedStateDigest, isAwaited, isConnected }: DriftFacts): DriftKind {
  if (isAwaited) return "behind";
  if (!isConnected || enforcedStateDigest === null) return "unknown";
  if (desiredStateDigest === "") return "never-applied";
  return desiredStateDigest === enforcedStateDigest ? "none" : "other-state";
}
