/**
 * Draft, staged, enforced and reported verdicts in one table. The first three are decided over all connections, by the same
 * spaces as reach and diff; the fourth is counted. A row is a group of connections: from a label group to a label group on
 * some ports, on which the three say the same to every pair of members that they say it to.
 */
import { lowestAddress } from "../access/address-regions.ts";
import { createAccessModel } from "../access/model.ts";
import { type PortRangePart, portSetKey } from "../access/port-set.ts";
import { combineSpaces, coveredSpace, type PortSpace, partsOf, valueAt } from "../access/port-space.ts";
import { formatAddress } from "../address.ts";
import { decisionId } from "../decision.ts";
import { type GroupedPlaces, groupPlaces, type NamedGroup, type PlaceGroup } from "./groups.ts";
import {
  COMPUTED_COLUMNS,
  type ColumnVerdict,
  type ComputedCell,
  type ComputedColumn,
  type ComputedPart,
  differ,
  type ExampleEnd,
  joinParts,
  type Outcome,
  type RecordFate,
  type ReportedCell,
  type ReportedRecord,
  type ShownVerdict,
  type VerdictTableOptions,
} from "./model.ts";
import { OutcomeBook } from "./outcomes.ts";
import { ReportBook, type ReportedPort, reportedCell, reportedVerdicts } from "./reports.ts";

/** Recorded ports of two groups that get a row each; the others are counted in the row that they belong to. */
const MAX_PORTS_OF_PAIR = 50;
/** Pairs of places after which others get a turn. */
const PAIRS_IN_TURN = 2_000;

type Pair = readonly [from: PlaceGroup, to: PlaceGroup];

/** Some connections between the groups of a row, which are decided alike. */
interface OutcomeOfPairs {
  readonly outcome: Outcome;
  readonly pairs: readonly Pair[];
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
  #compared = 0;

  /** Throws `POLICY_UNSUPPORTED` as `orderPolicies`. */
  constructor(options: VerdictTableOptions) {
    const models = options.worlds.map((world) => createAccessModel(world));
    this.#places = groupPlaces(models, options);
    this.#outcomes = new OutcomeBook(models, options.draftVersion);
    this.#reports = new ReportBook(models, this.#places, options);
  }

  /** Pairs of places that were compared. */
  get comparedPairs(): number {
    return this.#compared;
  }

  add(record: ReportedRecord): RecordFate {
    return this.#reports.add(record);
  }

  /** Every row; `null` now and then, so that others can have a turn. */
  *rows({ includeAgreeing = false }: RowOptions = {}): Generator<VerdictRow | null> {
    let worked = 0;
    for (const [source, from] of this.#places.groups.entries()) {
      for (const [destination, to] of this.#places.groups.entries()) {
        if (from.isOutside && to.isOutside) continue;
        worked += from.egress.length * to.ingress.length;
        const reported = this.#reports.of(source, destination);
        // Most pairs of groups have nothing to say: they are looked at first, and cost nothing else.
        if (reported !== null || includeAgreeing || this.#disagree(from, to)) {
          yield* this.#rowsOf(from, to, reported, includeAgreeing);
        }
        if (worked < PAIRS_IN_TURN) continue;
        this.#compared += worked;
        worked = 0;
        yield null;
      }
    }
    this.#compared += worked;
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
    const reported = reportedVerdicts(
      what.reported.flatMap(({ parts }) => [...parts.values()].map(({ record }) => record)),
    );
    const disagrees = outcomes.some(({ outcome }) =>
      reported.size === 0
        ? outcome.disagrees
        : differ([...reported, ...COMPUTED_COLUMNS.map((column) => outcome[column].verdict)]),
    );
    return { from, to, ...what, outcomes, count: what.reported.reduce((sum, { count }) => sum + count, 0), disagrees };
  }
}

const NOWHERE = -1;

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

