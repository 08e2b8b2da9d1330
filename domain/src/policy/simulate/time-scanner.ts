/** Times such as `2026-11-21T05:17:15.123Z` from bytes. */
import { NINE, ZERO } from "./line-shape.ts";

const SHORTEST = "2026-11-21T05:17:15Z".length;
const LONGEST = "2026-11-21T05:17:15.123456789Z".length;
const MINUTE_BYTES = "2026-11-21T05:17".length;
const DASH = 0x2d;
const LETTER_T = 0x54;
const LETTER_Z = 0x5a;
const COLON = 0x3a;
const DOT = 0x2e;

export class TimeScanner {
  readonly #bytes: Uint8Array;
  /** Where the last minute was read, to tell a repeated one. */
  readonly #minute = new Uint8Array(MINUTE_BYTES);
  #minuteMs = Number.NaN;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /**
   * Unix time; NaN for any other form. Days that not every month has, leap seconds and hour 24 are left to `Date.parse`,
   * and so are zones.
   */
  read(start: number, end: number): number {
    const bytes = this.#bytes;
    const length = end - start;
    if (length < SHORTEST || length > LONGEST || bytes[end - 1] !== LETTER_Z) return Number.NaN;
    if (!this.#isSameMinute(start)) this.#readMinute(start);
    const second = this.#decimal(start + 17, 2);
    if (bytes[start + 16] !== COLON || !(second <= 59)) return Number.NaN;
    const milliseconds = length === SHORTEST ? 0 : this.#fraction(start + 19, end - 1);
    return this.#minuteMs + second * 1000 + milliseconds;
  }

  #isSameMinute(start: number): boolean {
    for (let index = MINUTE_BYTES - 1; index >= 0; index--) {
      if (this.#minute[index] !== this.#bytes[start + index]) return false;
    }
    return true;
  }

  #readMinute(start: number): void {
    const bytes = this.#bytes;
    for (let index = 0; index < MINUTE_BYTES; index++) this.#minute[index] = bytes[start + index]!;
    const year = this.#decimal(start, 4);
    const month = this.#decimal(start + 5, 2);
    const day = this.#decimal(start + 8, 2);
    const hour = this.#decimal(start + 11, 2);
    const minute = this.#decimal(start + 14, 2);
    const isMarked =
      bytes[start + 4] === DASH &&
      bytes[start + 7] === DASH &&
      bytes[start + 10] === LETTER_T &&
      bytes[start + 13] === COLON;
    const isInRange = year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= 28 && hour <= 23 && minute <= 59;
    this.#minuteMs = isMarked && isInRange ? Date.UTC(year, month - 1, day, hour, minute) : Number.NaN;
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
    if (this.#bytes[start] !== DOT || digits < 1) return Number.NaN;
    return Math.floor(this.#decimal(start + 1, digits) / 10 ** (digits - 3));
  }
}
