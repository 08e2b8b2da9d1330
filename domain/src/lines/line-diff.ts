/**
 * Which lines changed from one text to another: the shortest way there, in linear memory (Myers, 1986). The work is
 * bounded; past the bound lines that are unique on both sides hold the rest together, and what lies between them counts
 * as changed. An answer is always right (applying it gives the new text), and the shortest while the bound holds.
 */

/** Lines `oldStart` to `oldEnd` (from 0, end exclusive) became lines `newStart` to `newEnd`. */
export interface LineChange {
  readonly oldStart: number;
  readonly oldEnd: number;
  readonly newStart: number;
  readonly newEnd: number;
}

/** Steps of the search: some ten milliseconds. */
export const MAX_DIFF_STEPS = 4_000_000;

/** In the order of the lines; neighbouring changes are one. */
export function diffLines(
  oldLines: readonly string[],
  newLines: readonly string[],
  maxSteps: number = MAX_DIFF_STEPS,
): LineChange[] {
  const numbers = new Map<string, number>();
  const numberOf = (line: string) => {
    const known = numbers.get(line);
    if (known !== undefined) return known;
    numbers.set(line, numbers.size);
    return numbers.size - 1;
  };
  const search = new Search(oldLines.map(numberOf), newLines.map(numberOf), maxSteps);
  search.compare({ oldStart: 0, oldEnd: oldLines.length, newStart: 0, newEnd: newLines.length });
  return search.changes;
}

class Search {
  readonly changes: LineChange[] = [];
  readonly #old: readonly number[];
  readonly #next: readonly number[];
  readonly #forward: Int32Array;
  readonly #backward: Int32Array;
  #stepsLeft: number;

  constructor(old: readonly number[], next: readonly number[], maxSteps: number) {
    this.#old = old;
    this.#next = next;
    this.#stepsLeft = maxSteps;
    const size = 2 * Math.ceil((old.length + next.length) / 2) + 5;
    this.#forward = new Int32Array(size);
    this.#backward = new Int32Array(size);
  }

  /** Boxes wait in a list instead of on the stack: a text may have a hundred thousand lines. */
  compare(whole: LineChange): void {
    const waiting = [whole];
    for (let box = waiting.pop(); box; box = waiting.pop()) {
      const rest = this.#withoutEqualEnds(box);
      if (rest.oldStart === rest.oldEnd && rest.newStart === rest.newEnd) continue;
      if (rest.oldStart === rest.oldEnd || rest.newStart === rest.newEnd) this.#add(rest);
      else waiting.push(...this.#cut(rest).reverse());
    }
  }

  #withoutEqualEnds({ oldStart, oldEnd, newStart, newEnd }: LineChange): LineChange {
    while (oldStart < oldEnd && newStart < newEnd && this.#old[oldStart] === this.#next[newStart]) {
      oldStart++;
      newStart++;
    }
    while (oldStart < oldEnd && newStart < newEnd && this.#old[oldEnd - 1] === this.#next[newEnd - 1]) {
      oldEnd--;
      newEnd--;
    }
    return { oldStart, oldEnd, newStart, newEnd };
  }

