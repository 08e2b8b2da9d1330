/**
 * Draft, staged, enforced and reported verdicts in one table. The first three are decided over all connections, by the same
 * spaces as reach and diff; the fourth is counted. A row is a group of connections: from a label group to a label group on
 * some ports, on which the three say the same to every pair of members that they say it to.
 */
import { createAccessModel } from "../access/model.ts";
import { type PortRangePart, portSetKey } from "../access/port-set.ts";
import { combineSpaces, coveredSpace, type PortSpace, partsOf, valueAt } from "../access/port-space.ts";
import { decisionId } from "../decision.ts";
import { isConnection } from "./connections.ts";
import { Differences } from "./differences.ts";
import { type GroupedPlaces, groupPlaces, type NamedGroup, type PlaceGroup } from "./groups.ts";
import {
  COMPUTED_COLUMNS,
  differ,
  type Outcome,
  type RecordFate,
  type ReportedRecord,
  type ShownVerdict,
  type VerdictTableOptions,
} from "./model.ts";
import { OutcomeBook } from "./outcomes.ts";
import { ReportBook, type ReportedPort, reportedVerdicts } from "./reports.ts";

/** Recorded ports of two groups that get a row each; the others are counted in the row that they belong to. */
const MAX_PORTS_OF_PAIR = 50;
/** Pairs of places after which others get a turn. */
const PAIRS_IN_TURN = 2_000;

export type Pair = readonly [from: PlaceGroup, to: PlaceGroup];

/** Some connections between the groups of a row, which are decided alike. */
interface OutcomeOfPairs {
  readonly outcome: Outcome;
  readonly pairs: readonly Pair[];
}

/** The ports of a space on which one outcome holds. */
interface PortsOfOutcome {
  readonly list: readonly { readonly outcome: number; readonly space: PortSpace<number> }[];
  readonly ports: readonly PortRangePart[];
}

/** A row before anybody looks at it closely. */
export interface VerdictRow {
  readonly from: NamedGroup;
  readonly to: NamedGroup;
  readonly ports: readonly PortRangePart[];
  /** A single port that was recorded. */
  readonly isRecorded: boolean;
  readonly outcomes: readonly OutcomeOfPairs[];
  readonly reported: readonly ReportedPort[];
  /** Recorded connections and denied packets. */
  readonly count: number;
  /** Whether columns that know an answer have different ones. */
  readonly disagrees: boolean;
}

export interface RowOptions {
  /** Also rows in which the columns agree: those with records, and a row for everything else between two groups. */
  readonly includeAgreeing?: boolean;
}

export class VerdictTable {
  readonly #places: GroupedPlaces;
  readonly #outcomes: OutcomeBook;
  readonly #reports: ReportBook;
  readonly #portsOfOutcomes = new WeakMap<PortSpace<number>, readonly PortsOfOutcome[]>();
  #compared = 0;

  /** Throws `POLICY_UNSUPPORTED` as `orderPolicies`. */
  constructor(options: VerdictTableOptions) {
    const models = options.worlds.map((world) => createAccessModel(world));
    this.#places = groupPlaces(models, options);
    this.#outcomes = new OutcomeBook(models, options.draftVersion);
    this.#reports = new ReportBook(models, this.#places, options);
  }

  /** Pairs of places that the rows are about. */
  get comparedPairs(): number {
    return this.#compared;
  }

  add(record: ReportedRecord): RecordFate {
    return this.#reports.add(record);
  }

