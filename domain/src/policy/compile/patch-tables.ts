/**
 * The tables after a small change without putting all of them together: where each changed class had its atom, its table
 * and its decisions for itself, and has so again, all numbers stay what they were and only some port entries are others.
 */
import { type PatchedRows, type PortRows, patchOfPorts, patchPorts } from "../port-columns.ts";
import type { ProgramColumns } from "../program-columns.ts";
import type { AddressBehaviours, BehaviourChange } from "./address-behaviours.ts";
import type { Assembly, ProgramTables } from "./assemble.ts";
import type { ClassNumbers } from "./class-numbers.ts";
import { refuseAbove } from "./limits.ts";
import { NO_UNITS, type PrefixSet } from "./prefix-set.ts";
import type { TablePool } from "./table-pool.ts";

/** What tables were made from, as far as it counts here. */
export interface LastTables {
  readonly tables: ProgramTables;
  readonly prefixes: PrefixSet;
  /** By set, ingress first: place of its view among all of them. */
  readonly viewPlaces: readonly number[];
  readonly classes: ClassNumbers;
  /** By number of the decision: its index in the program, and how many port entries have it. */
  readonly indexes: Uint32Array;
  readonly uses: Uint32Array;
}

/** More changes than these are not worth looking at one by one. */
const MAX_CHANGES = 32;
/** Classes that columns are patched in before whole ones are made. */
const MAX_PATCHED = 256;

type Ports = ProgramColumns["ports"];

/** A class with another table. */
interface ClassChange {
  readonly classId: number;
  readonly before: number;
  readonly table: number;
}

/** `null` = it takes putting them together, and `last` is of no use any more. */
export function patchTables(
  { tables, prefixes, classes, indexes, uses }: LastTables,
  changes: readonly BehaviourChange[],
  { behaviours, pool, decisions }: Assembly,
): ProgramTables | null {
  if (changes.length > MAX_CHANGES) return null;
  const present = changes.filter(({ signature }) => prefixes.signatures.includes(signature));
  if (changes.length > present.length && changes.some(({ signature }) => signature === NO_UNITS)) return null;
  const classChanges = changeClasses(classes, present, behaviours);
  if (classChanges === null) return null;
  if (classChanges.length === 0) return tables;
  const decisionNumbers = tables.decisionNumbers.slice();
  const decisionFlags = tables.columns.decisionFlags.slice();
  const changedDecisions: number[] = [];
  for (const { before, table } of classChanges) {
    const replaced = replaceDecisions(pool, before, table, uses);
    if (replaced === null) return null;
    // One that goes from here may come at another place: all places are given up before any is taken.
    const places = replaced.map(([old]) => indexes[old] ?? 0);
    for (const [old] of replaced) indexes[old] = 0;
    for (const [at, [, next]] of replaced.entries()) {
      if (next >= indexes.length) return null;
      const index = places[at] ?? 0;
      indexes[next] = index;
      decisionNumbers[index] = next;
      decisionFlags[index] = decisions.flagsOf(next);
      changedDecisions.push(index);
    }
  }
  const { columns } = tables;
  const ports = replaceEntries(columns, classChanges, pool, indexes);
  const others = columns.addresses4.atoms.length + columns.addresses6.atoms.length + columns.classes.atoms.length;
  refuseAbove(others + ports.classIds.length);
  const classIds = classChanges.map(({ classId }) => classId);
  const { ports: ofPorts } = columns;
  const patch = { ofPorts, ofDecisions: tables.decisionNumbers, classIds, decisions: changedDecisions };
  return { columns: { ...columns, ports, decisionFlags }, decisionNumbers, patch };
}

/** The classes whose table is another one, in ascending order; `null` where one of them is not for itself. */
function changeClasses(
  classes: ClassNumbers,
  changes: readonly BehaviourChange[],
  behaviours: AddressBehaviours,
): readonly ClassChange[] | null {
  const found: ClassChange[] = [];
  // All of them first: one that stays what it was may be what another one was.
  const asked = changes.map((change) => ({ ...change, next: behaviours.of(change.signature) }));
  const others = asked.filter(({ behaviour, next }) => next !== behaviour);
  // Those that were alike had one atom.
  if (new Set(others.map(({ behaviour }) => behaviour)).size < others.length) return null;
  for (const { signature, behaviour: before, next: behaviour } of others) {
    if (signature === NO_UNITS || !behaviours.isOnlyOf(behaviour, signature) || behaviours.isUsed(before)) return null;
    for (let view = 0; view < behaviours.viewCount; view++) {
      const [old, table] = [behaviours.tableOf(before, view), behaviours.tableOf(behaviour, view)];
      if (old === table) continue;
      const classId = classes.replace(old, table);
      if (classId === null) return null;
      found.push({ classId, before: old, table });
    }
  }
  return found.sort((left, right) => left.classId - right.classId);
}

