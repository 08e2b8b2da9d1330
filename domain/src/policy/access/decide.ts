/** Questions about sets of connections, answered for every one of them. */
import { ErrorCode, Failure } from "../../errors/index.ts";
import { parseAddress } from "../address.ts";
import type { FlowEnd, PolicyFlow } from "../evaluation.ts";
import { compareBytes } from "./address-regions.ts";
import { type ClassedGroup, compareEnds, firstEnds, type GroupEnd } from "./member-groups.ts";
import type { AccessModel } from "./model.ts";
import { firstPlace, partsOf, valueAt } from "./port-space.ts";
import {
  type AccessQuestion,
  type AccessRegion,
  type ConnectionExample,
  createExplainer,
  type DecidedConnection,
  type DecidedPair,
  type DecidedPorts,
  decidedPairs,
  explainPair,
} from "./question.ts";
import type { DecisionPair } from "./space-book.ts";

/**
 * The whole question in regions: each of its connections is in exactly one region and there in exactly one range of
 * ports. Regions without any are left out.
 */
export function* decide(model: AccessModel, question: AccessQuestion): Generator<AccessRegion> {
  const explain = createExplainer(model);
  for (const { from, to, space } of decidedPairs(model, question)) {
    const ports = partsOf(space).flatMap(({ value, ...part }): DecidedPorts[] =>
      value === null ? [] : [{ ...part, ...explain(value) }],
    );
    if (ports.length > 0) yield { from, to, ports };
  }
}

/**
 * The smallest connection of the question for which `isWanted` holds, or `null` when it holds for none, which proves the
 * opposite for all. Smallest: by source, then destination (endpoints by key, then addresses that belong to nobody; IPv4
 * first, lowest address first), then protocol (TCP, UDP, ICMP, ICMPv6, SCTP, the others by number), then port.
 *
 * `isWanted` is asked about every way in which connections of the question are decided, each once; never when the
 * question is about no connection.
 */
export function findConnection(
  model: AccessModel,
  question: AccessQuestion,
  isWanted: (decided: DecidedConnection) => boolean,
): ConnectionExample | null {
  const explain = createExplainer(model);
  const answers = new Map<DecisionPair, boolean>();
  const isPairWanted = (pair: DecisionPair | null): boolean => {
    if (pair === null) return false;
    const answer = answers.get(pair) ?? isWanted(explain(pair));
    answers.set(pair, answer);
    return answer;
  };
  const places = new Map<DecidedPair["space"], Place | null>();
  const endsOf = rememberEnds();
  let best: { ends: EndPair; place: Place; space: DecidedPair["space"] } | null = null;
  for (const { from, to, space } of decidedPairs(model, question)) {
    let place = places.get(space);
    if (place === undefined) {
      place = firstPlace(space, isPairWanted);
      places.set(space, place);
    }
    if (place === null) continue;
    const ends = firstPair(endsOf(from), endsOf(to));
    if (ends !== null && (best === null || comparePairs(ends, best.ends) < 0)) best = { ends, place, space };
  }
  if (best === null) return null;
  const { ends, place, space } = best;
  const pair = valueAt(space, place.protocol, place.port);
  if (pair === null) throw new Error("a wanted place is part of the question");
  return { from: flowEnd(ends.from), to: flowEnd(ends.to), ...place, ...explain(pair) };
}

type Place = NonNullable<ReturnType<typeof firstPlace>>;

function rememberEnds(): (group: ClassedGroup) => readonly GroupEnd[] {
  const known = new Map<ClassedGroup, readonly GroupEnd[]>();
  return (group) => {
    const ends = known.get(group) ?? firstEnds(group);
    known.set(group, ends);
    return ends;
  };
}

/** Decides one connection as `evaluate` does, without the walkthrough. Throws as `evaluate` for unknown endpoints. */
export function decideConnection(model: AccessModel, { from, to, protocol, port }: PolicyFlow): DecidedConnection {
  const [source, destination] = [locate(model, from), locate(model, to)];
  if (source.bytes.length !== destination.bytes.length) throw notOneFamily(from.address, to.address);
  if (compareBytes(source.bytes, destination.bytes) === 0) {
    const loopback = model.decisions.builtin("loopback");
    return explainPair(model, loopback, loopback);
  }
  const egress = source.views.egress.spaceOf(destination.addressClass);
  const ingress = destination.views.ingress.spaceOf(source.addressClass);
  const decisionIn = (space: number): number => valueAt(model.spaces.space(space), protocol, port);
  return explainPair(model, decisionIn(egress), decisionIn(ingress));
}

function locate(model: AccessModel, end: FlowEnd) {
  const address = parseAddress(end.address);
  if (!address.ok) throw notOneFamily(end.address, end.address);
  const endpoint = end.endpointKey === null ? null : model.endpoint(end.endpointKey);
  const addressClass = model.addressClass(model.space.classOfAddress(address.bytes));
  return { bytes: address.bytes, views: model.views(endpoint), addressClass };
}

function notOneFamily(from: string, to: string): Failure {
  return new Failure({
    code: ErrorCode.INVALID_ARGUMENT,
    message: `${from} and ${to} are not two addresses of one family.`,
  });
}

interface EndPair {
  readonly from: GroupEnd;
  readonly to: GroupEnd;
}

/** The smallest pair of ends at different addresses. */
function firstPair(from: readonly GroupEnd[], to: readonly GroupEnd[]): EndPair | null {
  for (const source of from) {
    const destination = to.find((end) => end.address !== source.address);
    if (destination) return { from: source, to: destination };
  }
  return null;
}

function comparePairs(left: EndPair, right: EndPair): number {
  return compareEnds(left.from, right.from) || compareEnds(left.to, right.to);
}

function flowEnd({ endpointKey, address }: GroupEnd): FlowEnd {
  return { endpointKey, address };
}
