/** From the views of one host to its tables: atoms, classes and decisions, numbered in the order of their first use. */
import { builtinDecisionContent, type DecisionContent, decisionId } from "../decision.ts";
import type { Direction } from "../model.ts";
import {
  type AddressEntry,
  BUILTIN_DECISIONS,
  type ClassEntry,
  type Decision,
  FIRST_RULE_DECISION,
  type HostProgram,
  type PortEntry,
} from "../program.ts";
import type { DecisionTable } from "./decision-table.ts";
import { ListInterner } from "./interner.ts";
import { refuseAbove } from "./limits.ts";
import type { PaintedTables } from "./painted-tables.ts";
import type { NamedPrefix, UnitTable } from "./units.ts";
import type { View } from "./view.ts";

export type ProgramTables = Pick<HostProgram, "addresses4" | "addresses6" | "classes" | "ports" | "decisions">;

/** The views of one set. */
export type SetViews = Readonly<Record<Direction, View>>;

const NOTHING: readonly number[] = [];

/** `sets` in the order of the sets' ids. Throws `TOO_LARGE` above one million entries. */
export function assembleTables(
  sets: readonly SetViews[],
  units: UnitTable,
  tables: PaintedTables,
  decisions: DecisionTable,
  memory: TableMemory = new TableMemory(),
): ProgramTables {
  const views = [...new Set(sets.flatMap(({ ingress, egress }) => [ingress, egress]))];
  const prefixes = units.prefixesOf(new Set(views.flatMap((view) => [...view.units])));
  refuseAbove(prefixes.length);
  memory.keepFor(prefixes, views);
  const classes = new ClassNumbers(tables, memory);
  const atoms = assignAtoms(views, prefixes, classes);
  const classEntries = listClasses(sets, views, atoms, classes);
  const { ports, used } = numberDecisions(classes.tables, tables, decisions);
  return {
    addresses4: atoms.entries.filter(({ prefix }) => prefix.length === 4),
    addresses6: atoms.entries.filter(({ prefix }) => prefix.length === 16),
    classes: classEntries,
    ports,
    decisions: used,
  };
}

/** What the views of the last assembly answered, for the next one about the same addresses: mostly the same host. */
export class TableMemory {
  #prefixes: readonly NamedPrefix[] | null = null;
  #byView = new Map<View, Map<readonly number[], number>>();

  /** Forgets all answers about other addresses and of other views. */
  keepFor(prefixes: readonly NamedPrefix[], views: readonly View[]): void {
    const before = this.#prefixes === prefixes ? this.#byView : new Map<View, Map<readonly number[], number>>();
    this.#prefixes = prefixes;
    this.#byView = new Map(views.map((view) => [view, before.get(view) ?? new Map()]));
  }

  tableOf(view: View, signature: readonly number[]): number {
    const known = this.#byView.get(view);
    const table = known?.get(signature) ?? view.tableOf(signature);
    known?.set(signature, table);
    return table;
  }
}

/** Classes are the port tables that this host needs, from 1. */
class ClassNumbers {
  /** `tables[i]` belongs to class `i + 1`. */
  readonly tables: number[] = [];
  entryCount = 0;
  readonly #ofTable = new Map<number, number>();
  readonly #painted: PaintedTables;
  readonly #memory: TableMemory;

  constructor(painted: PaintedTables, memory: TableMemory) {
    this.#painted = painted;
    this.#memory = memory;
  }

  classOf(view: View, signature: readonly number[]): number {
    const table = this.#memory.tableOf(view, signature);
    const known = this.#ofTable.get(table);
    if (known !== undefined) return known;
    const classId = this.tables.push(table);
    this.#ofTable.set(table, classId);
    this.entryCount += this.#painted.entries(table).length;
    refuseAbove(this.entryCount);
    return classId;
  }
}

interface Atoms {
  readonly entries: readonly AddressEntry[];
  /** The classes of each atom, one for each view. Atom 0 is every address that no entry has. */
  readonly behaviours: readonly (readonly number[])[];
}