/**
 * The decisions that others stand in place of, and those. `null` where the numbers of decisions could not stay: one that
 * goes is used elsewhere, one that comes was there before, or they are not as many.
 */
function replaceDecisions(
  pool: TablePool,
  before: number,
  table: number,
  uses: Uint32Array,
): readonly (readonly [old: number, next: number])[] | null {
  const [gone, come] = [countDecisions(pool, before), countDecisions(pool, table)];
  if (gone.size !== come.size) return null;
  for (const [number, count] of gone) uses[number] = (uses[number] ?? 0) - count;
  const olds = [...gone.keys()];
  const replaced: [number, number][] = [];
  for (const [place, number] of [...come.keys()].entries()) {
    const old = olds[place] ?? 0;
    if (old === number) continue;
    if (number >= uses.length || uses[old] !== 0 || uses[number] !== 0) return null;
    replaced.push([old, number]);
  }
  for (const [number, count] of come) uses[number] = (uses[number] ?? 0) + count;
  return replaced;
}

/** How many entries of the table have each decision, in the order in which they come. */
function countDecisions(pool: TablePool, table: number): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  const end = pool.startOf(table) + pool.lengthOf(table);
  for (let at = pool.startOf(table); at < end; at++) {
    const number = pool.decisions[at] ?? 0;
    counts.set(number, (counts.get(number) ?? 0) + 1);
  }
  return counts;
}

function replaceEntries(
  { ports, decisionFlags }: ProgramColumns,
  changes: readonly ClassChange[],
  pool: TablePool,
  indexes: Uint32Array,
): Ports {
  const isInPlace = changes.every(({ before: old, table }) => pool.lengthOf(old) === pool.lengthOf(table));
  if (!isInPlace) return moveEntries(ports, changes, pool, indexes);
  const rows = new Map(changes.map((change) => [change.classId, rowsOf(ports, change, pool, indexes)]));
  const patched = patchPorts(ports, decisionFlags, rows);
  const isSmall = (patchOfPorts(patched)?.changed.size ?? 0) <= MAX_PATCHED;
  return isSmall ? patched : wholeColumns(patched);
}

/** Where all tables are as long as those before them: the classes of all entries stay, and with them their column. */
function rowsOf(
  { classIds }: Ports,
  { classId, table }: ClassChange,
  pool: TablePool,
  indexes: Uint32Array,
): PatchedRows {
  const length = pool.lengthOf(table);
  const rows = { lows: new Uint32Array(length), highs: new Uint32Array(length), decisions: new Uint32Array(length) };
  writeTable(rows, 0, table, pool, indexes);
  return { ...rows, from: firstOfClass(classIds, classId) };
}

function wholeColumns({ classIds, lows, highs, decisions }: Ports): Ports {
  return { classIds, lows, highs, decisions };
}

/** The entries of a table, from row `to` on. */
function writeTable(
  { lows, highs, decisions }: PortRows,
  to: number,
  table: number,
  pool: TablePool,
  indexes: Uint32Array,
) {
  const start = pool.startOf(table);
  for (let place = 0; place < pool.lengthOf(table); place++) {
    lows[to + place] = pool.lows[start + place] ?? 0;
    highs[to + place] = pool.highs[start + place] ?? 0;
    decisions[to + place] = indexes[pool.decisions[start + place] ?? 0] ?? 0;
  }
}

function moveEntries(before: Ports, changes: readonly ClassChange[], pool: TablePool, indexes: Uint32Array): Ports {
  const more = changes.reduce((sum, { before: old, table }) => sum + pool.lengthOf(table) - pool.lengthOf(old), 0);
  const length = before.classIds.length + more;
  const ports = {
    classIds: new Uint32Array(length),
    lows: new Uint32Array(length),
    highs: new Uint32Array(length),
    decisions: new Uint32Array(length),
  };
  let [from, to] = [0, 0];
  const copyUntil = (end: number): void => {
    for (const name of ["classIds", "lows", "highs", "decisions"] as const) {
      ports[name].set(before[name].subarray(from, end), to);
    }
    to += end - from;
    from = end;
  };
  for (const { classId, before: old, table } of changes) {
    copyUntil(firstOfClass(before.classIds, classId));
    const length = pool.lengthOf(table);
    ports.classIds.fill(classId, to, to + length);
    writeTable(ports, to, table, pool, indexes);
    to += length;
    from += pool.lengthOf(old);
  }
  copyUntil(before.classIds.length);
  return ports;
}

/** The first row of the class, or of the next one that there is. */
export function firstOfClass(classIds: Uint32Array, classId: number): number {
  let [low, high] = [0, classIds.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((classIds[middle] ?? 0) < classId) low = middle + 1;
    else high = middle;
  }
  return low;
}
