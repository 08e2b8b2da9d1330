/** A view: everything a subject is asked about in one direction, answered for classes of remote addresses. */
import { type CellSpace, cutCells, HIGHEST_PORT, OTHER_PROTOCOLS, type PortRanges } from "../compile/cells.ts";
import { type Ends, type MatchedRule, paintCells } from "../compile/paint.ts";
import type { Plan } from "../compile/plan.ts";
import { ANY_ADDRESS } from "../compile/units.ts";
import type { Direction } from "../model.ts";
import type { AddressClass } from "./address-space.ts";
import type { DecisionBook } from "./decisions.ts";
import { makeSpace, type PortSpace, type Segment } from "./port-space.ts";
import type { SpaceBook } from "./space-book.ts";
import type { Term } from "./terms.ts";

interface PlacedTerm {
  /** Of the rule in the plan. */
  readonly position: number;
  readonly ports: PortRanges;
}

export interface BoundPlan {
  readonly plan: Plan;
  /** Of each rule of the plan, as the subject understands it. */
  readonly terms: readonly (readonly Term[])[];
}

/** One plan with its terms by unit. */
class ViewPlan {
  readonly #rules: readonly Omit<MatchedRule, "ports">[];
  readonly #ends: Ends;
  readonly #byUnit = new Map<number, PlacedTerm[]>();

  constructor({ plan, terms }: BoundPlan, decisions: DecisionBook) {
    this.#rules = plan.rules.map(({ policy, rule }) => ({
      tier: policy.tier,
      action: rule.action,
      decision: rule.action === "pass" ? -1 : decisions.ofRule(policy, rule),
    }));
    this.#ends = {
      isolated: plan.isolating.length > 0 ? decisions.isolated(plan.isolating, plan.direction) : null,
      notIsolated: decisions.notIsolated(plan.direction),
    };
    for (const [position, own] of terms.entries()) {
      for (const { unit, ports } of own) {
        const known = this.#byUnit.get(unit);
        if (known) known.push({ position, ports });
        else this.#byUnit.set(unit, [{ position, ports }]);
      }
    }
  }

  get units(): Iterable<number> {
    return this.#byUnit.keys();
  }

  matchedTerms(units: readonly number[]): readonly PlacedTerm[] {
    const found = [ANY_ADDRESS, ...units].flatMap((unit) => this.#byUnit.get(unit) ?? []);
    return found.sort((left, right) => left.position - right.position);
  }

  paint(space: CellSpace, terms: readonly PlacedTerm[]): Int32Array {
    const rules: (Omit<MatchedRule, "ports"> & { ports: PortRanges[] })[] = [];
    let position = -1;
    for (const term of terms) {
      const rule = this.#rules[term.position];
      if (!rule) throw new Error("a term belongs to a rule of its plan");
      if (term.position === position) rules.at(-1)?.ports.push(term.ports);
      else rules.push({ ...rule, ports: [term.ports] });
      position = term.position;
    }
    return paintCells(space, rules, this.#ends);
  }
}

export class SubjectView {
  readonly direction: Direction;
  readonly #enforced: ViewPlan;
  readonly #all: ViewPlan | null;
  readonly #decisions: DecisionBook;
  readonly #spaces: SpaceBook;
  readonly #units: ReadonlySet<number>;
  readonly #byUnits = new Map<string, number>();
  readonly #byClass = new Map<AddressClass, number>();

  constructor(enforced: BoundPlan, all: BoundPlan | null, decisions: DecisionBook, spaces: SpaceBook) {
    this.direction = enforced.plan.direction;
    this.#enforced = new ViewPlan(enforced, decisions);
    this.#all = all === null ? null : new ViewPlan(all, decisions);
    this.#decisions = decisions;
    this.#spaces = spaces;
    this.#units = new Set([...this.#enforced.units, ...(this.#all?.units ?? [])]);
  }

  /** Number of the space of decisions about remote addresses of the class. */
  spaceOf(remote: AddressClass): number {
    return this.#spaces.withBuiltins(remote, this.policySpaceOf(remote));
  }

  /** The same as far as policies decide it. */
  policySpaceOf(remote: AddressClass): number {
    let number = this.#byClass.get(remote);
    if (number === undefined) {
      number = this.#spaceOfUnits(remote.units);
      this.#byClass.set(remote, number);
    }
    return number;
  }

  /** Many addresses differ only in units that this view does not ask for. */
  #spaceOfUnits(all: readonly number[]): number {
    const units = all.filter((unit) => this.#units.has(unit));
    const key = units.join();
    let number = this.#byUnits.get(key);
    if (number === undefined) {
      number = this.#decide(units);
      this.#byUnits.set(key, number);
    }
    return number;
  }

  #decide(units: readonly number[]): number {
    const enforced = this.#enforced.matchedTerms(units);
    const all = this.#all?.matchedTerms(units) ?? [];
    const cells = cutCells([...enforced, ...all].map(({ ports }) => ports));
    const byEnforced = this.#enforced.paint(cells, enforced);
    if (this.#all === null) return this.#spaces.intern(toSpace(cells, byEnforced));
    const byAll = this.#all.paint(cells, all);
    const merged = byEnforced.map((decision, cell) => this.#decisions.merge(decision, byAll[cell] ?? decision));
    return this.#spaces.intern(toSpace(cells, merged));
  }
}

function toSpace(cells: CellSpace, decisions: Int32Array): PortSpace<number> {
  return makeSpace(
    decisions[OTHER_PROTOCOLS] ?? 0,
    [...cells.protocols].map(([protocol, { firstCell, starts }]) => {
      const segments = starts.map(
        (low, index): Segment<number> => ({
          low,
          high: (starts[index + 1] ?? HIGHEST_PORT + 1) - 1,
          value: decisions[firstCell + index] ?? 0,
        }),
      );
      return [protocol, segments] as const;
    }),
  );
}
