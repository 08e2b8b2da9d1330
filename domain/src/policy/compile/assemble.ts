/** From the views of one host to its tables: atoms, classes and decisions, numbered in the order of their first use. */
import type { Direction } from "../model.ts";
import type { HostProgram } from "../program.ts";
import { DIRECTION_EGRESS, DIRECTION_INGRESS, type ProgramColumns } from "../program-columns.ts";
import type { AddressBehaviours } from "./address-behaviours.ts";
import type { BuiltinNumbers } from "./builtin-numbers.ts";
import type { DecisionTable } from "./decision-table.ts";
import { withRoom } from "./growing.ts";
import { refuseAbove } from "./limits.ts";
import { NO_UNITS, type PrefixSet } from "./prefix-set.ts";
import type { TablePool } from "./table-pool.ts";
import type { UnitTable } from "./units.ts";
import { placesOf, type View } from "./view.ts";

/** The tables of a program, and where its decisions come from. */
export interface ProgramTables {
  readonly columns: ProgramColumns;
  /** By index of the decision: its number in the decision table. */
  readonly decisionNumbers: Int32Array;
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
}

const UNUSED = 0;
/** In place of the number of an atom, from 1: nothing has the behaviour so far, or only what is left out. */
const UNSEEN = 0;
const NO_ATOM = -1;

/** `sets` in the order of the sets' ids. Throws `TOO_LARGE` above one million entries. */
export function assembleTables(sets: readonly SetViews[], assembly: Assembly): ProgramTables {
  const views = [...new Set(sets.flatMap(({ ingress, egress }) => [ingress, egress]))];
  const prefixes = assembly.units.prefixesOf(unitsOf(views, assembly.units));
  refuseAbove(prefixes.numbers.length);
  const { behaviours } = assembly;
  behaviours.startWith(views);
  const classes = new ClassNumbers(assembly.pool);
  const atoms = assignAtoms(prefixes, behaviours, classes);
  const addressCount = atoms.count4 + atoms.count6;
  const classEntries = listClasses(sets, views, atoms, behaviours, classes, addressCount);
  const { ports, decisionNumbers } = numberDecisions(classes, assembly);
  const columns: ProgramColumns = {
    ...addressColumns(prefixes, atoms),
    classes: classEntries,
    ports,
    decisionFlags: flagsOf(decisionNumbers, assembly.decisions),
  };
  return { columns, decisionNumbers };
}

