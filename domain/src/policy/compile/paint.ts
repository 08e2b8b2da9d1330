/** From the rules that match an address to the decision of every cell: tiers, Pass, isolation and the default. */
import type { Action, Tier } from "../model.ts";
import { type CellSpace, cellsOf, OpenCells, type PortRanges } from "./cells.ts";

/** A rule whose peers match the address at hand. */
export interface MatchedRule {
  readonly tier: Tier;
  readonly action: Action;
  /** Number of the decision that the rule gives; unused for `pass`. */
  readonly decision: number;
  /** Alternatives. */
  readonly ports: readonly PortRanges[];
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
  const decisions = new Int32Array(space.count).fill(UNDECIDED);
  const firstAfterApplication = rules.findIndex((rule) => rule.tier === "baseline");
  const split = firstAfterApplication < 0 ? rules.length : firstAfterApplication;
  paintTiers(space, rules.slice(0, split), decisions);
  if (ends.isolated === null) paintTiers(space, rules.slice(split), decisions);
  const rest = ends.isolated ?? ends.notIsolated;
  return decisions.map((decision) => (decision === UNDECIDED ? rest : decision));
}

/** A cell closes for its tier at the first rule that covers it; a `pass` leaves it undecided for the next tier. */
function paintTiers(space: CellSpace, rules: readonly MatchedRule[], decisions: Int32Array): void {
  let tier: Tier | null = null;
  let open = new OpenCells(space.count);
  for (const rule of rules) {
    if (rule.tier !== tier) {
      tier = rule.tier;
      open = new OpenCells(space.count);
      for (let cell = 0; cell < space.count; cell++) if (decisions[cell] !== UNDECIDED) open.close(cell);
    }
    for (const ranges of rule.ports) {
      const covered = ranges?.map((range) => cellsOf(space, range)) ?? [[0, space.count - 1] as const];
      for (const [first, last] of covered) {
        for (let cell = open.from(first); cell <= last; cell = open.from(cell)) {
          if (rule.action !== "pass") decisions[cell] = rule.decision;
          open.close(cell);
        }
      }
    }
  }
}