  #add(change: LineChange): void {
    const last = this.changes.at(-1);
    if (last && last.oldEnd === change.oldStart && last.newEnd === change.newStart) {
      this.changes[this.changes.length - 1] = { ...last, oldEnd: change.oldEnd, newEnd: change.newEnd };
    } else {
      this.changes.push(change);
    }
  }

  /** Smaller boxes; none when nothing in the box is equal, or the search became too long. */
  #cut(box: LineChange): LineChange[] {
    const middle = this.#stepsLeft > 0 ? this.#middle(box) : null;
    if (middle) {
      const [x, y] = middle;
      return [
        { ...box, oldEnd: box.oldStart + x, newEnd: box.newStart + y },
        { ...box, oldStart: box.oldStart + x, newStart: box.newStart + y },
      ];
    }
    const anchors = this.#anchors(box);
    if (anchors.length === 0) {
      this.#add(box);
      return [];
    }
    const boxes: LineChange[] = [];
    let { oldStart, newStart } = box;
    for (const [oldAt, newAt] of anchors) {
      boxes.push({ oldStart, oldEnd: oldAt, newStart, newEnd: newAt });
      oldStart = oldAt + 1;
      newStart = newAt + 1;
    }
    boxes.push({ oldStart, oldEnd: box.oldEnd, newStart, newEnd: box.newEnd });
    return boxes;
  }

  /** A point that a shortest way goes through, counted from the start of the box; `null` when it took too long. */
  #middle({ oldStart, oldEnd, newStart, newEnd }: LineChange): readonly [number, number] | null {
    const width = oldEnd - oldStart;
    const height = newEnd - newStart;
    const delta = width - height;
    const isOdd = (delta & 1) !== 0;
    const most = Math.ceil((width + height) / 2);
    const zero = most + 1;
    const forward = this.#forward;
    const backward = this.#backward;
    forward[zero + 1] = 0;
    backward[zero + 1] = 0;
    for (let depth = 0; depth <= most; depth++) {
      this.#stepsLeft -= 2 * depth + 2;
      if (this.#stepsLeft < 0) return null;
      for (let k = -depth; k <= depth; k += 2) {
        let x = reached(forward, zero, k, depth);
        const startX = x;
        while (x < width && x - k < height && this.#old[oldStart + x] === this.#next[newStart + x - k]) x++;
        forward[zero + k] = x;
        const meets = isOdd && Math.abs(delta - k) < depth && x + (backward[zero + delta - k] ?? 0) >= width;
        if (meets) return inside(startX, startX - k, x, x - k, width, height);
      }
      for (let k = -depth; k <= depth; k += 2) {
        let x = reached(backward, zero, k, depth);
        const startX = x;
        while (x < width && x - k < height && this.#old[oldEnd - 1 - x] === this.#next[newEnd - 1 - x + k]) x++;
        backward[zero + k] = x;
        const meets = !isOdd && Math.abs(delta - k) <= depth && x + (forward[zero + delta - k] ?? 0) >= width;
        if (meets) {
          return inside(width - x, height - x + k, width - startX, height - startX + k, width, height);
        }
      }
    }
    return null;
  }

  /** Lines that are in the box once on each side, as many as come in the same order. */
  #anchors({ oldStart, oldEnd, newStart, newEnd }: LineChange): (readonly [number, number])[] {
    const places = new Map<number, { old: number; next: number }>();
    const placeOf = (line: number) => {
      const place = places.get(line) ?? { old: -1, next: -1 };
      places.set(line, place);
      return place;
    };
    for (let at = oldStart; at < oldEnd; at++) {
      const place = placeOf(this.#old[at] ?? 0);
      place.old = place.old === -1 ? at : -2;
    }
    for (let at = newStart; at < newEnd; at++) {
      const place = placeOf(this.#next[at] ?? 0);
      place.next = place.next === -1 ? at : -2;
    }
    const pairs = [...places.values()].filter((place) => place.old >= 0 && place.next >= 0);
    pairs.sort((one, other) => one.old - other.old);
    return longestRising(pairs.map(({ old, next }) => [old, next] as const));
  }
}

/** How far the search comes on a diagonal with one step more. */
function reached(reach: Int32Array, zero: number, k: number, depth: number): number {
  const below = reach[zero + k - 1] ?? 0;
  const above = reach[zero + k + 1] ?? 0;
  return k === -depth || (k !== depth && below < above) ? above : below + 1;
}

/** Of the two ends of a run of equal lines one that makes both halves smaller than the whole. */
function inside(
  startX: number,
  startY: number,
  endX: number,
  endY: number,
  width: number,
  height: number,
): readonly [number, number] | null {
  const isProper = (x: number, y: number) =>
    x >= 0 && y >= 0 && x <= width && y <= height && x + y > 0 && x + y < width + height;
  if (isProper(endX, endY)) return [endX, endY];
  if (isProper(startX, startY)) return [startX, startY];
  return null;
}

function longestRising(pairs: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const ends: number[] = [];
  const before = new Int32Array(pairs.length).fill(-1);
  for (const [index, [, value]] of pairs.entries()) {
    let low = 0;
    let high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((pairs[ends[middle] ?? 0]?.[1] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    before[index] = low > 0 ? (ends[low - 1] ?? -1) : -1;
    ends[low] = index;
  }
  const rising: (readonly [number, number])[] = [];
  for (let at = ends.at(-1) ?? -1; at >= 0; at = before[at] ?? -1) {
    const pair = pairs[at];
    if (pair) rising.push(pair);
  }
  return rising.reverse();
}
