/**
 * Reads the fields that count straight from the bytes of a line. `JSON.parse` builds forty objects and strings of a line
 * of which simulation needs eleven values, and would take most of its time. Whatever is unusual (escapes, other
 * alphabets, fractions, deep nesting) is left to `JSON.parse`: the scanner answers only where both say the same.
 */
import { ByteTexts } from "./byte-texts.ts";
import type { RawFlow } from "./recorded-flow.ts";

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const ZERO = 0x30;
const NINE = 0x39;
const SPACE = 0x20;
const LAST_ASCII = 0x7e;
const MAX_DEPTH = 8;
const MAX_DIGITS = 9;
const LITERALS = ["true", "false", "null"].map(asciiBytes);

type TextField =
  | "kind"
  | "direction"
  | "verdict"
  | "enforced"
  | "sourceAddress"
  | "destinationAddress"
  | "subjectKey"
  | "host";
type Field = TextField | "protocol" | "destinationPort" | "time";

const FIELDS: readonly Field[] = [
  "kind",
  "direction",
  "verdict",
  "enforced",
  "sourceAddress",
  "destinationAddress",
  "subjectKey",
  "host",
  "protocol",
  "destinationPort",
  "time",
];

interface FieldName {
  readonly field: Field;
  readonly bytes: Uint8Array;
}

/** No two fields share it; most other names do not either, so that their bytes need not be compared. */
function nameSlot(length: number, first: number, last: number): number {
  return ((length & 31) << 10) | ((first & 31) << 5) | (last & 31);
}

const FIELD_SLOTS: readonly (FieldName | undefined)[] = fieldSlots();

function fieldSlots(): readonly (FieldName | undefined)[] {
  const slots = new Array<FieldName | undefined>(2 ** 15).fill(undefined);
  for (const field of FIELDS) {
    const bytes = asciiBytes(field);
    const slot = nameSlot(bytes.length, bytes[0] ?? 0, bytes[bytes.length - 1] ?? 0);
    if (slots[slot]) throw new Error(`${field} needs a slot of its own`);
    slots[slot] = { field, bytes };
  }
  return slots;
}

export class FlowScanner {
  readonly #texts = new ByteTexts();
  #bytes: Uint8Array = new Uint8Array(0);
  #position = 0;
  #end = 0;
  /** The last text read, without its quotes. */
  #textStart = 0;
  #textEnd = 0;
  #number = 0;
  #day = -1;
  #dayMs = 0;

