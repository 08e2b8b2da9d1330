/** Finds in a program's columns the few entries that decide a packet. */
import { formatAddress } from "@wardline/domain/policy";
import type { ProgramColumns } from "./columns.ts";
import { compareKeys, WORDS_PER_KEY } from "./wideRanges.ts";

/** Place of the longest IPv4 prefix around an address; -1 when there is none. */
export function findIpv4({ ipv4 }: ProgramColumns, address: number): number {
  const { lows, highs } = ipv4;
  for (let bits = 32; bits >= 0; bits--) {
    const mask = bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
    const low = (address & mask) >>> 0;
    const high = (low | ~mask) >>> 0;
    let from = 0;
    let to = lows.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      const isBefore = lows[middle] === low ? (highs[middle] as number) > high : (lows[middle] as number) < low;
      if (isBefore) from = middle + 1;
      else to = middle;
    }
    if (from < lows.length && lows[from] === low && highs[from] === high) return from;
  }
  return -1;
}

const WIDE_BITS = 128;

/** The same of IPv6. `address`: {@link WORDS_PER_KEY} numbers. */
export function findIpv6({ ipv6 }: ProgramColumns, address: Uint32Array): number {
  const { lows, highs, values } = ipv6;
  const low = new Uint32Array(WORDS_PER_KEY);
  const high = new Uint32Array(WORDS_PER_KEY);
  for (let bits = values.length === 0 ? -1 : WIDE_BITS; bits >= 0; bits--) {
    for (let word = 0; word < WORDS_PER_KEY; word++) {
      const ofWord = Math.min(32, Math.max(0, bits - word * 32));
      const mask = ofWord === 0 ? 0 : (0xffff_ffff << (32 - ofWord)) >>> 0;
      low[word] = (address[word] ?? 0) & mask;
      high[word] = (low[word] as number) | ~mask;
    }
    let from = 0;
    let to = values.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      const difference = compareKeys(lows, middle, low, 0) || compareKeys(high, 0, highs, middle);
      if (difference < 0) from = middle + 1;
      else to = middle;
    }
    const isThere =
      from < values.length && compareKeys(lows, from, low, 0) === 0 && compareKeys(highs, from, high, 0) === 0;
    if (isThere) return from;
  }
  return -1;
}

/** A number for each of an address's {@link WORDS_PER_KEY}, or one of IPv4. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Uint32Array.from({ length: bytes.length / 4 }, (_, word) => view.getUint32(word * 4));
}

/** The address of so many words at a place of a list. */
export function addressText(words: Uint32Array, place: number, wordCount: 1 | 4): string {
  const bytes = new DataView(new ArrayBuffer(wordCount * 4));
  for (let word = 0; word < wordCount; word++) bytes.setUint32(word * 4, words[place * wordCount + word] as number);
  return formatAddress(new Uint8Array(bytes.buffer));
}
