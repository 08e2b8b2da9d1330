/**
 * A map with a limit that a flood of new keys cannot empty: new keys live in a small front room where one that was long
 * unused is put out; what has proved to matter is kept in a second room, which only its like can crowd.
 */
export interface TieredMap<Value> {
  readonly youngLimit: number;
  readonly keptLimit: number;
  young: Map<string, Slot<Value>>;
  kept: Map<string, Slot<Value>>;
  /** Entries that had to go. */
  evicted: number;
}

interface Slot<Value> {
  readonly value: Value;
  /** Since it was last at the front of the queue: then it is spared once. Cheaper than moving it at each use. */
  used: boolean;
}

export function tieredMap<Value>(youngLimit: number, keptLimit: number): TieredMap<Value> {
  return { youngLimit, keptLimit, young: new Map(), kept: new Map(), evicted: 0 };
}

/** The entry, which counts as used. */
export function touchEntry<Value>(map: TieredMap<Value>, key: string): Value | undefined {
  const slot = map.kept.get(key) ?? map.young.get(key);
  if (slot === undefined) return undefined;
  slot.used = true;
  return slot.value;
}

export function peekEntry<Value>(map: TieredMap<Value>, key: string): Value | undefined {
  return (map.kept.get(key) ?? map.young.get(key))?.value;
}

export function addEntry<Value>(map: TieredMap<Value>, key: string, value: Value): Value {
  map.young.set(key, { value, used: false });
  map.evicted += putOut(map.young, map.youngLimit);
  return value;
}

export function keepEntry<Value>(map: TieredMap<Value>, key: string): void {
  const slot = map.young.get(key);
  if (slot === undefined) return;
  map.young.delete(key);
  map.kept.set(key, slot);
  map.evicted += putOut(map.kept, map.keptLimit);
}

export function* entriesOf<Value>(map: TieredMap<Value>): Generator<readonly [string, Value]> {
  for (const room of [map.young, map.kept]) for (const [key, { value }] of room) yield [key, value];
}

export function removeWhere<Value>(map: TieredMap<Value>, isOld: (value: Value, key: string) => boolean): void {
  for (const room of [map.young, map.kept]) {
    for (const [key, { value }] of room) if (isOld(value, key)) room.delete(key);
  }
}

export function sizeOf<Value>(map: TieredMap<Value>): number {
  return map.young.size + map.kept.size;
}

/** A room may be this much over its limit. */
const SLACK = 1.125;

function putOut<Value>(room: Map<string, Slot<Value>>, limit: number): number {
  let removed = 0;
  // In lots: a map is slow to walk from the front while it has just lost its front.
  if (room.size <= limit * SLACK) return removed;
  for (const [key, slot] of room) {
    if (room.size <= limit) break;
    room.delete(key);
    if (slot.used) {
      slot.used = false;
      room.set(key, slot);
    } else removed++;
  }
  return removed;
}
