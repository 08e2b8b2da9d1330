/**
 * The upper tail of a detector's score over normal windows: how rarely such a window scores as high. Empirical where there
 * are scores, beyond them a generalised Pareto tail fitted to the excesses (peaks over a threshold), made heavier rather
 * than lighter where it is unsure.
 */
export interface TailState {
  /** Windows that were counted. */
  count: number;
  /** The highest scores, falling. */
  top: number[];
}

const KEPT_SCORES = 256;
/** Four weeks of minutes: then everything counts half, so that the tail follows the host. */
const HALVED_AT = 40_320;
export const MINIMUM_WINDOWS = 24;
const HEAVIEST_SHAPE = 0.5;

export function freshTail(): TailState {
  return { count: 0, top: [] };
}

export function addToTail(tail: TailState, score: number): void {
  if (!Number.isFinite(score)) return;
  tail.count++;
  const { top } = tail;
  if (top.length < KEPT_SCORES || score > (top.at(-1) ?? 0)) {
    let low = 0;
    let high = top.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((top[middle] ?? 0) >= score) low = middle + 1;
      else high = middle;
    }
    top.splice(low, 0, score);
    if (top.length > KEPT_SCORES) top.pop();
  }
  if (tail.count >= HALVED_AT) {
    tail.count = Math.floor(tail.count / 2);
    tail.top = top.filter((_, index) => index % 2 === 0);
  }
}

interface Fit {
  readonly from: number;
  readonly share: number;
  readonly scale: number;
  readonly shape: number;
}

function fitTail({ count, top }: TailState): Fit {
  const used = Math.max(4, Math.min(top.length - 1, Math.ceil(count * 0.05)));
  const from = top[used] ?? top.at(-1) ?? 0;
  const excesses = top.slice(0, used).map((score) => score - from);
  const mean = excesses.reduce((sum, excess) => sum + excess, 0) / Math.max(1, excesses.length);
  const variance = excesses.reduce((sum, excess) => sum + (excess - mean) ** 2, 0) / Math.max(1, excesses.length - 1);
  const shape = variance > 0 ? 0.5 * (1 - (mean * mean) / variance) : 0;
  // An estimate from few excesses is widened by its own standard error.
  const scale = Math.max(mean * (1 + 1 / Math.sqrt(Math.max(1, used))), Math.abs(from) * 0.02, 1e-3);
  return { from, share: used / Math.max(1, count), scale, shape: Math.min(HEAVIEST_SHAPE, Math.max(0.05, shape)) };
}

/** Chance that a normal window scores higher; `null` while too few were seen. */
export function tailChance(tail: TailState, score: number): number | null {
  if (tail.count < MINIMUM_WINDOWS || tail.top.length < 5) return null;
  const fit = fitTail(tail);
  if (score > fit.from) return fit.share * (1 + (fit.shape * (score - fit.from)) / fit.scale) ** (-1 / fit.shape);
  let above = 0;
  while (above < tail.top.length && (tail.top[above] ?? 0) > score) above++;
  return above === tail.top.length ? 1 : Math.min(1, (above + 1) / tail.count);
}

/** The score that normal windows exceed with this chance; `null` while too few were seen. */
export function tailScore(tail: TailState, chance: number): number | null {
  if (tail.count < MINIMUM_WINDOWS || tail.top.length < 5) return null;
  const fit = fitTail(tail);
  if (chance >= fit.share) return tail.top[Math.min(tail.top.length - 1, Math.floor(chance * tail.count))] ?? fit.from;
  return fit.from + (fit.scale / fit.shape) * ((chance / fit.share) ** -fit.shape - 1);
}
