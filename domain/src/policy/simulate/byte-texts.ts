/** Texts from ASCII bytes. A text that was met before is given again instead of being made anew. */

const SLOTS = 2 ** 15;
const SLOT_BYTES = 64;
const HASHED_BYTES = 8;

/** Bounded: each slot keeps the last text that fell into it. */
export class ByteTexts {
  readonly #texts: string[] = new Array<string>(SLOTS).fill("");
  /** The bytes of each slot's text, one slot after the other. */
  readonly #bytes = new Uint8Array(SLOTS * SLOT_BYTES);
  readonly #lengths = new Uint8Array(SLOTS);

  at(bytes: Uint8Array, start: number, end: number): string {
    const length = end - start;
    if (length > SLOT_BYTES) return textOf(bytes, start, end);
    // FNV-1a over the last bytes, where names and addresses differ.
    let hash = 0x811c9dc5 ^ length;
    for (let position = Math.max(start, end - HASHED_BYTES); position < end; position++) {
      hash = Math.imul(hash ^ bytes[position]!, 0x01000193);
    }
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
    if (this.#lengths[slot] === length && isSame(this.#bytes, slot * SLOT_BYTES, bytes, start, length)) {
      return this.#texts[slot]!;
    }
    const text = textOf(bytes, start, end);
    this.#texts[slot] = text;
    this.#lengths[slot] = length;
    this.#bytes.set(bytes.subarray(start, end), slot * SLOT_BYTES);
    return text;
  }
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode.apply(null, [...bytes.subarray(start, end)]);
}

function isSame(left: Uint8Array, leftStart: number, right: Uint8Array, rightStart: number, length: number): boolean {
  for (let index = 0; index < length; index++) if (left[leftStart + index] !== right[rightStart + index]) return false;
  return true;
}
