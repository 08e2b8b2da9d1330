/** Where each node was last, kept for the person at this screen: a picture that one has learned does not change by itself. */
import type { Place } from "./layout.ts";

const MOST_KEPT = 5_000;
const FARTHEST = 1_000_000;

type Storage = Pick<globalThis.Storage, "getItem" | "setItem">;

/** @param key one for each picture */
export function readPlaces(storage: Storage, key: string): Map<string, Place> {
  const places = new Map<string, Place>();
  try {
    const kept: unknown = JSON.parse(storage.getItem(key) ?? "[]");
    if (!Array.isArray(kept)) return places;
    for (const entry of kept.slice(-MOST_KEPT)) {
      if (!Array.isArray(entry)) continue;
      const [id, x, y]: unknown[] = entry;
      if (typeof id === "string" && isPlace(x) && isPlace(y)) places.set(id, { x, y });
    }
  } catch {
    // Whatever is there is not ours: everything is laid out anew.
  }
  return places;
}

const isPlace = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && Math.abs(value) < FARTHEST;

/** The newest are kept; nodes that are gone for now stay among them. */
export function keepPlaces(storage: Storage, key: string, places: ReadonlyMap<string, Place>): void {
  const entries = [...places].slice(-MOST_KEPT).map(([id, { x, y }]) => [id, Math.round(x), Math.round(y)]);
  try {
    storage.setItem(key, JSON.stringify(entries));
  } catch {
    // Without room the picture is laid out anew next time.
  }
}