/** Prefixes that behave alike in every view share an atom; one that behaves as its surroundings is left out. */
function assignAtoms(views: readonly View[], prefixes: readonly NamedPrefix[], classes: ClassNumbers): Atoms {
  const behaviours = new ListInterner();
  const known = new Map<readonly number[], number>();
  const behaviourOf = (signature: readonly number[]): number => {
    let behaviour = known.get(signature);
    if (behaviour === undefined) {
      behaviour = behaviours.intern(views.map((view) => classes.classOf(view, signature)));
      known.set(signature, behaviour);
    }
    return behaviour;
  };
  const unnamed = behaviourOf(NOTHING);
  const atomOf = new Map<number, number>();
  const atoms: (readonly number[])[] = [behaviours.lists[unnamed] ?? []];
  const entries: AddressEntry[] = [];
  for (const { bytes, prefixLength, parent, signature } of prefixes) {
    const behaviour = behaviourOf(signature);
    if (behaviour === (parent === null ? unnamed : behaviourOf(parent.signature))) continue;
    let atom = atomOf.get(behaviour);
    if (atom === undefined) {
      atom = atoms.push(behaviours.lists[behaviour] ?? []) - 1;
      atomOf.set(behaviour, atom);
    }
    entries.push({ prefix: bytes, prefixLength, atom });
    refuseAbove(entries.length + classes.entryCount);
  }
  return { entries, behaviours: atoms };
}

function listClasses(
  sets: readonly SetViews[],
  views: readonly View[],
  { entries, behaviours }: Atoms,
  classes: ClassNumbers,
): readonly ClassEntry[] {
  const placeOf = new Map(views.map((view, place) => [view, place]));
  const listed: ClassEntry[] = [];
  for (const [set, own] of sets.entries()) {
    for (const direction of ["ingress", "egress"] as const) {
      const place = placeOf.get(own[direction]) ?? 0;
      const unnamed = behaviours[0]?.[place];
      for (const [atom, behaviour] of behaviours.entries()) {
        const classId = behaviour[place] ?? 0;
        if (atom === 0 || classId !== unnamed) listed.push({ set, direction, atom, classId });
      }
    }
    refuseAbove(entries.length + listed.length + classes.entryCount);
  }
  return listed;
}

/** Numbers the decisions that are used, in the order of the port entries. */
function numberDecisions(classTables: readonly number[], tables: PaintedTables, decisions: DecisionTable) {
  const used: Decision[] = [...BUILTINS];
  const indexes = new Map<number, number>();
  const indexOf = (number: number): number => {
    const known = indexes.get(number);
    if (known !== undefined) return known;
    const index = used.push({ index: used.length, ...decisions.content(number) }) - 1;
    indexes.set(number, index);
    return index;
  };
  const ports: PortEntry[] = [];
  for (const [position, table] of classTables.entries()) {
    for (const { protocol, port, portBits, decision } of tables.entries(table)) {
      ports.push({ classId: position + 1, protocol, port, portBits, decision: indexOf(decision) });
    }
  }
  return { ports, used };
}

/** The builtins at their fixed places, and reserved places between them and the rules. */
const BUILTINS: readonly Decision[] = builtinDecisions();

function builtinDecisions(): readonly Decision[] {
  const names = Object.keys(BUILTIN_DECISIONS) as (keyof typeof BUILTIN_DECISIONS)[];
  const byIndex = new Map(names.map((name) => [BUILTIN_DECISIONS[name].index as number, builtinDecisionContent(name)]));
  return Array.from({ length: FIRST_RULE_DECISION }, (_, index) => ({
    index,
    ...(byIndex.get(index) ?? reservedDecision(index)),
  }));
}

function reservedDecision(index: number): DecisionContent {
  return { ...builtinDecisionContent("malformed"), id: decisionId(["reserved", String(index)]) };
}
