/** A view: everything one subject is asked about in one direction, ready to be matched against address signatures. */
import { type CellSpace, coveredCells, cutCells } from "./cells.ts";
import type { DecisionTable } from "./decision-table.ts";
import type { Ends, MatchedCells } from "./paint.ts";
import type { CellsOfTerms, MatchedTerms, PaintedTables } from "./painted-tables.ts";
import { ownersOf, type SharedPlan, type SharedSubjectPlan, type Subject } from "./plan.ts";
import type { ExpandedRule, RuleExpander, Term } from "./rule-expander.ts";
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

/** Equal texts = subjects of one plan for which all its rules mean the same, so that they can share a view. */
export function viewVariant(plan: SharedSubjectPlan, subject: ViewSubject, { expander }: ViewContext): string {
  const text = ({ direction, asked }: SharedPlan): string => {
    let variants = "";
    for (const [position, selected] of asked.entries()) {
      const owners = { endpoints: ownersOf(selected, subject), hostName: subject.hostName };
      const variant = expander.variant(selected.policy, direction, owners);
      if (variant !== "") variants += `${position}${variant}`;
    }
    return variants;
  };
  return `${text(plan.enforced)}|${plan.all === null ? "" : text(plan.all)}`;
}

export class View {
  /** All units that its rules name. */
  readonly units: ReadonlySet<number>;
  readonly #enforced: ViewPlan;
  readonly #all: ViewPlan | null;
  readonly #tables: PaintedTables;
  #painting: CellsOfTerms | null = null;

  constructor(plan: SharedSubjectPlan, subject: ViewSubject, { expander, decisions, tables }: ViewContext) {
    const make = (one: SharedPlan): ViewPlan => {
      const rules = one.asked.flatMap((selected) => {
        const owners = { endpoints: ownersOf(selected, subject), hostName: subject.hostName };
        return expander.rules(selected.policy, one.direction, owners);
      });
      return new ViewPlan(rules, decisions.ends(one.isolating, one.direction));
    };
    this.#enforced = make(plan.enforced);
    this.#all = plan.all === null ? null : make(plan.all);
    this.#tables = tables;
    this.units = new Set([...this.#enforced.units, ...(this.#all?.units ?? [])]);
  }

  /** Number of the port table of the addresses with this signature. */
  tableOf(signature: readonly number[]): number {
    const enforced = this.#enforced.matched(signature);
    const all = this.#all?.matched(signature) ?? null;
    this.#painting ??= paintingOf([this.#enforced, ...(this.#all === null ? [] : [this.#all])]);
    const painting = this.#painting;
    return this.#tables.tableOf(enforced, all, () => painting);
  }
}

/** One plan with its terms by unit. */
class ViewPlan {
  readonly ruleOf = new Map<number, ExpandedRule>();
  readonly terms: readonly Term[];
  readonly #ends: Ends;
  readonly #positionsByUnit = new Map<number, number[]>();
  /** A bit for each position of `terms`. */
  readonly #isMatched: Int32Array;

  constructor(rules: readonly ExpandedRule[], ends: Ends) {
    const terms: Term[] = [];
    for (const rule of rules) {
      for (const term of rule.terms) {
        this.ruleOf.set(term.id, rule);
        const position = terms.push(term) - 1;
        for (const unit of term.units) {
          const positions = this.#positionsByUnit.get(unit);
          if (positions) positions.push(position);
          else this.#positionsByUnit.set(unit, [position]);
        }
      }
    }
    this.terms = terms;
    this.#ends = ends;
    this.#isMatched = new Int32Array((terms.length + 31) >> 5);
  }

  get units(): readonly number[] {
    return [...this.#positionsByUnit.keys()].filter((unit) => unit !== ANY_ADDRESS);
  }

  /** Terms that match addresses in these units, in order of their rules. */
  matched(signature: readonly number[]): MatchedTerms {
    const isMatched = this.#isMatched.fill(0);
    const mark = (unit: number): void => {
      for (const position of this.#positionsByUnit.get(unit) ?? []) {
        isMatched[position >> 5] = (isMatched[position >> 5] ?? 0) | (1 << (position & 31));
      }
    };
    mark(ANY_ADDRESS);
    for (const unit of signature) mark(unit);
    const ids: number[] = [];
    for (let word = 0; word < isMatched.length; word++) {
      for (let bits = isMatched[word] ?? 0; bits !== 0; bits &= bits - 1) {
        ids.push(this.terms[(word << 5) + 31 - Math.clz32(bits & -bits)]?.id ?? 0);
      }
    }
    return { ids, ends: this.#ends };
  }
}

/** Cells are cut and ranges placed only when something is painted. */
function paintingOf(plans: readonly ViewPlan[]): CellsOfTerms {
  let space: CellSpace | null = null;
  const known = new Map<number, MatchedCells>();
  const cut = (): CellSpace => {
    space ??= cutCells(plans.flatMap(({ terms }) => terms.map(({ ports }) => ports)));
    return space;
  };
  const cellsOf = (id: number): MatchedCells => {
    let cells = known.get(id);
    if (!cells) {
      const rule = plans.find(({ ruleOf }) => ruleOf.has(id))?.ruleOf.get(id);
      const term = rule?.terms.find((one) => one.id === id);
      if (!rule || !term) throw new Error(`the view has no term ${id}`);
      const { tier, action, decision } = rule;
      cells = { tier, action, decision, cells: coveredCells(cut(), term.ports) };
      known.set(id, cells);
    }
    return cells;
  };
  return {
    get space() {
      return cut();
    },
    cells: ({ ids }) => ids.map(cellsOf),
  };
}
