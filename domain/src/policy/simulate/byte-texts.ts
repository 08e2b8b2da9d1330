/** Numbers of texts from their ASCII bytes. A text that was met before is found without being made. */
import type { FlowTexts } from "./flow-texts.ts";

const SLOTS = 2 ** 15;
const SLOT_WORDS = 16;
const SLOT_BYTES = SLOT_WORDS * 4;

/** Bounded: each slot keeps the last text that fell into it. A text may stand in two neighbouring slots. */
export class ByteTexts {
  readonly #texts: FlowTexts;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #ids = new Int32Array(SLOTS);
  /** Length in bytes, and 0 for a slot that is empty: the empty text needs none. */
  readonly #lengths = new Uint8Array(SLOTS);
  /** The bytes of each slot's text in words, the last one filled with zeros. */
  readonly #words = new Int32Array(SLOTS * SLOT_WORDS);

  /** @param bytes readable for four bytes beyond every text */
  constructor(texts: FlowTexts, bytes: Uint8Array) {
    this.#texts = texts;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** @param hash of the bytes, see {@link mixWord} */
  idAt(start: number, end: number, hash: number): number {
    const length = end - start;
    if (length > SLOT_BYTES) return this.#texts.idOf(this.#textOf(start, end));
    const first = (hash ^ (hash >>> 16)) & (SLOTS - 1);
    if (this.#isAt(first, start, length)) return this.#ids[first]!;
    const second = first ^ 1;
    if (this.#isAt(second, start, length)) return this.#ids[second]!;
    const id = this.#texts.idOf(this.#textOf(start, end));
    this.#remember(this.#lengths[first] === 0 ? first : second, start, end, id);
    return id;
  }

  /** The numbers are no longer good. */
  clear(): void {
    this.#lengths.fill(0);
  }

  #remember(slot: number, start: number, end: number, id: number): void {
    this.#ids[slot] = id;
    this.#lengths[slot] = end - start;
    for (let word = slot * SLOT_WORDS, at = start; at < end; word++, at += 4) {
      this.#words[word] = this.#view.getInt32(at, true) & restMask(end - at);
    }
  }

  #isAt(slot: number, start: number, length: number): boolean {
    if (length === 0 || this.#lengths[slot] !== length) return false;
    const view = this.#view;
    const words = this.#words;
    let word = slot * SLOT_WORDS;
    let at = start;
    let rest = length;
    for (; rest >= 4; rest -= 4) {
      if (words[word++] !== view.getInt32(at, true)) return false;
      at += 4;
    }
    return rest === 0 || words[word] === (view.getInt32(at, true) & restMask(rest));
  }

  #textOf(start: number, end: number): string {
    let text = "";
    for (let at = start; at < end; at += 1024) {
      text += String.fromCharCode(...this.#bytes.subarray(at, Math.min(end, at + 1024)));
    }
    return text;
  }
}

/** The bytes of a little-endian word that belong to a text of which `rest` bytes are left. */
function restMask(rest: number): number {
  return rest >= 4 ? -1 : (1 << (rest * 8)) - 1;
}

/** One step of the hash over the words of a text (FNV-1a by words). */
export function mixWord(hash: number, word: number): number {
  const mixed = Math.imul(hash ^ word, 0x01000193);
  return mixed ^ (mixed >>> 15);
}
