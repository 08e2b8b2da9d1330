/** What identities need of the rest, and what they say about a peer. */

import type { MemberRecord, StoreConfiguration } from "@wardline/api/wardline/v1/cluster";
import type { SpiffeId } from "@wardline/domain/identity";
import type { Compare } from "../cluster/store/clusterStore.ts";

/** Somebody whose certificate was proven: the chain leads to the bundle, and every rule of an SVID holds. */
export interface PeerIdentity {
  readonly spiffeId: SpiffeId;
  readonly kind: "host" | "server";
  /** Of the member or of the server. */
  readonly name: string;
  /** SHA-256 over the public key (SPKI), 64 hex digits. */
  readonly keyFingerprint: string;
  /** SHA-256 over the certificate, 64 hex digits: what a renewal is signed for. */
  readonly certificateFingerprint: string;
  readonly startsAtMs: number;
  readonly expiresAtMs: number;
}

/** Who is a member, as this node knows it. */
export interface MemberDirectory {
  find(name: string): MemberRecord | null;
  /** Asks the store, for somebody whom `find` does not know or knows with another key. May throw `Failure`. */
  refresh?(name: string): Promise<MemberRecord | null>;
  onChange(listener: () => void): () => void;
}

/** What a host that is let in is told about the cluster. */
export interface ClusterSettings {
  readonly clusterName: string;
  readonly trustDomain: string;
  readonly store: StoreConfiguration;
  readonly leaseMs: number;
}

/** Goes into the `compare` of what identities write: the leader's fence, or that this candidate is still a member. */
export type Guarded = () => readonly Compare[];

/** For the audit log. Never holds a secret. */
export interface IdentityEvent {
  readonly action: "join" | "renew" | "join-refused" | "renew-refused" | "authority";
  /** The member's name as far as it is known. */
  readonly subject: string;
  readonly detail: string;
}

export type IdentityAudit = (event: IdentityEvent) => void;
