/** Who can reach whom, on which ports and by which rules: the allowed connections of a question in few rows. */
import type { DecisionContent } from "../decision.ts";
import { type AccessEnd, type ClassedGroup, groupMembers } from "./member-groups.ts";
import type { AccessModel } from "./model.ts";
import { createPartyDescriber, type Party, rememberParties } from "./party.ts";
import { comparePorts, type PortRangePart, portSetKey } from "./port-set.ts";
import { type PortSpace, partsOf } from "./port-space.ts";
import { createBlockFinder } from "./row-blocks.ts";
import { type DecisionPair, decisionsOfPair } from "./space-book.ts";

const DEFAULT_LIMIT = 500;

/**
 * Connections that are allowed (an observed denial lets them pass): from every source to every destination of the same
 * family at another address, on every port. Each is in exactly one row of an answer.
 */
export interface ReachRow {
  readonly from: Party;
  readonly to: Party;
  readonly ports: readonly PortRangePart[];
  /** What allows it at the source; without a rule where nothing restricts it there. */
  readonly egress: DecisionContent;
  /** The same at the destination. */
  readonly ingress: DecisionContent;
}

export interface ReachAnswer {
  /** Rules before the absence of them, then by destination, source and port. */
  readonly rows: readonly ReachRow[];
  /** How many more there are. */
  readonly leftOut: number;
}

export interface ReachQuestion {
  readonly from: AccessEnd;
  readonly to: AccessEnd;
  /** Most rows to return; default 500. */
  readonly limit?: number;
}

/**
 * Every allowed connection that policies decide. Rows say nothing about what no policy decides, and their products may
 * touch it: loopback, the ICMP without which IP breaks, an address with itself, and connections between two addresses of
 * which neither belongs to an endpoint.
 */
export function reach(model: AccessModel, question: ReachQuestion): ReachAnswer {
  const sources = groupMembers(model, question.from, "egress");
  const destinations = groupMembers(model, question.to, "ingress");
  const facts = collectFacts(model, sources, destinations);
  const describe = rememberParties(createPartyDescriber(model.space.members));
  const blocksOf = createBlockFinder(sources, destinations);
  const blocks = [...facts.values()].flatMap((fact) => blocksOf(fact.pairs).map((block) => ({ fact, block })));
  blocks.sort((left, right) => rank(model, left.fact) - rank(model, right.fact));
  const limit = question.limit ?? DEFAULT_LIMIT;
  const rows = blocks.slice(0, limit).map(({ fact, block }): ReachRow => {
    const { egress, ingress } = decisionsOfPair(fact.decisions);
    return {
      from: describe(sources, block.sources),
      to: describe(destinations, block.destinations),
      ports: fact.ports,
      egress: model.decisions.content(egress),
      ingress: model.decisions.content(ingress),
    };
  });
  return { rows: rows.sort(compareRows), leftOut: Math.max(0, blocks.length - limit) };
}

interface Fact {
  readonly decisions: DecisionPair;
  readonly ports: readonly PortRangePart[];
  /** Places of source and destination groups. */
  readonly pairs: (readonly [number, number])[];
}

function collectFacts(
  model: AccessModel,
  sources: readonly ClassedGroup[],
  destinations: readonly ClassedGroup[],
): ReadonlyMap<string, Fact> {
  const facts = new Map<string, Fact>();
  const bySpace = new Map<PortSpace<DecisionPair>, readonly Fact[]>();
  const factsOf = (space: PortSpace<DecisionPair>): readonly Fact[] => {
    const known = bySpace.get(space) ?? allowedFacts(model, space, facts);
    bySpace.set(space, known);
    return known;
  };
  for (const [place, to] of destinations.entries()) {
    for (const [index, from] of sources.entries()) {
      if (from.family !== to.family) continue;
      const egress = from.view.policySpaceOf(to.addressClass);
      const ingress = to.view.policySpaceOf(from.addressClass);
      if (!model.spaces.allowsSomething(egress) || !model.spaces.allowsSomething(ingress)) continue;
      for (const fact of factsOf(model.spaces.pair(egress, ingress))) fact.pairs.push([index, place]);
    }
  }
  return facts;
}

/** Ports by the decisions that allow them; equal facts of all spaces are one object. */
function allowedFacts(model: AccessModel, space: PortSpace<DecisionPair>, facts: Map<string, Fact>): readonly Fact[] {
  const byDecisions = new Map<DecisionPair, PortRangePart[]>();
  for (const { value, ...part } of partsOf(space)) {
    const { egress, ingress } = decisionsOfPair(value);
    if (!model.decisions.allows(egress) || !model.decisions.allows(ingress)) continue;
    const parts = byDecisions.get(value);
    if (parts) parts.push(part);
    else byDecisions.set(value, [part]);
  }
  return [...byDecisions].map(([decisions, ports]) => {
    const key = `${decisions} ${portSetKey(ports)}`;
    const fact = facts.get(key) ?? { decisions, ports, pairs: [] };
    facts.set(key, fact);
    return fact;
  });
}

/** Two rules tell more than one, and one more than none. */
function rank(model: AccessModel, fact: Fact): number {
  const { egress, ingress } = decisionsOfPair(fact.decisions);
  const rules = [egress, ingress].filter((decision) => model.decisions.content(decision).reason === "rule");
  return 2 - rules.length;
}

function compareRows(left: ReachRow, right: ReachRow): number {
  const text = ({ to, from }: ReachRow): string => `${to.text}\n${from.text}`;
  const [one, other] = [text(left), text(right)];
  if (one !== other) return one < other ? -1 : 1;
  return comparePorts(left.ports, right.ports);
}
