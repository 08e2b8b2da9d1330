/** The hash table of classes in a slot's tables, as `find_own_class` of bpf/src/tables.h searches it. */
import { BUCKET_CLASSES, CLASS, CLASS_PROBES } from "./layout.ts";
import { WORDS_PER_LINE } from "./lines.ts";

/** `places`: atom and direction bit. */
export interface ClassPlaces {
  readonly places: Uint32Array;
  readonly sets: Uint32Array;
  /** None is 0. */
  readonly classIds: Uint32Array;
}

/** A power of two of lines that follow each other. */
export interface Buckets {
  readonly words: Uint32Array;
  readonly first: number;
  readonly count: number;
}

const WORDS_PER_CLASS = CLASS.size / 4;
const PLACE = CLASS.place / 4;
const SET = CLASS.set / 4;
const ROOT = CLASS.root / 4;
const HEIGHT = CLASS.height / 4;

/** The least number of buckets: at most half full. They are twice as many when a class finds no room. */
export function leastBuckets(entries: number): number {
  const wanted = Math.ceil(entries / (BUCKET_CLASSES / 2));
  return 2 ** Math.ceil(Math.log2(Math.max(1, wanted)));
}

export function clearBuckets({ words, first, count }: Buckets): void {
  words.fill(0, first * WORDS_PER_LINE, (first + count) * WORDS_PER_LINE);
}

/**
 * Adds the entries `from` to before `to`, with class numbers in place of trees until {@link resolveClasses}. Says what was
 * in the way: no room, or one place that is there twice.
 */
export function addClasses(
  buckets: Buckets,
  { places, sets, classIds }: ClassPlaces,
  from: number,
  to: number,
): "added" | "full" | "repeated" {
  const { words } = buckets;
  for (let entry = from; entry < to; entry++) {
    const place = places[entry] as number;
    const set = sets[entry] as number;
    const at = findEntry(buckets, place, set);
    if (at === -1) return "full";
    if (words[at + ROOT] !== 0) return "repeated";
    words[at + PLACE] = place;
    words[at + SET] = set;
    words[at + ROOT] = classIds[entry] as number;
  }
  return "added";
}

/** Word of the entry of a place, or of the free one where it belongs; -1 when there is no room. */
function findEntry({ words, first, count }: Buckets, place: number, set: number): number {
  const hash = hashOfPlace(place, set);
  for (let probe = 0; probe < CLASS_PROBES; probe++) {
    const bucket = (first + ((hash + probe) & (count - 1))) * WORDS_PER_LINE;
    for (let at = bucket; at < bucket + WORDS_PER_LINE; at += WORDS_PER_CLASS) {
      if (words[at + ROOT] === 0) return at;
      if (words[at + PLACE] === place && words[at + SET] === set) return at;
    }
  }
  return -1;
}

function hashOfPlace(place: number, set: number): number {
  const hash = Math.imul(place + Math.imul(set, 0x85eb_ca77), 0x9e37_79b1);
  return hash ^ (hash >>> 16);
}

/** Where the trees of classes are, by class. */
export interface ClassRoots {
  readonly roots: Uint32Array;
  readonly heights: Uint32Array;
}

/** Puts the tree of each class where its number was. */
export function resolveClasses({ words, first, count }: Buckets, { roots, heights }: ClassRoots): void {
  const end = (first + count) * WORDS_PER_LINE;
  for (let at = first * WORDS_PER_LINE; at < end; at += WORDS_PER_CLASS) {
    const classId = words[at + ROOT] as number;
    if (classId === 0) continue;
    words[at + ROOT] = roots[classId] as number;
    words[at + HEIGHT] = heights[classId] as number;
  }
}

/** Puts another tree into one entry that is there. Returns its line. */
export function moveClass(
  buckets: Buckets,
  place: number,
  set: number,
  { root, height }: { readonly root: number; readonly height: number },
): number {
  const at = findEntry(buckets, place, set);
  if (at === -1 || buckets.words[at + ROOT] === 0) throw new RangeError("the class has no entry");
  buckets.words[at + ROOT] = root;
  buckets.words[at + HEIGHT] = height;
  return Math.floor(at / WORDS_PER_LINE);
}