  /** `null` = not for the scanner; it may or may not be a flow. */
  scan(bytes: Uint8Array, start: number, end: number): RawFlow | null {
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
    const raw: RawFlow = {
      timeMs: null,
      kind: undefined,
      direction: undefined,
      protocol: undefined,
      sourceAddress: undefined,
      destinationAddress: undefined,
      destinationPort: undefined,
      verdict: undefined,
      enforced: undefined,
      subjectKey: undefined,
      host: undefined,
    };
    if (!this.#take(OPEN_OBJECT)) return null;
    do if (!this.#text() || !this.#field(raw, this.#fieldOfText())) return null;
    while (this.#take(COMMA));
    return this.#take(CLOSE_OBJECT) && this.#position === end ? raw : null;
  }

  /** The field that the last text names; `null` = one that does not count. */
  #fieldOfText(): Field | null {
    const start = this.#textStart;
    const length = this.#textEnd - start;
    const bytes = this.#bytes;
    const name = FIELD_SLOTS[nameSlot(length, bytes[start] ?? 0, bytes[this.#textEnd - 1] ?? 0)];
    if (name === undefined || name.bytes.length !== length) return null;
    for (let index = 0; index < length; index++) if (name.bytes[index] !== bytes[start + index]) return null;
    return name.field;
  }

  #field(raw: RawFlow, field: Field | null): boolean {
    if (!this.#take(COLON)) return false;
    if (field === null) return this.#skip(0);
    if (field === "protocol" || field === "destinationPort") {
      if (!this.#digits()) return false;
      raw[field] = this.#number;
      return true;
    }
    if (!this.#text()) return false;
    if (field === "time") {
      raw.timeMs = this.#time();
      return raw.timeMs !== null;
    }
    raw[field] = this.#texts.at(this.#bytes, this.#textStart, this.#textEnd);
    return true;
  }

  #take(byte: number): boolean {
    if (this.#position >= this.#end || this.#bytes[this.#position] !== byte) return false;
    this.#position++;
    return true;
  }

  /** Plain ASCII without escapes. */
  #text(): boolean {
    const bytes = this.#bytes;
    const end = this.#end;
    let position = this.#position;
    if (position >= end || bytes[position] !== QUOTE) return false;
    const start = ++position;
    for (; position < end; position++) {
      const byte = bytes[position]!;
      if (byte === QUOTE) {
        this.#textStart = start;
        this.#textEnd = position;
        this.#position = position + 1;
        return true;
      }
      if (byte < SPACE || byte > LAST_ASCII || byte === BACKSLASH) return false;
    }
    return false;
  }

  /** A whole number of a few digits. */
  #digits(): boolean {
    const start = this.#position;
    let value = 0;
    let position = start;
    for (; position < this.#end; position++) {
      const byte = this.#bytes[position]!;
      if (byte < ZERO || byte > NINE) break;
      value = value * 10 + (byte - ZERO);
    }
    const digits = position - start;
    if (digits === 0 || digits > MAX_DIGITS || (digits > 1 && this.#bytes[start] === ZERO)) return false;
    this.#number = value;
    this.#position = position;
    return true;
  }

  #skip(depth: number): boolean {
    const byte = this.#bytes[this.#position] ?? 0;
    if (this.#position >= this.#end || depth > MAX_DEPTH) return false;
    if (byte === QUOTE) return this.#text();
    if (byte >= ZERO && byte <= NINE) return this.#digits();
    if (byte === OPEN_OBJECT) {
      this.#position++;
      if (this.#take(CLOSE_OBJECT)) return true;
      do if (!this.#text() || !this.#take(COLON) || !this.#skip(depth + 1)) return false;
      while (this.#take(COMMA));
      return this.#take(CLOSE_OBJECT);
    }
    if (byte === OPEN_LIST) {
      this.#position++;
      if (this.#take(CLOSE_LIST)) return true;
      do if (!this.#skip(depth + 1)) return false;
      while (this.#take(COMMA));
      return this.#take(CLOSE_LIST);
    }
    return LITERALS.some((literal) => this.#takeAll(literal));
  }

  #takeAll(expected: Uint8Array): boolean {
    if (this.#position + expected.length > this.#end) return false;
    if (!expected.every((byte, index) => this.#bytes[this.#position + index] === byte)) return false;
    this.#position += expected.length;
    return true;
  }

  /** `2026-11-21T05:17:15.123Z`, in UTC; `null` for any other form. */
  #time(): number | null {
    const start = this.#textStart;
    const length = this.#textEnd - start;
    if (length < 20 || length > 30 || this.#bytes[this.#textEnd - 1] !== 0x5a) return null;
    for (const [index, byte] of TIME_MARKS) if (this.#bytes[start + index] !== byte) return null;
    const year = this.#decimal(start, 4);
    const month = this.#decimal(start + 5, 2);
    const day = this.#decimal(start + 8, 2);
    const hour = this.#decimal(start + 11, 2);
    const minute = this.#decimal(start + 14, 2);
    const second = this.#decimal(start + 17, 2);
    // Days that not every month has, leap seconds and hour 24 are left to `Date.parse`.
    if (!(year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= 28)) return null;
    if (!(hour <= 23 && minute <= 59 && second <= 59)) return null;
    const milliseconds = length === 20 ? 0 : this.#fraction(start + 19, this.#textEnd - 1);
    const dayNumber = year * 10_000 + month * 100 + day;
    if (dayNumber !== this.#day) {
      this.#day = dayNumber;
      this.#dayMs = Date.UTC(year, month - 1, day);
    }
    const timeMs = this.#dayMs + hour * 3_600_000 + minute * 60_000 + second * 1000 + milliseconds;
    return Number.isNaN(timeMs) ? null : timeMs;
  }

  /** NaN when a byte is no digit. */
  #decimal(start: number, digits: number): number {
    let value = 0;
    for (let position = start; position < start + digits; position++) {
      const byte = this.#bytes[position]!;
      if (byte < ZERO || byte > NINE) return Number.NaN;
      value = value * 10 + (byte - ZERO);
    }
    return value;
  }

  /** `.123456` in whole milliseconds, as `Date.parse` cuts it. */
  #fraction(start: number, end: number): number {
    const digits = end - start - 1;
    if (this.#bytes[start] !== 0x2e || digits < 1) return Number.NaN;
    const value = this.#decimal(start + 1, digits);
    return Math.floor(value / 10 ** (digits - 3));
  }
}

const TIME_MARKS: readonly (readonly [number, number])[] = [
  [4, 0x2d],
  [7, 0x2d],
  [10, 0x54],
  [13, 0x3a],
  [16, 0x3a],
];

function asciiBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
