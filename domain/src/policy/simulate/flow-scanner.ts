/**
 * Reads the fields that count straight from the bytes of a line. `JSON.parse` builds forty objects and strings of a line
 * of which simulation needs eleven values. Here the bytes between values are compared with those of a line that was
 * walked before, four at a time, and only the values are looked at. Whatever is unusual is left to `JSON.parse`: the
 * scanner answers only where both say the same.
 */
import { ByteTexts, mixWord } from "./byte-texts.ts";
import type { FlowTexts } from "./flow-texts.ts";
import {
  BACKSLASH,
  END_OF_LINE,
  FIELD,
  LAST_NUMBER_FIELD,
  LAST_TEXT_FIELD,
  type LineShape,
  NINE,
  NUMBERS_IN_STEP,
  QUOTE,
  SKIP_DIGITS,
  SKIP_LITERAL,
  SKIP_TEXT,
  SPACE,
  shapeOf,
  ZERO,
} from "./line-shape.ts";
import { TimeScanner } from "./time-scanner.ts";

/** Bytes after the data that the scanner may look at. */
export const PADDING_BYTES = 16;
/** A value that the line does not have. */
export const ABSENT = -1;

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const MAX_SHAPES = 8;
const MAX_DIGITS = 9;
const MISMATCH = -1;
const WORD_TRUE = 0x65757274;
const WORD_FALS = 0x736c6166;
const WORD_NULL = 0x6c6c756e;
const LETTER_E = 0x65;
const EVERY_HIGH_BIT = 0x8080_8080 | 0;

export class FlowScanner {
  /** Of the last line: numbers of texts and plain numbers by `FIELD`, or {@link ABSENT}. */
  readonly values = new Int32Array(LAST_NUMBER_FIELD + 1);
  /** NaN when absent. */
  timeMs = Number.NaN;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #texts: ByteTexts;
  readonly #times: TimeScanner;
  /** The last one that fitted comes first. */
  readonly #shapes: LineShape[] = [];
  #hash = 0;
  #number = 0;

