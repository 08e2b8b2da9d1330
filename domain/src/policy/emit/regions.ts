/** A program's tables for one set, in the form that rule languages want: disjoint ranges instead of longest prefixes. */
import type { Direction } from "../model.ts";
import type { AddressEntry, ClassEntry, HostProgram } from "../program.ts";

/** The set that scripts enforce: the host itself. */
export const HOST_SET = 0;

export interface AddressRange {
  /** Inclusive, as numbers in network order. */
  readonly low: bigint;
  readonly high: bigint;
  readonly classId: number;
}

/** Which class an atom has, for one set and direction. */
export function classOfAtom(program: HostProgram, set: number, direction: Direction): (atom: number) => number {
  const classes = new Map<number, number>();
  for (const entry of program.classes) {
    if (entry.set === set && entry.direction === direction) classes.set(entry.atom, entry.classId);
  }
  const otherwise = classes.get(0);
  if (otherwise === undefined) throw new Error(`set ${set} has no class for ${direction}`);
  return (atom) => classes.get(atom) ?? otherwise;
}

/** Prefixes in the order of their first address, wider ones before those inside them. */
export function sortPrefixes(entries: readonly AddressEntry[]): readonly AddressEntry[] {
  return entries.toSorted((left, right) => {
    for (const [position, byte] of left.prefix.entries()) {
      const difference = byte - (right.prefix[position] ?? 0);
      if (difference !== 0) return difference;
    }
    return left.prefixLength - right.prefixLength;
  });
}

/**
 * The addresses whose class is not the one of atom 0, as ranges that do not touch each other's addresses, ascending.
 * Neighbours of one class are joined.
 */
export function addressRanges(
  entries: readonly AddressEntry[],
  bits: 32 | 128,
  classOf: (atom: number) => number,
): readonly AddressRange[] {
  const otherwise = classOf(0);
  const ranges: { low: bigint; high: bigint; classId: number }[] = [];
  const write = (low: bigint, high: bigint, classId: number): void => {
    if (low > high || classId === otherwise) return;
    const previous = ranges.at(-1);
    if (previous && previous.classId === classId && previous.high + 1n === low) previous.high = high;
    else ranges.push({ low, high, classId });
  };
  const open: { high: bigint; classId: number }[] = [];
  let next = 0n;
  const closeBefore = (address: bigint): void => {
    for (let top = open.at(-1); top !== undefined && top.high < address; top = open.at(-1)) {
      write(next, top.high, top.classId);
      next = top.high + 1n;
      open.pop();
    }
  };
  for (const { prefix, prefixLength, atom } of sortPrefixes(entries)) {
    const low = addressNumber(prefix);
    closeBefore(low);
    const around = open.at(-1);
    if (around) write(next, low - 1n, around.classId);
    next = low;
    open.push({ high: low + (1n << BigInt(bits - prefixLength)) - 1n, classId: classOf(atom) });
  }
  closeBefore(1n << BigInt(bits));
  return ranges;
}

export function addressNumber(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}

export function addressOfNumber(value: bigint, bits: 32 | 128): Uint8Array {
  const bytes = new Uint8Array(bits / 8);
  let rest = value;
  for (let position = bytes.length - 1; position >= 0; position--) {
    bytes[position] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

/** Classes that a set uses, ascending. */
export function classesOfSet(entries: readonly ClassEntry[], set: number): readonly number[] {
  const used = new Set(entries.filter((entry) => entry.set === set).map(({ classId }) => classId));
  return [...used].sort((left, right) => left - right);
}