  /** Every row; `null` now and then, so that others can have a turn. */
  *rows({ includeAgreeing = false }: RowOptions = {}): Generator<VerdictRow | null> {
    const { groups } = this.#places;
    const differences = includeAgreeing ? null : new Differences(groups, this.#outcomes);
    if (differences) yield* differences.prepare();
    const every = groups.map((_, number) => number);
    const ends = new EndCounts(groups);
    let worked = 0;
    for (const [source, from] of groups.entries()) {
      this.#compared += ends.pairsFrom(from);
      const likely = differences?.destinationsOf(source) ?? null;
      const destinations =
        likely === null
          ? every
          : [...new Set([...likely, ...this.#reports.destinationsOf(source)])].sort((left, right) => left - right);
      for (const destination of destinations) {
        const to = groups[destination];
        if (!to || (from.isOutside && to.isOutside)) continue;
        worked += from.egress.length * to.ingress.length;
        const reported = this.#reports.of(source, destination);
        // Pairs of groups that have nothing to say cost nothing else.
        if (reported !== null || includeAgreeing || this.#disagree(from, to)) {
          yield* this.#rowsOf(from, to, reported, includeAgreeing);
        }
        if (worked < PAIRS_IN_TURN) continue;
        worked = 0;
        yield null;
      }
    }
  }

  #disagree(from: NamedGroup, to: NamedGroup): boolean {
    for (const own of from.egress) {
      for (const other of to.ingress) {
        if (own.family !== other.family) continue;
        if (this.#outcomes.pair(own, other).disagrees && isConnection(own, other)) return true;
      }
    }
    return false;
  }

  *#rowsOf(
    from: NamedGroup,
    to: NamedGroup,
    reported: ReadonlyMap<number, ReportedPort> | null,
    includeAgreeing: boolean,
  ): Generator<VerdictRow> {
    const pairsOf = new Map<PortSpace<number>, Pair[]>();
    for (const own of from.egress) {
      for (const other of to.ingress) {
        if (!isConnection(own, other)) continue;
        const { space } = this.#outcomes.pair(own, other);
        const pairs = pairsOf.get(space);
        if (pairs) pairs.push([own, other]);
        else pairsOf.set(space, [[own, other]]);
      }
    }
    if (pairsOf.size === 0) return;
    const [only] = pairsOf.keys();
    if (reported === null && pairsOf.size === 1 && only) {
      yield* this.#plainRows(from, to, only, pairsOf, includeAgreeing);
      return;
    }
    const lists = new OutcomeLists();
    const joined = lists.join([...pairsOf.keys()]);
    const row = (ports: readonly PortRangePart[], list: number, own: readonly ReportedPort[], isRecorded: boolean) =>
      this.#row(from, to, { ports, isRecorded, reported: own }, lists.at(list), pairsOf);

    const recorded = [...(reported?.values() ?? [])].sort((left, right) => right.count - left.count);
    const single = recorded.slice(0, MAX_PORTS_OF_PAIR);
    for (const one of single) {
      const ports = [{ protocol: one.protocol, exceptProtocols: [], low: one.port, high: one.port }];
      const made = row(ports, valueAt(joined, one.protocol, one.port), [one], true);
      if (made.disagrees || includeAgreeing) yield made;
    }
    const cut = coveredSpace(single.map(({ protocol, port }) => ({ protocol, low: port, high: port })));
    const rest = combineSpaces(joined, cut, (list, isCut) => (isCut ? NOWHERE : list));
    const rests = new Map<number, PortRangePart[]>();
    for (const { value, ...part } of partsOf(rest)) {
      if (value === NOWHERE) continue;
      const parts = rests.get(value);
      if (parts) parts.push(part);
      else rests.set(value, [part]);
    }
    for (const [list, ports] of rests) {
      const own = recorded
        .slice(MAX_PORTS_OF_PAIR)
        .filter(({ protocol, port }) => valueAt(rest, protocol, port) === list);
      const made = row(ports, list, own, false);
      if (made.disagrees || includeAgreeing) yield made;
    }
  }

  /** Of groups between which everything is decided by one space, and nothing was recorded: most of them. */
  *#plainRows(
    from: NamedGroup,
    to: NamedGroup,
    space: PortSpace<number>,
    pairsOf: ReadonlyMap<PortSpace<number>, readonly Pair[]>,
    includeAgreeing: boolean,
  ): Generator<VerdictRow> {
    let known = this.#portsOfOutcomes.get(space);
    if (!known) {
      const ports = new Map<number, PortRangePart[]>();
      for (const { value, ...part } of partsOf(space)) {
        const parts = ports.get(value);
        if (parts) parts.push(part);
        else ports.set(value, [part]);
      }
      known = [...ports].map(([outcome, own]) => ({ list: [{ outcome, space }], ports: own }));
      this.#portsOfOutcomes.set(space, known);
    }
    for (const { list, ports } of known) {
      const made = this.#row(from, to, { ports, isRecorded: false, reported: [] }, list, pairsOf);
      if (made.disagrees || includeAgreeing) yield made;
    }
  }

  #row(
    from: NamedGroup,
    to: NamedGroup,
    what: Pick<VerdictRow, "ports" | "isRecorded" | "reported">,
    list: readonly { readonly outcome: number; readonly space: PortSpace<number> }[],
    pairsOf: ReadonlyMap<PortSpace<number>, readonly Pair[]>,
  ): VerdictRow {
    const outcomes = list.map(({ outcome, space }) => ({
      outcome: this.#outcomes.outcome(outcome),
      pairs: pairsOf.get(space) ?? [],
    }));
    const reported =
      what.reported.length === 0
        ? NOTHING_SAID
        : reportedVerdicts(what.reported.flatMap(({ parts }) => [...parts.values()].map(({ record }) => record)));
    const disagrees = outcomes.some(({ outcome }) =>
      reported.size === 0
        ? outcome.disagrees
        : differ([...reported, ...COMPUTED_COLUMNS.map((column) => outcome[column].verdict)]),
    );
    return { from, to, ...what, outcomes, count: what.reported.reduce((sum, { count }) => sum + count, 0), disagrees };
  }
}

const NOWHERE = -1;
const NOTHING_SAID: ReadonlySet<ShownVerdict> = new Set();

/** How many ends there are to compare. */
class EndCounts {
  #destinations = 0;
  #outside = 0;

  constructor(groups: readonly NamedGroup[]) {
    for (const { isOutside, ingress } of groups) {
      this.#destinations += ingress.length;
      if (isOutside) this.#outside += ingress.length;
    }
  }

  /** Two addresses of nobody are no connection that is meant. */
  pairsFrom({ isOutside, egress }: NamedGroup): number {
    return egress.length * (this.#destinations - (isOutside ? this.#outside : 0));
  }
}

/** Lists of outcomes by number, so that neighbouring ports with the same ones are one part. */
class OutcomeLists {
  readonly #lists: (readonly { readonly outcome: number; readonly space: PortSpace<number> }[])[] = [[]];
  readonly #numbers = new Map<string, number>();

  at(number: number): readonly { readonly outcome: number; readonly space: PortSpace<number> }[] {
    return this.#lists[number] ?? [];
  }

  join(spaces: readonly PortSpace<number>[]): PortSpace<number> {
    const none: PortSpace<number> = { otherwise: 0, protocols: new Map() };
    return spaces.reduce(
      (joined, space) => combineSpaces(joined, space, (list, outcome) => this.#extend(list, outcome, space)),
      none,
    );
  }

  #extend(list: number, outcome: number, space: PortSpace<number>): number {
    const key = `${list} ${outcome}`;
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#lists.push([...this.at(list), { outcome, space }]) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }
}

/** 16 hex digits: the same connections have the same. */
export function rowId({ from, to, ports }: VerdictRow): string {
  return decisionId([from.text, to.text, portSetKey(ports)]);
}
