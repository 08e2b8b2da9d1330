/**
 * Runs what the leader does once for all, as long as this node leads. A duty that fails is started anew after a pause; one
 * that goes on after its term is reported, and is not started a second time beside itself.
 */
import type { Logger } from "pino";
import type { Clock } from "../../agent/clock.ts";
import type { HeldTerm, LeaderDuty, LeadershipView } from "../ports.ts";
import { backOffMs, sentenceOf, waitFor } from "./waiting.ts";

export interface DutyRunnerPorts {
  readonly leadership: Pick<LeadershipView, "held" | "onChange">;
  /** Names are unique. */
  readonly duties: readonly LeaderDuty[];
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Pick<Logger, "info" | "warn">;
  /** How long a duty may take to end after its signal before it is reported; 5 s unless given. */
  readonly stopWithinMs?: number;
}

const STOP_WITHIN_MS = 5_000;
const PAUSE = { firstMs: 1_000, longestMs: 30_000 };

export class DutyRunner {
  readonly #ports: DutyRunnerPorts;
  readonly #stopping = new AbortController();
  /** Runs that have not ended, by duty. */
  readonly #runs = new Map<string, Promise<void>>();
  readonly #startedForTerm = new Map<string, bigint>();
  readonly #problems = new Map<string, string>();
  #forget: (() => void) | null = null;

  constructor(ports: DutyRunnerPorts) {
    this.#ports = ports;
  }

  start(): void {
    if (this.#forget !== null || this.#stopping.signal.aborted) return;
    this.#forget = this.#ports.leadership.onChange(() => this.#look());
    this.#look();
  }

  /** Waits for the duties, at most `stopWithinMs`. Never rejects. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#forget?.();
    const ended = new AbortController();
    const all = Promise.all(this.#runs.values()).then(() => ended.abort());
    await Promise.race([all, waitFor(this.#ports.clock, this.#stopWithinMs, ended.signal)]);
  }

  /** Sentences: duties that fail, and duties that go on after their term. */
  problems(): readonly string[] {
    return [...this.#problems.values()];
  }

  get #stopWithinMs(): number {
    return this.#ports.stopWithinMs ?? STOP_WITHIN_MS;
  }

  #look(): void {
    const held = this.#stopping.signal.aborted ? null : this.#ports.leadership.held();
    if (!held) return;
    for (const duty of this.#ports.duties) {
      if (this.#runs.has(duty.name) || this.#startedForTerm.get(duty.name) === held.number) continue;
      this.#startedForTerm.set(duty.name, held.number);
      this.#launch(duty, held);
    }
  }

  #launch(duty: LeaderDuty, held: HeldTerm): void {
    const signal = AbortSignal.any([held.signal, this.#stopping.signal]);
    const term: HeldTerm = { number: held.number, fence: held.fence, signal };
    const ended = new AbortController();
    const onAbort = (): void => void this.#reportUnlessEnded(duty, ended.signal);
    signal.addEventListener("abort", onAbort, { once: true });
    const run = this.#perform(duty, term).finally(() => {
      signal.removeEventListener("abort", onAbort);
      ended.abort();
      this.#runs.delete(duty.name);
      this.#problems.delete(duty.name);
      // Another term may have begun meanwhile.
      this.#look();
    });
    this.#runs.set(duty.name, run);
  }

  /** Never rejects. */
  async #perform(duty: LeaderDuty, term: HeldTerm): Promise<void> {
    const { clock, random, log } = this.#ports;
    for (let failures = 0; !term.signal.aborted; ) {
      try {
        await duty.run(term);
        return;
      } catch (error) {
        if (term.signal.aborted) return;
        const problem = sentenceOf(error);
        log.warn({ duty: duty.name, problem }, "a duty of the leader failed");
        this.#problems.set(duty.name, `The leader's duty "${duty.name}" fails: ${problem}`);
        await waitFor(clock, backOffMs(PAUSE, failures++, random), term.signal);
      }
    }
  }

  async #reportUnlessEnded(duty: LeaderDuty, ended: AbortSignal): Promise<void> {
    await waitFor(this.#ports.clock, this.#stopWithinMs, ended);
    if (ended.aborted) return;
    this.#ports.log.warn({ duty: duty.name }, "a duty goes on after its term");
    this.#problems.set(duty.name, `The leader's duty "${duty.name}" goes on although its term is over.`);
  }
}
