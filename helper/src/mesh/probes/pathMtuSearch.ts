/**
 * The largest packet that reaches a host whole: looked for by echoes that no router may cut up, between one that was answered
 * and one that was not. Said only when both are one byte apart; a size that was not tried is never told.
 */

/** `too big` = this host's own interface does not take it. */
export type SizeOutcome = "answered" | "silent" | "too big";

export interface SearchOptions {
  /** What was found the last time; `null` = nothing. */
  readonly previousBytes: number | null;
  /** A size that is known to pass: that of the usual probes. */
  readonly smallestBytes: number;
  readonly largestBytes: number;
  /** How often a size has to be silent until it counts as too big: see {@link triesFor}. */
  readonly tries: number;
}

/** Of Ethernet: tried first. */
const USUAL_BYTES = 1_500;
/** In the order in which they are tried. */
const USUAL_SIZES = [9_000, 65_535, USUAL_BYTES, 1_280, 576];
const CHANCE_OF_A_WRONG_SIZE = 1e-4;
const FEWEST_TRIES = 3;
const MOST_TRIES = 14;
const WORST_LOSS = 0.5;

/** So many that a lossy way makes a size look too big once in 10,000 times; `null` = so much is lost that nothing can be said. */
export function triesFor(loss: number): number | null {
  if (loss > WORST_LOSS) return null;
  const needed = loss === 0 ? 0 : Math.ceil(Math.log(CHANCE_OF_A_WRONG_SIZE) / Math.log(loss));
  return Math.min(MOST_TRIES, Math.max(FEWEST_TRIES, needed));
}

export class PathMtuSearch {
  readonly #options: SearchOptions;
  /** Passes. */
  #low: number;
  /** Does not pass. */
  #high: number;
  #size: number;
  #silent = 0;

  constructor(options: SearchOptions) {
    this.#options = options;
    this.#low = options.smallestBytes;
    this.#high = options.largestBytes + 1;
    this.#size = Math.min(
      options.largestBytes,
      Math.max(options.smallestBytes + 1, options.previousBytes ?? USUAL_BYTES),
    );
  }

  /** What to try next, as a packet with its IP header; `null` = it is found. */
  get nextBytes(): number | null {
    return this.#high - this.#low <= 1 ? null : this.#size;
  }

  /** How often the size that is tried was silent, and whether one more time decides. */
  get silence(): { readonly tries: number; readonly isLast: boolean } {
    return { tries: this.#silent, isLast: this.#silent === this.#options.tries - 1 };
  }

  /** `null` until it is found. */
  get foundBytes(): number | null {
    return this.#high - this.#low <= 1 ? this.#low : null;
  }

  /** What became of a packet of {@link nextBytes}. */
  tried(outcome: SizeOutcome): void {
    if (outcome === "silent") {
      this.#silent += 1;
      if (this.#silent < this.#options.tries) return;
    }
    this.#silent = 0;
    if (outcome === "answered") this.#low = this.#size;
    else this.#high = this.#size;
    this.#size = this.#choose(outcome);
  }

  #choose(outcome: SizeOutcome): number {
    const [low, high] = [this.#low, this.#high];
    // The next byte first: links are as large as they were, and of usual sizes mostly.
    if (outcome === "answered" && (low === this.#options.previousBytes || USUAL_SIZES.includes(low))) return low + 1;
    const usual = USUAL_SIZES.find((size) => size > low && size < high);
    const isWide = high - low > USUAL_BYTES / 2;
    if (isWide && usual !== undefined) return usual;
    return low + ((high - low) >> 1);
  }
}
