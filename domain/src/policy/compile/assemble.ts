/** From the views of one host to its tables: atoms, classes and decisions, numbered in the order of their first use. */
import type { Direction } from "../model.ts";
import type { HostProgram } from "../program.ts";
import { DIRECTION_EGRESS, DIRECTION_INGRESS, type ProgramColumns } from "../program-columns.ts";
import type { AddressBehaviours } from "./address-behaviours.ts";
import type { BuiltinNumbers } from "./builtin-numbers.ts";
import { ClassNumbers } from "./class-numbers.ts";
import type { DecisionTable } from "./decision-table.ts";
import { isSameList } from "./interner.ts";
import { refuseAbove } from "./limits.ts";
import { type LastTables, patchTables } from "./patch-tables.ts";
import { NO_UNITS, type PrefixSet } from "./prefix-set.ts";
import { keepEqual, type Scratch } from "./scratch.ts";
import type { TablePool } from "./table-pool.ts";
import type { UnitTable } from "./units.ts";
import { placesOf, type View } from "./view.ts";

/** The tables of a program, and where its decisions come from. */
export interface ProgramTables {
  readonly columns: ProgramColumns;
  /** By index of the decision: its number in the decision table. */
  readonly decisionNumbers: Uint32Array;
  /** What they differ in from the tables before. */
  readonly patch?: TablesPatch;
}

/** Of tables that had these ports and decisions. They themselves would hold on to all that came before. */
export interface TablesPatch {
  readonly ofPorts: ProgramColumns["ports"];
  readonly ofDecisions: Uint32Array;
  readonly classIds: readonly number[];
  /** Places in `decisionNumbers`. */
  readonly decisions: readonly number[];
}

/** The views of one set. */
export type SetViews = Readonly<Record<Direction, View>>;

/** What tables are put together from; all of a world's hosts share it. */
export interface Assembly {
  readonly units: UnitTable;
  readonly pool: TablePool;
  readonly decisions: DecisionTable;
  readonly builtins: BuiltinNumbers;
  /** Of the last tables, for the next ones: mostly the same host. */
  readonly behaviours: AddressBehaviours;
  readonly scratch: Scratch;
}

/** In place of the number of an atom, from 1: nothing has the behaviour so far, or only what is left out. */
const UNSEEN = 0;
const NO_ATOM = 0xffff_ffff;

/** Room for the decisions of small changes; when they are more, all is numbered again. */
const MORE_DECISIONS = 16_384;

/**
 * Puts the tables of one host after the other together. Columns that are equal to those of the last tables are the same
 * objects.
 */
export class TableAssembler {
  readonly #assembly: Assembly;
  #last: LastTables | null = null;

  constructor(assembly: Assembly) {
    this.#assembly = assembly;
  }

