/** Sets of addresses as prefixes with excepts. */
import { bytesToHex } from "@noble/hashes/utils.js";
import { cidrContains, cidrsOverlap } from "../address.ts";
import { joinParts } from "../diff/address-space.ts";
import type { AddressRegion } from "../diff/index.ts";
import type { Cidr } from "../model.ts";

export function prefixKey({ family, bytes, prefixLength }: Cidr): string {
  return `${family}${bytesToHex(bytes)}${String(prefixLength).padStart(3, "0")}`;
}

export function prefixSize({ bytes, prefixLength }: Cidr): bigint {
  return 1n << BigInt(bytes.length * 8 - prefixLength);
}

/** Excepts of regions do not overlap each other. */
export function regionSize({ prefix, except }: AddressRegion): bigint {
  return except.reduce((size, inner) => size - prefixSize(inner), prefixSize(prefix));
}

/** What two prefixes have in common: the longer one, or nothing. */
export function intersectPrefixes(one: Cidr, other: Cidr): Cidr | null {
  if (!cidrsOverlap(one, other)) return null;
  return one.prefixLength >= other.prefixLength ? one : other;
}

/** What lies in the region and in `cidr`; `null` = nothing. */
export function cutRegion(region: AddressRegion, cidr: Cidr): AddressRegion | null {
  const prefix = intersectPrefixes(region.prefix, cidr);
  if (prefix === null || region.except.some((inner) => cidrContains(inner, prefix))) return null;
  return notEmpty({ prefix, except: region.except.filter((inner) => cidrContains(prefix, inner)) });
}

/** The region without `cidr`; `null` = nothing is left. */
export function withoutPrefix(region: AddressRegion, cidr: Cidr): AddressRegion | null {
  if (!cidrsOverlap(region.prefix, cidr)) return region;
  if (cidrContains(cidr, region.prefix)) return null;
  if (region.except.some((inner) => cidrContains(inner, cidr))) return region;
  return notEmpty({
    prefix: region.prefix,
    except: [...region.except.filter((inner) => !cidrContains(cidr, inner)), cidr],
  });
}

function notEmpty(region: AddressRegion): AddressRegion | null {
  return regionSize(region) > 0n ? region : null;
}

/** Lowest address of a region that has any. */
export function lowestAddress({ prefix, except }: AddressRegion): Uint8Array {
  let lowest = prefix.bytes;
  for (const inner of except.toSorted((left, right) => compareBytes(left.bytes, right.bytes))) {
    if (compareBytes(inner.bytes, lowest) === 0) lowest = addressAfter(inner);
  }
  return lowest;
}

function addressAfter({ bytes, prefixLength }: Cidr): Uint8Array {
  const next = bytes.slice();
  const bits = bytes.length * 8;
  for (let bit = prefixLength; bit < bits; bit++) next[bit >> 3] = (next[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  for (let index = next.length - 1; index >= 0; index--) {
    const value = ((next[index] ?? 0) + 1) & 0xff;
    next[index] = value;
    if (value !== 0) break;
  }
  return next;
}

/** IPv4 before IPv6, then by number. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  if (left.length !== right.length) return left.length - right.length;
  for (let index = 0; index < left.length; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The same addresses in as few prefixes as the regions allow. The regions do not overlap. */
export function joinRegions(regions: readonly AddressRegion[]): readonly AddressRegion[] {
  const nodes = new Map<string, { prefix: Cidr; marked: boolean }>();
  for (const { prefix, except } of regions) {
    nodes.set(prefixKey(prefix), { prefix, marked: true });
    for (const inner of except) {
      const key = prefixKey(inner);
      if (!nodes.has(key)) nodes.set(key, { prefix: inner, marked: false });
    }
  }
  const parts: { prefix: Cidr; parent: number; empty: boolean; left: bigint; marked: boolean }[] = [];
  let parent = -1;
  for (const [, { prefix, marked }] of [...nodes].sort(([left], [right]) => (left < right ? -1 : 1))) {
    let around = parts[parent];
    while (around && !cidrContains(around.prefix, prefix)) {
      parent = around.parent;
      around = parts[parent];
    }
    const size = prefixSize(prefix);
    if (around) around.left -= size;
    parent = parts.push({ prefix, parent, empty: false, left: size, marked }) - 1;
  }
  for (const part of parts) part.empty = part.left === 0n;
  const marked = new Set([...parts.keys()].filter((index) => parts[index]?.marked));
  return joinParts(parts, marked);
}
