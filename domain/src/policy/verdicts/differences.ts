/**
 * Between which groups columns can differ at all. Of a large fleet most ends are decided alike in every column: pairs of
 * those need not be looked at, and there are as many pairs as ends squared.
 */
import type { Direction } from "../model.ts";
import type { NamedGroup, PlaceGroup } from "./groups.ts";
import { type OutcomeBook, worldsOf } from "./outcomes.ts";

/** Classes of addresses after which others get a turn. */
const CLASSES_IN_TURN = 50_000;
/** Beyond, cases of several worlds are not told apart by one number. */
const MAX_CASES = 2 ** 52;

/** Ends that are asked about alike: they have the same views and follow the same states. */
interface Viewing {
  readonly end: PlaceGroup;
  /** With an end of it, in the viewing's direction. */
  readonly groups: Set<number>;
  /** Numbers of classes of other ends about which the columns differ; `null` = about most. */
  differing: readonly number[] | null;
}

/** What ends are asked about alike from the other side: they have the same classes. */
interface Classed {
  readonly end: PlaceGroup;
  readonly groups: Set<number>;
  /** Viewings of the other direction that differ about them. */
  readonly differing: Viewing[];
}

class Side {
  readonly direction: Direction;
  readonly viewings = new Map<string, Viewing>();
  readonly classes = new Map<number, Classed>();

  constructor(direction: Direction, groups: readonly NamedGroup[]) {
    this.direction = direction;
    for (const [number, group] of groups.entries()) {
      for (const end of group[direction]) {
        const viewing = this.viewings.get(viewingKey(end)) ?? { end, groups: new Set(), differing: [] };
        viewing.groups.add(number);
        this.viewings.set(viewingKey(end), viewing);
        const classed = this.classes.get(end.classesNumber) ?? { end, groups: new Set(), differing: [] };
        classed.groups.add(number);
        this.classes.set(end.classesNumber, classed);
      }
    }
  }
}

export class Differences {
  readonly #groups: readonly NamedGroup[];
  readonly #outcomes: OutcomeBook;
  readonly #sources: Side;
  readonly #destinations: Side;
  /** Destinations that differ about most sources. */
  readonly #always = new Set<number>();

  constructor(groups: readonly NamedGroup[], outcomes: OutcomeBook) {
    this.#groups = groups;
    this.#outcomes = outcomes;
    this.#sources = new Side("egress", groups);
    this.#destinations = new Side("ingress", groups);
  }

  /** To be gone through before {@link destinationsOf}; yields now and then, so that others can have a turn. */
  *prepare(): Generator<null> {
    let worked = 0;
    for (const [side, other] of [
      [this.#sources, this.#destinations],
      [this.#destinations, this.#sources],
    ] as const) {
      for (const viewing of side.viewings.values()) {
        this.#compare(side.direction, viewing, other);
        worked += other.classes.size;
        if (worked < CLASSES_IN_TURN) continue;
        worked = 0;
        yield null;
      }
    }
    for (const { differing, groups } of this.#destinations.viewings.values()) {
      if (differing === null) for (const group of groups) this.#always.add(group);
    }
  }

  /** Numbers of groups to which the columns may differ; `null` = to any. Those that are left out do not differ. */
  destinationsOf(source: number): ReadonlySet<number> | null {
    const found = new Set(this.#always);
    for (const end of this.#groups[source]?.egress ?? []) {
      const differing = this.#sources.viewings.get(viewingKey(end))?.differing;
      if (differing === null) return null;
      for (const number of differing ?? []) {
        for (const group of this.#destinations.classes.get(number)?.groups ?? []) found.add(group);
      }
      for (const viewing of this.#sources.classes.get(end.classesNumber)?.differing ?? []) {
        for (const group of viewing.groups) found.add(group);
      }
    }
    return found;
  }

  #compare(direction: Direction, viewing: Viewing, other: Side): void {
    const { end } = viewing;
    if (end.standing.isFree) return;
    const caseOf = createCases(end);
    const known = new Map<number, boolean>();
    const differing: number[] = [];
    for (const [number, { end: remote }] of other.classes) {
      if (remote.family !== end.family) continue;
      const own = caseOf(remote);
      let differs = own === null ? undefined : known.get(own);
      if (differs === undefined) {
        differs = this.#outcomes.endDiffers(end, remote, direction);
        if (own !== null) known.set(own, differs);
      }
      if (differs) differing.push(number);
    }
    viewing.differing = differing.length * 2 > other.classes.size ? null : differing;
    for (const number of viewing.differing ?? []) other.classes.get(number)?.differing.push(viewing);
  }
}

/** Remote ends with the same number are decided alike; `null` = nobody can say. */
function createCases(end: PlaceGroup): (remote: PlaceGroup) => number | null {
  const views = worldsOf(end.standing).flatMap((world) => {
    const view = end.views[world];
    return view ? [{ world, view }] : [];
  });
  const cases = views.reduce((product, { view }) => product * view.caseCount * 2, 1);
  if (cases > MAX_CASES) return () => null;
  return ({ classes }) => {
    let number = 0;
    for (const { world, view } of views) {
      const remote = classes[world];
      if (!remote) return null;
      number = (number * view.caseCount + view.caseOf(remote)) * 2 + (remote.isLoopback ? 1 : 0);
    }
    return number;
  };
}

function viewingKey({ viewsNumber, standing, family }: PlaceGroup): string {
  return `${viewsNumber} ${standing.shape} ${family}`;
}