function flagsOf(decisionNumbers: Int32Array, decisions: DecisionTable): Uint8Array {
  const flags = new Uint8Array(decisionNumbers.length);
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

/** Classes are the port tables that this host needs, from 1. */
class ClassNumbers {
  /** `tables[i]` belongs to class `i + 1`. */
  readonly tables: number[] = [];
  entryCount = 0;
  #ofTable: Int32Array<ArrayBuffer>;
  readonly #pool: TablePool;

  constructor(pool: TablePool) {
    this.#pool = pool;
    this.#ofTable = new Int32Array(pool.count);
  }

  classOf(table: number): number {
    const known = this.#ofTable[table] ?? UNUSED;
    if (known !== UNUSED) return known;
    const classId = this.tables.push(table);
    this.#ofTable = withRoom(this.#ofTable, this.#pool.count, UNUSED);
    this.#ofTable[table] = classId;
    this.entryCount += this.#pool.lengthOf(table);
    refuseAbove(this.entryCount);
    return classId;
  }
}

/** Prefixes that behave alike in every view share an atom; one that behaves as its surroundings is left out. */
interface Atoms {
  readonly count4: number;
  readonly count6: number;
  /** By place of the prefix; 0 = left out. */
  readonly ofPlace: Uint32Array;
  /** The behaviour of each atom. Atom 0 is every address that no entry has. */
  readonly behaviours: readonly number[];
}

function assignAtoms(
  { prefixes, numbers, parents, signatures }: PrefixSet,
  behaviours: AddressBehaviours,
  classes: ClassNumbers,
): Atoms {
  const ofPlace = new Uint32Array(numbers.length);
  const found = new Int32Array(numbers.length);
  let atomOf = new Int32Array(behaviours.count);
  const atoms: number[] = [];
  let [count4, count6] = [0, 0];
  const behaviourOf = (signature: number): number => {
    const behaviour = behaviours.of(signature);
    if (behaviour >= atomOf.length) atomOf = withRoom(atomOf, behaviour + 1, UNSEEN);
    if (atomOf[behaviour] !== UNSEEN) return behaviour;
    atomOf[behaviour] = NO_ATOM;
    for (let view = 0; view < behaviours.viewCount; view++) classes.classOf(behaviours.tableOf(behaviour, view));
    return behaviour;
  };
  const unnamed = behaviourOf(NO_UNITS);
  atoms.push(unnamed);
  for (let place = 0; place < numbers.length; place++) {
    const behaviour = behaviourOf(signatures[place] ?? NO_UNITS);
    found[place] = behaviour;
    const parent = parents[place] ?? -1;
    if (behaviour === (parent < 0 ? unnamed : found[parent])) continue;
    let atom = atomOf[behaviour] ?? UNSEEN;
    if (atom === NO_ATOM) {
      // Where an exception ends up as the unnamed addresses are, it has an atom of its own, too.
      atom = atoms.push(behaviour) - 1;
      atomOf[behaviour] = atom;
    }
    ofPlace[place] = atom;
    if (prefixes.isIpv6(numbers[place] ?? 0)) count6 += 1;
    else count4 += 1;
    refuseAbove(count4 + count6 + classes.entryCount);
  }
  return { count4, count6, ofPlace, behaviours: atoms };
}

function addressColumns(
  { prefixes, numbers }: PrefixSet,
  { count4, count6, ofPlace }: Atoms,
): Pick<ProgramColumns, "addresses4" | "addresses6"> {
  const addresses4 = {
    lows: new Uint32Array(count4),
    prefixLengths: new Uint8Array(count4),
    atoms: new Uint32Array(count4),
  };
  const addresses6 = {
    bytes: new Uint8Array(16 * count6),
    prefixLengths: new Uint8Array(count6),
    atoms: new Uint32Array(count6),
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
  { behaviours: atoms }: Atoms,
  behaviours: AddressBehaviours,
  classes: ClassNumbers,
  addressCount: number,
): ProgramColumns["classes"] {
  const lists = views.map((_, view) => listOfView(view, atoms, behaviours, classes));
  const placeOf = new Map(views.map((view, place) => [view, place]));
  let count = 0;
  for (const own of sets) {
    for (const [direction] of DIRECTIONS) count += lists[placeOf.get(own[direction]) ?? 0]?.atoms.length ?? 0;
    refuseAbove(addressCount + count + classes.entryCount);
  }
  const columns = {
    sets: new Uint32Array(count),
    directions: new Uint8Array(count),
    atoms: new Uint32Array(count),
    classIds: new Uint32Array(count),
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
function listOfView(view: number, atoms: readonly number[], behaviours: AddressBehaviours, classes: ClassNumbers) {
  const classIds = new Uint32Array(atoms.length);
  const isListed = new Uint8Array(atoms.length);
  for (let atom = 0; atom < atoms.length; atom++) {
    const classId = classes.classOf(behaviours.tableOf(atoms[atom] ?? 0, view));
    classIds[atom] = classId;
    isListed[atom] = atom === 0 || classId !== classIds[0] ? 1 : 0;
  }
  const listed = placesOf(isListed);
  const own = new Uint32Array(listed.length);
  for (let place = 0; place < listed.length; place++) own[place] = classIds[listed[place] ?? 0] ?? 0;
  return { atoms: listed, classIds: own };
}

/** Numbers the decisions that are used, in the order of the port entries, behind the builtins at their fixed places. */
function numberDecisions({ tables, entryCount }: ClassNumbers, { pool, decisions, builtins }: Assembly) {
  const ports = {
    classIds: new Uint32Array(entryCount),
    lows: new Uint32Array(entryCount),
    highs: new Uint32Array(entryCount),
    decisions: new Uint32Array(entryCount),
  };
  const indexes = new Uint32Array(decisions.count);
  const used = new Int32Array(decisions.count);
  used.set(builtins);
  let usedCount = builtins.length;
  const { lows, highs, decisions: numbers } = pool;
  let at = 0;
  for (let position = 0; position < tables.length; position++) {
    const start = pool.startOf(tables[position] ?? 0);
    const end = start + pool.lengthOf(tables[position] ?? 0);
    for (let from = start; from < end; from++, at++) {
      const number = numbers[from] ?? 0;
      let index = indexes[number] ?? 0;
      if (index === 0) {
        index = usedCount++;
        used[index] = number;
        indexes[number] = index;
      }
      ports.classIds[at] = position + 1;
      ports.lows[at] = lows[from] ?? 0;
      ports.highs[at] = highs[from] ?? 0;
      ports.decisions[at] = index;
    }
  }
  return { ports, decisionNumbers: used.slice(0, usedCount) };
}
