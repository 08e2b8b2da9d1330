/** What all columns say about two groups of places, port by port. */
import type { AccessModel } from "../access/model.ts";
import { combineSpaces, constantSpace, hasValue, mapSpace, type PortSpace } from "../access/port-space.ts";
import { builtinDecisionContent, type DecisionContent } from "../decision.ts";
import type { Direction } from "../model.ts";
import type { PlaceGroup, Standing } from "./groups.ts";
import type { Outcome, ShownVerdict, SideDecision, Stance } from "./model.ts";
import { COMPUTED_COLUMNS, type ColumnVerdict, type ComputedColumn, differ, joinSides } from "./model.ts";
import { modelAt } from "./places.ts";

export interface PairSpace {
  /** Numbers of outcomes. */
  readonly space: PortSpace<number>;
  readonly disagrees: boolean;
}

/** What decides one end in one column; `null` = nothing restricts it. */
interface Side {
  readonly stance: Stance | null;
  /** Number of a space of decisions of the stance's world; -1 where there is none. */
  readonly space: number;
}

type SidesOfColumns = Readonly<Record<ComputedColumn, readonly [egress: Side, ingress: Side] | null>>;

/** Pairs by numbers, one after the other. */
class Level {
  readonly next = new Map<number, Level>();
  pair: PairSpace | null = null;
}

interface PairPlan {
  /** Worlds in which the source, and the destination, is asked about. */
  readonly egress: readonly number[];
  readonly ingress: readonly number[];
  readonly root: Level;
}

/** Shapes of standings; each host has one at most. */
const MAX_SHAPES = 2 ** 20;

export class OutcomeBook {
  readonly #models: readonly AccessModel[];
  readonly #draft: Stance;
  readonly #outcomes: Outcome[] = [];
  readonly #numbers = new Map<string, number>();
  readonly #plans = new Map<number, PairPlan>();
  readonly #pairs = new Map<string, PairSpace>();
  readonly #differingEnds = new Map<string, boolean>();
  readonly #tuples: (readonly number[])[] = [[]];
  readonly #tupleNumbers = new Map<string, number>();

  constructor(models: readonly AccessModel[], draftVersion: number) {
    this.#models = models;
    this.#draft = { kind: "world", world: 0, isEnforcing: true, version: draftVersion };
  }

  outcome(number: number): Outcome {
    const outcome = this.#outcomes[number];
    if (!outcome) throw new Error(`there is no outcome ${number}`);
    return outcome;
  }

  /** Of places of one family: what passes before policies is another for each, and pairs with equal numbers share an answer. */
  pair(from: PlaceGroup, to: PlaceGroup): PairSpace {
    const plan = this.#planOf(from, to);
    let level = plan.root;
    for (const world of plan.egress) level = next(level, spaceCode(from, to, world));
    for (const world of plan.ingress) level = next(level, spaceCode(to, from, world));
    level.pair ??= this.#decide(from, to);
    return level.pair;
  }

