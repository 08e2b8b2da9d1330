/** Writes protobuf fields into one growing buffer. Only what a flow needs; see flowEncoder.ts for why. */

/** Wire types of the protobuf encoding. */
export const WIRE_TYPE = { varint: 0, lengthDelimited: 2 } as const;

const VARINT = WIRE_TYPE.varint;
const DELIMITED = WIRE_TYPE.lengthDelimited;
const MAX_VARINT_SIZE = 10;
const MAX_NUMBER = BigInt(Number.MAX_SAFE_INTEGER);
/** UTF-8 needs at most three bytes for one UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;
/** A length up to this is one byte. */
const ONE_BYTE = 0x7f;

export class WireWriter {
  #buffer: Buffer;
  #end = 0;

  constructor(sizeBytes = 64 * 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(sizeBytes);
  }

  /** Bytes that were written since. */
  get length(): number {
    return this.#end;
  }

  /** Forgets what was written and keeps the room. */
  reset(): void {
    this.#end = 0;
  }

  /** A copy: the writer's own memory is used again. */
  finish(): Uint8Array {
    return new Uint8Array(this.#buffer.subarray(0, this.#end));
  }

  /** Field numbers up to 2^28. Zero is the default and is left out. */
  number(field: number, value: number): void {
    if (value === 0) return;
    this.#reserve(2 * MAX_VARINT_SIZE);
    this.#varint(field * 8 + VARINT);
    this.#varint(value);
  }

  /** Unsigned, 64 bits. */
  bigint(field: number, value: bigint): void {
    if (value <= MAX_NUMBER) {
      this.number(field, Number(value));
      return;
    }
    this.#reserve(2 * MAX_VARINT_SIZE);
    this.#varint(field * 8 + VARINT);
    let rest = value;
    for (; rest > 0x7fn; rest >>= 7n) this.#buffer[this.#end++] = Number(rest & 0x7fn) | 0x80;
    this.#buffer[this.#end++] = Number(rest);
  }

  text(field: number, value: string): void {
    if (value === "") return;
    const bound = value.length * MAX_BYTES_PER_UNIT;
    this.#reserve(2 * MAX_VARINT_SIZE + bound);
    this.#varint(field * 8 + DELIMITED);
    if (bound > ONE_BYTE) this.#varint(Buffer.byteLength(value));
    const start = bound > ONE_BYTE ? this.#end : this.#end + 1;
    const size = this.#buffer.write(value, start);
    if (bound <= ONE_BYTE) this.#buffer[this.#end] = size;
    this.#end = start + size;
  }

  /** A message that is encoded already. */
  encoded(field: number, message: Uint8Array): void {
    this.#reserve(2 * MAX_VARINT_SIZE + message.length);
    this.#varint(field * 8 + DELIMITED);
    this.#varint(message.length);
    this.#buffer.set(message, this.#end);
    this.#end += message.length;
  }

  /** A message of fields that `write` writes. */
  message(field: number, write: () => void): void {
    this.#reserve(2 * MAX_VARINT_SIZE);
    this.#varint(field * 8 + DELIMITED);
    // Most are of more than 127 and less than 16,384 bytes: room for a length of two.
    const start = this.#end + 2;
    this.#end = start;
    write();
    const size = this.#end - start;
    const lengthSize = size <= ONE_BYTE ? 1 : size < 1 << 14 ? 2 : size < 1 << 21 ? 3 : 4;
    if (lengthSize !== 2) {
      this.#reserve(2);
      this.#buffer.copyWithin(start - 2 + lengthSize, start, this.#end);
    }
    this.#end = start - 2;
    this.#varint(size);
    this.#end += size;
  }

  #reserve(sizeBytes: number): void {
    if (this.#end + sizeBytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#end + sizeBytes));
    this.#buffer.copy(larger, 0, 0, this.#end);
    this.#buffer = larger;
  }

  /** Non-negative, up to 2^53. */
  #varint(value: number): void {
    let rest = value;
    while (rest > ONE_BYTE) {
      this.#buffer[this.#end++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#buffer[this.#end++] = rest;
  }
}
