/** Who can reach whom, on which ports and by which rules: the allowed connections of a question in few rows. */
import type { DecisionContent } from "../decision.ts";
import type { PortMatch, Verdict } from "../model.ts";
import { type AccessEnd, type ClassedGroup, groupMembers } from "./member-groups.ts";
import type { AccessModel } from "./model.ts";
import { createPartyDescriber, type Party, rememberParties } from "./party.ts";
import { comparePorts, type PortRangePart, portSetKey } from "./port-set.ts";
import { combineSpaces, type PortSpace, partsOf } from "./port-space.ts";
import { coveredPorts, isOneAddress, namesSplit } from "./question.ts";
import { createBlockFinder } from "./row-blocks.ts";
import { type DecisionPair, decisionsOfPair } from "./space-book.ts";

const DEFAULT_LIMIT = 500;

/**
 * Connections that are allowed (an observed denial lets them pass), or those that are denied: from every source to every
 * destination of the same family at another address, on every port. Each is in exactly one row of an answer.
 */
export interface ReachRow {
  readonly from: Party;
  readonly to: Party;
  readonly ports: readonly PortRangePart[];
  /** What decides at the source; without a rule where nothing restricts it there. */
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
  /** `null` = every protocol and port; names are looked up at the members of `to`, each for itself. Default `null`. */
  readonly ports?: readonly PortMatch[] | null;
  /** What happens to the packets of the rows; default `allow`. */
  readonly verdict?: Verdict;
  /** Most rows to return; default 500. */
  readonly limit?: number;
}

/**
 * Every allowed (or denied) connection that policies decide. Rows say nothing about what no policy decides, and their products may
 * touch it: loopback, the ICMP without which IP breaks, an address with itself, and connections between two addresses of
 * which neither belongs to an endpoint.
 */
export function reach(model: AccessModel, question: ReachQuestion): ReachAnswer {
  const sources = groupMembers(model, question.from, "egress");
  const destinations = groupMembers(model, question.to, "ingress", { splitBy: namesSplit(question.ports ?? null) });
  const facts = collectFacts(model, question, sources, destinations);
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
  { ports = null, verdict = "allow" }: ReachQuestion,
  sources: readonly ClassedGroup[],
  destinations: readonly ClassedGroup[],
): ReadonlyMap<string, Fact> {
  const facts = new Map<string, Fact>();
  const splitBy = namesSplit(ports);
  // By what names mean at the destination, then by space: destinations with equal ports share what they find out.
  const known = new Map<string, Map<PortSpace<DecisionPair>, readonly Fact[]>>();
  for (const [place, to] of destinations.entries()) {
    const endpoint = to.members[0]?.endpoint ?? null;
    const covered = coveredPorts(ports, endpoint);
    const bySpace = known.get(splitBy(endpoint)) ?? new Map<PortSpace<DecisionPair>, readonly Fact[]>();
    known.set(splitBy(endpoint), bySpace);
    for (const [index, from] of sources.entries()) {
      if (from.family !== to.family || (verdict === "deny" && isOneAddress(from, to))) continue;
      const egress = from.view.policySpaceOf(to.addressClass);
      const ingress = to.view.policySpaceOf(from.addressClass);
      const mayAllow = model.spaces.allowsSomething(egress) && model.spaces.allowsSomething(ingress);
      if (verdict === "allow" && !mayAllow) continue;
      const space = model.spaces.pair(egress, ingress);
      const found = bySpace.get(space) ?? factsOf(model, askedPart(space, covered), verdict, facts);
      bySpace.set(space, found);
      for (const fact of found) fact.pairs.push([index, place]);
    }
  }
  return facts;
}

function askedPart(space: PortSpace<DecisionPair>, covered: PortSpace<boolean> | null): PortSpace<DecisionPair | null> {
  return covered === null ? space : combineSpaces(space, covered, (pair, isCovered) => (isCovered ? pair : null));
}

/** Ports by the decisions about them; equal facts of all spaces are one object. */
function factsOf(
  model: AccessModel,
  space: PortSpace<DecisionPair | null>,
  verdict: Verdict,
  facts: Map<string, Fact>,
): readonly Fact[] {
  const byDecisions = new Map<DecisionPair, PortRangePart[]>();
  for (const { value, ...part } of partsOf(space)) {
    if (value === null) continue;
    const { egress, ingress } = decisionsOfPair(value);
    const isAllowed = model.decisions.allows(egress) && model.decisions.allows(ingress);
    if (isAllowed !== (verdict === "allow")) continue;
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
