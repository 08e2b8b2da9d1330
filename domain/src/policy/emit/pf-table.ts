/** A table of pf as it answers: the longest entry around an address decides, and a negated one means no. */
import type { Cidr } from "../model.ts";

export interface PfTableEntry {
  readonly cidr: Cidr;
  readonly negated: boolean;
}

export interface PfTable {
  readonly entries: readonly PfTableEntry[];
  /** `address`: 4 or 16 bytes in network order. */
  holds(address: Uint8Array): boolean;
}

/** Looks up by prefix length, longest first, so that a large table costs a few look-ups and not a scan. */
export function pfTable(entries: readonly PfTableEntry[]): PfTable {
  const byLength = new Map<number, Map<string, boolean>>();
  for (const { cidr, negated } of entries) {
    const prefixes = byLength.get(cidr.prefixLength) ?? new Map<string, boolean>();
    byLength.set(cidr.prefixLength, prefixes);
    prefixes.set(keyOf(cidr.bytes, cidr.prefixLength), !negated);
  }
  const lengths = [...byLength.keys()].sort((left, right) => right - left);
  return {
    entries,
    holds(address) {
      for (const length of lengths) {
        if (length > address.length * 8) continue;
        const found = byLength.get(length)?.get(keyOf(address, length));
        if (found !== undefined) return found;
      }
      return false;
    },
  };
}

/** The first `length` bits, apart from those of the other family. */
function keyOf(address: Uint8Array, length: number): string {
  let key = address.length === 4 ? "4" : "6";
  for (let position = 0; position * 8 < length; position++) {
    const rest = length - position * 8;
    const mask = rest >= 8 ? 0xff : 0xff << (8 - rest);
    key += String.fromCharCode((address[position] ?? 0) & mask & 0xff);
  }
  return key;
}
