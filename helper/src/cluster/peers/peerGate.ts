/** Who may make which call. Asked before a request is read. */
import { X509Certificate } from "node:crypto";
import type { DescMethod } from "@bufbuild/protobuf";
import { PeerService } from "@wardline/api/wardline/peer/v1/peer";
import type { MemberRecord } from "@wardline/api/wardline/v1/cluster";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { bootMs, type Clock } from "../../agent/clock.ts";
import { authoriseMember, RENEW_AFTER_EXPIRY_MS } from "../../identity/memberGate.ts";
import type { MemberDirectory, PeerIdentity } from "../../identity/ports.ts";
import type { Roots } from "../../identity/trustBundle.ts";
import { verifyPeer } from "../../identity/verifyPeer.ts";
import type { PeerSession } from "./sessions.ts";

export interface PeerGatePorts {
  readonly directory: MemberDirectory;
  readonly clock: Clock;
  readonly roots: () => Roots;
}

export interface Admitted {
  readonly identity: PeerIdentity;
  readonly record: MemberRecord;
}

function noCertificate(): Failure {
  const message = "This call needs the certificate of a member.";
  return new Failure({ code: ErrorCode.IDENTITY_REFUSED, message });
}

function notCandidate(name: string): Failure {
  const message = `${name} is a plain member: only candidates hand on what people wrote.`;
  return new Failure({ code: ErrorCode.PERMISSION_DENIED, message });
}

/** Somebody who is refused again and again costs the store one question in this time. */
const ASK_AGAIN_MS = 2_000;
const MAX_REMEMBERED = 1_024;

export class PeerGate {
  readonly #ports: PeerGatePorts;
  /** Keys that the store said no to, and when. */
  readonly #refusedAtMs = new Map<string, number>();

  constructor(ports: PeerGatePorts) {
    this.#ports = ports;
  }

  /** Who the chain proves now; `null` = nobody. Whether that is a member is asked at each call. */
  identify(chain: readonly Uint8Array[]): PeerIdentity | null {
    if (chain.length === 0) return null;
    const proven = verifyPeer(chain, this.#ports.roots(), this.#wallMs);
    return proven instanceof Failure ? null : proven;
  }

  /** `null` for Join, which takes a secret instead. Throws `Failure`. */
  async admit(method: DescMethod, session: PeerSession): Promise<Admitted | null> {
    if (method === PeerService.method.join) return null;
    if (session.chain.length === 0) throw noCertificate();
    const isRenewal = method === PeerService.method.renew;
    const identity = this.#prove(session, isRenewal);
    const graceMs = isRenewal ? RENEW_AFTER_EXPIRY_MS : 0;
    const record = await authoriseMember(identity, this.#directoryFor(identity), this.#wallMs, graceMs);
    if (record instanceof Failure) {
      this.#remember(identity);
      throw record;
    }
    if (method === PeerService.method.forward && !record.candidate) throw notCandidate(identity.name);
    session.isMember = true;
    return { identity, record };
  }

  /** Does a connection that was a member's still belong to one? Asks the store before it says no. */
  async stillHolds(session: PeerSession): Promise<boolean> {
    if (!session.identity) return true;
    const { directory, roots } = this.#ports;
    if (verifyPeer(session.chain, roots(), this.#wallMs) instanceof Failure) return false;
    try {
      return !((await authoriseMember(session.identity, directory, this.#wallMs)) instanceof Failure);
    } catch {
      // The store is out of reach: what this node knows has said no.
      return false;
    }
  }

  get #wallMs(): number {
    return this.#ports.clock.wallMs();
  }

  #directoryFor({ keyFingerprint }: PeerIdentity): MemberDirectory {
    const { directory, clock } = this.#ports;
    const atMs = this.#refusedAtMs.get(keyFingerprint);
    if (atMs === undefined || bootMs(clock) - atMs >= ASK_AGAIN_MS) return directory;
    return { find: (name) => directory.find(name), onChange: (listener) => directory.onChange(listener) };
  }

  #remember({ keyFingerprint }: PeerIdentity): void {
    const nowMs = bootMs(this.#ports.clock);
    const atMs = this.#refusedAtMs.get(keyFingerprint);
    // The time counts from the question, so that who keeps asking is asked about again.
    if (atMs !== undefined && nowMs - atMs < ASK_AGAIN_MS) return;
    if (this.#refusedAtMs.size >= MAX_REMEMBERED) this.#refusedAtMs.clear();
    this.#refusedAtMs.set(keyFingerprint, nowMs);
  }

  #prove(session: PeerSession, isRenewal: boolean): PeerIdentity {
    const { roots } = this.#ports;
    const nowMs = this.#wallMs;
    const { identity } = session;
    if (identity && nowMs >= identity.startsAtMs && nowMs < identity.expiresAtMs) return identity;
    const proven = verifyPeer(session.chain, roots(), nowMs);
    if (!(proven instanceof Failure)) {
      session.identity = proven;
      return proven;
    }
    if (!isRenewal) throw proven;
    return this.#proveAtItsEnd(session, nowMs, proven);
  }

  /** A certificate that was right until it ended, not too long ago. */
  #proveAtItsEnd({ chain }: PeerSession, nowMs: number, problem: Failure): PeerIdentity {
    const endMs = new X509Certificate(chain[0] as Uint8Array).validToDate.getTime();
    if (!(endMs <= nowMs && nowMs < endMs + RENEW_AFTER_EXPIRY_MS)) throw problem;
    const atItsEnd = verifyPeer(chain, this.#ports.roots(), endMs - 1);
    if (atItsEnd instanceof Failure) throw problem;
    return atItsEnd;
  }
}
