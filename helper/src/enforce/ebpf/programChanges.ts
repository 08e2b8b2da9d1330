/** What differs between two programs, as far as the self-test asks about it. */
import type { HostProgram } from "@wardline/domain/policy";
import { portsOfClass, wholePorts } from "./classPorts.ts";
import {
  changedClasses,
  commonEnd,
  commonStart,
  sameClasses,
  sameIpv4,
  sameIpv6,
  sameNumbers,
} from "./columnChanges.ts";
import { columnsOf, type ProgramColumns } from "./columns.ts";
import { VALUE_FLAGS_SHIFT } from "./layout.ts";
import { compareLists } from "./listChanges.ts";

/** More classes than this are not told apart. */
const MOST_CLASSES = 32;

/** What is to be asked about in one of the two programs: places are those of its columns. */
export interface ChangedParts {
  readonly classIds: ReadonlySet<number>;
  readonly ports: ReadonlySet<number>;
  readonly ipv4: readonly number[];
  readonly ipv6: readonly number[];
}

export interface ProgramChanges {
  readonly before: ChangedParts;
  readonly now: ChangedParts;
}

/** Places that are gone from the one and new in the other. */
interface Places {
  readonly before: readonly number[];
  readonly now: readonly number[];
}

const NOWHERE: Places = { before: [], now: [] };

/**
 * Where both number their classes alike, all ports and prefixes that differ when they are in few classes. Else the first
 * places that came or went whatever their numbers: what a change of numbers moves is nearly everything.
 */
export function programChanges(before: HostProgram | null, program: HostProgram): ProgramChanges {
  const [old, now] = [columnsOf(before ?? program), columnsOf(program)];
  const isNumberedAlike = sameClasses(old, now);
  const classes = isNumberedAlike ? changedClasses(old, now, MOST_CLASSES) : null;
  const ports = classes === null ? changedPorts(old, now) : portsOfClasses(old, now, classes);
  const ipv4 = sameIpv4(old, now) ? NOWHERE : changedPrefixes(old.ipv4, now.ipv4, 1, isNumberedAlike);
  const ipv6 = sameIpv6(old, now) ? NOWHERE : changedPrefixes(old.ipv6, now.ipv6, 4, isNumberedAlike);
  const partsOf = (columns: ProgramColumns, side: keyof Places): ChangedParts => ({
    classIds: new Set([...(classes ?? []), ...ports[side].map((place) => columns.ports.classIds[place] as number)]),
    ports: new Set(ports[side]),
    ipv4: ipv4[side],
    ipv6: ipv6[side],
  });
  return { before: partsOf(old, "before"), now: partsOf(now, "now") };
}

function portsOfClasses(old: ProgramColumns, now: ProgramColumns, classes: readonly number[]): Places {
  return {
    before: classes.flatMap((classId) => missingPorts(old, now, classId)),
    now: classes.flatMap((classId) => missingPorts(now, old, classId)),
  };
}

/** Places of the port entries of a class that the other program does not have in it. */
function missingPorts(columns: ProgramColumns, other: ProgramColumns, classId: number): readonly number[] {
  const known = new Set(keysOfPorts(other, classId));
  const first = columns.portStarts[classId] ?? 0;
  return keysOfPorts(columns, classId).flatMap((key, place) => (known.has(key) ? [] : [first + place]));
}

function keysOfPorts(columns: ProgramColumns, classId: number): readonly string[] {
  const { lows, highs, values, from, to } = portsOfClass(columns, classId);
  return Array.from({ length: to - from }, (_, at) => `${lows[from + at]} ${highs[from + at]} ${values[from + at]}`);
}

/** By ports and verdicts, and not by the numbers of classes and decisions. */
function changedPorts(before: ProgramColumns, after: ProgramColumns): Places {
  const [old, now] = [wholePorts(before), wholePorts(after)];
  if (sameNumbers(old.lows, now.lows) && sameNumbers(old.highs, now.highs) && sameNumbers(old.values, now.values))
    return NOWHERE;
  return compare(old.lows.length, now.lows.length, 0, (one, other) => {
    const hasSamePorts = old.lows[one] === now.lows[other] && old.highs[one] === now.highs[other];
    return (
      hasSamePorts &&
      (old.values[one] as number) >>> VALUE_FLAGS_SHIFT === (now.values[other] as number) >>> VALUE_FLAGS_SHIFT
    );
  });
}

interface Prefixes {
  readonly lows: Uint32Array;
  readonly highs: Uint32Array;
  readonly values: Uint32Array;
}

/** `wordCount`: numbers of a key. `withAtoms`: one that has another atom counts as changed. */
function changedPrefixes(old: Prefixes, now: Prefixes, wordCount: 1 | 4, withAtoms: boolean): Places {
  const start = Math.min(
    Math.floor(commonStart(old.lows, now.lows) / wordCount),
    Math.floor(commonStart(old.highs, now.highs) / wordCount),
    withAtoms ? commonStart(old.values, now.values) : Number.POSITIVE_INFINITY,
  );
  const rest = Math.min(old.values.length, now.values.length) - start;
  const end = Math.min(
    Math.floor(commonEnd(old.lows, now.lows, rest * wordCount) / wordCount),
    Math.floor(commonEnd(old.highs, now.highs, rest * wordCount) / wordCount),
    withAtoms ? commonEnd(old.values, now.values, rest) : Number.POSITIVE_INFINITY,
  );
  return compare(old.values.length - end, now.values.length - end, start, (one, other) => {
    if (withAtoms && old.values[one] !== now.values[other]) return false;
    return hasSameKeys(old, one, now, other, wordCount);
  });
}

function hasSameKeys(one: Prefixes, oneAt: number, other: Prefixes, otherAt: number, wordCount: number): boolean {
  for (let word = 0; word < wordCount; word++) {
    const [left, right] = [oneAt * wordCount + word, otherAt * wordCount + word];
    if (one.lows[left] !== other.lows[right] || one.highs[left] !== other.highs[right]) return false;
  }
  return true;
}

/** From place `start` on. */
function compare(
  countBefore: number,
  countNow: number,
  start: number,
  isSame: (one: number, other: number) => boolean,
): Places {
  const { added, removed } = compareLists(countBefore - start, countNow - start, (one, other) =>
    isSame(start + one, start + other),
  );
  return { before: [...removed].map((place) => start + place), now: [...added].map((place) => start + place) };
}
