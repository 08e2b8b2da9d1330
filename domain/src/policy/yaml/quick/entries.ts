import type { MapEntry, Span, YamlNode } from "../node.ts";
import type { Cursor } from "./cursor.ts";

/** Mappings with more keys than this look for a repeated one in a set. */
const FEW_KEYS = 12;
/** A longer key is refused by the library where it stands before its colon. */
const MAX_KEY_LENGTH = 1000;

/** Adds an entry to the mapping whose entries are gathered from `from` on; an empty, repeated or overlong key is declined. */
export function addEntry(cursor: Cursor, from: number, key: string, keySpan: Span, value: YamlNode): void {
  if (key === "" || keySpan.end - keySpan.start > MAX_KEY_LENGTH)
    cursor.decline("a key that is no name", cursor.base + keySpan.start);
  if (isKnown(cursor, from, key)) cursor.decline("a key that is set twice", cursor.base + keySpan.start);
  cursor.entries.add({ key, keySpan, value });
}

/** The entries from `from` on, all of the mapping that ends here. */
export function takeEntries(cursor: Cursor, from: number): MapEntry[] {
  if (cursor.entries.count - from >= FEW_KEYS) cursor.keySets.delete(from);
  return cursor.entries.take(from);
}

function isKnown({ entries, keySets }: Cursor, from: number, key: string): boolean {
  const { count } = entries;
  if (count - from < FEW_KEYS) {
    for (let place = from; place < count; place++) if (entries.at(place)?.key === key) return true;
    return false;
  }
  let keys = keySets.get(from);
  if (!keys) {
    keys = new Set();
    for (let place = from; place < count; place++) keys.add(entries.at(place)?.key ?? "");
    keySets.set(from, keys);
  }
  if (keys.has(key)) return true;
  keys.add(key);
  return false;
}
