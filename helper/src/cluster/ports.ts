/** How the parts of the cluster see each other. Each part is built with what it needs of these, and tested with that. */

import type { SecureContextOptions } from "node:tls";
import type { Member, MemberRecord, StoreConfiguration, Term } from "@wardline/api/wardline/v1/cluster";
import type { Compare } from "./store/clusterStore.ts";

/** The right to write, for as long as the term lasts. */
export interface HeldTerm {
  readonly number: bigint;
  /** Goes into the `compare` of every transaction of the leader: it fails in the store itself once another leads. */
  readonly fence: readonly Compare[];
  /** Aborted when the term is over, or might be: the lease was not renewed in time by this node's own monotonic clock. */
  readonly signal: AbortSignal;
}

export interface LeadershipView {
  /** This node's term, or `null` while it does not lead. */
  held(): HeldTerm | null;
  /** Who leads now as far as this node knows; `null` = nobody, or not known. */
  leader(): { readonly name: string; readonly term: bigint } | null;
  /** Newest first. */
  terms(): readonly Term[];
  /** Called after each change of the three above. Returns the unsubscriber. */
  onChange(listener: () => void): () => void;
}

/** Something that is done once for all, by the leader. */
export interface LeaderDuty {
  readonly name: string;
  /** Runs while the term lasts and ends soon after its signal. What it throws is logged and the duty started anew, with a pause. */
  run(term: HeldTerm): Promise<void>;
}

export interface MembershipView {
  /** By name; what is known, also while the store is out of reach. */
  members(): readonly Member[];
  onChange(listener: () => void): () => void;
}

/** This node's own certificate and who it trusts. Changes while running. */
export interface NodeIdentity {
  readonly name: string;
  readonly trustDomain: string;
  readonly spiffeId: string;
  /** PEM, PEM, PEM: for a TLS context of the moment; ask anew for each connection. */
  credentials(): Required<Pick<SecureContextOptions, "cert" | "key" | "ca">>;
  readonly expiresAtMs: number;
  onChange(listener: () => void): () => void;
}

/** What a member keeps on its own disk, 0600: enough to find the cluster again. */
export interface ClusterConfiguration {
  readonly clusterName: string;
  readonly trustDomain: string;
  readonly memberName: string;
  readonly candidate: boolean;
  readonly peerAddress: string;
  readonly store: StoreConfiguration;
  readonly leaseMs: number;
  /** Last known, for when the store cannot be asked. */
  readonly knownMembers: readonly Pick<MemberRecord, "name" | "peerAddress" | "candidate" | "spiffeId">[];
}
