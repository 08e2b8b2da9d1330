/** A view: everything one subject is asked about in one direction, ready to be matched against address signatures. */
import type { Direction } from "../model.ts";
import { type CellSpace, coveredCells, cutCells, type PortRanges } from "./cells.ts";
import type { DecisionTable } from "./decision-table.ts";
import type { Ends, MatchedCells } from "./paint.ts";
import type { PaintedTables, TermMatcher } from "./painted-tables.ts";
import { ownersOf, type SelectedPolicy, type SharedPlan, type SharedSubjectPlan, type Subject } from "./plan.ts";
import type { ExpandedRule, RuleExpander, RuleOwners, Term } from "./rule-expander.ts";
import { ANY_ADDRESS } from "./units.ts";

/** What views are made from; one for all subjects of a world. */
export interface ViewContext {
  readonly expander: RuleExpander;
  readonly decisions: DecisionTable;
  readonly tables: PaintedTables;
}

/** Whose view it is, and the host that the entity `host` means for it. */
export interface ViewSubject extends Subject {
  readonly hostName: string | null;
}

/** Subjects that the same policies select in the same way, with what their rules can mean. */
export class SelectionPlan {
  readonly shared: SharedSubjectPlan;
  readonly #context: ViewContext;
  /** What means something else for other subjects. */
  readonly #dependent: readonly (readonly [direction: Direction, selected: SelectedPolicy])[];

  constructor(shared: SharedSubjectPlan, context: ViewContext) {
    this.shared = shared;
    this.#context = context;
    this.#dependent = [shared.enforced, shared.all].flatMap((plan) =>
      (plan?.asked ?? [])
        .filter(({ policy }) => context.expander.dependsOnOwners(policy, plan?.direction ?? "ingress"))
        .map((selected) => [plan?.direction ?? "ingress", selected] as const),
    );
  }

  /** Equal texts = subjects for which all rules mean the same, so that they can share a view. */
  variant(subject: ViewSubject): string {
    const { expander } = this.#context;
    return this.#dependent
      .map(([direction, selected]) => expander.variant(selected.policy, direction, ruleOwners(selected, subject)))
      .join();
  }

  view(subject: ViewSubject): View {
    const { expander, decisions, tables } = this.#context;
    const make = ({ direction, asked, isolating }: SharedPlan): ViewPlan => {
      const rules = asked.flatMap((selected) =>
        expander.rules(selected.policy, direction, ruleOwners(selected, subject)),
      );
      return new ViewPlan(rules, decisions.ends(isolating, direction));
    };
    const { enforced, all } = this.shared;
    return new View(make(enforced), all === null ? null : make(all), tables);
  }
}

function ruleOwners(selected: SelectedPolicy, subject: ViewSubject): RuleOwners {
  return { endpoints: ownersOf(selected, subject), hostName: subject.hostName };
}

export class View {
  /** All units that its rules name. */
  readonly units: ReadonlySet<number>;
  readonly #enforced: ViewPlan;
  readonly #all: ViewPlan | null;
  readonly #tables: PaintedTables;
  #space: CellSpace | null = null;

  constructor(enforced: ViewPlan, all: ViewPlan | null, tables: PaintedTables) {
    this.#enforced = enforced;
    this.#all = all;
    this.#tables = tables;
    this.units = new Set([...enforced.units, ...(all?.units ?? [])]);
  }

  /** Number of the port table of the addresses with this signature. */
  tableOf(signature: readonly number[]): number {
    return this.#tables.tableOf(signature, this.#enforced, this.#all, () => this.#cut());
  }

  #cut(): CellSpace {
    this.#space ??= cutCells([...this.#enforced.allPorts(), ...(this.#all?.allPorts() ?? [])]);
    return this.#space;
  }
}

