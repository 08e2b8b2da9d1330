/**
 * Cells: the (protocol, port) space cut wherever one of the rules at hand begins or ends, plus one cell for every protocol
 * that none of them names. A rule covers whole cells, so a cell has one decision.
 */
import type { ProtocolNumber } from "../model.ts";

export interface PortRange {
  readonly protocol: ProtocolNumber;
  /** Inclusive. */
  readonly low: number;
  readonly high: number;
}

/** `null` = every protocol and port. */
export type PortRanges = readonly PortRange[] | null;

export const HIGHEST_PORT = 0xffff;

/** The cell of protocols that no rule names. */
export const OTHER_PROTOCOLS = 0;

interface ProtocolCells {
  readonly firstCell: number;
  /** First port of each cell, ascending, from 0. */
  readonly starts: readonly number[];
}

export interface CellSpace {
  readonly count: number;
  /** Ascending by protocol number. */
  readonly protocols: ReadonlyMap<ProtocolNumber, ProtocolCells>;
}

export function cutCells(allRanges: Iterable<PortRanges>): CellSpace {
  const cuts = new Map<ProtocolNumber, number[]>();
  for (const ranges of allRanges) {
    for (const { protocol, low, high } of ranges ?? []) {
      const starts = cuts.get(protocol) ?? [0];
      cuts.set(protocol, starts);
      starts.push(low);
      if (high < HIGHEST_PORT) starts.push(high + 1);
    }
  }
  let count = OTHER_PROTOCOLS + 1;
  const protocols = new Map<ProtocolNumber, ProtocolCells>();
  for (const protocol of [...cuts.keys()].sort((left, right) => left - right)) {
    const starts = sortedOnce(cuts.get(protocol) ?? []);
    protocols.set(protocol, { firstCell: count, starts });
    count += starts.length;
  }
  return { count, protocols };
}

function sortedOnce(numbers: readonly number[]): readonly number[] {
  const sorted = Int32Array.from(numbers).sort();
  return Array.from(sorted.filter((number, index) => number !== sorted[index - 1]));
}

/** First and last cell of each range, one pair after the other. The ranges are among those the space was cut for. */
export function coveredCells(space: CellSpace, ranges: PortRanges): readonly number[] {
  return ranges === null ? [0, space.count - 1] : ranges.flatMap((range) => cellsOf(space, range));
}

/** First and last cell that a range covers. The range is one of those the space was cut for. */
export function cellsOf(space: CellSpace, range: PortRange): readonly [first: number, last: number] {
  const cells = space.protocols.get(range.protocol);
  if (!cells) throw new Error(`no cells for protocol ${range.protocol}`);
  const first = cells.firstCell + positionOf(cells.starts, range.low);
  const last =
    range.high >= HIGHEST_PORT
      ? cells.firstCell + cells.starts.length - 1
      : cells.firstCell + positionOf(cells.starts, range.high + 1) - 1;
  return [first, last];
}

function positionOf(starts: readonly number[], port: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((starts[middle] ?? 0) < port) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Cells that are still open, with a jump to the next one: closing and skipping are close to constant time. */
export class OpenCells {
  readonly #next: Int32Array;

  constructor(count: number) {
    this.#next = new Int32Array(count + 1);
    for (let cell = 0; cell <= count; cell++) this.#next[cell] = cell;
  }

  /** Opens the cells that are `undecided` and closes all others. */
  reopen(decisions: Int32Array, undecided: number): void {
    for (let cell = 0; cell < decisions.length; cell++)
      this.#next[cell] = decisions[cell] === undecided ? cell : cell + 1;
  }

  close(cell: number): void {
    this.#next[cell] = cell + 1;
  }

  /** The first open cell from `cell` on; the count of cells when there is none. */
  from(cell: number): number {
    let end = cell;
    while (this.#at(end) !== end) end = this.#at(end);
    for (let here = cell; here !== end; ) {
      const next = this.#at(here);
      this.#next[here] = end;
      here = next;
    }
    return end;
  }

  #at(cell: number): number {
    return this.#next[cell] ?? cell;
  }
}
