/** Who gains and who loses what from one world to another: by meaning, over the whole space of connections. */
import type { DecisionContent } from "../decision.ts";
import type { Direction } from "../model.ts";
import { FlowCounter } from "./diff-flows.ts";
import { createJointSpace, type JointGroup, type JointSpace } from "./joint-space.ts";
import type { AccessModel } from "./model.ts";
import { createPartyDescriber, type Party, rememberParties } from "./party.ts";
import { comparePorts, type PortRangePart, portSetKey } from "./port-set.ts";
import { combineSpaces, type PortSpace, partsOf } from "./port-space.ts";
import type { Block } from "./relation.ts";
import { createBlockFinder } from "./row-blocks.ts";
import { SideAnswers, type SpacesOfSides } from "./side-answers.ts";
import { type DecisionPair, decisionsOfPair } from "./space-book.ts";

const DEFAULT_LIMIT = 500;

/** What one end's policies say about a changed connection. */
export interface SideChange {
  /** `egress`: at the source; `ingress`: at the destination. */
  readonly direction: Direction;
  readonly before: DecisionContent;
  readonly after: DecisionContent;
}

/**
 * Connections that become allowed (`gained`) or stop being allowed (`lost`): from every source to every destination of
 * the same family at another address, on every port. Each is in exactly one row of an answer. An observed denial lets
 * packets pass, so it counts as allowed.
 */
export interface AccessDifference {
  readonly change: "gained" | "lost";
  readonly from: Party;
  readonly to: Party;
  readonly ports: readonly PortRangePart[];
  /** The ends whose own answer changes: one or both, source first. */
  readonly sides: readonly SideChange[];
}

export interface AccessDiff {
  /** Lost before gained, as losses are what breaks things; then by destination, source and port. */
  readonly rows: readonly AccessDifference[];
  /** How many more there are. */
  readonly leftOut: number;
}

export interface AccessDiffOptions {
  /** Most rows to return; default 500. */
  readonly limit?: number;
}

/** A kind of change: the same ends change, by the same decisions. */
interface Change {
  readonly change: AccessDifference["change"];
  readonly sides: readonly SideChange[];
}

/** A kind of change on a set of ports, and the pairs of groups that it happens to. */
export interface ChangeFact extends Change {
  readonly ports: readonly PortRangePart[];
  /** Places of source and destination groups. */
  readonly pairs: (readonly [number, number])[];
}

/** What rows are made of, and what tells the row of a connection. */
export interface DiffParts {
  readonly space: JointSpace;
  readonly sources: readonly JointGroup[];
  readonly destinations: readonly JointGroup[];
  /** In the order of the rows. */
  readonly blocks: readonly { readonly fact: ChangeFact; readonly block: Block }[];
}

/** Two worlds, compared; rows and counts are made of it. */
export interface AccessComparison {
  diff(options?: AccessDiffOptions): AccessDiff;
  /** Counts flows by the rows that `diff` gives, in the order of all of them. */
  countFlows(): FlowCounter;
}

/**
 * Compares two worlds. Their texts, names and order do not count; changes of the inventory do: an address that joins a
 * group gains what the group may do. No row = the same packets pass.
 *
 * Not in rows: connections that no policy decides (see `reach`).
 */
export function compareAccess(old: AccessModel, next: AccessModel): AccessComparison {
  const parts = diffParts(old, next);
  return {
    diff: (options = {}) => rowsOf(parts, options),
    countFlows: () => new FlowCounter(old, next, parts),
  };
}

/** See {@link compareAccess}. */
export function diffAccess(old: AccessModel, next: AccessModel, options: AccessDiffOptions = {}): AccessDiff {
  return compareAccess(old, next).diff(options);
}

function diffParts(old: AccessModel, next: AccessModel): DiffParts {
  const space = createJointSpace(old, next);
  const sources = space.groups("egress");
  const destinations = space.groups("ingress");
  const facts = collectChanges(old, next, sources, destinations);
  const blocksOf = createBlockFinder(sources, destinations);
  const ranks = rankFacts(facts);
  const blocks = facts
    .flatMap((fact) => blocksOf(fact.pairs).map((block) => ({ fact, block })))
    .sort((left, right) => (ranks.get(left.fact) ?? 0) - (ranks.get(right.fact) ?? 0));
  return { space, sources, destinations, blocks };
}

function rowsOf(parts: DiffParts, { limit = DEFAULT_LIMIT }: AccessDiffOptions): AccessDiff {
  const describe = rememberParties(createPartyDescriber(parts.space.members));
  const rows = parts.blocks.slice(0, limit).map(
    ({ fact, block }): AccessDifference => ({
      change: fact.change,
      from: describe(parts.sources, block.sources),
      to: describe(parts.destinations, block.destinations),
      ports: fact.ports,
      sides: fact.sides,
    }),
  );
  return { rows, leftOut: Math.max(0, parts.blocks.length - limit) };
}