  /** Of two standings the worlds that have a say, so that pairs are told apart by few numbers: there are millions. */
  #planOf(from: PlaceGroup, to: PlaceGroup): PairPlan {
    const key = (from.standing.shape * MAX_SHAPES + to.standing.shape) * 2 + (from.family === 4 ? 0 : 1);
    let plan = this.#plans.get(key);
    if (!plan) {
      plan = { egress: worldsOf(from.standing), ingress: worldsOf(to.standing), root: new Level() };
      this.#plans.set(key, plan);
    }
    return plan;
  }

  /**
   * Whether columns that know an answer have different ones about this end of connections with the other, wherever the other
   * one stands. Where that holds of neither end, both ends joined say the same in all columns.
   */
  endDiffers(own: PlaceGroup, other: PlaceGroup, direction: Direction): boolean {
    const sides = COMPUTED_COLUMNS.map((column) => this.#side(own, other, this.#stanceOf(own.standing, column)));
    const key = `${own.standing.shape} ${sides.map(({ space }) => space).join()}`;
    let known = this.#differingEnds.get(key);
    if (known === undefined) {
      let verdicts: PortSpace<number> = constantSpace(0);
      for (const { stance, space } of sides) {
        const bitOf = (decision: DecisionContent | null) =>
          KNOWN_BITS[sideVerdict(direction, stance, decision).verdict];
        const { spaces, decisions } = modelAt(this.#models, worldOf(stance));
        const said =
          space < 0
            ? constantSpace(bitOf(null))
            : mapSpace(spaces.space(space), (number) => bitOf(decisions.content(number)));
        verdicts = combineSpaces(verdicts, said, (bits, bit) => bits | bit);
      }
      known = hasValue(verdicts, (bits) => (bits & (bits - 1)) !== 0);
      this.#differingEnds.set(key, known);
    }
    return known;
  }

  #decide(from: PlaceGroup, to: PlaceGroup): PairSpace {
    const columns: SidesOfColumns = {
      draft: this.#sides(from, to, "draft"),
      enforced:
        from.standing.enforced === null && to.standing.enforced === null ? null : this.#sides(from, to, "enforced"),
      staged: from.standing.staged === null && to.standing.staged === null ? null : this.#sides(from, to, "staged"),
    };
    const spaces = COMPUTED_COLUMNS.map((column) => columns[column]?.map(({ space }) => space).join() ?? "").join(";");
    const shapes = `${from.standing.shape} ${to.standing.shape}`;
    const key = `${shapes} ${spaces}`;
    let known = this.#pairs.get(key);
    if (!known) {
      known = this.#combine(columns, shapes);
      this.#pairs.set(key, known);
    }
    return known;
  }

  #sides(from: PlaceGroup, to: PlaceGroup, column: ComputedColumn): readonly [Side, Side] {
    return [
      this.#side(from, to, this.#stanceOf(from.standing, column)),
      this.#side(to, from, this.#stanceOf(to.standing, column)),
    ];
  }

  #stanceOf({ isFree, enforced, staged }: Standing, column: ComputedColumn): Stance | null {
    if (column === "draft") return isFree ? null : this.#draft;
    return column === "enforced" ? enforced : (staged ?? enforced);
  }

  #side(own: PlaceGroup, other: PlaceGroup, stance: Stance | null): Side {
    // What decides about an address of nobody, and what passes a closed brake, is the same in every world; the draft's
    // words are as good as any.
    const isAlike = own.standing.isFree || stance?.kind === "closed";
    const world = stance?.kind === "world" ? stance.world : isAlike ? 0 : -1;
    const view = own.views[world];
    const remote = other.classes[world];
    return { stance, space: view && remote ? view.spaceOf(remote) : -1 };
  }

  #combine(columns: SidesOfColumns, shapes: string): PairSpace {
    const sides = COMPUTED_COLUMNS.flatMap((column) => columns[column] ?? []);
    let tuples: PortSpace<number> = constantSpace(0);
    for (const { stance, space } of sides) {
      if (space < 0) continue;
      const { spaces } = modelAt(this.#models, worldOf(stance));
      tuples = combineSpaces(tuples, spaces.space(space), (tuple, decision) => this.#extend(tuple, decision));
    }
    const numbers = new Map<number, number>();
    const space = mapSpace(tuples, (tuple) => {
      const number = numbers.get(tuple) ?? this.#outcomeOf(columns, this.#tuples[tuple] ?? [], shapes);
      numbers.set(tuple, number);
      return number;
    });
    return { space, disagrees: hasValue(space, (number) => this.outcome(number).disagrees) };
  }

  #extend(tuple: number, decision: number): number {
    const key = `${tuple} ${decision}`;
    let number = this.#tupleNumbers.get(key);
    if (number === undefined) {
      number = this.#tuples.push([...(this.#tuples[tuple] ?? []), decision]) - 1;
      this.#tupleNumbers.set(key, number);
    }
    return number;
  }

  #outcomeOf(columns: SidesOfColumns, decisions: readonly number[], shapes: string): number {
    const key = `${shapes} ${decisions.join()}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#outcomes.push(this.#describe(columns, decisions)) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  #describe(columns: SidesOfColumns, decisions: readonly number[]): Outcome {
    let next = 0;
    const column = (name: ComputedColumn): ColumnVerdict => {
      const own = columns[name];
      if (own === null) return { verdict: "nothing", sides: [] };
      const sides = own.map(({ stance, space }, index) => {
        const direction: Direction = index === 0 ? "egress" : "ingress";
        const decision = space < 0 ? null : (decisions[next++] ?? null);
        const content = decision === null ? null : modelAt(this.#models, worldOf(stance)).decisions.content(decision);
        return sideVerdict(direction, stance, content);
      });
      return { verdict: joinSides(sides), sides };
    };
    const draft = column("draft");
    const staged = column("staged");
    const enforced = column("enforced");
    return { draft, staged, enforced, disagrees: differ([draft.verdict, staged.verdict, enforced.verdict]) };
  }
}

function next(level: Level, code: number): Level {
  let found = level.next.get(code);
  if (!found) {
    found = new Level();
    level.next.set(code, found);
  }
  return found;
}

/** What decides there, as a number: equal numbers of one world and family = equal decisions. */
function spaceCode(own: PlaceGroup, other: PlaceGroup, world: number): number {
  const view = own.views[world];
  const remote = other.classes[world];
  return view && remote ? view.policySpaceOf(remote) * 2 + (remote.isLoopback ? 1 : 0) : -1;
}

/** The draft's, and those of the stances. */
export function worldsOf({ enforced, staged }: Standing): readonly number[] {
  return [...new Set([0, worldOf(enforced), worldOf(staged)])];
}

/** Answers that are known, as bits. */
const KNOWN_BITS: Readonly<Record<ShownVerdict, number>> = {
  ...{ allow: 1, deny: 2, observed: 4, mixed: 8 },
  ...{ unknown: 0, nothing: 0 },
};

const CLOSED = builtinDecisionContent("emergencyClosed");

function worldOf(stance: Stance | null): number {
  return stance?.kind === "world" ? stance.world : 0;
}

function sideVerdict(direction: Direction, stance: Stance | null, decision: DecisionContent | null): SideDecision {
  if (stance === null) return { direction, verdict: "allow", decision };
  if (stance.kind === "unknown") return { direction, verdict: "unknown", decision: null };
  if (stance.kind === "closed") {
    if (decision?.reason === "builtin" && decision.verdict === "allow")
      return { direction, verdict: "allow", decision };
    return { direction, verdict: "deny", decision: CLOSED };
  }
  if (stance.kind === "nothing" || decision === null) return { direction, verdict: "allow", decision: null };
  const isDenied = decision.verdict === "deny";
  const isDropped = isDenied && stance.isEnforcing && !decision.observeOnly;
  const verdict: ShownVerdict = isDropped ? "deny" : isDenied ? "observed" : "allow";
  return { direction, verdict, decision };
}
