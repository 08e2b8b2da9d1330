/** Port tables, each once however many rules and addresses lead to it, with a memory of what was painted before. */
import type { CellSpace } from "./cells.ts";
import type { DecisionTable } from "./decision-table.ts";
import { ListInterner } from "./interner.ts";
import { type Ends, type MatchedCells, paintMatched } from "./paint.ts";
import { buildPortTable, type PortTableEntry } from "./port-table.ts";

/** What one set of policies says about an address: the terms that match it, in order, and what follows them. */
export interface MatchedTerms {
  /** Ids of the expander's terms. */
  readonly ids: readonly number[];
  readonly ends: Ends;
}

/** How to paint them where that was not done before. */
export interface CellsOfTerms {
  readonly space: CellSpace;
  cells(terms: MatchedTerms): readonly MatchedCells[];
}

const NO_DECISION = -1;
const SEPARATOR = -2;

export class PaintedTables {
  readonly #decisions: DecisionTable;
  readonly #tables: (readonly PortTableEntry[])[] = [];
  /** Numbers of equal tables are equal. */
  readonly #contents = new ListInterner();
  readonly #questions = new ListInterner();
  /** `#answers[question]` is the table of what was asked. */
  readonly #answers: number[] = [];

  constructor(decisions: DecisionTable) {
    this.#decisions = decisions;
  }

  /** How much is remembered. */
  get questionCount(): number {
    return this.#answers.length;
  }

  entries(table: number): readonly PortTableEntry[] {
    const entries = this.#tables[table];
    if (!entries) throw new Error(`there is no table ${table}`);
    return entries;
  }

  /** Number of the table that they decide together; `all` is `null` when no observed policy takes part. */
  tableOf(enforced: MatchedTerms, all: MatchedTerms | null, painting: () => CellsOfTerms): number {
    const question = this.#questions.intern(
      all === null ? questionOf(enforced) : [...questionOf(enforced), SEPARATOR, ...questionOf(all)],
    );
    let table = this.#answers[question];
    if (table === undefined) {
      table = this.#paint(enforced, all, painting());
      this.#answers[question] = table;
    }
    return table;
  }

  #paint(enforced: MatchedTerms, all: MatchedTerms | null, { space, cells }: CellsOfTerms): number {
    const decisions = paintMatched(space.count, cells(enforced), enforced.ends);
    if (all !== null) this.#merge(decisions, paintMatched(space.count, cells(all), all.ends));
    const entries = buildPortTable(space, decisions);
    const table = this.#contents.intern(
      entries.flatMap(({ protocol, port, portBits, decision }) => [protocol ?? -1, port, portBits, decision]),
    );
    this.#tables[table] ??= entries;
    return table;
  }

  #merge(decisions: Int32Array, all: Int32Array): void {
    for (let cell = 0; cell < decisions.length; cell++) {
      decisions[cell] = this.#decisions.merge(decisions[cell] ?? 0, all[cell] ?? 0);
    }
  }
}

function questionOf({ ids, ends }: MatchedTerms): readonly number[] {
  return [ends.isolated ?? NO_DECISION, ends.notIsolated, ...ids];
}
