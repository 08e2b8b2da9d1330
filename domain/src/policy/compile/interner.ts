/** Lists of integers by number: equal lists get one number, without building a text of either. */
export class ListInterner {
  /** `lists[number]` is the list. Not to be changed by those who read it. */
  readonly lists: (readonly number[])[] = [];
  readonly #numbersByHash = new Map<number, number | number[]>();

  /** A number of its own for a list that nobody will ask {@link intern} about. */
  add(list: readonly number[]): number {
    return this.lists.push(list) - 1;
  }

  /** The number of the list, from 0 in order of first sight. The list is kept: do not change it afterwards. */
  intern(list: readonly number[]): number {
    const hash = hashOf(list);
    const known = this.#numbersByHash.get(hash);
    if (known === undefined) {
      this.#numbersByHash.set(hash, this.lists.length);
    } else if (typeof known === "number") {
      if (isSameList(this.lists[known], list)) return known;
      this.#numbersByHash.set(hash, [known, this.lists.length]);
    } else {
      const found = known.find((number) => isSameList(this.lists[number], list));
      if (found !== undefined) return found;
      known.push(this.lists.length);
    }
    return this.lists.push(list) - 1;
  }
}

/** FNV-1a over whole integers. Collisions only cost a comparison. */
function hashOf(list: readonly number[]): number {
  let hash = 0x811c9dc5 ^ list.length;
  for (let index = 0; index < list.length; index++) {
    hash = Math.imul(hash ^ (list[index] ?? 0), 0x01000193);
    hash ^= hash >>> 15;
  }
  return hash;
}

/** Whether both have the same numbers or the very same objects. */
export function isSameList<Value>(one: readonly Value[] | undefined, other: readonly Value[]): boolean {
  if (one === undefined || one.length !== other.length) return false;
  for (let index = 0; index < other.length; index++) if (one[index] !== other[index]) return false;
  return true;
}
