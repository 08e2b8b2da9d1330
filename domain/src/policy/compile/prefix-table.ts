/** Address prefixes by number, found by their bytes and sorted as numbers. */
import type { Cidr } from "../model.ts";
import { withRoomForBytes, withRoomUnsigned } from "./growing.ts";

/** Four for each prefix; IPv4 uses the first. */
const WORDS = 4;
/** Marks of IPv6 prefixes are their length and this; those of IPv4 are the length alone. */
const IPV6_MARK = 64;
const FREE = -1;

export class PrefixTable {
  count = 0;
  #words = new Uint32Array(WORDS * 64);
  #marks = new Uint8Array(64);
  readonly #cidrs: Cidr[] = [];
  /** Open addressing over the numbers; at most half full. */
  #slots = new Int32Array(128).fill(FREE);
  readonly #asked = new Uint32Array(WORDS);
  #lastSorted: Int32Array = new Int32Array(0);

  /** `room`: a table that nobody asks any more. */
  constructor(room: PrefixTable | null = null) {
    if (room === null) return;
    this.#words = room.#words;
    this.#marks = room.#marks;
    this.#slots = room.#slots.fill(FREE);
  }

  /** The number of the prefix, from 0 in the order of first sight. */
  numberOf(cidr: Cidr): number {
    const { family, bytes, prefixLength } = cidr;
    const asked = this.#asked;
    const used = family === 4 ? 1 : WORDS;
    for (let word = 0; word < used; word++) {
      const at = word << 2;
      asked[word] =
        ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    }
    for (let word = used; word < WORDS; word++) asked[word] = 0;
    const mark = family === 4 ? prefixLength : IPV6_MARK + prefixLength;
    const mask = this.#slots.length - 1;
    let slot = hashOf(asked, 0, mark) & mask;
    for (let number = this.#slots[slot] ?? FREE; number !== FREE; number = this.#slots[slot] ?? FREE) {
      if (this.#marks[number] === mark && this.#isAsked(number)) return number;
      slot = (slot + 1) & mask;
    }
    const number = this.#add(cidr, mark);
    this.#slots[slot] = number;
    if (2 * this.count > this.#slots.length) this.#rehash();
    return number;
  }

  cidr(number: number): Cidr {
    const cidr = this.#cidrs[number];
    if (!cidr) throw new Error(`there is no prefix ${number}`);
    return cidr;
  }

  isIpv6(number: number): boolean {
    return (this.#marks[number] ?? 0) >= IPV6_MARK;
  }

  lengthOf(number: number): number {
    const mark = this.#marks[number] ?? 0;
    return mark >= IPV6_MARK ? mark - IPV6_MARK : mark;
  }

  /** One of the four 32-bit words of the address; an IPv4 address is word 0. */
  word(number: number, place = 0): number {
    return this.#words[number * WORDS + place] ?? 0;
  }

  /** Whether the outer prefix has the whole inner one, or is the same. */
  contains(outer: number, inner: number): boolean {
    const length = this.#marks[outer] ?? 0;
    const innerLength = this.#marks[inner] ?? 0;
    if (length > innerLength || length >= IPV6_MARK !== innerLength >= IPV6_MARK) return false;
    let bits = length >= IPV6_MARK ? length - IPV6_MARK : length;
    for (let place = 0; bits > 0; place++, bits -= 32) {
      const difference = this.word(outer, place) ^ this.word(inner, place);
      if (bits >= 32 ? difference !== 0 : difference >>> (32 - bits) !== 0) return false;
    }
    return true;
  }

  /** By family, address and length, so that a prefix comes after those that enclose it. `isWanted`: by number, 0 = left out. */
  sorted(isWanted: Uint8Array): Int32Array {
    // Most of it was asked before, and is in order already.
    const before = this.#lastSorted;
    const isKnown = new Uint8Array(this.count);
    for (const number of before) isKnown[number] = 1;
    const added: number[] = [];
    let count = 0;
    for (let number = 0; number < this.count; number++) {
      if (isWanted[number] === 0) continue;
      count += 1;
      if (isKnown[number] === 0) added.push(number);
    }
    const more = this.#sort(added);
    const sorted = new Int32Array(count);
    let [from, to] = [0, 0];
    for (const number of before) {
      if (isWanted[number] === 0) continue;
      while (from < more.length && this.#compare(more[from] ?? 0, number) < 0) sorted[to++] = more[from++] ?? 0;
      sorted[to++] = number;
    }
    while (from < more.length) sorted[to++] = more[from++] ?? 0;
    this.#lastSorted = sorted;
    return sorted;
  }

  #sort(numbers: readonly number[]): readonly number[] {
    let isSorted = true;
    for (let place = 1; place < numbers.length && isSorted; place++) {
      isSorted = this.#compare(numbers[place - 1] ?? 0, numbers[place] ?? 0) < 0;
    }
    return isSorted ? numbers : numbers.toSorted((left, right) => this.#compare(left, right));
  }

  #compare(left: number, right: number): number {
    const one = this.#marks[left] ?? 0;
    const other = this.#marks[right] ?? 0;
    if (one >= IPV6_MARK !== other >= IPV6_MARK) return one - other;
    for (let place = 0; place < WORDS; place++) {
      const difference = this.word(left, place) - this.word(right, place);
      if (difference !== 0) return difference;
    }
    return one - other;
  }

  #isAsked(number: number): boolean {
    const at = number * WORDS;
    for (let word = 0; word < WORDS; word++) if (this.#words[at + word] !== this.#asked[word]) return false;
    return true;
  }

  #add(cidr: Cidr, mark: number): number {
    const number = this.count++;
    this.#words = withRoomUnsigned(this.#words, this.count * WORDS);
    for (let word = 0; word < WORDS; word++) this.#words[number * WORDS + word] = this.#asked[word] ?? 0;
    this.#marks = withRoomForBytes(this.#marks, this.count);
    this.#marks[number] = mark;
    this.#cidrs.push(cidr);
    return number;
  }

  #rehash(): void {
    const slots = new Int32Array(2 * this.#slots.length).fill(FREE);
    const mask = slots.length - 1;
    for (let number = 0; number < this.count; number++) {
      let slot = hashOf(this.#words, number * WORDS, this.#marks[number] ?? 0) & mask;
      while (slots[slot] !== FREE) slot = (slot + 1) & mask;
      slots[slot] = number;
    }
    this.#slots = slots;
  }
}

function hashOf(words: Uint32Array, at: number, mark: number): number {
  let hash = Math.imul(mark + 1, 0x9e3779b1);
  for (let word = 0; word < WORDS; word++) {
    hash = Math.imul(hash ^ (words[at + word] ?? 0), 0x85ebca6b);
    hash ^= hash >>> 13;
  }
  hash = Math.imul(hash, 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
