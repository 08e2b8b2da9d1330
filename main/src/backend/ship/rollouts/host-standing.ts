/** How a host stands to a change that was sent to it, from what it says of itself. */

import { timestampMs } from "@bufbuild/protobuf/wkt";
import { Reachability } from "@wardline/api/wardline/console/v1/hosts";
import type { HostStatus } from "@wardline/api/wardline/v1/host";
import type { ManagedHost } from "../../hosts/managed-host.ts";

export type Standing =
  /** It waits for the confirmation of this change. */
  | "pending"
  /** It enforces it for good: somebody confirmed. */
  | "kept"
  /** It enforces something else. */
  | "other"
  /** What is known is older than the change. */
  | "unknown";

export interface SentChange {
  readonly stateDigest: string;
  readonly baseGeneration: bigint;
  /** Number on the host; 0 = it has not answered. */
  readonly generation: bigint;
  /** When the host flipped, by its own clock; 0 = not known. */
  readonly appliedAtMs: number;
}

export function standingOf(status: HostStatus, sent: SentChange): Standing {
  // A status from before the flip says nothing about it.
  if (sent.appliedAtMs > 0 && status.observedAt && timestampMs(status.observedAt) <= sent.appliedAtMs) return "unknown";
  const { pending, enforced } = status;
  const isOurs = (number: bigint, stateDigest: string) =>
    stateDigest === sent.stateDigest &&
    (sent.generation > 0n ? number === sent.generation : number > sent.baseGeneration);
  if (pending?.generation && isOurs(pending.generation.number, pending.generation.stateDigest)) return "pending";
  if (!enforced) return "other";
  // A host that follows an expiry or a domain name by itself goes on to later numbers with the same policies.
  const goesOn = enforced.number > sent.baseGeneration && enforced.number >= sent.generation;
  return goesOn && enforced.stateDigest === sent.stateDigest && !pending ? "kept" : "other";
}

/** What the host says now; `null` when it is not connected or has not spoken since. */
export function heardSince({ connection }: ManagedHost, sinceMs: number): HostStatus | null {
  const { reachability, status, lastHeardAtMs } = connection.state;
  return reachability === Reachability.CONNECTED && lastHeardAtMs > sinceMs ? status : null;
}