/** Numbers of the places of facts in the order of rows. */
function rankFacts(facts: readonly ChangeFact[]): ReadonlyMap<ChangeFact, number> {
  const named = facts.map((fact) => ({ fact, policies: fact.sides.flatMap(({ after }) => after.policyKeys).join() }));
  named.sort((left, right) => {
    if (left.fact.change !== right.fact.change) return left.fact.change === "lost" ? -1 : 1;
    if (left.policies !== right.policies) return left.policies < right.policies ? -1 : 1;
    return comparePorts(left.fact.ports, right.fact.ports);
  });
  return new Map(named.map(({ fact }, rank) => [fact, rank]));
}

function collectChanges(
  old: AccessModel,
  next: AccessModel,
  sources: readonly JointGroup[],
  destinations: readonly JointGroup[],
): readonly ChangeFact[] {
  const facts = new Map<string, ChangeFact>();
  const factsOf = createFactTable(old, next, facts);
  const answers = new SideAnswers(old, next);
  const egress = answers.table(sources, destinations);
  const ingress = answers.table(destinations, sources);
  for (const [place, to] of destinations.entries()) {
    const into = ingress.rowOf(place);
    for (const [index, from] of sources.entries()) {
      if (from.family !== to.family) continue;
      const atSource = egress.rowOf(index)[egress.columnOf(place)] ?? 0;
      const atDestination = into[ingress.columnOf(index)] ?? 0;
      if (!answers.mayDiffer(atSource, atDestination)) continue;
      const [before, after] = answers.spacesOf(atSource, atDestination);
      for (const fact of factsOf(before, after)) fact.pairs.push([index, place]);
    }
  }
  return [...facts.values()];
}

function createFactTable(old: AccessModel, next: AccessModel, facts: Map<string, ChangeFact>) {
  const changeOf = createChangeTable(old, next);
  const known = new Map<PortSpace<DecisionPair>, Map<PortSpace<DecisionPair>, readonly ChangeFact[]>>();
  return (before: SpacesOfSides, after: SpacesOfSides): readonly ChangeFact[] => {
    const oldSpace = old.spaces.pair(before.egress, before.ingress);
    const nextSpace = next.spaces.pair(after.egress, after.ingress);
    const byNext = known.get(oldSpace) ?? new Map<PortSpace<DecisionPair>, readonly ChangeFact[]>();
    known.set(oldSpace, byNext);
    let found = byNext.get(nextSpace);
    if (!found) {
      found = factsBetween(oldSpace, nextSpace, changeOf, facts);
      byNext.set(nextSpace, found);
    }
    return found;
  };
}

function factsBetween(
  oldSpace: PortSpace<DecisionPair>,
  nextSpace: PortSpace<DecisionPair>,
  changeOf: (before: DecisionPair, after: DecisionPair) => NumberedChange | null,
  facts: Map<string, ChangeFact>,
): readonly ChangeFact[] {
  const byChange = new Map<NumberedChange, PortRangePart[]>();
  for (const { value, ...part } of partsOf(combineSpaces(oldSpace, nextSpace, changeOf))) {
    if (value === null) continue;
    const parts = byChange.get(value);
    if (parts) parts.push(part);
    else byChange.set(value, [part]);
  }
  return [...byChange].map(([{ number, change, sides }, ports]) => {
    const key = `${number} ${portSetKey(ports)}`;
    const fact = facts.get(key) ?? { change, sides, ports, pairs: [] };
    facts.set(key, fact);
    return fact;
  });
}

interface NumberedChange extends Change {
  readonly number: number;
}

/** Equal changes are one object, so that neighbouring ports can be joined by it. */
function createChangeTable(old: AccessModel, next: AccessModel) {
  const byDecisions = new Map<string, NumberedChange>();
  const find = (before: DecisionPair, after: DecisionPair): NumberedChange | null => {
    const then = decisionsOfPair(before);
    const now = decisionsOfPair(after);
    const directions = ["egress", "ingress"] as const;
    const allowed = directions.every((direction) => old.decisions.allows(then[direction]));
    if (allowed === directions.every((direction) => next.decisions.allows(now[direction]))) return null;
    const changed = directions.filter(
      (direction) => old.decisions.allows(then[direction]) !== next.decisions.allows(now[direction]),
    );
    const key = changed.map((direction) => `${direction} ${then[direction]} ${now[direction]}`).join();
    let known = byDecisions.get(key);
    if (!known) {
      const sides = changed.map(
        (direction): SideChange => ({
          direction,
          before: old.decisions.content(then[direction]),
          after: next.decisions.content(now[direction]),
        }),
      );
      known = { number: byDecisions.size, change: allowed ? "lost" : "gained", sides };
      byDecisions.set(key, known);
    }
    return known;
  };
  const known = new Map<DecisionPair, Map<DecisionPair, NumberedChange | null>>();
  return (before: DecisionPair, after: DecisionPair): NumberedChange | null => {
    const byAfter = known.get(before) ?? new Map<DecisionPair, NumberedChange | null>();
    known.set(before, byAfter);
    let change = byAfter.get(after);
    if (change === undefined) {
      change = find(before, after);
      byAfter.set(after, change);
    }
    return change;
  };
}
