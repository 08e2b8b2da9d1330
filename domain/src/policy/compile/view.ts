/** A view: everything one subject is asked about in one direction, ready to be matched against address signatures. */
import { type CellSpace, coveredCells, cutCells, type PortRanges } from "./cells.ts";
import type { DecisionTable } from "./decision-table.ts";
import { isSameList } from "./interner.ts";
import type { Ends, MatchedCells } from "./paint.ts";
import type { PaintedTables, SharedCells, TermMatcher } from "./painted-tables.ts";
import { ownersOf, type SelectedPolicy, type SharedPlan, type SharedSubjectPlan, type Subject } from "./plan.ts";
import type { ExpandedRule, PolicyRules, RuleExpander, RuleOwners, Term } from "./rule-expander.ts";
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

/** A policy, how it selects, and its rules for the direction of the plan. */
interface AskedPolicy {
  readonly selected: SelectedPolicy;
  readonly rules: PolicyRules;
}

/** Subjects that the same policies select in the same way, with what their rules can mean. */
export class SelectionPlan {
  readonly #context: ViewContext;
  readonly #enforced: PlanRules;
  readonly #all: PlanRules | null;

  constructor({ enforced, all }: SharedSubjectPlan, context: ViewContext) {
    this.#context = context;
    this.#enforced = new PlanRules(enforced, context);
    this.#all = all === null ? null : new PlanRules(all, context);
  }

