/** The address space cut by the prefixes of two programs, and parts of it in as few prefixes as they allow. */
import { bytesToHex } from "@noble/hashes/utils.js";
import { cidrContains, WHOLE_FAMILIES } from "../address.ts";
import type { Cidr } from "../model.ts";
import type { AddressEntry, HostProgram } from "../program.ts";

/** All addresses of a prefix but those of some longer ones. */
export interface AddressRegion {
  readonly prefix: Cidr;
  readonly except: readonly Cidr[];
}

/** Addresses that are in `prefix` and in no longer prefix of the space. */
export interface SpacePart {
  readonly prefix: Cidr;
  /** Index of the nearest enclosing part, which comes before; -1 for the whole of a family. */
  readonly parent: number;
  readonly oldAtom: number;
  readonly newAtom: number;
  /** True when longer prefixes take all of it, so that it has no address. */
  readonly empty: boolean;
}

interface Named {
  readonly prefix: Cidr;
  oldAtom: number | null;
  newAtom: number | null;
}

export function cutAddresses(old: HostProgram | null, next: HostProgram): readonly SpacePart[] {
  const named = new Map<string, Named>();
  const at = (prefix: Cidr): Named => {
    const key = `${prefix.family}${bytesToHex(prefix.bytes)}${String(prefix.prefixLength).padStart(3, "0")}`;
    const known = named.get(key) ?? { prefix, oldAtom: null, newAtom: null };
    named.set(key, known);
    return known;
  };
  for (const whole of WHOLE_FAMILIES) at(whole);
  for (const entry of addressesOf(old)) at(prefixOf(entry)).oldAtom = entry.atom;
  for (const entry of addressesOf(next)) at(prefixOf(entry)).newAtom = entry.atom;

  const parts: (SpacePart & { empty: boolean })[] = [];
  const enclosing: number[] = [];
  for (const key of [...named.keys()].sort()) {
    const { prefix, oldAtom, newAtom } = named.get(key) ?? { prefix: null, oldAtom: null, newAtom: null };
    if (prefix === null) continue;
    let parent = enclosing.at(-1) ?? -1;
    while (parent >= 0 && !cidrContains(parts[parent]?.prefix ?? prefix, prefix)) {
      enclosing.pop();
      parent = enclosing.at(-1) ?? -1;
    }
    const around = parts[parent];
    enclosing.push(parts.length);
    parts.push({
      prefix,
      parent,
      oldAtom: oldAtom ?? around?.oldAtom ?? 0,
      newAtom: newAtom ?? around?.newAtom ?? 0,
      empty: false,
    });
  }
  const left = parts.map(({ prefix }) => sizeOf(prefix));
  for (const { prefix, parent } of parts) if (parent >= 0) left[parent] = (left[parent] ?? 0n) - sizeOf(prefix);
  for (const [index, part] of parts.entries()) part.empty = left[index] === 0n;
  return parts;
}

function sizeOf({ bytes, prefixLength }: Cidr): bigint {
  return 1n << BigInt(bytes.length * 8 - prefixLength);
}

function addressesOf(program: HostProgram | null): readonly AddressEntry[] {
  return program === null ? [] : [...program.addresses4, ...program.addresses6];
}

function prefixOf({ prefix, prefixLength }: AddressEntry): Cidr {
  return { family: prefix.length === 4 ? 4 : 6, bytes: prefix, prefixLength };
}

/**
 * The marked parts as regions: a marked part inside a marked one needs no region of its own, and an empty part is taken
 * as what lies around it or in it.
 */
export function joinParts(
  parts: readonly Pick<SpacePart, "prefix" | "parent" | "empty">[],
  marked: ReadonlySet<number>,
): readonly AddressRegion[] {
  const full = new Set(marked);
  const partly = new Set<number>();
  for (let index = parts.length - 1; index >= 0; index--) {
    const part = parts[index];
    if (part?.empty && !partly.has(index)) full.add(index);
    if (part && !full.has(index)) partly.add(part.parent);
  }
  const regions: { prefix: Cidr; except: Cidr[] }[] = [];
  const regionOf = new Map<number, { prefix: Cidr; except: Cidr[] }>();
  for (const [index, { prefix, parent, empty }] of parts.entries()) {
    const around = regionOf.get(parent);
    const inside = full.has(index) || (empty && around !== undefined);
    if (!inside) {
      around?.except.push(prefix);
      continue;
    }
    const region = around ?? { prefix, except: [] };
    if (!around) regions.push(region);
    regionOf.set(index, region);
  }
  return regions;
}
