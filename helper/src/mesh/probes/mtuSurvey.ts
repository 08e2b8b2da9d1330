/** Looks for the path MTU of one target after the other: when it becomes reachable, and every five minutes. */
import { constants } from "node:os";
import type { LinkTarget } from "./linkTarget.ts";
import { PathMtuSearch, type SizeOutcome, triesFor } from "./pathMtuSearch.ts";
import { ANSWER_LIMIT_MS } from "./ports.ts";

const SEARCH_EVERY_MS = 300_000;
/** So that some echoes say how much is lost. */
const SEARCH_AFTER_MS = 3_000;
/** Between two packets of a search, over all targets. */
const PACE_MS = 200;
const SHORTEST_LIMIT_MS = 200;
const LARGEST_BYTES = 65_535;
/** Below that no link of today is: something on the way keeps large echoes out, and the path MTU is not known. */
const LEAST_BYTES = { 4: 576, 6: 1_280 } as const;

/** Sends an echo of a size; returns 0 or the kernel's error number. */
export type AskSize = (target: LinkTarget, packetBytes: number, limitMs: number) => number;

interface Due {
  atMs: number;
}

export class MtuSurvey {
  readonly #due = new Map<LinkTarget, Due>();
  #active: { readonly target: LinkTarget; readonly search: PathMtuSearch } | null = null;
  #isWaiting = false;
  #nextAtMs = 0;
  /** The newest usual echo when this size was tried first. */
  #triedAfter = 0;

  /** Targets that are measured by echoes come in and go out here. */
  follow(targets: Iterable<LinkTarget>, nowMs: number): void {
    for (const target of targets) {
      if (!target.isMeasuredByEchoes) this.forget(target);
      else if (!this.#due.has(target)) this.#due.set(target, { atMs: nowMs + SEARCH_AFTER_MS });
    }
  }

  /** What was found held while it was reachable. */
  forget(target: LinkTarget): void {
    target.pathMtuBytes = null;
    this.#due.delete(target);
    if (this.#active?.target === target) this.#stop();
  }

  #stop(): void {
    this.#active = null;
    this.#isWaiting = false;
  }

  /** Sends what is due. */
  step(nowMs: number, ask: AskSize): void {
    if (this.#isWaiting || nowMs < this.#nextAtMs) return;
    this.#active ??= this.#begin(nowMs);
    if (this.#active === null) return;
    const { target, search } = this.#active;
    if (!this.#mayTry(target, search)) return;
    for (let size = search.nextBytes; size !== null; size = search.nextBytes) {
      const errno = ask(target, size, this.#limitMs(target));
      if (errno === constants.errno.EMSGSIZE) search.tried("too big");
      else if (errno === 0) {
        this.#isWaiting = true;
        this.#nextAtMs = nowMs + PACE_MS;
        return;
      } else {
        this.#postpone(target, nowMs);
        return;
      }
    }
    this.#finish(nowMs);
  }

  /**
   * Silence is about the size only while the usual echoes are answered: before the try that decides, one that was sent after the first
   * try has to be. So no short break of the way looks as a narrow one.
   */
  #mayTry(target: LinkTarget, { silence }: PathMtuSearch): boolean {
    if (silence.tries === 0) this.#triedAfter = target.newest.asked;
    return target.unanswered <= 1 && (!silence.isLast || target.newest.answered > this.#triedAfter);
  }

  #begin(nowMs: number): { readonly target: LinkTarget; readonly search: PathMtuSearch } | null {
    for (const [target, due] of this.#due) {
      if (due.atMs > nowMs) continue;
      const tries = triesFor(target.loss(nowMs) ?? 1);
      if (tries === null) {
        this.#postpone(target, nowMs);
        continue;
      }
      const smallestBytes = 64;
      const options = { previousBytes: target.pathMtuBytes, smallestBytes, largestBytes: LARGEST_BYTES, tries };
      return { target, search: new PathMtuSearch(options) };
    }
    return null;
  }

  #postpone(target: LinkTarget, nowMs: number): void {
    this.#stop();
    this.#due.set(target, { atMs: nowMs + SEARCH_EVERY_MS / 5 });
  }

  #limitMs(target: LinkTarget): number {
    return Math.min(ANSWER_LIMIT_MS, Math.max(SHORTEST_LIMIT_MS, 4 * (target.typicalMs ?? ANSWER_LIMIT_MS)));
  }

  /** What became of the packet that {@link step} sent. */
  tried(target: LinkTarget, outcome: SizeOutcome, nowMs: number): void {
    if (this.#active?.target !== target || !this.#isWaiting) return;
    this.#isWaiting = false;
    // It was lost with others: about the size it says nothing.
    if (outcome === "silent" && target.unanswered > 1) return;
    this.#active.search.tried(outcome);
    this.#finish(nowMs);
  }

  #finish(nowMs: number): void {
    if (this.#active === null) return;
    const { target, search } = this.#active;
    const found = search.foundBytes;
    if (found === null) return;
    target.pathMtuBytes = found < LEAST_BYTES[target.family] ? null : found;
    this.#due.set(target, { atMs: nowMs + SEARCH_EVERY_MS });
    this.#stop();
  }

  /** When there is something to send; `null` = nothing is planned. While an answer is waited for its limit counts. */
  soonestMs(): number | null {
    if (this.#isWaiting) return null;
    if (this.#active !== null) return this.#nextAtMs;
    let soonest: number | null = null;
    for (const { atMs } of this.#due.values()) if (soonest === null || atMs < soonest) soonest = atMs;
    return soonest === null ? null : Math.max(soonest, this.#nextAtMs);
  }
}
