/** How far this node's clock is from the leader's, asked now and then. For people: nothing is decided by wall clocks. */
import type { Clock } from "../../agent/clock.ts";
import { waitFor } from "../leadership/waiting.ts";
import type { LeadershipView } from "../ports.ts";

export interface ClockMeasurement {
  /** This node's clock minus the other's. */
  readonly offsetMs: number;
  readonly uncertaintyMs: number;
}

/** Asks the leader for its clock; rejects when it cannot be reached. */
export type MeasureClock = (leaderName: string, signal: AbortSignal) => Promise<ClockMeasurement>;

export interface ClockWatchPorts {
  readonly measure: MeasureClock;
  readonly leadership: Pick<LeadershipView, "leader" | "onChange">;
  readonly self: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** Grows with the number of members: all of them ask the one leader. */
  readonly intervalMs: () => number;
  readonly onMeasured: () => void;
}

const FIRST_WITHIN_MS = 5_000;
const MEASURE_TIMEOUT_MS = 5_000;
const FAILURES_UNTIL_UNKNOWN = 3;

export class ClockWatch {
  readonly #ports: ClockWatchPorts;
  readonly #stopping = new AbortController();
  #running: Promise<void> | null = null;
  #newLeader = new AbortController();
  #latest: ClockMeasurement | null = null;
  #measuredAgainst: string | undefined;
  #failures = 0;

  constructor(ports: ClockWatchPorts) {
    this.#ports = ports;
  }

  /** `null` = this node leads, nobody does, or the leader did not answer. */
  get latest(): ClockMeasurement | null {
    return this.#latest;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { leadership, clock, random, intervalMs } = this.#ports;
    const { signal } = this.#stopping;
    let leader = leadership.leader()?.name;
    const forget = leadership.onChange(() => {
      const next = leadership.leader()?.name;
      if (next !== leader) this.#newLeader.abort();
      leader = next;
    });
    while (!signal.aborted) {
      // Not all at once when a leader is new.
      await waitFor(clock, random() * FIRST_WITHIN_MS * Math.max(1, intervalMs() / 60_000), signal);
      this.#newLeader = new AbortController();
      if (!signal.aborted) await this.#measure();
      await waitFor(clock, intervalMs() * (0.9 + random() / 5), signal, this.#newLeader.signal);
    }
    forget();
  }

  async #measure(): Promise<void> {
    const { leadership, self, onMeasured } = this.#ports;
    const before = this.#latest;
    const leader = leadership.leader()?.name;
    const isOther = leader !== this.#measuredAgainst;
    this.#measuredAgainst = leader;
    const found = leader === undefined || leader === self ? null : await this.#ask(leader);
    this.#failures = found === null ? this.#failures + 1 : 0;
    // One question without an answer does not make a clock right again.
    const isOutdated = isOther || leader === self || this.#failures >= FAILURES_UNTIL_UNKNOWN;
    if (found !== null || isOutdated) this.#latest = found;
    if (before !== this.#latest) onMeasured();
  }

  /** Whoever cannot be asked is no news about clocks; that it does not answer shows elsewhere. */
  async #ask(leader: string): Promise<ClockMeasurement | null> {
    const { measure, clock } = this.#ports;
    const limit = new AbortController();
    const cancel = clock.schedule(MEASURE_TIMEOUT_MS, () => limit.abort());
    const abort = (): void => limit.abort();
    this.#stopping.signal.addEventListener("abort", abort, { once: true });
    try {
      return await measure(leader, limit.signal);
    } catch {
      return null;
    } finally {
      cancel();
      this.#stopping.signal.removeEventListener("abort", abort);
    }
  }
}
