import { utf8ToBytes } from "@noble/hashes/utils.js";

/** So few are copied faster one by one. */
const FEW_BYTES = 64;

/** Bytes one after the other, in room that grows and is used again. Numbers are written lowest byte first. */
export class ByteWriter {
  length = 0;
  #bytes = new Uint8Array(4096);
  /** The text that was written last, and its bytes with the length: many rules in a row are of one policy. */
  #lastText: string | null = null;
  #lastBytes = new Uint8Array(0);

  /** Valid until the next write. */
  written(from = 0): Uint8Array {
    return this.#bytes.subarray(from, this.length);
  }

  /** FNV-1a, 31 bits, of what was written from there on. */
  fingerprint(from: number): number {
    const bytes = this.#bytes;
    let hash = 0x811c9dc5;
    for (let at = from; at < this.length; at++) hash = Math.imul(hash ^ (bytes[at] ?? 0), 0x01000193);
    return (hash ^ (hash >>> 16)) >>> 1;
  }

  clear(): void {
    this.length = 0;
  }

  /** Lets go of what was written from there on. */
  cut(length: number): void {
    this.length = length;
  }

  byte(value: number): void {
    this.#reserve(1);
    this.#bytes[this.length++] = value;
  }

  word(value: number): void {
    this.#reserve(4);
    const bytes = this.#bytes;
    bytes[this.length++] = value;
    bytes[this.length++] = value >>> 8;
    bytes[this.length++] = value >>> 16;
    bytes[this.length++] = value >>> 24;
  }

  bytes(values: Uint8Array): void {
    this.#reserve(values.length);
    if (values.length > FEW_BYTES) this.#bytes.set(values, this.length);
    else for (let at = 0; at < values.length; at++) this.#bytes[this.length + at] = values[at] ?? 0;
    this.length += values.length;
  }

  /** UTF-8 with its length in bytes in front. */
  text(value: string): void {
    if (value === this.#lastText) {
      this.bytes(this.#lastBytes);
      return;
    }
    const start = this.length;
    this.#encode(value);
    this.#lastText = value;
    this.#lastBytes = this.#bytes.slice(start, this.length);
  }

  #encode(value: string): void {
    const start = this.length;
    this.#reserve(4 + value.length);
    const bytes = this.#bytes;
    let at = start + 4;
    for (let place = 0; place < value.length; place++) {
      const code = value.charCodeAt(place);
      if (code > 0x7f) {
        const encoded = utf8ToBytes(value);
        this.word(encoded.length);
        this.bytes(encoded);
        return;
      }
      bytes[at++] = code;
    }
    this.word(value.length);
    this.length = at;
  }

  #reserve(count: number): void {
    const needed = this.length + count;
    if (needed <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    larger.set(this.#bytes.subarray(0, this.length));
    this.#bytes = larger;
  }
}
