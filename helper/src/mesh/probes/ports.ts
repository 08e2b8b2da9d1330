/** What probes need of the world. Tests give their own. */

/** A reply that may be ours. Buffers are views that hold only during the call. */
export interface EchoReply {
  readonly sequence: number;
  readonly payload: Buffer;
  readonly from: Buffer;
  readonly receivedAtNs: bigint | null;
}

/** Echo requests of one address family. */
export interface EchoPort {
  /** Returns 0, or the positive error number of the kernel's refusal. `to` is a `sockaddr`. */
  send(to: Buffer, sequence: number, payload: Buffer, packetBytes: number): number;
  receive(visit: (reply: EchoReply) => void): void;
  close(): void;
}

export interface Handshake {
  /** `refused` = the host answered that nobody listens; `kept in` = this host let nothing out. */
  readonly outcome: "answered" | "refused" | "silent" | "kept in";
  /** As the kernel measured it; `null` = it did not. */
  readonly latencyNs: number | null;
}

export interface ProbePorts {
  /** Throws where there can be no echoes; the message becomes a problem that is told. */
  readonly openEchoes: (family: 4 | 6) => EchoPort;
  /** Never rejects, and ends in time: `silent` after `limitMs`. */
  readonly handshake: (address: string, port: number, signal: AbortSignal, limitMs: number) => Promise<Handshake>;
  /** Nanoseconds that no step of the wall clock touches. */
  readonly monotonicNs: () => bigint;
  /** The wall clock with which the kernel stamps what it receives, in nanoseconds. */
  readonly realtimeNs: () => bigint;
  /** 0 to 1. */
  readonly random: () => number;
  readonly randomBytes: (count: number) => Buffer;
  /** Calls back once. Returns what cancels it. Does not keep the process alive. */
  readonly wakeIn: (delayMs: number, wake: () => void) => () => void;
}

/** A host that does not answer for so long has lost the packet. */
export const ANSWER_LIMIT_MS = 1_000;
/** Lost in a row until a target is unreachable. */
export const LOST_UNTIL_UNREACHABLE = 3;