/** Of one family, and not only an address with itself. */
function isConnection(from: PlaceGroup, to: PlaceGroup): boolean {
  return from.family === to.family && isMeant(from, to) && hasTwoEnds(from, to);
}

/** As {@link examplePair} finds them. */
function hasTwoEnds(from: PlaceGroup, to: PlaceGroup): boolean {
  const [source] = from.members;
  const [destination] = to.members;
  if (!source || !destination) return source !== destination;
  if (source.address !== destination.address) return true;
  return from.members.length + to.members.length > 2 && examplePair(from, to) !== null;
}

function isMeant(from: PlaceGroup, to: PlaceGroup): boolean {
  return from.standing.isLookedAt || to.standing.isLookedAt;
}

function examplePair(from: PlaceGroup, to: PlaceGroup): readonly [ExampleEnd, ExampleEnd] | null {
  const [source] = from.members;
  const [destination] = to.members;
  if (source && destination) {
    const other = to.members.find(({ address }) => address !== source.address);
    if (other) return [endOf(source), endOf(other)];
    const another = from.members.find(({ address }) => address !== destination.address);
    return another ? [endOf(another), endOf(destination)] : null;
  }
  if (!source && !destination) return null;
  return [source ? endOf(source) : outsideEnd(from), destination ? endOf(destination) : outsideEnd(to)];
}

function endOf({ endpoint, address }: PlaceGroup["members"][number]): ExampleEnd {
  return { key: endpoint.key, address };
}

function outsideEnd({ exact }: PlaceGroup): ExampleEnd {
  const [region] = exact;
  if (!region) throw new Error("a group without members has regions");
  return { key: null, address: formatAddress(lowestAddress(region)) };
}

/** 16 hex digits: the same connections have the same. */
export function rowId({ from, to, ports }: VerdictRow): string {
  return decisionId([from.text, to.text, portSetKey(ports)]);
}

/** The verdict of a column over the whole row. */
export function rowVerdict(row: VerdictRow, column: ComputedColumn): ShownVerdict {
  return joinParts(row.outcomes.map(({ outcome }) => outcome[column].verdict));
}

export function reportedVerdictOf(row: VerdictRow): ShownVerdict {
  return joinParts(
    reportedVerdicts(row.reported.flatMap(({ parts }) => [...parts.values()].map(({ record }) => record))),
  );
}

/** What a column says, each answer once, with whom it is about. */
export function describeCell(row: VerdictRow, column: ComputedColumn): ComputedCell {
  const parts = new Map<string, { readonly column: ColumnVerdict; readonly pairs: Pair[] }>();
  for (const { outcome, pairs } of row.outcomes) {
    const own = outcome[column];
    if (own.verdict === "nothing") continue;
    const key = own.sides.map(({ verdict, decision, version }) => `${verdict} ${decision?.id} ${version}`).join(" | ");
    const part = parts.get(key) ?? { column: own, pairs: [] };
    parts.set(key, part);
    part.pairs.push(...pairs);
  }
  const described = [...parts.values()].map((part) => describePart(part.column, part.pairs));
  return { verdict: rowVerdict(row, column), parts: described };
}

function describePart({ verdict, sides }: ColumnVerdict, pairs: readonly Pair[]): ComputedPart {
  const hosts = new Set<string>();
  for (const [index, side] of sides.entries()) {
    const decides = verdict === "allow" ? side.version !== null : side.verdict === verdict;
    if (!decides) continue;
    for (const pair of new Set(pairs.map((ends) => ends[index]))) {
      for (const { endpoint } of pair?.members ?? []) if (endpoint.hostName !== null) hosts.add(endpoint.hostName);
    }
  }
  const example = pairs.map(([from, to]) => examplePair(from, to)).find((ends) => ends !== null);
  if (!example) throw new Error("a part has a connection");
  const [from, to] = example;
  return { verdict, sides, hostNames: [...hosts].sort(), from, to };
}

export function describeReported(row: VerdictRow): ReportedCell {
  return reportedCell(row.reported);
}
