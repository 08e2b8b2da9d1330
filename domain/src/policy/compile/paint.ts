/** From the rules that match an address to the decision of every cell: tiers, Pass, isolation and the default. */
import type { Action, Tier } from "../model.ts";
import { type CellSpace, coveredCells, OpenCells, type PortRanges } from "./cells.ts";

/** A rule whose peers match the address at hand. */
export interface MatchedRule {
  readonly tier: Tier;
  readonly action: Action;
  /** Number of the decision that the rule gives; unused for `pass`. */
  readonly decision: number;
  /** Alternatives. */
  readonly ports: readonly PortRanges[];
}

/** The same for one of the alternatives, with its ports as cells. */
export interface MatchedCells extends Omit<MatchedRule, "ports"> {
  /** See {@link coveredCells}. */
  readonly cells: readonly number[];
}

export interface Ends {
  /** Decision of what the application tier leaves over; `null` when nothing isolates. */
  readonly isolated: number | null;
  /** Decision of what no tier decides. */
  readonly notIsolated: number;
}

const UNDECIDED = -1;

/** `rules` in canonical order. Returns a decision number for each cell. */
export function paintCells(space: CellSpace, rules: readonly MatchedRule[], ends: Ends): Int32Array {
  const alternatives = rules.flatMap(({ tier, action, decision, ports }) =>
    ports.map((ranges): MatchedCells => ({ tier, action, decision, cells: coveredCells(space, ranges) })),
  );
  return paintMatched(space.count, alternatives, ends);
}

/** The same for rules whose cells are known: `matched` in canonical order. */
export function paintMatched(cellCount: number, matched: readonly MatchedCells[], ends: Ends): Int32Array {
  const decisions = new Int32Array(cellCount).fill(UNDECIDED);
  const open = new OpenCells(cellCount);
  let tier: Tier | null = null;
  for (const rule of matched) {
    if (rule.tier !== tier) {
      if (rule.tier === "baseline" && ends.isolated !== null) break;
      if (tier !== null) open.reopen(decisions, UNDECIDED);
      tier = rule.tier;
    }
    paintRule(rule, open, decisions);
  }
  const rest = ends.isolated ?? ends.notIsolated;
  for (let cell = 0; cell < cellCount; cell++) if (decisions[cell] === UNDECIDED) decisions[cell] = rest;
  return decisions;
}

/** A cell closes for its tier at the first rule that covers it; a `pass` leaves it undecided for the next tier. */
function paintRule({ action, decision, cells }: MatchedCells, open: OpenCells, decisions: Int32Array): void {
  for (let at = 0; at < cells.length; at += 2) {
    const last = cells[at + 1] ?? -1;
    for (let cell = open.from(cells[at] ?? 0); cell <= last; cell = open.from(cell)) {
      if (action !== "pass") decisions[cell] = decision;
      open.close(cell);
    }
  }
}
