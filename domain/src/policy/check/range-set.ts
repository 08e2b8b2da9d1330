/** Sets of whole numbers as sorted, disjoint, half-open ranges in one flat list: start, end, start, end … */
export type RangeSet = readonly number[];

export const EMPTY: RangeSet = [];

/** More than any number in a set: two of them fit into one exact number, which sorts fast. */
const LIMIT = 2 ** 26;

/** The ranges in any order, overlapping or not, as a set. */
export function rangeSet(ranges: readonly (readonly [start: number, end: number])[]): RangeSet {
  return union(...ranges.map(([start, end]) => (start < end ? [start, end] : EMPTY)));
}

export function union(...sets: readonly RangeSet[]): RangeSet {
  let length = 0;
  let filled = 0;
  let one: RangeSet = EMPTY;
  let other: RangeSet = EMPTY;
  for (const set of sets) {
    if (set.length === 0) continue;
    length += set.length / 2;
    filled += 1;
    one = other;
    other = set;
  }
  if (filled < 2) return other;
  if (filled === 2) return unionOfTwo(one, other);
  const packed = new Float64Array(length);
  let count = 0;
  for (const set of sets) {
    for (let at = 0; at < set.length; at += 2) packed[count++] = set[at]! * LIMIT + set[at + 1]!;
  }
  packed.sort();
  const joined: number[] = [];
  for (const value of packed) {
    const start = Math.floor(value / LIMIT);
    join(joined, start, value - start * LIMIT);
  }
  return joined;
}

/** Both are sorted already, so one walk does. */
function unionOfTwo(one: RangeSet, other: RangeSet): RangeSet {
  if (one === other) return one;
  const joined: number[] = [];
  let left = 0;
  let right = 0;
  while (left < one.length && right < other.length) {
    if (one[left]! <= other[right]!) {
      join(joined, one[left]!, one[left + 1]!);
      left += 2;
    } else {
      join(joined, other[right]!, other[right + 1]!);
      right += 2;
    }
  }
  for (; left < one.length; left += 2) join(joined, one[left]!, one[left + 1]!);
  for (; right < other.length; right += 2) join(joined, other[right]!, other[right + 1]!);
  return joined;
}

/** Adds a range that starts no earlier than the last one. */
function join(joined: number[], start: number, end: number): void {
  const last = joined.length - 1;
  if (last > 0 && start <= joined[last]!) {
    if (end > joined[last]!) joined[last] = end;
  } else joined.push(start, end);
}

export function intersect(one: RangeSet, other: RangeSet): RangeSet {
  if (one === other) return one;
  const set: number[] = [];
  let right = 0;
  for (let left = 0; left < one.length && right < other.length; ) {
    const start = Math.max(one[left]!, other[right]!);
    const end = Math.min(one[left + 1]!, other[right + 1]!);
    if (start < end) set.push(start, end);
    if (one[left + 1]! < other[right + 1]!) left += 2;
    else right += 2;
  }
  return set;
}

export function overlaps(one: RangeSet, other: RangeSet): boolean {
  if (one.length === 0 || other.length === 0) return false;
  if (one[0]! >= other.at(-1)! || other[0]! >= one.at(-1)!) return false;
  for (let left = 0, right = 0; left < one.length && right < other.length; ) {
    if (Math.max(one[left]!, other[right]!) < Math.min(one[left + 1]!, other[right + 1]!)) return true;
    if (one[left + 1]! < other[right + 1]!) left += 2;
    else right += 2;
  }
  return false;
}

export function subtract(one: RangeSet, other: RangeSet): RangeSet {
  const set: number[] = [];
  let right = 0;
  for (let left = 0; left < one.length; left += 2) {
    let start = one[left]!;
    const end = one[left + 1]!;
    while (right < other.length && other[right + 1]! <= start) right += 2;
    for (let at = right; at < other.length && other[at]! < end; at += 2) {
      if (other[at]! > start) set.push(start, other[at]!);
      start = Math.max(start, other[at + 1]!);
    }
    if (start < end) set.push(start, end);
  }
  return set;
}

export function contains(set: RangeSet, point: number): boolean {
  let low = 0;
  let high = set.length / 2;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (set[middle * 2 + 1]! <= point) low = middle + 1;
    else high = middle;
  }
  return low * 2 < set.length && set[low * 2]! <= point;
}

/** How many numbers are in it. */
export function sizeOf(set: RangeSet): number {
  let size = 0;
  for (let at = 0; at < set.length; at += 2) size += set[at + 1]! - set[at]!;
  return size;
}
