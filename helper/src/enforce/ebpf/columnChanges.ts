/** Where columns of two programs differ. Whole blocks are compared by the platform, which reads memory as fast as it is. */
import { portsOfClass, wholePorts } from "./classPorts.ts";
import type { ProgramColumns } from "./columns.ts";

const BLOCK = 4096;

export function sameNumbers(one: Uint32Array, other: Uint32Array): boolean {
  return one === other || (one.length === other.length && bytesOf(one).equals(bytesOf(other)));
}

function bytesOf({ buffer, byteOffset, byteLength }: Uint32Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

/** How many numbers are the same from the first on. */
export function commonStart(one: Uint32Array, other: Uint32Array): number {
  const length = Math.min(one.length, other.length);
  if (one === other) return length;
  const [left, right] = [bytesOf(one), bytesOf(other)];
  let count = 0;
  while (count + BLOCK <= length) {
    const [from, to] = [count * 4, (count + BLOCK) * 4];
    if (left.compare(right, from, to, from, to) !== 0) break;
    count += BLOCK;
  }
  while (count < length && one[count] === other[count]) count += 1;
  return count;
}

/** How many numbers are the same up to the last, of at most `limit`. */
export function commonEnd(one: Uint32Array, other: Uint32Array, limit: number): number {
  const [left, right] = [bytesOf(one), bytesOf(other)];
  let count = 0;
  while (count + BLOCK <= limit) {
    const [ofLeft, ofRight] = [left.length - (count + BLOCK) * 4, right.length - (count + BLOCK) * 4];
    if (left.compare(right, ofRight, ofRight + BLOCK * 4, ofLeft, ofLeft + BLOCK * 4) !== 0) break;
    count += BLOCK;
  }
  while (count < limit && one[one.length - 1 - count] === other[other.length - 1 - count]) count += 1;
  return count;
}

type Tables = Pick<ProgramColumns, "ipv4" | "ipv6" | "classes">;

export function sameIpv4({ ipv4: one }: Tables, { ipv4: other }: Tables): boolean {
  return (
    sameNumbers(one.values, other.values) && sameNumbers(one.lows, other.lows) && sameNumbers(one.highs, other.highs)
  );
}

export function sameIpv6({ ipv6: one }: Tables, { ipv6: other }: Tables): boolean {
  return (
    sameNumbers(one.values, other.values) && sameNumbers(one.lows, other.lows) && sameNumbers(one.highs, other.highs)
  );
}

export function sameClasses({ classes: one }: Tables, { classes: other }: Tables): boolean {
  return (
    sameNumbers(one.classIds, other.classIds) &&
    sameNumbers(one.places, other.places) &&
    sameNumbers(one.sets, other.sets)
  );
}

/**
 * The classes whose ports differ, ascending; `null` when there are more of them than `most`, or not the same classes in
 * both. Takes as long as the part of the list is in which they are, or as there are patched ones.
 */
export function changedClasses(before: ProgramColumns, after: ProgramColumns, most: number): readonly number[] | null {
  if (before.ports === after.ports) return changedPatches(before, after, most);
  if (before.portStarts.length !== after.portStarts.length) return null;
  const columns = ["classIds", "lows", "highs", "values"] as const;
  const [old, now] = [wholePorts(before), wholePorts(after)];
  const start = Math.min(...columns.map((name) => commonStart(old[name], now[name])));
  const rest = Math.min(old.lows.length, now.lows.length) - start;
  const end = Math.min(...columns.map((name) => commonEnd(old[name], now[name], rest)));
  if (start === now.lows.length && start === old.lows.length) return [];
  const first = Math.min(classAt(old.classIds, start), classAt(now.classIds, start));
  const last = Math.max(
    classAt(old.classIds, old.lows.length - 1 - end),
    classAt(now.classIds, now.lows.length - 1 - end),
  );
  const changed: number[] = [];
  for (let classId = first; classId <= last; classId++) {
    const same = compareClass(before, after, classId);
    if (same === "missing") return null;
    if (same === "changed" && changed.push(classId) > most) return null;
  }
  return changed;
}

/** Of two that are patched versions of the same. */
function changedPatches(before: ProgramColumns, after: ProgramColumns, most: number): readonly number[] | null {
  const classIds = new Set([...before.patched.keys(), ...after.patched.keys()]);
  const changed = [...classIds].filter(
    (classId) =>
      before.patched.get(classId) !== after.patched.get(classId) && compareClass(before, after, classId) === "changed",
  );
  return changed.length > most ? null : changed.sort((one, other) => one - other);
}

function classAt(classIds: Uint32Array, place: number): number {
  return classIds[Math.max(0, Math.min(place, classIds.length - 1))] ?? 0;
}

function compareClass(before: ProgramColumns, after: ProgramColumns, classId: number): "same" | "changed" | "missing" {
  const [old, now] = [portsOfClass(before, classId), portsOfClass(after, classId)];
  const [oldCount, count] = [old.to - old.from, now.to - now.from];
  if ((oldCount === 0) !== (count === 0)) return "missing";
  if (oldCount !== count) return "changed";
  for (let place = 0; place < count; place++) {
    const isSame =
      old.values[old.from + place] === now.values[now.from + place] &&
      old.lows[old.from + place] === now.lows[now.from + place] &&
      old.highs[old.from + place] === now.highs[now.from + place];
    if (!isSame) return "changed";
  }
  return "same";
}