  /** Equal texts = subjects for which all rules mean the same, so that they can share a view. */
  variant(subject: ViewSubject): string {
    const { expander } = this.#context;
    return [...this.#enforced.dependent, ...(this.#all?.dependent ?? [])]
      .map(({ selected, rules }) => expander.variant(rules, ruleOwners(selected, subject)))
      .join();
  }

  /** The `previous` view when it was made of the same rules: all that it was asked is still right. */
  view(subject: ViewSubject, previous: View | null): View {
    const enforced = this.#enforced.questions(subject);
    const all = this.#all?.questions(subject) ?? null;
    return previous?.isOf(enforced, all) ? previous : new View(enforced, all, this.#context.tables);
  }
}

/** One plan with the rules of its policies. */
class PlanRules {
  /** What means something else for other subjects. */
  readonly dependent: readonly AskedPolicy[];
  readonly #asked: readonly AskedPolicy[];
  readonly #expander: RuleExpander;
  readonly #ends: Ends;

  constructor({ direction, asked, isolating }: SharedPlan, { expander, decisions }: ViewContext) {
    this.#asked = asked.map((selected) => ({ selected, rules: expander.rulesOf(selected.policy, direction) }));
    this.dependent = this.#asked.filter(({ rules }) => rules.dependsOnOwners);
    this.#expander = expander;
    this.#ends = decisions.ends(isolating, direction);
  }

  questions(subject: ViewSubject): Questions {
    const all: ExpandedRule[] = [];
    for (const { selected, rules } of this.#asked) {
      const owners = rules.dependsOnOwners ? ruleOwners(selected, subject) : NO_OWNERS;
      for (const rule of this.#expander.expand(rules, owners)) all.push(rule);
    }
    return { rules: all, ends: this.#ends };
  }
}

/** What a view is made of. */
interface Questions {
  /** In canonical order. */
  readonly rules: readonly ExpandedRule[];
  readonly ends: Ends;
}

/** For rules that mean the same for all. */
const NO_OWNERS: RuleOwners = { endpoints: [], hostName: null };

function ruleOwners(selected: SelectedPolicy, subject: ViewSubject): RuleOwners {
  return { endpoints: ownersOf(selected, subject), hostName: subject.hostName };
}

export class View implements SharedCells {
  /** All units that its rules name. */
  readonly units: ReadonlySet<number>;
  readonly #enforced: ViewPlan;
  readonly #all: ViewPlan | null;
  readonly #tables: PaintedTables;
  #space: CellSpace | null = null;
  #rangesAsked = 0;

  constructor(enforced: Questions, all: Questions | null, tables: PaintedTables) {
    this.#enforced = new ViewPlan(enforced);
    this.#all = all === null ? null : new ViewPlan(all);
    this.#tables = tables;
    this.units = new Set([...this.#enforced.units, ...(this.#all?.units ?? [])]);
  }

  /** Whether it was made of the very same rules. */
  isOf(enforced: Questions, all: Questions | null): boolean {
    if (!this.#enforced.isOf(enforced)) return false;
    return this.#all === null || all === null ? this.#all === all : this.#all.isOf(all);
  }

  /** Number of the port table of the addresses with this signature. */
  tableOf(signature: readonly number[]): number {
    return this.#tables.tableOf(signature, this.#enforced, this.#all, this);
  }

  cellsFor(rangeCount: number): CellSpace | null {
    this.#rangesAsked += rangeCount;
    if (this.#rangesAsked < this.#enforced.rangeCount + (this.#all?.rangeCount ?? 0)) return this.#space;
    this.#space ??= cutCells([...this.#enforced.allPorts(), ...(this.#all?.allPorts() ?? [])]);
    return this.#space;
  }
}

/** One plan with its terms by unit. */
class ViewPlan implements TermMatcher {
  readonly ends: Ends;
  /** Of all terms together. */
  readonly rangeCount: number;
  /** Terms in order of their rules, and the rule of each. */
  readonly #terms: readonly Term[];
  readonly #ruleOfTerm: readonly ExpandedRule[];
  readonly #rules: readonly ExpandedRule[];
  readonly #ids: readonly number[];
  readonly #positionsByUnit = new Map<number, number[]>();
  readonly #cells: MatchedCells[] = [];
  #last: { readonly signature: readonly number[]; readonly positions: readonly number[] } | null = null;

  constructor({ rules, ends }: Questions) {
    this.ends = ends;
    this.#rules = rules;
    const terms: Term[] = [];
    const ruleOfTerm: ExpandedRule[] = [];
    let rangeCount = 0;
    for (const rule of rules) {
      for (const term of rule.terms) {
        const position = terms.push(term) - 1;
        ruleOfTerm.push(rule);
        rangeCount += term.ports?.length ?? 1;
        for (const unit of term.units) {
          const positions = this.#positionsByUnit.get(unit);
          if (positions) positions.push(position);
          else this.#positionsByUnit.set(unit, [position]);
        }
      }
    }
    this.rangeCount = rangeCount;
    this.#terms = terms;
    this.#ids = terms.map(({ id }) => id);
    this.#ruleOfTerm = ruleOfTerm;
  }

  isOf({ rules, ends }: Questions): boolean {
    const { isolated, notIsolated } = this.ends;
    return isolated === ends.isolated && notIsolated === ends.notIsolated && isSameList(this.#rules, rules);
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
    for (const position of this.#positions(signature)) to.push(this.#ids[position] ?? 0);
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

  /** Positions of the terms that match addresses in these units, in order. In the time that those take, not all terms. */
  #positions(signature: readonly number[]): readonly number[] {
    if (this.#last?.signature === signature) return this.#last.positions;
    const lists: (readonly number[])[] = [];
    for (const unit of signature) {
      const positions = this.#positionsByUnit.get(unit);
      if (positions !== undefined) lists.push(positions);
    }
    const ofAll = this.#positionsByUnit.get(ANY_ADDRESS);
    if (ofAll !== undefined) lists.push(ofAll);
    const positions = lists.length > 1 ? merged(lists) : (lists[0] ?? []);
    this.#last = { signature, positions };
    return positions;
  }

  #cellsAt(position: number, space: CellSpace): MatchedCells {
    const [rule, term] = [this.#ruleOfTerm[position], this.#terms[position]];
    if (!rule || !term) throw new Error(`the view has no term ${position}`);
    const { tier, action, decision } = rule;
    return { tier, action, decision, cells: coveredCells(space, term.ports) };
  }
}

/** Ascending, each once. */
function merged(lists: readonly (readonly number[])[]): readonly number[] {
  const sorted = Int32Array.from(lists.flat()).sort();
  return Array.from(sorted.filter((position, index) => position !== sorted[index - 1]));
}
