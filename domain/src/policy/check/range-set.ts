/** Sets of whole numbers as sorted, disjoint, half-open ranges in one flat list: start, end, start, end … */
export type RangeSet = readonly number[];

export const EMPTY: RangeSet = [];

/** The ranges in any order, overlapping or not, as a set. */
export function rangeSet(ranges: readonly (readonly [start: number, end: number])[]): RangeSet {
  const sorted = ranges.filter(([start, end]) => start < end).sort((left, right) => left[0] - right[0]);
  const set: number[] = [];
  for (const [start, end] of sorted) {
    const last = set.length - 1;
    if (last > 0 && start <= set[last]!) set[last] = Math.max(set[last]!, end);
    else set.push(start, end);
  }
  return set;
}

export function union(one: RangeSet, other: RangeSet): RangeSet {
  if (one.length === 0) return other;
  if (other.length === 0 || one === other) return one;
  return rangeSet([...pairs(one), ...pairs(other)]);
}

function pairs(set: RangeSet): [number, number][] {
  const list: [number, number][] = [];
  for (let at = 0; at < set.length; at += 2) list.push([set[at]!, set[at + 1]!]);
  return list;
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
