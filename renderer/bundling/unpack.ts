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

const INITIAL_BYTES = 0x4000;
let bytes = new Uint8Array(INITIAL_BYTES);

/** @returns the bytes in base64, as descriptions are read from generated code */
export function unpack(packed: string): string {
  let length = 0;
  for (let index = 0; index < packed.length; index++) {
    const code = packed.charCodeAt(index);
    // It runs before anything is seen: room for one more of either kind, so that nothing is asked byte by byte.
    if (length + LONGEST > bytes.length) grow();
    if (code < FIRST_DIGIT) {
      bytes[length++] = code;
      continue;
    }
    index += 1;
    const reference = (code - FIRST_DIGIT) * DIGITS + packed.charCodeAt(index) - FIRST_DIGIT;
    const count = Math.floor(reference / FARTHEST) + SHORTEST;
    bytes.copyWithin(length, length - (reference % FARTHEST) - 1, length - (reference % FARTHEST) - 1 + count);
    length += count;
  }
  let text = "";
  for (let from = 0; from < length; from += INITIAL_BYTES)
    text += String.fromCharCode.apply(null, bytes.subarray(from, Math.min(length, from + INITIAL_BYTES)) as never);
  return btoa(text);
}

function grow(): void {
  const larger = new Uint8Array(2 * bytes.length);
  larger.set(bytes);
  bytes = larger;
}
