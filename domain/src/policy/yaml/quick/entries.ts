import type { MapEntry } from "../node.ts";
import type { Cursor } from "./cursor.ts";

/** Mappings with more keys than this look for a repeated one in a set. */
const FEW_KEYS = 12;
/** A longer key is refused by the library where it stands before its colon. */
const MAX_KEY_LENGTH = 1000;

const keySets = new WeakMap<MapEntry[], Set<string>>();

/** Appends the entry; an empty, repeated or overlong key is declined. */
export function addEntry(cursor: Cursor, entries: MapEntry[], entry: MapEntry): void {
  const { key, keySpan } = entry;
  if (key === "" || keySpan.end - keySpan.start > MAX_KEY_LENGTH)
    cursor.decline("a key that is no name", cursor.base + keySpan.start);
  if (isKnown(entries, key)) cursor.decline("a key that is set twice", cursor.base + keySpan.start);
  entries.push(entry);
}

function isKnown(entries: MapEntry[], key: string): boolean {
  if (entries.length < FEW_KEYS) {
    for (const entry of entries) if (entry.key === key) return true;
    return false;
  }
  let keys = keySets.get(entries);
  if (!keys) {
    keys = new Set(entries.map((entry) => entry.key));
    keySets.set(entries, keys);
  }
  if (keys.has(key)) return true;
  keys.add(key);
  return false;
}
