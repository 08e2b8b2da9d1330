/** A view: everything one subject is asked about in one direction, ready to be matched against address signatures. */
import { type CellSpace, cutCells } from "./cells.ts";
import type { DecisionTable } from "./decision-table.ts";
import type { Ends, MatchedCells } from "./paint.ts";
import { type PaintedTables, type SharedCells, toMatchedCells } from "./painted-tables.ts";
import { ownersOf, type SelectedPolicy, type SharedPlan, type SharedSubjectPlan, type Subject } from "./plan.ts";
import type { PolicyRules, RuleExpander, RuleOwners, Term } from "./rule-expander.ts";
import { ANY_ADDRESS, type UnitTable } from "./units.ts";
import { type Questions, ViewPlan } from "./view-plan.ts";

/** What views are made from; one for all subjects of a world. */
export interface ViewContext {
  readonly expander: RuleExpander;
  readonly decisions: DecisionTable;
  readonly tables: PaintedTables;
  readonly units: UnitTable;
  readonly viewIds: { next: number };
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

  /** See {@link View.make}. */
  view(subject: ViewSubject, previous: View | null): View {
    return View.make(this.#enforced.questions(subject), this.#all?.questions(subject) ?? null, this.#context, previous);
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
    const rules = this.#asked.map(({ selected, rules }) => {
      const owners = rules.dependsOnOwners ? ruleOwners(selected, subject) : NO_OWNERS;
      return this.#expander.expand(rules, owners);
    });
    return { rules, ends: this.#ends };
  }
}

/** For rules that mean the same for all. */
const NO_OWNERS: RuleOwners = { endpoints: [], hostName: null };

function ruleOwners(selected: SelectedPolicy, subject: ViewSubject): RuleOwners {
  return { endpoints: ownersOf(selected, subject), hostName: subject.hostName };
}

/** What a view has become of another one. */
interface Succession {
  /** Its id. */
  readonly before: number;
  /** Units of which other rules decide now; `null` = all addresses. */
  readonly changedUnits: ReadonlySet<number> | null;
}

export class View implements SharedCells {
  /** Of no other view of the context. */
  readonly id: number;
  /** Ascending: all units that its rules name. */
  readonly units: Int32Array;
  readonly succession: Succession | null;
  readonly #plans: Plans;
  readonly #tables: PaintedTables;
  readonly #cells = new Map<Term, MatchedCells>();
  #space: CellSpace | null = null;
  #rangesAsked = 0;

  private constructor(plans: Plans, context: ViewContext, units: Int32Array, succession: Succession | null) {
    this.id = context.viewIds.next++;
    this.#plans = plans;
    this.#tables = context.tables;
    this.units = units;
    this.succession = succession;
  }

  /**
   * Goes on from `previous`, of which nobody may ask any more unless it is what is returned: then it is made of the very
   * same rules.
   */
  static make(enforced: Questions, all: Questions | null, context: ViewContext, previous: View | null): View {
    if (previous === null || (previous.#plans.all === null) !== (all === null)) {
      const unitCount = context.units.unitCount();
      const plan = (questions: Questions): ViewPlan => new ViewPlan(questions, unitCount);
      const plans = { enforced: plan(enforced), all: all === null ? null : plan(all) };
      return new View(plans, context, unitsOf(plans, context), null);
    }
    const plans = previous.#plans;
    const changes = [plans.enforced.update(enforced)];
    if (plans.all !== null && all !== null) changes.push(plans.all.update(all));
    if (changes.every(({ units }) => units?.size === 0)) return previous;
    const units = changes.some(({ namesOthers }) => namesOthers) ? unitsOf(plans, context) : previous.units;
    const changedUnits = changes.some((change) => change.units === null)
      ? null
      : new Set(changes.flatMap((change) => [...(change.units ?? [])]));
    return new View(plans, context, units, { before: previous.id, changedUnits });
  }

  /** Number of the port table of the addresses in these units. */
  tableOf(signature: readonly number[]): number {
    const { enforced, all } = this.#plans;
    const ofAll = all === null ? null : { terms: all.match(signature), ends: all.ends };
    return this.#tables.tableOf({ terms: enforced.match(signature), ends: enforced.ends }, ofAll, this);
  }

  cellsFor(rangeCount: number): CellSpace | null {
    const { enforced, all } = this.#plans;
    this.#rangesAsked += rangeCount;
    if (this.#rangesAsked < enforced.rangeCount + (all?.rangeCount ?? 0)) return this.#space;
    this.#space ??= cutCells([...enforced.allPorts(), ...(all?.allPorts() ?? [])]);
    return this.#space;
  }

  matchedCells(terms: readonly Term[], space: CellSpace): readonly MatchedCells[] {
    return terms.map((term) => {
      let cells = this.#cells.get(term);
      if (cells === undefined) {
        cells = toMatchedCells(term, space);
        this.#cells.set(term, cells);
      }
      return cells;
    });
  }
}

interface Plans {
  readonly enforced: ViewPlan;
  readonly all: ViewPlan | null;
}

/** Ascending. */
function unitsOf({ enforced, all }: Plans, { units }: ViewContext): Int32Array {
  const isNamed = new Uint8Array(units.unitCount());
  for (const unit of enforced.units()) if (unit !== ANY_ADDRESS) isNamed[unit] = 1;
  for (const unit of all?.units() ?? []) if (unit !== ANY_ADDRESS) isNamed[unit] = 1;
  return placesOf(isNamed);
}

/** Where the bytes are not 0. */
export function placesOf(bytes: Uint8Array): Int32Array {
  let count = 0;
  for (let place = 0; place < bytes.length; place++) if (bytes[place] !== 0) count += 1;
  const places = new Int32Array(count);
  let at = 0;
  for (let place = 0; place < bytes.length; place++) if (bytes[place] !== 0) places[at++] = place;
  return places;
}