/** One plan with its terms by unit. */
class ViewPlan implements TermMatcher {
  readonly ends: Ends;
  /** Terms in order of their rules, and the rule of each. */
  readonly #terms: readonly Term[];
  readonly #rules: readonly ExpandedRule[];
  readonly #ids: readonly number[];
  readonly #positionsByUnit = new Map<number, number[]>();
  readonly #isMatched: Int32Array;
  readonly #cells: MatchedCells[] = [];
  #last: { readonly signature: readonly number[]; readonly positions: readonly number[] } | null = null;

  constructor(rules: readonly ExpandedRule[], ends: Ends) {
    this.ends = ends;
    const terms: Term[] = [];
    const ruleOfTerm: ExpandedRule[] = [];
    for (const rule of rules) {
      for (const term of rule.terms) {
        const position = terms.push(term) - 1;
        ruleOfTerm.push(rule);
        for (const unit of term.units) {
          const positions = this.#positionsByUnit.get(unit);
          if (positions) positions.push(position);
          else this.#positionsByUnit.set(unit, [position]);
        }
      }
    }
    this.#terms = terms;
    this.#ids = terms.map(({ id }) => id);
    this.#rules = ruleOfTerm;
    this.#isMatched = new Int32Array((terms.length + 31) >> 5);
  }

  get units(): ReadonlySet<number> {
    const units = new Set(this.#positionsByUnit.keys());
    units.delete(ANY_ADDRESS);
    return units;
  }

  allPorts(): readonly PortRanges[] {
    return this.#terms.map(({ ports }) => ports);
  }

  appendTermIds(signature: readonly number[], to: number[]): void {
    // Asked for every address, and mostly the only question: no list of positions in between.
    const isMatched = this.#mark(signature);
    for (let word = 0; word < isMatched.length; word++) {
      for (let bits = isMatched[word] ?? 0; bits !== 0; bits &= bits - 1) {
        to.push(this.#ids[(word << 5) + 31 - Math.clz32(bits & -bits)] ?? 0);
      }
    }
  }

  countRanges(signature: readonly number[]): number {
    let count = 0;
    for (const position of this.#positions(signature)) count += this.#terms[position]?.ports?.length ?? 1;
    return count;
  }

  ports(signature: readonly number[]): readonly PortRanges[] {
    return this.#positions(signature).map((position) => this.#terms[position]?.ports ?? null);
  }

  cells(signature: readonly number[], space: CellSpace, remember: boolean): readonly MatchedCells[] {
    return this.#positions(signature).map((position) => {
      const cells = (remember ? this.#cells[position] : undefined) ?? this.#cellsAt(position, space);
      if (remember) this.#cells[position] = cells;
      return cells;
    });
  }

  /** Positions of the terms that match addresses in these units, in order. */
  #positions(signature: readonly number[]): readonly number[] {
    if (this.#last?.signature === signature) return this.#last.positions;
    const isMatched = this.#mark(signature);
    const positions: number[] = [];
    for (let word = 0; word < isMatched.length; word++) {
      for (let bits = isMatched[word] ?? 0; bits !== 0; bits &= bits - 1) {
        positions.push((word << 5) + 31 - Math.clz32(bits & -bits));
      }
    }
    this.#last = { signature, positions };
    return positions;
  }

  /** A bit for each position whose term matches addresses in these units. Valid until the next call. */
  #mark(signature: readonly number[]): Int32Array {
    const isMatched = this.#isMatched.fill(0);
    this.#markUnit(ANY_ADDRESS, isMatched);
    for (const unit of signature) this.#markUnit(unit, isMatched);
    return isMatched;
  }

  #markUnit(unit: number, isMatched: Int32Array): void {
    const positions = this.#positionsByUnit.get(unit);
    if (positions === undefined) return;
    for (const position of positions) {
      isMatched[position >> 5] = (isMatched[position >> 5] ?? 0) | (1 << (position & 31));
    }
  }

  #cellsAt(position: number, space: CellSpace): MatchedCells {
    const [rule, term] = [this.#rules[position], this.#terms[position]];
    if (!rule || !term) throw new Error(`the view has no term ${position}`);
    const { tier, action, decision } = rule;
    return { tier, action, decision, cells: coveredCells(space, term.ports) };
  }
}