  /** `sets` in the order of the sets' ids. Throws `TOO_LARGE` above one million entries. */
  assemble(sets: readonly SetViews[]): ProgramTables {
    const { units, behaviours } = this.#assembly;
    const views = [...new Set(sets.flatMap(({ ingress, egress }) => [ingress, egress]))];
    const viewPlaces = sets.flatMap(({ ingress, egress }) => [views.indexOf(ingress), views.indexOf(egress)]);
    const prefixes = units.prefixesOf(unitsOf(views, units));
    refuseAbove(prefixes.numbers.length);
    const changes = behaviours.startWith(views);
    const last = this.#last;
    // Until it is known again: what goes wrong in between leaves nothing to go on from.
    this.#last = null;
    const isLike = last !== null && last.prefixes === prefixes && isSameList(last.viewPlaces, viewPlaces);
    const patched = isLike && changes !== null ? patchTables(last, changes, this.#assembly) : null;
    if (last !== null && patched !== null) {
      this.#last = { ...last, tables: patched };
      return patched;
    }
    const made = assembleTables(sets, views, prefixes, this.#assembly, last?.tables ?? null);
    this.#last = { ...made, prefixes, viewPlaces };
    return made.tables;
  }
}

function assembleTables(
  sets: readonly SetViews[],
  views: readonly View[],
  prefixes: PrefixSet,
  assembly: Assembly,
  before: ProgramTables | null,
): Omit<LastTables, "prefixes" | "viewPlaces"> {
  const { pool, decisions, behaviours, scratch } = assembly;
  const classes = new ClassNumbers(pool, scratch);
  const atoms = assignAtoms(prefixes, behaviours, classes, scratch);
  const classEntries = listClasses(sets, views, atoms, assembly, classes);
  const { ports, decisionNumbers, indexes, uses } = numberDecisions(classes, assembly);
  const { addresses4, addresses6 } = addressColumns(prefixes, atoms, scratch);
  const ofDecisions = keepEqual(
    { decisionFlags: flagsOf(decisionNumbers, decisions, scratch), decisionNumbers },
    before === null
      ? undefined
      : { decisionFlags: before.columns.decisionFlags, decisionNumbers: before.decisionNumbers },
  );
  const columns = {
    addresses4: keepEqual(addresses4, before?.columns.addresses4),
    addresses6: keepEqual(addresses6, before?.columns.addresses6),
    classes: keepEqual(classEntries, before?.columns.classes),
    ports: keepEqual(ports, before?.columns.ports),
    decisionFlags: ofDecisions.decisionFlags,
  };
  return { tables: { columns, decisionNumbers: ofDecisions.decisionNumbers }, classes, indexes, uses };
}

function flagsOf(decisionNumbers: Uint32Array, decisions: DecisionTable, scratch: Scratch): Uint8Array {
  const flags = scratch.bytes("decisionFlags", decisionNumbers.length);
  for (let index = 0; index < flags.length; index++) flags[index] = decisions.flagsOf(decisionNumbers[index] ?? 0);
  return flags;
}

export function listDecisions({ decisionNumbers }: ProgramTables, decisions: DecisionTable): HostProgram["decisions"] {
  return Array.from(decisionNumbers, (number, index) => decisions.placed(number, index));
}

function unitsOf(views: readonly View[], units: UnitTable): Int32Array {
  const naming = views.filter((view) => view.units.length > 0);
  const [first] = naming;
  if (first && naming.length === 1) return first.units;
  const isNamed = new Uint8Array(units.unitCount());
  for (const view of naming) for (const unit of view.units) isNamed[unit] = 1;
  return placesOf(isNamed);
}

/** Prefixes that behave alike in every view share an atom; one that behaves as its surroundings is left out. */
interface Atoms {
  readonly count4: number;
  readonly count6: number;
  /** By place of the prefix; 0 = left out. */
  readonly ofPlace: Uint32Array;
  /** The behaviour of each atom. Atom 0 is every address that no entry has. */
  readonly behaviours: Uint32Array;
}

function assignAtoms(
  { prefixes, numbers, parents, signatures }: PrefixSet,
  behaviours: AddressBehaviours,
  classes: ClassNumbers,
  scratch: Scratch,
): Atoms {
  const ofPlace = scratch.words("atomOfPlace", numbers.length);
  const found = scratch.words("behaviourOfPlace", numbers.length);
  const atoms = scratch.words("behaviourOfAtom", numbers.length + 1);
  // There is a behaviour for each signature at most, and those of before.
  const atomOf = scratch.words("atomOfBehaviour", behaviours.count + numbers.length + 1).fill(UNSEEN);
  const behaviourOf = (signature: number): number => {
    const behaviour = behaviours.of(signature);
    if (atomOf[behaviour] !== UNSEEN) return behaviour;
    atomOf[behaviour] = NO_ATOM;
    for (let view = 0; view < behaviours.viewCount; view++) classes.use(behaviours.tableOf(behaviour, view));
    return behaviour;
  };
  const unnamed = behaviourOf(NO_UNITS);
  atoms[0] = unnamed;
  let [atomCount, count4, count6] = [1, 0, 0];
  for (let place = 0; place < numbers.length; place++) {
    const behaviour = behaviourOf(signatures[place] ?? NO_UNITS);
    found[place] = behaviour;
    ofPlace[place] = 0;
    const parent = parents[place] ?? -1;
    if (behaviour === (parent < 0 ? unnamed : found[parent])) continue;
    let atom = atomOf[behaviour] ?? UNSEEN;
    if (atom === NO_ATOM) {
      // Where an exception ends up as the unnamed addresses are, it has an atom of its own, too.
      atom = atomCount++;
      atoms[atom] = behaviour;
      atomOf[behaviour] = atom;
    }
    ofPlace[place] = atom;
    if (prefixes.isIpv6(numbers[place] ?? 0)) count6 += 1;
    else count4 += 1;
    refuseAbove(count4 + count6 + classes.entryCount);
  }
  return { count4, count6, ofPlace, behaviours: atoms.subarray(0, atomCount) };
}

function addressColumns(
  { prefixes, numbers }: PrefixSet,
  { count4, count6, ofPlace }: Atoms,
  scratch: Scratch,
): Pick<ProgramColumns, "addresses4" | "addresses6"> {
  const addresses4 = {
    lows: scratch.words("lows4", count4),
    prefixLengths: scratch.bytes("prefixLengths4", count4),
    atoms: scratch.words("atoms4", count4),
  };
  const addresses6 = {
    bytes: scratch.bytes("bytes6", 16 * count6),
    prefixLengths: scratch.bytes("prefixLengths6", count6),
    atoms: scratch.words("atoms6", count6),
  };
  let [at4, at6] = [0, 0];
  for (let place = 0; place < numbers.length; place++) {
    const atom = ofPlace[place] ?? 0;
    if (atom === 0) continue;
    const number = numbers[place] ?? 0;
    if (prefixes.isIpv6(number)) {
      addresses6.bytes.set(prefixes.cidr(number).bytes, 16 * at6);
      addresses6.prefixLengths[at6] = prefixes.lengthOf(number);
      addresses6.atoms[at6++] = atom;
    } else {
      addresses4.lows[at4] = prefixes.word(number);
      addresses4.prefixLengths[at4] = prefixes.lengthOf(number);
      addresses4.atoms[at4++] = atom;
    }
  }
  return { addresses4, addresses6 };
}

const DIRECTIONS = [
  ["ingress", DIRECTION_INGRESS],
  ["egress", DIRECTION_EGRESS],
] as const;

/** An atom whose class is that of atom 0 has no entry. */
function listClasses(
  sets: readonly SetViews[],
  views: readonly View[],
  { count4, count6, behaviours: atoms }: Atoms,
  { behaviours, scratch }: Assembly,
  classes: ClassNumbers,
): ProgramColumns["classes"] {
  const placeOf = new Map(views.map((view, place) => [view, place]));
  const lists = views.map((_, view) => listOfView(view, atoms, behaviours, classes, scratch));
  let count = 0;
  for (const own of sets) {
    for (const [direction] of DIRECTIONS) count += lists[placeOf.get(own[direction]) ?? 0]?.atoms.length ?? 0;
    refuseAbove(count4 + count6 + count + classes.entryCount);
  }
  const columns = {
    sets: scratch.words("classSets", count),
    directions: scratch.bytes("classDirections", count),
    atoms: scratch.words("classAtoms", count),
    classIds: scratch.words("classIds", count),
  };
  let at = 0;
  for (const [set, own] of sets.entries()) {
    for (const [direction, code] of DIRECTIONS) {
      const list = lists[placeOf.get(own[direction]) ?? 0];
      if (!list) continue;
      const end = at + list.atoms.length;
      columns.sets.fill(set, at, end);
      columns.directions.fill(code, at, end);
      columns.atoms.set(list.atoms, at);
      columns.classIds.set(list.classIds, at);
      at = end;
    }
  }
  return columns;
}

/** The atoms that have an entry for the view at this place, and their classes. */
function listOfView(
  view: number,
  atoms: Uint32Array,
  behaviours: AddressBehaviours,
  classes: ClassNumbers,
  scratch: Scratch,
) {
  const listed = scratch.words(`atoms of view ${view}`, atoms.length);
  const classIds = scratch.words(`classes of view ${view}`, atoms.length);
  const unnamed = classes.classOf(behaviours.tableOf(atoms[0] ?? 0, view));
  let count = 0;
  for (let atom = 0; atom < atoms.length; atom++) {
    const classId = classes.classOf(behaviours.tableOf(atoms[atom] ?? 0, view));
    if (atom !== 0 && classId === unnamed) continue;
    listed[count] = atom;
    classIds[count++] = classId;
  }
  return { atoms: listed.subarray(0, count), classIds: classIds.subarray(0, count) };
}

/** Numbers the decisions that are used, in the order of the port entries, behind the builtins at their fixed places. */
function numberDecisions(classes: ClassNumbers, { pool, decisions, builtins, scratch }: Assembly) {
  const { entryCount, count } = classes;
  const ports = {
    classIds: scratch.words("portClasses", entryCount),
    lows: scratch.words("portLows", entryCount),
    highs: scratch.words("portHighs", entryCount),
    decisions: scratch.words("portDecisions", entryCount),
  };
  const indexes = scratch.words("decisionIndexes", decisions.count + MORE_DECISIONS).fill(0);
  const uses = scratch.words("decisionUses", decisions.count + MORE_DECISIONS).fill(0);
  const used = scratch.words("decisionNumbers", decisions.count);
  used.set(builtins);
  let usedCount = builtins.length;
  const { lows, highs, decisions: numbers } = pool;
  let at = 0;
  for (let classId = 1; classId <= count; classId++) {
    const table = classes.tableOf(classId);
    const end = pool.startOf(table) + pool.lengthOf(table);
    for (let from = pool.startOf(table); from < end; from++, at++) {
      const number = numbers[from] ?? 0;
      let index = indexes[number] ?? 0;
      if (index === 0) {
        index = usedCount++;
        indexes[number] = index;
        used[index] = number;
      }
      uses[number] = (uses[number] ?? 0) + 1;
      ports.classIds[at] = classId;
      ports.lows[at] = lows[from] ?? 0;
      ports.highs[at] = highs[from] ?? 0;
      ports.decisions[at] = index;
    }
  }
  return { ports, decisionNumbers: used.subarray(0, usedCount), indexes, uses };
}
