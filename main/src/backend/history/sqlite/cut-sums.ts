/**
 * Sums of the series of a sealed file of which a window cuts a little off: the totals less the rows outside. Only the blocks at
 * the edges are read whole; of the others, when the series of rows outside were first and last seen.
 */

import type { SeriesSums } from "./group-tables.ts";
import type { BlockColumns, BlockInfo, OpenFile } from "./open-file.ts";
import { isWithin, type QueryControl, type TimeWindow } from "./query-control.ts";

/** Above this share of the rows at the edges, reading the rows inside is as fast. */
const MOST_CUT = 0.5;
const COUNTS = ["records", "started", "denied", "packets", "outBytes", "inBytes"] as const;

export interface CutSums {
  readonly sums: SeriesSums;
  /** Records in the window, of all series. */
  readonly searched: number;
}

/**
 * @param totals of all rows of the file
 * @param members by number of the series: 1 = its sums are wanted, of the others they may be anything
 * @returns `null` where it is better to read the rows inside
 */
export function sumsWithin(
  file: OpenFile,
  totals: SeriesSums,
  members: Uint8Array,
  window: TimeWindow,
  control: QueryControl,
): CutSums | null {
  const blocks = file.blocks();
  const known = file.seriesBlocks();
  const [inner, cut] = [true, false].map((isInner) => blocks.filter((block) => isWithin(block, window) === isInner));
  if (!known || !inner || !cut || rowsOf(cut) > rowsOf(blocks) * MOST_CUT || !isExact(totals, members)) return null;
  const edges = new Edges(totals, members);
  for (const block of cut) {
    control.check();
    file.readSums(block);
    edges.take(file.readKeys(block), block.rows, window);
  }
  const unsure = edges.unsure();
  const mayHave = known.with(unsure);
  for (const block of inner) {
    if (mayHave[block.index] === 0) continue;
    control.check();
    file.readSums(block, ["first", "last"]);
    edges.see(file.readKeys(block), block.rows, unsure);
  }
  const all = blocks.reduce((sum, { index }) => sum + known.records[index]!, 0);
  return { sums: edges.result(unsure), searched: all - edges.outside };
}

function rowsOf(blocks: readonly BlockInfo[]): number {
  return blocks.reduce((sum, { rows }) => sum + rows, 0);
}

/** Larger sums were rounded: nothing can be taken from them. */
function isExact(totals: SeriesSums, members: Uint8Array): boolean {
  for (const name of COUNTS) {
    const column = totals[name];
    for (let id = 0; id < members.length; id++) {
      if (members[id] === 1 && column[id]! > Number.MAX_SAFE_INTEGER) return false;
    }
  }
  return true;
}

class Edges {
  /** Records outside the window. */
  outside = 0;
  readonly #totals: SeriesSums;
  readonly #sums: SeriesSums;
  readonly #members: Uint8Array;
  /** First and last moments of rows outside, and of those inside that were looked at. */
  readonly #outsideFirst: Float64Array;
  readonly #outsideLast: Float64Array;
  readonly #insideFirst: Float64Array;
  readonly #insideLast: Float64Array;

  constructor(totals: SeriesSums, members: Uint8Array) {
    this.#totals = totals;
    this.#members = members;
    const { records, started, denied, packets, outBytes, inBytes, first, last } = totals;
    this.#sums = {
      ...{ records: records.slice(), started: started.slice(), denied: denied.slice(), packets: packets.slice() },
      ...{ outBytes: outBytes.slice(), inBytes: inBytes.slice(), first: first.slice(), last: last.slice() },
    };
    const column = (value: number) => new Float64Array(members.length).fill(value);
    this.#outsideFirst = column(Number.POSITIVE_INFINITY);
    this.#outsideLast = column(Number.NEGATIVE_INFINITY);
    this.#insideFirst = column(Number.POSITIVE_INFINITY);
    this.#insideLast = column(Number.NEGATIVE_INFINITY);
  }

  /** Rows of a block that the window cuts, or does not touch. */
  take(columns: BlockColumns, rows: number, { sinceMs, untilMs }: TimeWindow): void {
    const { series, startMs, lengthMs, records, first, last } = columns;
    for (let row = 0; row < rows; row++) {
      const id = series[row]!;
      if (id === 0) continue;
      const isOutside = startMs[row]! >= untilMs || startMs[row]! + lengthMs[row]! <= sinceMs;
      if (isOutside) this.outside += records[row]!;
      if (this.#members[id] !== 1) continue;
      const [firsts, lasts] = isOutside
        ? [this.#outsideFirst, this.#outsideLast]
        : [this.#insideFirst, this.#insideLast];
      firsts[id] = Math.min(firsts[id]!, startMs[row]! + first[row]!);
      lasts[id] = Math.max(lasts[id]!, startMs[row]! + last[row]!);
      if (isOutside) for (const name of COUNTS) this.#sums[name][id]! -= columns[name][row]!;
    }
  }

  /** By number of the series: 1 = its first or last moment was outside, and another one may be anywhere inside. */
  unsure(): Uint8Array {
    const unsure = new Uint8Array(this.#members.length);
    const { first, last } = this.#totals;
    for (let id = 1; id < unsure.length; id++) {
      if (this.#sums.records[id] === 0) continue;
      if (this.#outsideFirst[id]! <= first[id]! || this.#outsideLast[id]! >= last[id]!) unsure[id] = 1;
    }
    return unsure;
  }

  /** Moments of rows of a block that lies in the window. */
  see({ series, startMs, first, last }: BlockColumns, rows: number, unsure: Uint8Array): void {
    const [firsts, lasts] = [this.#insideFirst, this.#insideLast];
    for (let row = 0; row < rows; row++) {
      const id = series[row]!;
      if (unsure[id] !== 1) continue;
      const firstMs = startMs[row]! + first[row]!;
      const lastMs = startMs[row]! + last[row]!;
      if (firstMs < firsts[id]!) firsts[id] = firstMs;
      if (lastMs > lasts[id]!) lasts[id] = lastMs;
    }
  }

  result(unsure: Uint8Array): SeriesSums {
    for (let id = 1; id < unsure.length; id++) {
      if (unsure[id] !== 1) continue;
      this.#sums.first[id] = this.#insideFirst[id]!;
      this.#sums.last[id] = this.#insideLast[id]!;
    }
    return this.#sums;
  }
}
