/** Port tables, each once however many rules and addresses lead to it, with a memory of what was painted before. */
import type { CellSpace } from "./cells.ts";
import type { DecisionTable } from "./decision-table.ts";
import { ListInterner } from "./interner.ts";
import { type Ends, type MatchedCells, paintMatched } from "./paint.ts";
import { buildPortTable, type PortTableEntry } from "./port-table.ts";

/** What one set of policies says about an address. */
export interface Matched {
  /** Ids of the expander's terms that match it, in order. */
  readonly termIds: readonly number[];
  /** What follows them. */
  readonly ends: Ends;
  /** The terms as cells; asked only where that was not painted before. */
  cells(space: CellSpace): readonly MatchedCells[];
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

  entries(table: number): readonly PortTableEntry[] {
    const entries = this.#tables[table];
    if (!entries) throw new Error(`there is no table ${table}`);
    return entries;
  }

  /**
   * Number of the table that they decide together; `all` is `null` when no observed policy takes part. The space is cut
   * for the ports of all terms.
   */
  tableOf(enforced: Matched, all: Matched | null, space: () => CellSpace): number {
    const question = this.#questions.intern(
      all === null ? questionOf(enforced) : [...questionOf(enforced), SEPARATOR, ...questionOf(all)],
    );
    let table = this.#answers[question];
    if (table === undefined) {
      table = this.#paint(enforced, all, space());
      this.#answers[question] = table;
    }
    return table;
  }

  #paint(enforced: Matched, all: Matched | null, space: CellSpace): number {
    const decisions = paintMatched(space.count, enforced.cells(space), enforced.ends);
    if (all !== null) this.#merge(decisions, paintMatched(space.count, all.cells(space), all.ends));
    const entries = buildPortTable(space, decisions);
    const content: number[] = [];
    for (const { protocol, port, portBits, decision } of entries)
      content.push(protocol ?? -1, port, portBits, decision);
    const table = this.#contents.intern(content);
    this.#tables[table] ??= entries;
    return table;
  }

  #merge(decisions: Int32Array, all: Int32Array): void {
    for (let cell = 0; cell < decisions.length; cell++) {
      decisions[cell] = this.#decisions.merge(decisions[cell] ?? 0, all[cell] ?? 0);
    }
  }
}

function questionOf({ termIds, ends }: Matched): readonly number[] {
  return [ends.isolated ?? NO_DECISION, ends.notIsolated, ...termIds];
}
