/** What the links between agents need of the rest. */

import type {
  ForwardRequest,
  ForwardResponse,
  JoinRequest,
  JoinResponse,
  LeaveRequest,
  LeaveResponse,
  RenewRequest,
  RenewResponse,
} from "@wardline/api/wardline/peer/v1/peer";
import type { MemberRecord } from "@wardline/api/wardline/v1/cluster";
import type { PeerIdentity } from "../../identity/ports.ts";

/** A member whose certificate and record were checked for this very call. */
export interface PeerCaller {
  readonly identity: PeerIdentity;
  readonly record: MemberRecord;
  readonly signal: AbortSignal;
}

export interface JoinCaller {
  /** Canonical address of the other end. */
  readonly remoteAddress: string;
  readonly signal: AbortSignal;
}

/** What stands behind the peer service. Each throws `Failure`. `Admission` has join and renew; leave and forward are the node's. */
export interface PeerHandlers {
  join(request: JoinRequest, caller: JoinCaller): Promise<JoinResponse>;
  /** `caller.identity` may be over (see `renewAfterExpiryMs`), never a stranger. */
  renew(request: RenewRequest, caller: PeerCaller): Promise<RenewResponse>;
  leave(request: LeaveRequest, caller: PeerCaller): Promise<LeaveResponse>;
  forward(request: ForwardRequest, caller: PeerCaller): Promise<ForwardResponse>;
}

/** Another member, by what its record says. */
export type PeerTarget = Pick<MemberRecord, "name" | "peerAddress">;

export interface PeerCallOptions {
  readonly signal?: AbortSignal;
  /** 5 s unless given. */
  readonly timeoutMs?: number;
}

/** What one Ping says about two clocks. */
export interface ClockReading {
  /** This node's wall clock minus the peer's, in milliseconds. */
  readonly offsetMs: number;
  /** The offset is right within this, whatever the way there and back took. */
  readonly uncertaintyMs: number;
  readonly roundTripMs: number;
}
