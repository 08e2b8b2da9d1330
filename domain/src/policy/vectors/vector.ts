/** What every file of vectors is read into: worlds, and questions about them with the answer that their source states. */
import type { Direction, PolicyWorld, ProtocolNumber, Verdict } from "../model.ts";

/** One side of a connection, asked about the policies of its own endpoint. */
export interface EndQuestion {
  readonly subjectKey: string;
  /** Host whose program decides it. */
  readonly hostName: string;
  readonly direction: Direction;
  /** Canonical text addresses; `local` is the subject's own. */
  readonly remote: string;
  readonly local: string;
  readonly protocol: ProtocolNumber;
  /** The port that policy is asked about, see `policyPort`. */
  readonly port: number;
  /** What the packet itself carries: destination port, ICMP `type << 8 | code`, or 0. */
  readonly packetPort: number;
}

/**
 * One way in which a probe is asked: over one address family, or from the side of one end. The connection is allowed
 * when every question is answered with allow; sides that no policy of the case governs are not asked.
 */
export interface VectorReading {
  /** `IPv4`, or `ingress, admin tier`. */
  readonly label: string;
  readonly source: string;
  readonly destination: string;
  readonly questions: readonly EndQuestion[];
}

export interface VectorProbe {
  /** Position in the list of its case. */
  readonly index: number;
  readonly from: string;
  readonly to: string;
  /** `TCP`, or a number, as the file writes it. */
  readonly protocol: string | number;
  /** Destination port; `null` for protocols without. */
  readonly port: number | null;
  /** ICMP type and code, as the file writes them. */
  readonly icmp: { readonly type: number; readonly code: number } | null;
  readonly expect: Verdict;
  /** At least one. Each has to give what is expected. */
  readonly readings: readonly VectorReading[];
}

export interface VectorCase {
  readonly file: string;
  readonly name: string;
  /** Where the case comes from, in the words of its file. */
  readonly source: string;
  readonly world: PolicyWorld;
  readonly probes: readonly VectorProbe[];
}

/** Bounds of what is read from one file. */
export const VECTOR_LIMITS = {
  cases: 10_000,
  namespaces: 1_000,
  workloads: 1_000,
  nodes: 1_000,
  labels: 100,
  /** Of one workload or node: every pair of one family is asked. */
  addresses: 4,
  ports: 100,
  probes: 100_000,
  policiesLength: 1_048_576,
  nameLength: 512,
  noteLength: 10_000,
  tierPolicies: 1_000,
  rules: 1_000,
  conditions: 1_000,
  sets: 1_000,
  setMembers: 10_000,
  packets: 10_000,
} as const;
