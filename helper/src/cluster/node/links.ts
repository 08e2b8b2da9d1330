/** What a member has besides a node that is alone: an identity, a peer service, and calls to the others. */
import type {
  CreateJoinTokenRequest,
  CreateJoinTokenResponse,
  IssueCertificateRequest,
  IssueCertificateResponse,
} from "@wardline/api/wardline/agent/v1/cluster";
import type { ForwardRequest, ForwardResponse } from "@wardline/api/wardline/peer/v1/peer";
import type { StoreConfiguration } from "@wardline/api/wardline/v1/cluster";
import type { ClockMeasurement } from "../membership/membership.ts";
import type { LinkIdentity } from "../peers/linkIdentity.ts";
import type { HeldTerm, LeaderDuty, MembershipView } from "../ports.ts";
import type { ClusterStore } from "../store/clusterStore.ts";
import type { MemberUsers } from "./memberUsers.ts";
import type { ForwardingPeer } from "./writeDesk.ts";

export interface LinkSurroundings {
  readonly store: ClusterStore;
  readonly membership: MembershipView;
  /** What another member hands on to this one. */
  readonly answer: (request: ForwardRequest, peer: ForwardingPeer) => Promise<ForwardResponse>;
}

export interface Links {
  readonly identity: LinkIdentity;
  /** Rotation of the authority, tokens that are over. */
  readonly duties: readonly LeaderDuty[];
  /** Sentences: a certificate that cannot be renewed, a port that cannot be opened. */
  problems(): readonly string[];
  /** Begins to answer others and to renew its own certificate. Never rejects: what is in the way is a problem. */
  start(surroundings: LinkSurroundings): Promise<void>;
  close(): Promise<void>;
  measureClock(memberName: string, signal: AbortSignal): Promise<ClockMeasurement>;
  /** Throws `Failure` STORE_UNAVAILABLE, IDENTITY_REFUSED, DEADLINE_EXCEEDED, or what the leader answered. */
  forward(leaderName: string, request: ForwardRequest, timeoutMs: number): Promise<ForwardResponse>;
  /** What a candidate says, asked over a connection of its own; `null` = none of them answered. */
  isStillMember(): Promise<boolean | null>;
  /** Lets a candidate end this member's record. Throws what the last one that was asked said. */
  leave(actor: string): Promise<void>;
  /** For a store that knows its members. */
  memberUsers(store: StoreConfiguration): MemberUsers;
  createJoinToken(request: CreateJoinTokenRequest, createdBy: string, term: HeldTerm): Promise<CreateJoinTokenResponse>;
  issueCertificate(request: IssueCertificateRequest): Promise<IssueCertificateResponse>;
}
