/** Ways to other hosts, and the clocks, as data: for tests of probes without a network and without waiting. */
import type { EchoPort, EchoReply, Handshake, ProbePorts } from "../mesh/probes/ports.ts";
import { seededRandom } from "./seededRandom.ts";

interface Sent {
  readonly atMs: number;
  /** IPv4, dotted. */
  readonly address: string;
  readonly sequence: number;
  readonly packetBytes: number;
}

/** When a packet is answered, in milliseconds; `null` = never. */
export type Behaviour = (sent: Sent) => number | null;

interface Timer {
  readonly atMs: number;
  readonly wake: () => void;
}

interface Coming {
  readonly atMs: number;
  readonly reply: EchoReply;
}

const START_MS = 5_000;

/** Of IPv4 only. */
export class SimulatedLinks implements ProbePorts {
  readonly sent: Sent[] = [];
  readonly handshakes: { readonly atMs: number; readonly port: number }[] = [];
  behaviour: Behaviour = () => 10;
  /** Of the kernel, at sending; 0 = it takes the packet. */
  errno: (sent: Sent) => number = () => 0;
  shake: () => Handshake & { readonly afterMs: number } = () => ({
    outcome: "silent",
    latencyNs: null,
    afterMs: 1_000,
  });
  /** Wall clock minus the other. */
  wallOffsetMs = 1_700_000_000_000;
  /** The process does not run for so long when it should wake. */
  stallMs = 0;
  openProblem: string | null = null;
  wakes = 0;
  open = 0;
  /** More than the answers: what somebody else sends. */
  forge: (sent: Sent, answer: EchoReply) => readonly Coming[] = () => [];
  readonly random = seededRandom(7);
  #nowMs = START_MS;
  #timers: Timer[] = [];
  #coming: Coming[] = [];

  readonly monotonicNs = () => BigInt(Math.round(this.#nowMs * 1e6));
  readonly realtimeNs = () => BigInt(Math.round(this.#nowMs * 1e6)) + BigInt(this.wallOffsetMs) * 1_000_000n;
  readonly randomBytes = (count: number) =>
    Buffer.from(Array.from({ length: count }, () => Math.floor(this.random() * 256)));

  get nowMs(): number {
    return this.#nowMs;
  }

  readonly wakeIn = (delayMs: number, wake: () => void) => {
    const timer = { atMs: this.#nowMs + delayMs, wake };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  };

  readonly openEchoes = (family: 4 | 6): EchoPort => {
    if (this.openProblem !== null) throw new Error(this.openProblem);
    if (family !== 4) throw new Error("simulated for IPv4");
    this.open += 1;
    return {
      send: (to, sequence, payload, packetBytes) => this.#send(to, sequence, payload, packetBytes),
      receive: (visit) => {
        const here = this.#coming.filter(({ atMs }) => atMs <= this.#nowMs);
        this.#coming = this.#coming.filter(({ atMs }) => atMs > this.#nowMs);
        for (const { reply } of here) visit(reply);
      },
      close: () => {
        this.open -= 1;
      },
    };
  };

  #send(to: Buffer, sequence: number, payload: Buffer, packetBytes: number): number {
    const sent = { atMs: this.#nowMs, address: [...to.subarray(4, 8)].join("."), sequence, packetBytes };
    const errno = this.errno(sent);
    if (errno !== 0) return errno;
    this.sent.push(sent);
    const afterMs = this.behaviour(sent);
    const atMs = this.#nowMs + (afterMs ?? 10);
    const receivedAtNs = BigInt(Math.round(atMs * 1e6)) + BigInt(this.wallOffsetMs) * 1_000_000n;
    const reply = { sequence, payload: Buffer.from(payload), from: Buffer.from(to), receivedAtNs };
    if (afterMs !== null) this.#coming.push({ atMs, reply });
    this.#coming.push(...this.forge(sent, reply));
    return 0;
  }

  readonly handshake = (_address: string, port: number, signal: AbortSignal): Promise<Handshake> => {
    this.handshakes.push({ atMs: this.#nowMs, port });
    const { afterMs, ...outcome } = this.shake();
    const { promise, resolve } = Promise.withResolvers<Handshake>();
    this.wakeIn(afterMs, () => resolve(outcome));
    signal.addEventListener("abort", () => resolve({ outcome: "silent", latencyNs: null }), { once: true });
    return promise;
  };

  /** Lets time pass. */
  async run(durationMs: number): Promise<void> {
    const endMs = this.#nowMs + durationMs;
    for (;;) {
      const next = this.#timers.toSorted((one, other) => one.atMs - other.atMs)[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs) + this.stallMs;
      this.stallMs = 0;
      this.wakes += 1;
      next.wake();
      // What waits for a promise goes on.
      await Promise.resolve();
      await Promise.resolve();
      await Promise.resolve();
    }
    this.#nowMs = Math.max(this.#nowMs, endMs);
  }
}
