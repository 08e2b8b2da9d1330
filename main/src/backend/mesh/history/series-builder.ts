/** Puts series of one link, or of all links of one node, together from samples. */
import type { SampledDirection, SampledLink } from "./figure-codec.ts";
import type { PastSeries } from "./past.ts";

/** More points than a picture of a chart has pixels are of no use. */
const MOST_POINTS = 1_500;
const MEASURES = [
  ["latency_ms", "latencyMs"],
  ["loss", "loss"],
  ["quality", "quality"],
  ["score", "score"],
  ["throughput_bits_per_second", "throughputBitsPerSecond"],
] as const;
type Side = "a→b" | "b→a" | "";

interface Cell {
  sum: number;
  count: number;
}

export class SeriesBuilder {
  readonly #times: readonly number[];
  readonly #slotOf = new Map<number, number>();
  readonly #cells = new Map<string, Map<number, Cell>>();
  readonly #up = new Map<number, number>();
  readonly #samplesOfSlot = new Map<number, number>();
  readonly #id: string;

  /** @param id of the link or node; @param times of all samples, in order */
  constructor(times: readonly number[], id: string, sampleEveryMs: number) {
    this.#id = id;
    const perSlot = Math.max(1, Math.ceil(times.length / MOST_POINTS));
    const slots: number[] = [];
    let inSlot = 0;
    for (const [index, timeMs] of times.entries()) {
      const before = times[index - 1];
      // A line over time in which nobody looked would be made up.
      if (before !== undefined && timeMs - before > 3 * sampleEveryMs) {
        slots.push(before + sampleEveryMs);
        inSlot = 0;
      }
      if (inSlot % perSlot === 0) slots.push(timeMs);
      inSlot += 1;
      this.#slotOf.set(timeMs, slots.length - 1);
      this.#samplesOfSlot.set(slots.length - 1, (this.#samplesOfSlot.get(slots.length - 1) ?? 0) + 1);
    }
    this.#times = slots;
  }

  /** @param a the link's first end */
  add(timeMs: number, a: string, link: SampledLink): void {
    const slot = this.#slotOf.get(timeMs);
    if (slot === undefined) return;
    if (this.#isNode) this.#addSide(slot, "", a === this.#id ? link.aToB : link.bToA);
    else {
      this.#addSide(slot, "a→b", link.aToB);
      this.#addSide(slot, "b→a", link.bToA);
    }
    this.#up.set(slot, (this.#up.get(slot) ?? 0) + (link.isUp ? 1 : 0));
  }

  /** Measures of which nothing is known are left out. Means of what was measured; links that were up on average. */
  finish(): { times: readonly number[]; series: readonly PastSeries[] } {
    const series: PastSeries[] = [];
    for (const [key, cells] of this.#cells) {
      const [measure = "", direction = ""] = key.split(" ");
      const values = this.#times.map((_, slot) => {
        const cell = cells.get(slot);
        return cell ? cell.sum / cell.count : Number.NaN;
      });
      series.push({ measure, direction, values });
    }
    if (this.#up.size > 0) {
      const values = this.#times.map((_, slot) => {
        const up = this.#up.get(slot);
        return up === undefined ? Number.NaN : up / (this.#samplesOfSlot.get(slot) ?? 1);
      });
      series.push({ measure: "links_up", direction: "", values });
    }
    return { times: this.#times, series };
  }

  get #isNode(): boolean {
    return !this.#id.includes("|");
  }

  #addSide(slot: number, side: Side, direction: SampledDirection): void {
    for (const [measure, name] of MEASURES) {
      const value = direction[name];
      if (value === null) continue;
      const key = `${measure} ${side}`;
      const cells = this.#cells.get(key) ?? new Map<number, Cell>();
      this.#cells.set(key, cells);
      const cell = cells.get(slot) ?? { sum: 0, count: 0 };
      cells.set(slot, { sum: cell.sum + value, count: cell.count + 1 });
    }
  }
}
