/**
 * What a screen reader hears, with a budget: one voice for the whole window, so that a stream can never talk over a person.
 *
 * - `announceUrgent`: countdowns, roll-backs, a lost connection. At once; the same words again only after a while.
 * - `announce`: what an action led to. At most one in a second; what came meanwhile is said together.
 * - `announceCounts`: what a stream brought. Counted together by name, at most one in five seconds, and ever more seldom
 *   while it goes on.
 *
 * No other part of the window is a live region that changes without a person's doing. Pure but for its ports.
 */

export const ANNOUNCEMENT_BUDGET = {
  /** Between two polite announcements. */
  politeGapMs: 1_000,
  /** Between two announcements of streams, at first. It doubles while they go on … */
  streamGapMs: 5_000,
  /** … up to this, and starts anew after as long a silence. */
  streamMostGapMs: 60_000,
  /** The same urgent words are not said again before this. */
  urgentRepeatMs: 10_000,
  /** Of the words that wait to be said together; older ones are left out, and their number is said. */
  mostWaiting: 4,
  /** How long words stay in the page, where somebody who reads on could meet them as if they were new. */
  keptMs: 10_000,
} as const;

export interface AnnouncerPorts {
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Returns what calls it off. */
  readonly later: (run: () => void, delayMs: number) => () => void;
}

export interface Spoken {
  readonly text: string;
  /** Another number = said anew, also with the same words. */
  readonly serial: number;
}

export interface SpokenNow {
  readonly polite: Spoken;
  readonly urgent: Spoken;
}

const SILENCE: Spoken = { text: "", serial: 0 };

export class Announcer {
  readonly #ports: AnnouncerPorts;
  readonly #listeners = new Set<() => void>();
  readonly #counts = new Map<string, number>();
  #now: SpokenNow = { polite: SILENCE, urgent: SILENCE };
  #waiting: string[] = [];
  #leftOut = 0;
  #politeAtMs = Number.NEGATIVE_INFINITY;
  #streamAtMs = Number.NEGATIVE_INFINITY;
  #streamSinceMs = 0;
  #streamGapMs: number = ANNOUNCEMENT_BUDGET.streamGapMs;
  #urgentAtMs = new Map<string, number>();
  #cancelFlush: (() => void) | null = null;
  readonly #cancelForget = new Map<keyof SpokenNow, () => void>();

  constructor(ports: AnnouncerPorts) {
    this.#ports = ports;
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  getState = (): SpokenNow => this.#now;

  urgent(text: string): void {
    const words = text.trim();
    const nowMs = this.#ports.nowMs();
    const { urgentRepeatMs } = ANNOUNCEMENT_BUDGET;
    for (const [said, atMs] of this.#urgentAtMs) if (nowMs - atMs >= urgentRepeatMs) this.#urgentAtMs.delete(said);
    if (words === "" || this.#urgentAtMs.has(words)) return;
    this.#urgentAtMs.set(words, nowMs);
    this.#show("urgent", words);
  }

  polite(text: string): void {
    const words = text.trim();
    if (words === "") return;
    // Said twice while it waits, it is heard once, with what came last at the end.
    this.#waiting = [...this.#waiting.filter((each) => each !== words), words];
    while (this.#waiting.length > ANNOUNCEMENT_BUDGET.mostWaiting) {
      this.#waiting.shift();
      this.#leftOut += 1;
    }
    this.#plan();
  }

  /** @param counts by what is counted, in words that follow a number: `{ "new flows": 240, refused: 3 }` */
  counts(counts: Readonly<Record<string, number>>): void {
    for (const [name, count] of Object.entries(counts)) {
      if (count <= 0) continue;
      if (this.#counts.size === 0) this.#streamSinceMs = this.#ports.nowMs();
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + count);
    }
    this.#plan();
  }

  /** What streams brought is of no interest any more: another view, or rows that stand still. */
  forgetCounts(): void {
    this.#counts.clear();
    this.#plan();
  }

  #dueMs(): number {
    const { politeGapMs } = ANNOUNCEMENT_BUDGET;
    const politeMs = this.#politeAtMs + politeGapMs;
    const streamMs = Math.max(politeMs, this.#streamSinceMs + this.#gapMs(), this.#streamAtMs + this.#gapMs());
    return Math.min(
      this.#waiting.length > 0 ? politeMs : Number.POSITIVE_INFINITY,
      this.#counts.size > 0 ? streamMs : Number.POSITIVE_INFINITY,
    );
  }

  #gapMs(): number {
    const { streamGapMs, streamMostGapMs } = ANNOUNCEMENT_BUDGET;
    return this.#streamSinceMs - this.#streamAtMs > streamMostGapMs ? streamGapMs : this.#streamGapMs;
  }

  #plan(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = null;
    const dueMs = this.#dueMs();
    if (dueMs === Number.POSITIVE_INFINITY) return;
    this.#cancelFlush = this.#ports.later(() => this.#flush(), Math.max(0, dueMs - this.#ports.nowMs()));
  }

  #flush(): void {
    const nowMs = this.#ports.nowMs();
    const parts = [...this.#waiting];
    if (this.#leftOut > 0) parts.push(`and ${this.#leftOut.toLocaleString("en")} more`);
    const gapMs = this.#gapMs();
    if (this.#counts.size > 0 && nowMs >= Math.max(this.#streamSinceMs, this.#streamAtMs) + gapMs) {
      parts.push([...this.#counts].map(([name, count]) => `${count.toLocaleString("en")} ${name}`).join(", "));
      this.#counts.clear();
      this.#streamAtMs = nowMs;
      this.#streamGapMs = Math.min(ANNOUNCEMENT_BUDGET.streamMostGapMs, gapMs * 2);
    }
    this.#waiting = [];
    this.#leftOut = 0;
    if (parts.length > 0) {
      this.#politeAtMs = nowMs;
      this.#show("polite", parts.map((part) => part.replace(/[.\s]+$/u, "")).join(". "));
    }
    this.#plan();
  }

  #show(voice: keyof SpokenNow, text: string): void {
    this.#tell(voice, { text, serial: this.#now[voice].serial + 1 });
    this.#cancelForget.get(voice)?.();
    // Each by itself: what the other voice goes on saying keeps no old words in the page.
    const forget = () => this.#tell(voice, { ...this.#now[voice], text: "" });
    this.#cancelForget.set(voice, this.#ports.later(forget, ANNOUNCEMENT_BUDGET.keptMs));
  }

  #tell(voice: keyof SpokenNow, spoken: Spoken): void {
    this.#now = { ...this.#now, [voice]: spoken };
    for (const listener of this.#listeners) listener();
  }
}

/** The one of this window. */
export const announcer = new Announcer({
  nowMs: () => performance.now(),
  later: (run, delayMs) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
});

export const announce = (text: string): void => announcer.polite(text);
export const announceUrgent = (text: string): void => announcer.urgent(text);
export const announceCounts = (counts: Readonly<Record<string, number>>): void => announcer.counts(counts);
