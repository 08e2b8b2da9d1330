/** Orders numbers by value without comparing them: what sorts a million rows in some milliseconds. */

const DIGIT_BITS = 11;
const DIGITS = 1 << DIGIT_BITS;
const LOW = 2 ** 32;

/**
 * Positions of the first `count` keys from the smallest to the largest; equal ones stay in the order of `base` (or as they
 * are). Keys are whole numbers of at most 53 bits.
 */
export function orderOf(keys: Float64Array, count: number, base?: Uint32Array): Uint32Array {
  const order = base ? base.slice(0, count) : new Uint32Array(count);
  if (!base) for (let at = 0; at < count; at++) order[at] = at;
  if (count < 2) return order;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let isOrdered = true;
  let former = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < count; at++) {
    const key = keys[order[at]!]!;
    if (key < low) low = key;
    if (key > high) high = key;
    if (key < former) isOrdered = false;
    former = key;
  }
  if (isOrdered) return order;
  const words = new Uint32Array(keys.length);
  const range = high - low;
  if (range < LOW) {
    for (let at = 0; at < keys.length; at++) words[at] = keys[at]! - low;
    return passes(words, order, range);
  }
  for (let at = 0; at < keys.length; at++) words[at] = (keys[at]! - low) % LOW;
  const byLow = passes(words, order, LOW - 1);
  for (let at = 0; at < keys.length; at++) words[at] = Math.floor((keys[at]! - low) / LOW);
  return passes(words, byLow, Math.floor(range / LOW));
}

/** Positions from the smallest word to the largest; equal ones stay as they are. */
export function orderOfWords(words: Uint32Array): Uint32Array {
  const order = new Uint32Array(words.length);
  let most = 0;
  let isOrdered = true;
  for (let at = 0; at < words.length; at++) {
    order[at] = at;
    const word = words[at]!;
    if (word < most) isOrdered = false;
    else most = word;
  }
  return isOrdered ? order : passes(words, order, most);
}

function passes(words: Uint32Array, order: Uint32Array, most: number): Uint32Array {
  let from = order;
  let to: Uint32Array = new Uint32Array(order.length);
  for (let shift = 0; shift < 32 && most / 2 ** shift >= 1; shift += DIGIT_BITS) {
    if (pass(words, from, to, shift)) [from, to] = [to, from];
  }
  return from;
}

/** False when nothing would move. */
function pass(words: Uint32Array, from: Uint32Array, to: Uint32Array, shift: number): boolean {
  const count = from.length;
  const starts = new Uint32Array(DIGITS);
  for (let at = 0; at < count; at++) starts[(words[from[at]!]! >>> shift) & (DIGITS - 1)]!++;
  let sum = 0;
  for (let digit = 0; digit < DIGITS; digit++) {
    const size = starts[digit]!;
    if (size === count) return false;
    starts[digit] = sum;
    sum += size;
  }
  for (let at = 0; at < count; at++) {
    const position = from[at]!;
    to[starts[(words[position]! >>> shift) & (DIGITS - 1)]!++] = position;
  }
  return true;
}
