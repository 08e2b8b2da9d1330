/** A program's tables as sorted ranges, where one binary search finds what a longest prefix match would. */
import { bytesToHex } from "@noble/hashes/utils.js";
import type { AddressBytes } from "./builtin.ts";
import type { AddressEntry, PortEntry } from "./program.ts";

const HIGHEST_PORT = 0xffff;
const HIGHEST_IPV4 = 0xffff_ffff;

interface PrefixRange {
  readonly low: number;
  readonly high: number;
  readonly value: number;
}

/** Ranges that follow each other without gaps: `values[i]` holds from `starts[i]` to before `starts[i + 1]`. */
interface Ranges {
  readonly starts: Uint32Array;
  readonly values: Int32Array;
}

/** Prefixes nest or are apart, so the innermost one around a place is the last that began and did not end. */
function flatten(prefixes: readonly PrefixRange[], highest: number, otherwise: number): Ranges {
  const starts: number[] = [0];
  const values: number[] = [otherwise];
  const from = (start: number, value: number): void => {
    if (starts.at(-1) === start) values[values.length - 1] = value;
    else if (values.at(-1) !== value) {
      starts.push(start);
      values.push(value);
    }
  };
  const open: PrefixRange[] = [];
  const closeBefore = (place: number): void => {
    for (let last = open.at(-1); last !== undefined && last.high < place; last = open.at(-1)) {
      open.pop();
      if (last.high < highest) from(last.high + 1, open.at(-1)?.value ?? otherwise);
    }
  };
  for (const prefix of prefixes.toSorted((one, other) => one.low - other.low || other.high - one.high)) {
    closeBefore(prefix.low);
    open.push(prefix);
    from(prefix.low, prefix.value);
  }
  closeBefore(highest + 1);
  return { starts: Uint32Array.from(starts), values: Int32Array.from(values) };
}

function valueAt({ starts, values }: Ranges, place: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] ?? 0) <= place) low = middle;
    else high = middle - 1;
  }
  return values[low] ?? 0;
}

/** The atom of an address; 0 where no prefix has it. */
export type AtomTable = (address: AddressBytes) => number;

export function createAtomTable(addresses4: readonly AddressEntry[], addresses6: readonly AddressEntry[]): AtomTable {
  const prefixes = addresses4.map(({ prefix, prefixLength, atom }): PrefixRange => {
    const low = ipv4Number(prefix);
    return { low, high: low + 2 ** (32 - prefixLength) - 1, value: atom };
  });
  const ranges4 = flatten(prefixes, HIGHEST_IPV4, 0);
  const find6 = createIpv6Table(addresses6);
  return ({ family, bytes }) => (family === 4 ? valueAt(ranges4, ipv4Number(bytes)) : find6(bytes));
}

function ipv4Number(bytes: Uint8Array): number {
  return (((bytes[0] ?? 0) << 24) | ((bytes[1] ?? 0) << 16) | ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0)) >>> 0;
}

/** By length, longest first: 128 bits fit no number, and programs use few lengths. */
function createIpv6Table(entries: readonly AddressEntry[]): (address: Uint8Array) => number {
  const byLength = new Map<number, Map<string, number>>();
  for (const { prefix, prefixLength, atom } of entries) {
    const atoms = byLength.get(prefixLength) ?? new Map<string, number>();
    byLength.set(prefixLength, atoms.set(bytesToHex(prefix), atom));
  }
  const longestFirst = [...byLength].sort(([left], [right]) => right - left);
  return (address) => {
    for (const [prefixLength, atoms] of longestFirst) {
      const atom = atoms.get(bytesToHex(address.map((byte, position) => byte & maskByte(prefixLength, position))));
      if (atom !== undefined) return atom;
    }
    return 0;
  };
}

function maskByte(prefixLength: number, position: number): number {
  const bits = Math.min(8, Math.max(0, prefixLength - position * 8));
  return (0xff << (8 - bits)) & 0xff;
}

/** Index of the decision for a protocol and port in a class. Throws for a class without a default. */
export type PortTable = (classId: number, protocol: number, port: number) => number;

/** A class and protocol is flattened when it is first asked about. */
export function createPortTable(ports: readonly PortEntry[]): PortTable {
  const defaults = new Map<number, number>();
  const named = new Map<number, PrefixRange[]>();
  for (const { classId, protocol, port, portBits, decision } of ports) {
    if (protocol === null) {
      defaults.set(classId, decision);
      continue;
    }
    const prefixes = named.get(tableKey(classId, protocol)) ?? [];
    named.set(tableKey(classId, protocol), prefixes);
    prefixes.push({ low: port, high: port + 2 ** (16 - portBits) - 1, value: decision });
  }
  const tables = new Map<number, Ranges>();
  return (classId, protocol, port) => {
    const key = tableKey(classId, protocol);
    let table = tables.get(key);
    if (table === undefined) {
      const otherwise = defaults.get(classId);
      if (otherwise === undefined) throw new Error(`class ${classId} has no default`);
      const prefixes = named.get(key);
      if (prefixes === undefined) return otherwise;
      table = flatten(prefixes, HIGHEST_PORT, otherwise);
      tables.set(key, table);
    }
    return valueAt(table, port);
  };
}

/** Protocol numbers are bytes. */
function tableKey(classId: number, protocol: number): number {
  return classId * 256 + protocol;
}
