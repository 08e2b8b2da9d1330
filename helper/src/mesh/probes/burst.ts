/**
 * A short row of echoes after one that was lost: it tells a way that is gone, or that loses, from bad luck within a second or two,
 * where echoes at their usual pace take half a minute. It is bounded: one row for each way in five seconds, in ten where it is known
 * to lose, one more when it comes back, and none for ten minutes to a host that answers only so many echoes a second.
 *
 * The test, of echoes after the one that began it: five lost of twenty are a loss, and at most one is bad luck; in between twenty
 * more are asked, of which seven in forty are a loss. A loss is never one gap, or two: lost ones stand apart from each other.
 * How often that is wrong is computed in the tests: where 1 % is lost less than once in 200,000 rows, where 2 % once in 9,000;
 * of ways that lose 30 %, 19 of 20 rows find it.
 */
export const BURST = {
  everyMs: 50,
  /** Between two rows of one way for the same reason, from beginning to beginning. */
  pauseMs: { doubt: 5_000, check: 10_000, return: 10_000 },
  first: 20,
  all: 40,
  lostOfFirst: 5,
  luckOfFirst: 1,
  lostOfAll: 7,
  fewestGaps: 3,
  /** An answer that is usual in time is waited for so long at least. */
  shortestWaitMs: 300,
  /** Usual echoes that are all answered after a row that lost: what was limited were the rows. */
  usualWithoutLoss: 15,
  distrustMs: 600_000,
} as const;

/** `open` = it goes on; `clean` = all were answered; `unclear` = it ended between loss and luck. */
export type BurstVerdict = "open" | "loss" | "luck" | "clean" | "unclear";

/** @param outcomes in the order in which they were asked: answered or lost; `null` = not known yet */
export function verdictOf(outcomes: readonly (boolean | null)[]): BurstVerdict {
  const ended = outcomes.filter((each) => each !== null);
  const lost = ended.filter((isAnswered) => !isAnswered).length;
  const gaps = ended.filter((isAnswered, index) => !isAnswered && ended[index - 1] !== false).length;
  const isEnough = outcomes.length <= BURST.first ? lost >= BURST.lostOfFirst : lost >= BURST.lostOfAll;
  if (isEnough && gaps >= BURST.fewestGaps) return "loss";
  if (ended.length < BURST.first) return "open";
  if (lost <= BURST.luckOfFirst) return lost === 0 ? "clean" : "luck";
  return ended.length < BURST.all ? "open" : "unclear";
}

/** Why a row begins: an echo was lost, a way that loses may lose no longer, or one that was gone answers. */
export type BurstReason = keyof typeof BURST.pauseMs;

/** The rows of one way, one after the other. Times are monotonic milliseconds. */
export class Bursts {
  readonly #beganAtMs = new Map<BurstReason, number>();
  #distrustedUntilMs = Number.NEGATIVE_INFINITY;
  /** In the order in which they were asked. */
  #outcomes: Map<number, boolean | null> | null = null;
  /** Of those that have not ended. */
  readonly #askedAtMs = new Map<number, number>();
  /** When the next echo of the row is to be asked; infinite = none is. */
  nextAtMs = Number.POSITIVE_INFINITY;

  get isOpen(): boolean {
    return this.#outcomes !== null;
  }

  /** Serial number of the first echo of the row; `null` = none was asked. */
  get firstSerial(): number | null {
    return this.#outcomes?.keys().next().value ?? null;
  }

  /** False = it may not, now. */
  begin(reason: BurstReason, nowMs: number): boolean {
    const beganAtMs = this.#beganAtMs.get(reason) ?? Number.NEGATIVE_INFINITY;
    const isTooSoon = nowMs - beganAtMs < BURST.pauseMs[reason];
    if (this.isOpen || isTooSoon || nowMs < this.#distrustedUntilMs) return false;
    this.#beganAtMs.set(reason, nowMs);
    [this.nextAtMs, this.#outcomes] = [nowMs, new Map()];
    return true;
  }

  asked(serial: number, nowMs: number): void {
    if (this.#outcomes === null) return;
    this.#outcomes.set(serial, null);
    this.#askedAtMs.set(serial, nowMs);
    // Twenty first: whether more are needed is known when those have ended.
    const isPaused = this.#outcomes.size === BURST.first || this.#outcomes.size >= BURST.all;
    this.nextAtMs = isPaused ? Number.POSITIVE_INFINITY : nowMs + BURST.everyMs;
  }

  /** Whether this echo is one of the row that goes on. */
  has(serial: number): boolean {
    return this.#outcomes?.has(serial) ?? false;
  }

  /** Echoes that were asked at least so long ago and have not ended. */
  late(waitMs: number, nowMs: number): readonly number[] {
    return [...this.#askedAtMs].flatMap(([serial, askedAtMs]) => (nowMs - askedAtMs >= waitMs ? serial : []));
  }

  /** An echo of the row came to its end. After a verdict the row is over. */
  ended(serial: number, isAnswered: boolean, nowMs: number): BurstVerdict {
    if (!this.#outcomes?.has(serial)) return "open";
    this.#outcomes.set(serial, isAnswered);
    this.#askedAtMs.delete(serial);
    const outcomes = [...this.#outcomes.values()];
    const verdict = verdictOf(outcomes);
    if (verdict !== "open") this.end();
    else if (outcomes.length === BURST.first && !outcomes.includes(null)) this.nextAtMs = nowMs;
    return verdict;
  }

  /** Without a verdict. */
  end(): void {
    this.#outcomes = null;
    this.#askedAtMs.clear();
    this.nextAtMs = Number.POSITIVE_INFINITY;
  }

  distrust(nowMs: number): void {
    this.end();
    this.#distrustedUntilMs = nowMs + BURST.distrustMs;
  }
}
