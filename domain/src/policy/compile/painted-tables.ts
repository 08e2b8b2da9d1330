/** Port tables, each once however many rules and addresses lead to it, with a memory of what was painted before. */
import { type CellSpace, cutCells, type PortRanges } from "./cells.ts";
import type { DecisionTable } from "./decision-table.ts";
import { ListInterner } from "./interner.ts";
import { type Ends, type MatchedCells, paintMatched } from "./paint.ts";
import { buildPortTable, type PortTableEntry } from "./port-table.ts";

/** What one set of policies says about addresses in some units. */
export interface TermMatcher {
  readonly ends: Ends;
  /** Appends the ids of the terms that match, in order. */
  appendTermIds(signature: readonly number[], to: number[]): void;
  /** Adds up how many ranges of ports the same terms have. */
  countRanges(signature: readonly number[]): number;
  /** The ports of the same terms. */
  ports(signature: readonly number[]): readonly PortRanges[];
  /** The same terms as cells; `remember` them when the space is asked about again. */
  cells(signature: readonly number[], space: CellSpace, remember: boolean): readonly MatchedCells[];
}

/** One in so many; cutting a range anew costs about as much as painting so many cells. */
const FEW_CELLS = 16;

/** The cells for the ports of all terms, which is worth cutting only for who asks often enough. */
export interface SharedCells {
  /** `null` while cutting them would cost more than cells of their own did for all that was asked, these `rangeCount` ranges included. */
  cellsFor(rangeCount: number): CellSpace | null;
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
   * Number of the table of addresses with this signature, decided by both together; `all` is `null` when no observed
   * policy takes part. `shared` is for the ports of all terms of both.
   */
  tableOf(signature: readonly number[], enforced: TermMatcher, all: TermMatcher | null, shared: SharedCells): number {
    const asked: number[] = [];
    appendQuestion(enforced, signature, asked);
    if (all !== null) {
      asked.push(SEPARATOR);
      appendQuestion(all, signature, asked);
    }
    const question = this.#questions.intern(asked);
    let table = this.#answers[question];
    if (table === undefined) {
      table = this.#paint(signature, enforced, all, shared);
      this.#answers[question] = table;
    }
    return table;
  }

  /** Where the terms at hand would use few of the shared cells, they get cells of their own. */
  #paint(signature: readonly number[], enforced: TermMatcher, all: TermMatcher | null, shared: SharedCells): number {
    const rangeCount = enforced.countRanges(signature) + (all?.countRanges(signature) ?? 0);
    const known = shared.cellsFor(rangeCount);
    const isShared = known !== null && rangeCount * FEW_CELLS >= known.count;
    const space = isShared ? known : cutCells([...enforced.ports(signature), ...(all?.ports(signature) ?? [])]);
    const decisions = paintMatched(space.count, enforced.cells(signature, space, isShared), enforced.ends);
    if (all !== null) {
      this.#merge(decisions, paintMatched(space.count, all.cells(signature, space, isShared), all.ends));
    }
    return this.#tableFor(space, decisions);
  }

  #tableFor(space: CellSpace, decisions: Int32Array): number {
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

function appendQuestion(matcher: TermMatcher, signature: readonly number[], to: number[]): void {
  to.push(matcher.ends.isolated ?? NO_DECISION, matcher.ends.notIsolated);
  matcher.appendTermIds(signature, to);
}
