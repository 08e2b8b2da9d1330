/**
 * Links that go up and down again and again. A link flaps from its third transition within 60 s on, until it was quiet for
 * 60 s. Both bounds are half open: a transition counts while it is less than 60,000 ms ago, and a link whose last one is
 * 60,000 ms ago is quiet.
 */

export const FLAPPING = { transitions: 3, windowMs: 60_000, quietMs: 60_000 } as const;

interface Transitions {
  /** The newest few, oldest first: no more than it takes to flap. */
  readonly timesMs: number[];
  isFlapping: boolean;
}

/** Times do not go back. */
export class FlapDetector {
  readonly #links = new Map<string, Transitions>();

  /** Tells of one transition, up or down. Returns whether the link began to flap by it. */
  transition(id: string, atMs: number): boolean {
    const link = this.#links.get(id) ?? { timesMs: [], isFlapping: false };
    this.#links.set(id, link);
    link.timesMs.push(atMs);
    if (link.timesMs.length > FLAPPING.transitions) link.timesMs.shift();
    const first = link.timesMs[0] ?? atMs;
    const wasFlapping = link.isFlapping;
    if (link.timesMs.length === FLAPPING.transitions && atMs - first < FLAPPING.windowMs) link.isFlapping = true;
    return link.isFlapping && !wasFlapping;
  }

  isFlapping(id: string): boolean {
    return this.#links.get(id)?.isFlapping ?? false;
  }

  /** Ids of links that flapped and are quiet now. Forgets what counts no longer. */
  settle(nowMs: number): string[] {
    const quiet: string[] = [];
    for (const [id, { timesMs, isFlapping }] of this.#links) {
      if (nowMs - (timesMs.at(-1) ?? nowMs) < FLAPPING.quietMs) continue;
      this.#links.delete(id);
      if (isFlapping) quiet.push(id);
    }
    return quiet;
  }

  forget(id: string): void {
    this.#links.delete(id);
  }

  get size(): number {
    return this.#links.size;
  }
}
