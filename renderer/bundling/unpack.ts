/**
 * Runs in the window: makes of a packed description of messages the bytes that it was. A character below U+0100 is a
 * byte; two from there on stand for bytes that came before: `(length - SHORTEST) * FARTHEST + distance - 1`, in digits to
 * the base of `DIGITS`.
 */
export const FIRST_DIGIT = 0x100;
/** Up to U+07FF a character is two bytes of UTF-8. */
export const DIGITS = 0x700;
/** Bytes that are worth the four of a reference. */
export const SHORTEST = 5;
/** Bytes back. */
export const FARTHEST = 0xc000;
export const LONGEST = SHORTEST + Math.floor((DIGITS * DIGITS) / FARTHEST) - 1;

/** @returns the bytes in base64, as descriptions are read from generated code */
export function unpack(packed: string): string {
  const bytes: number[] = [];
  for (let index = 0; index < packed.length; index++) {
    const code = packed.charCodeAt(index);
    if (code < FIRST_DIGIT) {
      bytes.push(code);
      continue;
    }
    index += 1;
    const reference = (code - FIRST_DIGIT) * DIGITS + packed.charCodeAt(index) - FIRST_DIGIT;
    const from = bytes.length - (reference % FARTHEST) - 1;
    const end = from + Math.floor(reference / FARTHEST) + SHORTEST;
    for (let place = from; place < end; place++) bytes.push(bytes[place] ?? 0);
  }
  return btoa(String.fromCharCode(...bytes));
}
