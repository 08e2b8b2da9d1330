/** Calls to other members, each over mutual TLS to exactly the member that is meant. */
import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type ForwardRequest,
  type ForwardResponse,
  type LeaveRequest,
  type LeaveResponse,
  PingRequestSchema,
  type RenewRequest,
  type RenewResponse,
} from "@wardline/api/wardline/peer/v1/peer";
import { ErrorCode, Failure } from "@wardline/domain/errors";
import { type Clock, toTimestamp } from "../../agent/clock.ts";
import { memberProblem } from "../../identity/memberGate.ts";
import { parsePeerAddress } from "../../identity/peerAddress.ts";
import type { MemberDirectory } from "../../identity/ports.ts";
import { verifyPeer } from "../../identity/verifyPeer.ts";
import type { LinkIdentity } from "./linkIdentity.ts";
import { PeerLink } from "./peerLink.ts";
import type { ClockReading, PeerCallOptions, PeerTarget } from "./ports.ts";

export interface PeerClientPorts {
  readonly identity: LinkIdentity;
  readonly directory: MemberDirectory;
  readonly clock: Clock;
}

const MAX_LINKS = 64;
const PINGS = 3;

export class PeerClient {
  readonly #ports: PeerClientPorts;
  /** By member and address, the one used last at the end. */
  readonly #links = new Map<string, PeerLink>();
  readonly #end: () => void;
  #isClosed = false;

  constructor(ports: PeerClientPorts) {
    this.#ports = ports;
    // A new certificate means new connections; what is under way ends on the old ones.
    this.#end = ports.identity.onChange(() => this.#retireAll());
  }

  /** Throws `Failure`; see PeerLink.call. */
  forward(target: PeerTarget, request: ForwardRequest, options: PeerCallOptions = {}): Promise<ForwardResponse> {
    const usual = { timeoutMs: 60_000, ...options };
    return this.#call(target, usual, (link) => link.call(usual, (client, call) => client.forward(request, call)));
  }

  /** Throws `Failure`; see PeerLink.call. */
  leave(target: PeerTarget, request: LeaveRequest, options: PeerCallOptions = {}): Promise<LeaveResponse> {
    return this.#call(target, options, (link) => link.call(options, (client, call) => client.leave(request, call)));
  }

  /** Works also with a certificate that is over: see `renewalCredentials`. */
  async renew(target: PeerTarget, request: RenewRequest, options: PeerCallOptions = {}): Promise<RenewResponse> {
    const usual = { timeoutMs: 20_000, ...options };
    const link = this.#newLink(target, this.#ports.identity.renewalCredentials());
    try {
      return await link.call(usual, (client, call) => client.renew(request, call));
    } finally {
      link.close();
    }
  }

  /** Asks one candidate after the other. Throws what the last one said. */
  async renewAtAny(candidates: readonly PeerTarget[], request: RenewRequest): Promise<RenewResponse> {
    let problem = new Failure({
      code: ErrorCode.HOST_UNREACHABLE,
      message: "This host knows no candidate of the cluster that it could ask for a certificate.",
      retryable: true,
    });
    for (const candidate of candidates.filter(({ name }) => name !== this.#ports.identity.name)) {
      try {
        return await this.renew(candidate, request);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        problem = error;
      }
    }
    throw problem;
  }

  /** The clocks of the two, from the fastest of three round trips. */
  async ping(target: PeerTarget, options: PeerCallOptions = {}): Promise<ClockReading> {
    let best: ClockReading | null = null;
    for (let count = 0; count < PINGS; count += 1) {
      const reading = await this.#pingOnce(target, options);
      if (best === null || reading.roundTripMs < best.roundTripMs) best = reading;
    }
    return best as ClockReading;
  }

  close(): void {
    this.#isClosed = true;
    this.#end();
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
  }

  #pingOnce(target: PeerTarget, options: PeerCallOptions): Promise<ClockReading> {
    const { clock } = this.#ports;
    return this.#call(target, options, (link) =>
      link.call(options, async (client, call) => {
        // The wall clock may be set between the two; the way there and back is measured by the other clock.
        const sentWallMs = clock.wallMs();
        const sentMs = preciseMs(clock);
        const answer = await client.ping(create(PingRequestSchema, { sentAt: toTimestamp(sentWallMs) }), call);
        const roundTripMs = preciseMs(clock) - sentMs;
        if (!answer.receivedAt)
          throw new Failure({ code: ErrorCode.INTERNAL, message: `${target.name} told no time.` });
        const offsetMs = sentWallMs + roundTripMs / 2 - timestampMs(answer.receivedAt);
        // Half of the way, and the millisecond to which wall clocks are read.
        return { offsetMs, roundTripMs, uncertaintyMs: roundTripMs / 2 + 1 };
      }),
    );
  }

  /** A member that has just renewed its certificate may be ahead of what this node has heard: then it asks the store, once. */
  async #call<T>(target: PeerTarget, options: PeerCallOptions, run: (link: PeerLink) => Promise<T>): Promise<T> {
    try {
      return await run(this.#linkTo(target));
    } catch (error) {
      const { directory } = this.#ports;
      const mayBeStale = error instanceof Failure && error.cause instanceof StaleRecord;
      if (!mayBeStale || !directory.refresh || options.signal?.aborted) throw error;
      await directory.refresh(target.name);
      return run(this.#linkTo(target));
    }
  }

  #linkTo(target: PeerTarget): PeerLink {
    if (this.#isClosed) throw new Failure({ code: ErrorCode.CANCELED, message: "The peer links are closed." });
    const key = `${target.name} ${target.peerAddress}`;
    const known = this.#links.get(key);
    const link = known ?? this.#newLink(target, this.#ports.identity.credentials());
    this.#links.delete(key);
    this.#links.set(key, link);
    this.#dropOldest();
    return link;
  }

  #newLink({ name, peerAddress }: PeerTarget, credentials: ReturnType<LinkIdentity["credentials"]>): PeerLink {
    const address = parsePeerAddress(peerAddress);
    return new PeerLink({ name, address, credentials, judge: (chain) => this.#judge(name, chain) });
  }

  /** The certificate has to be exactly that member's. What its record says of the key counts as far as it is known. */
  #judge(name: string, chain: readonly Uint8Array[]): Failure | null {
    const { identity, directory, clock } = this.#ports;
    const nowMs = clock.wallMs();
    const peer = verifyPeer(chain, identity.roots, nowMs);
    if (peer instanceof Failure) return peer;
    if (peer.kind !== "host" || peer.name !== name) {
      const message = `At the address of ${name} answers ${peer.kind} ${peer.name}.`;
      return new Failure({ code: ErrorCode.IDENTITY_REFUSED, message });
    }
    const record = directory.find(name);
    const problem = record ? memberProblem(peer, record, nowMs) : null;
    return problem && staleRecord(problem);
  }

  #retireAll(): void {
    for (const link of this.#links.values()) link.retire();
    this.#links.clear();
  }

  #dropOldest(): void {
    const [oldest] = this.#links;
    if (this.#links.size <= MAX_LINKS || !oldest) return;
    this.#links.delete(oldest[0]);
    oldest[1].retire();
  }
}

class StaleRecord extends Error {}

function staleRecord({ code, message, hint }: Failure): Failure {
  return new Failure({ code, message, hint }, { cause: new StaleRecord() });
}

function preciseMs(clock: Clock): number {
  return Number(clock.bootNs()) / 1e6;
}
