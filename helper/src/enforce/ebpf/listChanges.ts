/** Where two lists that are mostly the same differ. */

/** Places that are listed, of those added and of those removed. */
const CHANGES = 8;
/** How far apart two lists may be before they are taken for different from there on. */
const RESYNC_DISTANCE = 64;

export interface ListChanges {
  /** Places in the new list. */
  readonly added: ReadonlySet<number>;
  /** Places in the old one. */
  readonly removed: ReadonlySet<number>;
}

/** The first places at which two lists in the same order differ, at most 8 of each kind. */
export function compareLists(
  countBefore: number,
  countAfter: number,
  isSame: (placeBefore: number, placeAfter: number) => boolean,
): ListChanges {
  const added = new Set<number>();
  const removed = new Set<number>();
  const sameAt = (one: number, other: number): boolean => one < countBefore && other < countAfter && isSame(one, other);
  let one = 0;
  let other = 0;
  while ((one < countBefore || other < countAfter) && added.size < CHANGES && removed.size < CHANGES) {
    if (sameAt(one, other)) {
      one += 1;
      other += 1;
      continue;
    }
    const { gone, came } = resync(sameAt, one, other);
    for (let place = 0; place < gone; place++) if (one + place < countBefore) removed.add(one + place);
    for (let place = 0; place < came; place++) if (other + place < countAfter) added.add(other + place);
    one += gone;
    other += came;
  }
  return { added: firstOf(added), removed: firstOf(removed) };
}

/** How many are passed over on both sides until the lists are the same again; one each when that is too far away. */
function resync(sameAt: (one: number, other: number) => boolean, one: number, other: number) {
  if (sameAt(one + 1, other + 1)) return { gone: 1, came: 1 };
  for (let distance = 1; distance <= RESYNC_DISTANCE; distance++) {
    if (sameAt(one + distance, other)) return { gone: distance, came: 0 };
    if (sameAt(one, other + distance)) return { gone: 0, came: distance };
  }
  return { gone: 1, came: 1 };
}

function firstOf(places: ReadonlySet<number>): ReadonlySet<number> {
  return new Set([...places].slice(0, CHANGES));
}
