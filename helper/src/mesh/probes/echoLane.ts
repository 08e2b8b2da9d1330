/**
 * Echoes of one address family: what was asked and waits for its answer. An answer counts when it comes in time, once, from
 * the address that was asked, with the sequence number and the random payload of the question.
 */
import { isSameAddress } from "../../linux/icmp/socketAddress.ts";
import type { EchoPort, EchoReply, ProbePorts } from "./ports.ts";

/** With the headers of IPv6 and ICMP a packet of 64 bytes; with those of IPv4 one of 44. */
const PAYLOAD_BYTES = 16;
/** A clock that moved against the other by more was set. */
const CLOCK_STEP_NS = 200_000n;
/** A look takes less. */
const LOOK_NS = 1_000_000n;

interface Asked<Owner> {
  readonly owner: Owner;
  readonly to: Buffer;
  readonly payload: Buffer;
  readonly sentMonotonicNs: bigint;
  readonly sentRealtimeNs: bigint;
  readonly limitNs: bigint;
}

export interface EchoQuestion<Owner> {
  readonly owner: Owner;
  /** A `sockaddr`. */
  readonly to: Buffer;
  /** With the IP header; 0 = as small as can be. */
  readonly packetBytes: number;
  readonly limitMs: number;
}

type Clocks = Pick<ProbePorts, "monotonicNs" | "realtimeNs" | "randomBytes">;

export class EchoLane<Owner> {
  readonly #port: EchoPort;
  readonly #clocks: Clocks;
  /** By sequence number, the oldest first. */
  readonly #asked = new Map<number, Asked<Owner>>();
  #sequence: number;

  constructor(port: EchoPort, clocks: Clocks) {
    this.#port = port;
    this.#clocks = clocks;
    this.#sequence = clocks.randomBytes(2).readUInt16LE();
  }

  /** Returns 0, or the positive error number of the kernel's refusal; then nothing was asked. */
  ask({ owner, to, packetBytes, limitMs }: EchoQuestion<Owner>): number {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    const payload = this.#clocks.randomBytes(PAYLOAD_BYTES);
    const sentMonotonicNs = this.#clocks.monotonicNs();
    const sentRealtimeNs = this.#clocks.realtimeNs();
    const errno = this.#port.send(to, this.#sequence, payload, packetBytes);
    if (errno !== 0) return errno;
    const limitNs = BigInt(Math.round(limitMs * 1e6));
    this.#asked.set(this.#sequence, { owner, to, payload, sentMonotonicNs, sentRealtimeNs, limitNs });
    return 0;
  }

  /** Latency is `null` where the clock was set between question and answer: then it is not known. */
  collect(answered: (owner: Owner, latencyNs: number | null) => void): void {
    const monotonicNs = this.#clocks.monotonicNs();
    const realtimeNs = this.#clocks.realtimeNs();
    this.#port.receive((reply) => {
      const asked = this.#asked.get(reply.sequence);
      if (asked === undefined || !isAnswer(asked, reply)) return;
      const moved = realtimeNs - monotonicNs - (asked.sentRealtimeNs - asked.sentMonotonicNs);
      const isClockSet = moved > CLOCK_STEP_NS || moved < -CLOCK_STEP_NS;
      const tookNs = reply.receivedAtNs === null || isClockSet ? null : reply.receivedAtNs - asked.sentRealtimeNs;
      if (tookNs !== null && tookNs > asked.limitNs) return;
      this.#asked.delete(reply.sequence);
      const isPossible = tookNs !== null && tookNs > 0n && tookNs <= monotonicNs - asked.sentMonotonicNs + LOOK_NS;
      answered(asked.owner, isPossible ? Number(tookNs) : null);
    });
  }

  /** After {@link collect}: what was answered while nobody looked is no loss. */
  expire(lost: (owner: Owner) => void): void {
    const nowNs = this.#clocks.monotonicNs();
    for (const [sequence, { owner, sentMonotonicNs, limitNs }] of this.#asked) {
      if (nowNs - sentMonotonicNs < limitNs) continue;
      this.#asked.delete(sequence);
      lost(owner);
    }
  }

  /** When the next question is over, by the monotonic clock; `null` = none is open. */
  soonestNs(): bigint | null {
    let soonest: bigint | null = null;
    for (const { sentMonotonicNs, limitNs } of this.#asked.values()) {
      const endNs = sentMonotonicNs + limitNs;
      if (soonest === null || endNs < soonest) soonest = endNs;
    }
    return soonest;
  }

  /** Questions whose answers nobody wants any more. */
  forget(isUnwanted: (owner: Owner) => boolean): void {
    for (const [sequence, { owner }] of this.#asked) if (isUnwanted(owner)) this.#asked.delete(sequence);
  }

  close(): void {
    this.#asked.clear();
    this.#port.close();
  }
}

function isAnswer({ payload, to }: { readonly payload: Buffer; readonly to: Buffer }, reply: EchoReply): boolean {
  if (reply.payload.length < PAYLOAD_BYTES || !isSameAddress(to, reply.from)) return false;
  return payload.compare(reply.payload, 0, PAYLOAD_BYTES) === 0;
}
