/**
 * The shape of a line: the bytes between its values, which lines of one program share, and what kind of value stands
 * where. Made once by a careful walk over a line; a line that has a shape is JSON for the same reasons as the first one.
 */

/** What is done with a value. The fields that count have codes below {@link SKIP_TEXT}. */
export const FIELD = {
  kind: 0,
  direction: 1,
  verdict: 2,
  enforced: 3,
  sourceAddress: 4,
  destinationAddress: 5,
  subjectKey: 6,
  host: 7,
  protocol: 8,
  destinationPort: 9,
  time: 10,
} as const;
export const LAST_TEXT_FIELD = FIELD.host;
export const LAST_NUMBER_FIELD = FIELD.destinationPort;
export const SKIP_TEXT = 11;
export const SKIP_DIGITS = 12;
export const SKIP_LITERAL = 13;
export const END_OF_LINE = 14;

export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
export const ZERO = 0x30;
export const NINE = 0x39;
export const SPACE = 0x20;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const LAST_ASCII = 0x7f;
const MAX_DEPTH = 8;
/** Longer lines are rare, and read without a shape. */
const MAX_SHAPED_BYTES = 8192;
const LITERALS = ["true", "false", "null"];

/** Everything between two values, and the code of the second one. After the last value: up to the end of the line. */
export interface LineShape {
  /** {@link NUMBERS_IN_STEP} for each value: length of the bytes before it, two masks and words, the code. */
  readonly steps: Int32Array;
  /**
   * Of each piece of at least eight bytes: the bytes by eight, and the last eight. As floating-point numbers they are
   * equal only when all bits are: ASCII makes no NaN and no zero.
   */
  readonly eights: Float64Array;
}

export const NUMBERS_IN_STEP = 6;

/** `null` = a line without one: escapes, other alphabets, spaces, fractions, depth, or no JSON at all. */
export function shapeOf(line: Uint8Array): LineShape | null {
  return line.length > MAX_SHAPED_BYTES ? null : new ShapeWalk(line).shape();
}

class ShapeWalk {
  readonly #line: Uint8Array;
  readonly #steps: number[] = [];
  readonly #eights: number[] = [];
  #position = 0;
  #lastValueEnd = 0;

  constructor(line: Uint8Array) {
    this.#line = line;
  }

  shape(): LineShape | null {
    if (this.#line[0] !== OPEN_OBJECT || !this.#value(0, null) || this.#position !== this.#line.length) return null;
    this.#mark(this.#position, this.#position, END_OF_LINE);
    return { steps: Int32Array.from(this.#steps), eights: Float64Array.from(this.#eights) };
  }

  #value(depth: number, field: number | null): boolean {
    const byte = this.#line[this.#position];
    const start = this.#position;
    if (byte === undefined || depth > MAX_DEPTH) return false;
    if (byte === QUOTE) {
      if (!this.#text() || (field !== null && field > LAST_TEXT_FIELD && field !== FIELD.time)) return false;
      return this.#mark(start + 1, this.#position - 1, field ?? SKIP_TEXT);
    }
    if (byte >= ZERO && byte <= NINE) {
      if (field !== null && (field <= LAST_TEXT_FIELD || field > LAST_NUMBER_FIELD)) return false;
      while (this.#isDigit()) this.#position++;
      return this.#mark(start, this.#position, field ?? SKIP_DIGITS);
    }
    if (field !== null) return false;
    if (byte === OPEN_OBJECT) return this.#members(CLOSE_OBJECT, () => this.#member(depth));
    if (byte === OPEN_LIST) return this.#members(CLOSE_LIST, () => this.#value(depth + 1, null));
    return LITERALS.some((literal) => this.#literal(literal)) && this.#mark(start, this.#position, SKIP_LITERAL);
  }

  #members(close: number, member: () => boolean): boolean {
    this.#position++;
    if (this.#take(close)) return true;
    do if (!member()) return false;
    while (this.#take(COMMA));
    return this.#take(close);
  }

  #member(depth: number): boolean {
    const start = this.#position + 1;
    if (!this.#text()) return false;
    const name = String.fromCharCode(...this.#line.subarray(start, this.#position - 1));
    const field = depth === 0 && Object.hasOwn(FIELD, name) ? FIELD[name as keyof typeof FIELD] : null;
    return this.#take(COLON) && this.#value(depth + 1, field);
  }

  #text(): boolean {
    if (!this.#take(QUOTE)) return false;
    for (;;) {
      const byte = this.#line[this.#position++];
      if (byte === QUOTE) return true;
      if (byte === undefined || byte < SPACE || byte > LAST_ASCII || byte === BACKSLASH) return false;
    }
  }

  #literal(literal: string): boolean {
    for (let index = 0; index < literal.length; index++) {
      if (this.#line[this.#position + index] !== literal.charCodeAt(index)) return false;
    }
    this.#position += literal.length;
    return true;
  }

  #take(byte: number): boolean {
    if (this.#line[this.#position] !== byte) return false;
    this.#position++;
    return true;
  }

  #isDigit(): boolean {
    const byte = this.#line[this.#position] ?? 0;
    return byte >= ZERO && byte <= NINE;
  }

  #mark(start: number, end: number, code: number): true {
    const before = this.#line.subarray(this.#lastValueEnd, start);
    const { length } = before;
    const view = new DataView(before.buffer, before.byteOffset, length);
    if (length >= 8) {
      for (let at = 0; at < length - 8; at += 8) this.#eights.push(view.getFloat64(at, true));
      this.#eights.push(view.getFloat64(length - 8, true));
    }
    const masks = [maskOf(length), maskOf(length - 4)];
    this.#steps.push(length, masks[0]!, wordAt(before, 0), masks[1]!, wordAt(before, 4), code);
    this.#lastValueEnd = end;
    return true;
  }
}

/** The bytes of a little-endian word of which so many belong to a text. */
function maskOf(bytes: number): number {
  return bytes >= 4 ? -1 : bytes <= 0 ? 0 : (1 << (bytes * 8)) - 1;
}

/** Little-endian, zeros beyond the end. */
function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}
