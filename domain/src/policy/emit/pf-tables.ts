/** Address tables of a pf anchor. pf looks up the longest entry that holds an address, as the program's tables do. */
import { cidrContains, formatCidr } from "../address.ts";
import type { Cidr } from "../model.ts";
import type { AddressEntry } from "../program.ts";
import { sortPrefixes } from "./regions.ts";

/**
 * Entries for each class but that of atom 0: its prefixes, and with `!` the ones inside them that belong to another
 * class. A prefix that changes nothing where it lies is left out.
 */
export function pfTables(
  entries: readonly AddressEntry[],
  classOf: (atom: number) => number,
): ReadonlyMap<number, readonly string[]> {
  const otherwise = classOf(0);
  const tables = new Map<number, Map<string, "" | "!">>();
  const add = (classId: number, sign: "" | "!", cidr: Cidr): void => {
    if (classId === otherwise) return;
    const table = tables.get(classId) ?? new Map<string, "" | "!">();
    tables.set(classId, table);
    // What is inside comes later, so it overwrites half of a whole family.
    for (const part of withoutWholeFamily(cidr)) table.set(formatCidr(part), sign);
  };
  const around: { readonly cidr: Cidr; readonly classId: number }[] = [];
  for (const { prefix, prefixLength, atom } of sortPrefixes(entries)) {
    const cidr: Cidr = { family: prefix.length === 4 ? 4 : 6, bytes: prefix, prefixLength };
    for (let top = around.at(-1); top !== undefined && !cidrContains(top.cidr, cidr); top = around.at(-1)) around.pop();
    const outer = around.at(-1)?.classId ?? otherwise;
    const classId = classOf(atom);
    around.push({ cidr, classId });
    if (classId === outer) continue;
    add(outer, "!", cidr);
    add(classId, "", cidr);
  }
  return new Map([...tables].map(([classId, table]) => [classId, [...table].map(([cidr, sign]) => `${sign}${cidr}`)]));
}

/** A table entry of length 0 is not reliably accepted; its two halves are. */
function withoutWholeFamily(cidr: Cidr): readonly Cidr[] {
  if (cidr.prefixLength > 0) return [cidr];
  const upper = Uint8Array.from(cidr.bytes);
  upper[0] = 0x80;
  return [
    { ...cidr, prefixLength: 1 },
    { ...cidr, bytes: upper, prefixLength: 1 },
  ];
}
