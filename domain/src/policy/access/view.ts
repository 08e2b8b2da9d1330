/** A view: everything a subject is asked about in one direction, answered for classes of remote addresses. */
import {
  type CellSpace,
  coveredCells,
  cutCells,
  HIGHEST_PORT,
  OTHER_PROTOCOLS,
  type PortRanges,
} from "../compile/cells.ts";
import { type Ends, type MatchedCells, paintMatched } from "../compile/paint.ts";
import type { Plan } from "../compile/plan.ts";
import { ANY_ADDRESS } from "../compile/units.ts";
import type { Direction, ProtocolNumber } from "../model.ts";
import type { AddressClass } from "./address-space.ts";
import type { DecisionBook } from "./decisions.ts";
import type { PortSpace, Segment } from "./port-space.ts";
import type { SpaceBook } from "./space-book.ts";
import type { Term } from "./terms.ts";

export interface BoundPlan {
  readonly plan: Plan;
  /** Of each rule of the plan, as the subject understands it. */
  readonly terms: readonly (readonly Term[])[];
}

/** A term of one rule of the plan, with its ports as cells of the view. */
interface PlacedTerm {
  /** Of the rule in the plan. */
  readonly position: number;
  readonly matched: MatchedCells;
}

/** One plan with its terms by unit. */
class ViewPlan {
  readonly #ends: Ends;
  readonly #byUnit = new Map<number, PlacedTerm[]>();

  constructor({ plan, terms }: BoundPlan, decisions: DecisionBook, cellsOf: (ports: PortRanges) => readonly number[]) {
    this.#ends = {
      isolated: plan.isolating.length > 0 ? decisions.isolated(plan.isolating, plan.direction) : null,
      notIsolated: decisions.notIsolated(plan.direction),
    };
    for (const [position, { policy, rule }] of plan.rules.entries()) {
      const decision = rule.action === "pass" ? -1 : decisions.ofRule(policy, rule);
      for (const { unit, ports } of terms[position] ?? []) {
        const matched = { tier: policy.tier, action: rule.action, decision, cells: cellsOf(ports) };
        const known = this.#byUnit.get(unit);
        if (known) known.push({ position, matched });
        else this.#byUnit.set(unit, [{ position, matched }]);
      }
    }
  }

  get units(): Iterable<number> {
    return this.#byUnit.keys();
  }

  /** Decisions by cell about addresses in these units. */
  paint(cellCount: number, units: readonly number[]): Int32Array {
    const found = [ANY_ADDRESS, ...units].flatMap((unit) => this.#byUnit.get(unit) ?? []);
    found.sort((left, right) => left.position - right.position);
    return paintMatched(
      cellCount,
      found.map(({ matched }) => matched),
      this.#ends,
    );
  }
}

/** What a view needs of its world. */
export interface ViewContext {
  readonly decisions: DecisionBook;
  readonly spaces: SpaceBook;
  readonly classCount: () => number;
  /** See `AddressSpace`. */
  readonly classesOfUnit: (unit: number) => readonly number[];
}

/** Everything about a view that can wait until the first question. */
interface PreparedView {
  readonly cells: CellSpace;
  readonly enforced: ViewPlan;
  readonly all: ViewPlan | null;
  readonly cases: ViewCases;
}

/** The cases of a view: classes of addresses that differ only in units that the view does not ask for are one. */
interface ViewCases {
  readonly count: number;
  /** By number of the class. */
  readonly ofClass: Int32Array;
  /** Those units of the view that the addresses of a case are in. */
  unitsOf(place: number): readonly number[];
}

const UNKNOWN = -1;

export class SubjectView {
  readonly direction: Direction;
  readonly #enforced: BoundPlan;
  readonly #all: BoundPlan | null;
  readonly #context: ViewContext;
  #prepared: PreparedView | null = null;
  #spaceOfCase: Int32Array | null = null;
  readonly #bySpace = new DecisionLists();

  constructor(enforced: BoundPlan, all: BoundPlan | null, context: ViewContext) {
    this.direction = enforced.plan.direction;
    this.#enforced = enforced;
    this.#all = all;
    this.#context = context;
  }

  /** Number of the space of decisions about remote addresses of the class. */
  spaceOf(remote: AddressClass): number {
    return this.#context.spaces.withBuiltins(remote, this.policySpaceOf(remote));
  }

  /** Cases that {@link caseOf} tells apart. */
  get caseCount(): number {
    this.#prepared ??= this.#prepare();
    return this.#prepared.cases.count;
  }

  /** Remote addresses of equal cases are decided alike, as far as policies decide it. */
  caseOf(remote: AddressClass): number {
    this.#prepared ??= this.#prepare();
    return this.#prepared.cases.ofClass[remote.number] ?? 0;
  }

