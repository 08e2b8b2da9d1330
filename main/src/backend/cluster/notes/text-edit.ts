/** What changed between two texts, and the same change made to a third one. Positions count UTF-16 code units. */

export interface TextEdit {
  readonly from: number;
  readonly removed: number;
  readonly inserted: string;
}

/** One run that differs; `null` when nothing does. Pairs of surrogates stay together. */
export function editBetween(before: string, after: string): TextEdit | null {
  if (before === after) return null;
  const most = Math.min(before.length, after.length);
  let prefix = 0;
  while (prefix < most && before[prefix] === after[prefix]) prefix++;
  if (prefix > 0 && isHighSurrogate(before.charCodeAt(prefix - 1))) prefix--;
  let suffix = 0;
  while (suffix < most - prefix && before[before.length - 1 - suffix] === after[after.length - 1 - suffix]) suffix++;
  if (suffix > 0 && isLowSurrogate(before.charCodeAt(before.length - suffix))) suffix--;
  return {
    from: prefix,
    removed: before.length - suffix - prefix,
    inserted: after.slice(prefix, after.length - suffix),
  };
}

/**
 * What a person changed from `base` to `wanted`, as edits of `now`, which somebody else made of the same base. Changes of
 * different places come together; where both changed one place, the text becomes what the person wanted.
 */
export function rebasedEdit(base: string, wanted: string, now: string): TextEdit | null {
  const own = editBetween(base, wanted);
  const other = editBetween(base, now);
  if (own === null || other === null) return own;
  if (own.from + own.removed < other.from) return own;
  if (own.from > other.from + other.removed) {
    return { ...own, from: own.from + other.inserted.length - other.removed };
  }
  return editBetween(now, wanted);
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
