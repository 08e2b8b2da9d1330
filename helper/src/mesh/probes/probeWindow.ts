/** What became of the probes of the last minute, by the monotonic clock. */
import { LOST_UNTIL_UNREACHABLE } from "./ports.ts";

const WINDOW_MS = 60_000;
/** Once a second, and closer where an answer is in doubt: bounded also if somebody makes us doubt all the time. */
const MAX_PROBES = 1_024;

/**
 * This many lost in a row were a time without a way, which is told as such, and no loss of the way that there is now: a minute
 * after a daemon was started again its links would still look poor. Loss by halves loses five in a row once in 32 times.
 */
const OUTAGE_PROBES = 5;

interface Outcome {
  readonly serial: number;
  readonly atMs: number;
  readonly answered: boolean;
  /** `null` = not answered, or the clock was set meanwhile. */
  readonly latencyNs: number | null;
  /** Of a row of echoes close to each other. */
  readonly isOfBurst: boolean;
}

export interface WindowFigures {
  readonly sent: number;
  readonly received: number;
  readonly loss: number | null;
  readonly latencyMs: number | null;
  readonly latencyP95Ms: number | null;
}

const asMs = (latencyNs: number | undefined) => (latencyNs === undefined ? null : latencyNs / 1e6);

export class ProbeWindow {
  #outcomes: Outcome[] = [];
  /** Serial numbers of probes: answers overtake one another. */
  #newestAnswered = -1;
  #lost: number[] = [];
  /** Of what made the target unreachable; lost echoes of an outage that is over. */
  #outage: ReadonlySet<number> = new Set();

  answered(serial: number, atMs: number, latencyNs: number | null, isOfBurst = false): void {
    // One that was given up early came after all.
    this.#outcomes = this.#outcomes.filter((each) => each.serial !== serial);
    this.#endOutage(serial);
    this.#newestAnswered = Math.max(this.#newestAnswered, serial);
    this.#lost = this.#lost.filter((each) => each > this.#newestAnswered);
    this.#add({ serial, atMs, answered: true, latencyNs, isOfBurst });
  }

  /** What is known to be lost already stays as it is. */
  lost(serial: number, atMs: number, isOfBurst = false): void {
    if (this.#outcomes.some((each) => each.serial === serial)) return;
    if (serial > this.#newestAnswered) this.#lost = [...this.#lost, serial].slice(-LOST_UNTIL_UNREACHABLE);
    this.#add({ serial, atMs, answered: false, latencyNs: null, isOfBurst });
  }

  /** Since the newest that was answered; counted up to what makes a target unreachable. */
  get lostInRow(): number {
    return this.#lost.length;
  }

  /** The way is another one since this probe: what was before says nothing of it. */
  beginAt(serial: number): void {
    this.#outcomes = this.#outcomes.filter((each) => each.serial >= serial);
  }

  /** What rows of echoes lost says nothing: they were limited. */
  forgetBursts(): void {
    this.#outcomes = this.#outcomes.filter(({ isOfBurst }) => !isOfBurst);
  }

  /** What was lost while there was no way is not counted as loss of the way that is there now, and found fine. */
  forgetOutage(): void {
    this.#outcomes = this.#outcomes.filter(({ serial, answered }) => answered || !this.#outage.has(serial));
    this.#outage = new Set();
  }

  #endOutage(serial: number): void {
    if (serial <= this.#newestAnswered) return;
    const isOfOutage = (each: Outcome) => !each.answered && each.serial > this.#newestAnswered && each.serial < serial;
    const lost = this.#outcomes.filter(isOfOutage).map((each) => each.serial);
    if (lost.length < LOST_UNTIL_UNREACHABLE) return;
    this.#outage = new Set(lost);
    // A row of echoes asks many in a moment: those are not a way that was gone.
    const usual = this.#outcomes.filter((each) => isOfOutage(each) && !each.isOfBurst).length;
    if (usual >= OUTAGE_PROBES) this.forgetOutage();
  }

  #add(outcome: Outcome): void {
    this.#outcomes.push(outcome);
    if (this.#outcomes.length > MAX_PROBES) this.#outcomes.shift();
  }

  /** Of the minute before `nowMs`. The median and the 95th percentile are measured values (nearest rank), no means of two. */
  figures(nowMs: number): WindowFigures {
    this.#outcomes = this.#outcomes.filter(({ atMs }) => atMs > nowMs - WINDOW_MS);
    const sent = this.#outcomes.length;
    const received = this.#outcomes.filter(({ answered }) => answered).length;
    const sorted = this.#outcomes.flatMap(({ latencyNs }) => latencyNs ?? []).toSorted((one, other) => one - other);
    const rank = (share: number) => asMs(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]);
    return {
      ...{ sent, received },
      loss: sent === 0 ? null : (sent - received) / sent,
      ...{ latencyMs: rank(0.5), latencyP95Ms: rank(0.95) },
    };
  }
}