  /** As {@link spaceOf}, as far as policies decide it. */
  policySpaceOf(remote: AddressClass): number {
    this.#prepared ??= this.#prepare();
    const { cases } = this.#prepared;
    this.#spaceOfCase ??= new Int32Array(cases.count).fill(UNKNOWN);
    const place = cases.ofClass[remote.number] ?? 0;
    const known = this.#spaceOfCase[place] ?? UNKNOWN;
    if (known !== UNKNOWN) return known;
    const number = this.#decide(this.#prepared, cases.unitsOf(place));
    this.#spaceOfCase[place] = number;
    return number;
  }

  #prepare(): PreparedView {
    const terms = [this.#enforced, this.#all].flatMap((one) => one?.terms ?? []).flat();
    const cells = cutCells(terms.map(({ ports }) => ports));
    const placed = new Map<PortRanges, readonly number[]>();
    const cellsOf = (ports: PortRanges): readonly number[] => {
      const covered = placed.get(ports) ?? coveredCells(cells, ports);
      placed.set(ports, covered);
      return covered;
    };
    const { decisions } = this.#context;
    const enforced = new ViewPlan(this.#enforced, decisions, cellsOf);
    const all = this.#all === null ? null : new ViewPlan(this.#all, decisions, cellsOf);
    const units = new Set([...enforced.units, ...(all?.units ?? [])]);
    return { cells, enforced, all, cases: findCases([...units], this.#context) };
  }

  #decide({ cells, enforced, all }: PreparedView, units: readonly number[]): number {
    const { decisions, spaces } = this.#context;
    const byEnforced = enforced.paint(cells.count, units);
    const byAll = all?.paint(cells.count, units) ?? byEnforced;
    const merged =
      all === null
        ? byEnforced
        : byEnforced.map((decision, cell) => decisions.merge(decision, byAll[cell] ?? decision));
    return this.#bySpace.numberOf(merged, () => spaces.add(toSpace(cells, merged)));
  }
}

/** Numbers by list of decisions: cases that are decided alike share a space. */
class DecisionLists {
  readonly #byHash = new Map<number, { readonly decisions: Int32Array; readonly number: number }[]>();

  numberOf(decisions: Int32Array, make: () => number): number {
    let hash = 0;
    for (let index = 0; index < decisions.length; index++) hash = (Math.imul(hash, 31) + (decisions[index] ?? 0)) | 0;
    const alike = this.#byHash.get(hash) ?? [];
    const known = alike.find((one) => isSameList(one.decisions, decisions));
    if (known) return known.number;
    const number = make();
    alike.push({ decisions, number });
    this.#byHash.set(hash, alike);
    return number;
  }
}

function isSameList(one: Int32Array, other: Int32Array): boolean {
  for (let index = 0; index < one.length; index++) if (one[index] !== other[index]) return false;
  return true;
}

/** Goes through the units one after the other; each moves the classes that it holds to a case of their own. */
function findCases(units: readonly number[], { classCount, classesOfUnit }: ViewContext): ViewCases {
  const ofClass = new Int32Array(classCount());
  // Each case but the first is another one with one more unit.
  const before: number[] = [0];
  const added: number[] = [UNKNOWN];
  const next = new Map<number, number>();
  for (const unit of units) {
    next.clear();
    for (const classNumber of classesOfUnit(unit)) {
      const from = ofClass[classNumber] ?? 0;
      let to = next.get(from);
      if (to === undefined) {
        to = before.push(from) - 1;
        added.push(unit);
        next.set(from, to);
      }
      ofClass[classNumber] = to;
    }
  }
  return {
    count: before.length,
    ofClass,
    unitsOf(place) {
      const own: number[] = [];
      for (let at = place; at !== 0; at = before[at] ?? 0) own.push(added[at] ?? UNKNOWN);
      return own;
    },
  };
}

function toSpace(cells: CellSpace, decisions: Int32Array): PortSpace<number> {
  const otherwise = decisions[OTHER_PROTOCOLS] ?? 0;
  const protocols = new Map<ProtocolNumber, readonly Segment<number>[]>();
  for (const [protocol, { firstCell, starts }] of cells.protocols) {
    const segments: { low: number; high: number; value: number }[] = [];
    for (let index = 0; index < starts.length; index++) {
      const value = decisions[firstCell + index] ?? 0;
      const high = (starts[index + 1] ?? HIGHEST_PORT + 1) - 1;
      const last = segments[segments.length - 1];
      if (last?.value === value) last.high = high;
      else segments.push({ low: starts[index] ?? 0, high, value });
    }
    if (segments.length > 1 || segments[0]?.value !== otherwise) protocols.set(protocol, segments);
  }
  return { otherwise, protocols };
}
