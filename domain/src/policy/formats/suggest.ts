/** Did-you-mean: the nearest of some words by Damerau-Levenshtein distance. */

const MAX_WORD_LENGTH = 64;
/** A hint is not worth more: candidates beyond these are not looked at. */
const MAX_CANDIDATES = 2_000;
/** Fewer letters begin too many words. */
const MIN_BEGINNING_LENGTH = 3;

/**
 * The word that was probably meant, or `null` when none is near: the only one that begins so, else the nearest. Case does not
 * count as a difference.
 */
export function nearestWord(word: string, candidates: Iterable<string>): string | null {
  if (word.length > MAX_WORD_LENGTH) return null;
  const lower = foldLookalikes(word).toLowerCase();
  let begun: string | null = null;
  let begunCount = 0;
  let best: string | null = null;
  let bestDistance = allowedDistance(lower.length) + 1;
  let looked = 0;
  for (const candidate of candidates) {
    looked += 1;
    if (looked > MAX_CANDIDATES) break;
    if (candidate !== word && candidate.toLowerCase().startsWith(lower)) {
      begun = candidate;
      begunCount += 1;
    }
    if (candidate === word || Math.abs(candidate.length - lower.length) >= bestDistance) continue;
    const distance = editDistance(lower, candidate.toLowerCase(), bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return begunCount === 1 && lower.length >= MIN_BEGINNING_LENGTH ? begun : best;
}

/** One slip in short words, two in longer ones, three in long ones. */
function allowedDistance(length: number): number {
  if (length <= 2) return 0;
  if (length <= 5) return 1;
  return length <= 10 ? 2 : 3;
}

/** Optimal string alignment distance; a swap of neighbours counts as one. Values at or over the limit may be too low. */
export function editDistance(one: string, other: string, limit = Number.POSITIVE_INFINITY): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row += 1) {
    const current = [row];
    let smallest = row;
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[row - 1] === other[column - 1];
      let cost = Math.min(previous[column]! + 1, current[column - 1]! + 1, previous[column - 1]! + (same ? 0 : 1));
      if (row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1]) {
        cost = Math.min(cost, beforePrevious[column - 2]! + 1);
      }
      current.push(cost);
      if (cost < smallest) smallest = cost;
    }
    if (smallest >= limit) return limit;
    beforePrevious = previous;
    previous = current;
  }
  return previous[other.length]!;
}

/** Letters of other scripts and typographic signs that look like the ASCII ones on the right. */
const LOOKALIKES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    a: "аɑα",
    b: "Ьƅ",
    c: "сϲ",
    d: "ԁ",
    e: "её",
    g: "ɡ",
    h: "һ",
    i: "іιı",
    j: "јϳ",
    k: "κк",
    l: "ӏⅼ",
    m: "ⅿ",
    n: "ո",
    o: "оοօ",
    p: "рρ",
    q: "ԛ",
    r: "г",
    s: "ѕ",
    u: "υս",
    v: "νѵ",
    w: "ԝω",
    x: "хχ",
    y: "уγ",
    z: "ᴢ",
    A: "АΑ",
    B: "ВΒ",
    C: "СϹ",
    E: "ЕΕ",
    H: "НΗ",
    I: "ІΙ",
    K: "КΚ",
    M: "МΜ",
    N: "Ν",
    O: "ОΟ",
    P: "РΡ",
    S: "Ѕ",
    T: "ТΤ",
    X: "ХΧ",
    Y: "ҮΥ",
    Z: "Ζ",
    "-": "‐‑‒–—―−﹣－",
    ".": "․。．",
    "/": "⁄∕／",
    _: "＿",
  }).flatMap(([ascii, others]) => [...others].map((other) => [other, ascii] as const)),
);

const INVISIBLE = /[\u00AD\u200B-\u200F\u202A-\u202E\u2060-\u2064\uFEFF]/g;

/** The text with look-alike characters replaced by ASCII and invisible ones removed. */
export function foldLookalikes(text: string): string {
  if (isAscii(text)) return text;
  const folded = [...text.replace(INVISIBLE, "")].map((character) => {
    const fullWidth = character.codePointAt(0)! - 0xfee0;
    if (fullWidth > 0x20 && fullWidth < 0x7f) return String.fromCodePoint(fullWidth);
    return LOOKALIKES.get(character) ?? character;
  });
  return folded.join("");
}

export function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) if (text.charCodeAt(index) > 0x7f) return false;
  return true;
}