  /** @param bytes lines, and after them {@link PADDING_BYTES}; the first byte after them is no part of any value */
  constructor(bytes: Uint8Array, texts: FlowTexts) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#texts = new ByteTexts(texts, bytes);
    this.#times = new TimeScanner(bytes);
  }

  /** The position after the line's line break; negative when it has none of the shapes that were learnt. */
  scan(start: number): number {
    const shapes = this.#shapes;
    for (let index = 0; index < shapes.length; index++) {
      const shape = shapes[index]!;
      const end = this.#run(shape, start);
      if (end < 0) continue;
      if (index > 0) {
        shapes.copyWithin(1, 0, index);
        shapes[0] = shape;
      }
      return end;
    }
    return MISMATCH;
  }

  /** Learns the shape of a line; false when it has none, or one that is known and did not help. */
  learn(start: number, end: number): boolean {
    const shape = shapeOf(this.#bytes.subarray(start, end));
    if (shape === null) return false;
    if (this.#shapes.some((known) => isSameShape(known, shape))) return false;
    if (this.#shapes.length >= MAX_SHAPES) this.#shapes.pop();
    this.#shapes.unshift(shape);
    return true;
  }

  /** The numbers of texts are no longer good. */
  forgetTexts(): void {
    this.#texts.clear();
  }

  #run(shape: LineShape, start: number): number {
    const view = this.#view;
    this.values.fill(ABSENT);
    this.timeMs = Number.NaN;
    const { steps, eights } = shape;
    let position = start;
    let eight = 0;
    for (let at = 0; ; at += NUMBERS_IN_STEP) {
      const length = steps[at]!;
      if (length >= 8) {
        const last = position + length - 8;
        for (; position < last; position += 8) {
          if (view.getFloat64(position, true) !== eights[eight++]) return MISMATCH;
        }
        if (view.getFloat64(last, true) !== eights[eight++]) return MISMATCH;
        position = last + 8;
      } else {
        if ((view.getInt32(position, true) & steps[at + 1]!) !== steps[at + 2]) return MISMATCH;
        if ((view.getInt32(position + 4, true) & steps[at + 3]!) !== steps[at + 4]) return MISMATCH;
        position += length;
      }
      const code = steps[at + 5]!;
      if (code === END_OF_LINE) return this.#lineBreak(position);
      position = this.#value(code, position);
      if (position < 0) return MISMATCH;
    }
  }

  #value(code: number, start: number): number {
    if (code === SKIP_TEXT) return this.#skipText(start);
    if (code <= LAST_TEXT_FIELD) {
      const end = this.#text(start);
      if (end >= 0) this.values[code] = this.#texts.idAt(start, end, this.#hash);
      return end;
    }
    if (code === SKIP_LITERAL) return this.#literal(start);
    if (code === FIELD.time) {
      const end = this.#skipText(start);
      if (end < 0) return MISMATCH;
      this.timeMs = this.#times.read(start, end);
      return Number.isNaN(this.timeMs) ? MISMATCH : end;
    }
    const end = this.#digits(start);
    if (code === SKIP_DIGITS) return end;
    this.values[code] = this.#number;
    return end - start > MAX_DIGITS ? MISMATCH : end;
  }

  /** The place of the closing quote. */
  #skipText(start: number): number {
    const view = this.#view;
    for (let position = start; ; position += 4) {
      let stops = stopsIn(view.getInt32(position, true));
      while (stops !== 0) {
        const offset = firstByteOf(stops);
        const byte = this.#bytes[position + offset]!;
        if (byte === QUOTE) return position + offset;
        if (byte < SPACE || byte >= 0x80 || byte === BACKSLASH) return MISMATCH;
        stops &= ~(0xff << (offset * 8));
      }
    }
  }

  /** The same, and the hash of what is before it. */
  #text(start: number): number {
    const view = this.#view;
    let hash = 0;
    for (let position = start; ; position += 4) {
      const word = view.getInt32(position, true);
      let stops = stopsIn(word);
      while (stops !== 0) {
        const offset = firstByteOf(stops);
        const byte = this.#bytes[position + offset]!;
        if (byte === QUOTE) {
          this.#hash = mixWord(hash, word & ((1 << (offset * 8)) - 1));
          return position + offset;
        }
        if (byte < SPACE || byte >= 0x80 || byte === BACKSLASH) return MISMATCH;
        stops &= ~(0xff << (offset * 8));
      }
      hash = mixWord(hash, word);
    }
  }

  /** A whole number; its value is right up to {@link MAX_DIGITS}. */
  #digits(start: number): number {
    const bytes = this.#bytes;
    let value = 0;
    let position = start;
    for (let byte = bytes[position]!; byte >= ZERO && byte <= NINE; byte = bytes[++position]!) {
      value = value * 10 + (byte - ZERO);
    }
    const digits = position - start;
    if (digits === 0 || (digits > 1 && bytes[start] === ZERO)) return MISMATCH;
    this.#number = value;
    return position;
  }

  #literal(start: number): number {
    const word = this.#view.getInt32(start, true);
    if (word === WORD_TRUE || word === WORD_NULL) return start + 4;
    return word === WORD_FALS && this.#bytes[start + 4] === LETTER_E ? start + 5 : MISMATCH;
  }

  #lineBreak(position: number): number {
    const byte = this.#bytes[position];
    if (byte === NEWLINE) return position + 1;
    return byte === CARRIAGE_RETURN && this.#bytes[position + 1] === NEWLINE ? position + 2 : MISMATCH;
  }
}

function isSameShape(left: LineShape, right: LineShape): boolean {
  return (
    left.steps.length === right.steps.length &&
    left.eights.length === right.eights.length &&
    left.steps.every((number, index) => number === right.steps[index]) &&
    left.eights.every((number, index) => number === right.eights[index])
  );
}

/**
 * Marks the bytes of a word that may end a text with their highest bit: up to `"`, backslash, beyond ASCII. The lowest
 * mark is always right; one above it may be a byte that only follows (the borrow of a subtraction), so each is looked at.
 */
function stopsIn(word: number): number {
  const slashed = word ^ 0x5c5c5c5c;
  return (((word - 0x23232323) & ~word) | ((slashed - 0x01010101) & ~slashed) | word) & EVERY_HIGH_BIT;
}

function firstByteOf(stops: number): number {
  return (31 - Math.clz32(stops & -stops)) >> 3;
}
