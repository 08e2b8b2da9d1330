/** Port tables of the terms that match an address, with a memory of what was painted before. */
import { type CellSpace, coveredCells, cutCells, HIGHEST_PORT, type PortRange } from "./cells.ts";
import type { DecisionTable } from "./decision-table.ts";
import { ListInterner } from "./interner.ts";
import { type Ends, type MatchedCells, paintMatched } from "./paint.ts";
import { buildPortTable, largestBlockBits, prefixCount } from "./port-table.ts";
import type { Term } from "./rule-expander.ts";
import { TablePool, WHOLE_PORT_SPACE } from "./table-pool.ts";

/** The terms of one set of policies that match an address, in order, and what decides what they leave over. */
export interface Matched {
  readonly terms: readonly Term[];
  readonly ends: Ends;
}

/** One in so many; cutting a range anew costs about as much as painting so many cells. */
const FEW_CELLS = 16;

/** The cells for the ports of all terms, which is worth cutting only for who asks often enough. */
export interface SharedCells {
  /** `null` while cutting them would cost more than cells of their own did for all that was asked, these `rangeCount` ranges included. */
  cellsFor(rangeCount: number): CellSpace | null;
  /** The terms as cells of that space. */
  matchedCells(terms: readonly Term[], space: CellSpace): readonly MatchedCells[];
}

const NO_DECISION = -1;
const SEPARATOR = -2;

export class PaintedTables {
  readonly pool: TablePool;
  readonly #decisions: DecisionTable;
  readonly #questions = new ListInterner();
  /** `#answers[question]` is the table of what was asked. */
  readonly #answers: number[] = [];

  constructor(decisions: DecisionTable, pool = new TablePool()) {
    this.#decisions = decisions;
    this.pool = pool;
  }

  /**
   * Number of the table of addresses that these terms match, decided by both together; `all` is `null` when no observed
   * policy takes part. `shared` is for the ports of all terms of both. Numbers of equal tables are equal.
   */
  tableOf(enforced: Matched, all: Matched | null, shared: SharedCells): number {
    if (all === null && enforced.terms.length <= 1) {
      const known = this.#tableOfOne(enforced.terms[0], enforced.ends);
      if (known !== null) return known;
    }
    const asked: number[] = [];
    appendQuestion(enforced, asked);
    if (all !== null) {
      asked.push(SEPARATOR);
      appendQuestion(all, asked);
    }
    const question = this.#questions.intern(asked);
    let table = this.#answers[question];
    if (table === undefined) {
      table = this.#paint(enforced, all, shared);
      this.#answers[question] = table;
    }
    return table;
  }

  /** Most addresses are named by one rule with one range of ports. `null` = it takes painting. */
  #tableOfOne(term: Term | undefined, ends: Ends): number | null {
    const rest = ends.isolated ?? ends.notIsolated;
    const isIdle =
      term === undefined ||
      term.rule.action === "pass" ||
      (term.rule.tier === "baseline" && ends.isolated !== null) ||
      term.ports?.length === 0;
    if (isIdle) return this.#whole(rest);
    const { decision } = term.rule;
    if (term.ports === null) return this.#whole(decision);
    const [range] = term.ports;
    if (range === undefined || term.ports.length > 1) return null;
    return this.#tableOfRange(range, decision, rest);
  }

  #whole(decision: number): number {
    this.pool.push(0, WHOLE_PORT_SPACE, decision);
    return this.pool.finish();
  }

  /** As {@link buildPortTable} does it for one range in which one decision holds, and another around it. */
  #tableOfRange({ protocol, low, high }: PortRange, decision: number, rest: number): number {
    const { pool } = this;
    const base = protocol << 16;
    pool.push(0, WHOLE_PORT_SPACE, rest);
    if (decision === rest) return pool.finish();
    const around = bitCount(low) + bitCount(HIGHEST_PORT - high);
    const isWhole = low === 0 && high === HIGHEST_PORT;
    if (isWhole || prefixCount(low, high) <= 1 + around) {
      this.#pushRange(base, low, high, decision);
      return pool.finish();
    }
    pool.push(base, base | HIGHEST_PORT, decision);
    this.#pushRange(base, 0, low - 1, rest);
    this.#pushRange(base, high + 1, HIGHEST_PORT, rest);
    return pool.finish();
  }

  /** The prefixes of `rangeToPrefixes`, without making a list of them. */
  #pushRange(base: number, low: number, high: number, decision: number): void {
    for (let port = low; port <= high; ) {
      const size = 1 << largestBlockBits(port, high);
      this.pool.push(base | port, base | (port + size - 1), decision);
      port += size;
    }
  }

  /** Where the terms at hand would use few of the shared cells, they get cells of their own. */
  #paint(enforced: Matched, all: Matched | null, shared: SharedCells): number {
    const rangeCount = countRanges(enforced.terms) + (all === null ? 0 : countRanges(all.terms));
    const known = shared.cellsFor(rangeCount);
    const isShared = known !== null && rangeCount * FEW_CELLS >= known.count;
    const space = isShared ? known : cutCells([...enforced.terms, ...(all?.terms ?? [])].map(({ ports }) => ports));
    const cellsOf = (terms: readonly Term[]): readonly MatchedCells[] =>
      isShared ? shared.matchedCells(terms, space) : terms.map((term) => toMatchedCells(term, space));
    const decisions = paintMatched(space.count, cellsOf(enforced.terms), enforced.ends);
    if (all !== null) this.#merge(decisions, paintMatched(space.count, cellsOf(all.terms), all.ends));
    for (const entry of buildPortTable(space, decisions)) this.pool.pushEntry(entry);
    return this.pool.finish();
  }

  #merge(decisions: Int32Array, all: Int32Array): void {
    for (let cell = 0; cell < decisions.length; cell++) {
      decisions[cell] = this.#decisions.merge(decisions[cell] ?? 0, all[cell] ?? 0);
    }
  }
}

export function toMatchedCells({ rule, ports }: Term, space: CellSpace): MatchedCells {
  const { tier, action, decision } = rule;
  return { tier, action, decision, cells: coveredCells(space, ports) };
}

function countRanges(terms: readonly Term[]): number {
  let count = 0;
  for (const { ports } of terms) count += ports?.length ?? 1;
  return count;
}

function appendQuestion({ terms, ends }: Matched, to: number[]): void {
  to.push(ends.isolated ?? NO_DECISION, ends.notIsolated);
  for (const { id } of terms) to.push(id);
}

/** How many prefixes the ports below `number`, or as many at the upper end, take. */
function bitCount(number: number): number {
  let count = 0;
  for (let rest = number; rest !== 0; rest &= rest - 1) count++;
  return count;
}
