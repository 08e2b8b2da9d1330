/** What can be asked about connections, and the pairs of groups that an answer is made of. */
import { type DecisionContent, enforcedVerdict } from "../decision.ts";
import type { FlowEnd } from "../evaluation.ts";
import type { Endpoint, EndpointSelector, PortMatch, ProtocolNumber, Verdict } from "../model.ts";
import { type AccessEnd, type ClassedGroup, groupMembers, type MemberGroup } from "./member-groups.ts";
import type { AccessModel } from "./model.ts";
import { combineSpaces, coveredSpace, mapSpace, type PortSpace } from "./port-space.ts";
import { type DecisionPair, decisionsOfPair } from "./space-book.ts";
import { portsNamed } from "./terms.ts";

/**
 * A set of connections: from every member of one end to every member of the other of the same family.
 *
 * Never part of it: an address with itself (loopback, always allowed) and two addresses of which neither belongs to an
 * endpoint (nobody's policies are asked).
 */
export interface AccessQuestion {
  readonly from: AccessEnd;
  readonly to: AccessEnd;
  /** Endpoints that are left out of `from`. */
  readonly fromWithout?: EndpointSelector | null;
  /** `null` = every protocol and port. Names are looked up at the members of `to`, each for itself. */
  readonly ports: readonly PortMatch[] | null;
  /**
   * Whether connections that are decided before any policy count (loopback addresses, and the ICMP without which IP
   * breaks). They are allowed whatever the policies say, so a proof about policies leaves them out. Default false.
   */
  readonly builtins?: boolean;
}

/** What is decided about a connection, by both sides. */
export interface DecidedConnection {
  /** What `evaluate` answers: an observed denial counts as one. */
  readonly reported: Verdict;
  /** What happens to packets: an observed denial allows. */
  readonly enforced: Verdict;
  /** Of the source's subject. */
  readonly egress: DecisionContent;
  /** Of the destination's subject. */
  readonly ingress: DecisionContent;
}

export interface DecidedPorts extends DecidedConnection {
  /** `null` = every protocol but `exceptProtocols`. */
  readonly protocol: ProtocolNumber | null;
  readonly exceptProtocols: readonly ProtocolNumber[];
  /** Inclusive; 0 to 65535 for every protocol. `type << 8 | code` for ICMP. */
  readonly low: number;
  readonly high: number;
}

/** Every pair of a source and a destination at different addresses is decided like this. */
export interface AccessRegion {
  readonly from: MemberGroup;
  readonly to: MemberGroup;
  readonly ports: readonly DecidedPorts[];
}

/** A connection that shows something; can be given to `evaluate` as it is. */
export interface ConnectionExample extends DecidedConnection {
  readonly from: FlowEnd;
  readonly to: FlowEnd;
  readonly protocol: ProtocolNumber;
  readonly port: number;
}

/** Pairs of groups with everything that is decided between them; `null` values are not part of the question. */
export interface DecidedPair {
  readonly from: ClassedGroup;
  readonly to: ClassedGroup;
  readonly space: PortSpace<DecisionPair | null>;
}

export function explainPair(model: AccessModel, egressNumber: number, ingressNumber: number): DecidedConnection {
  const egress = model.decisions.content(egressNumber);
  const ingress = model.decisions.content(ingressNumber);
  const both = (one: Verdict, other: Verdict): Verdict => (one === "allow" && other === "allow" ? "allow" : "deny");
  return {
    reported: both(egress.verdict, ingress.verdict),
    enforced: both(enforcedVerdict(egress), enforcedVerdict(ingress)),
    egress,
    ingress,
  };
}

/** Explanations of pairs, each one object. */
export function createExplainer(model: AccessModel): (pair: DecisionPair) => DecidedConnection {
  const known = new Map<DecisionPair, DecidedConnection>();
  return (pair) => {
    let decided = known.get(pair);
    if (!decided) {
      const { egress, ingress } = decisionsOfPair(pair);
      decided = explainPair(model, egress, ingress);
      known.set(pair, decided);
    }
    return decided;
  };
}

export function* decidedPairs(model: AccessModel, question: AccessQuestion): Generator<DecidedPair> {
  const { ports } = question;
  const splitBy = namesSplit(ports);
  const sources = groupMembers(model, question.from, "egress", { without: question.fromWithout ?? null });
  const destinations = groupMembers(model, question.to, "ingress", { splitBy });
  const tables = new Map<string, ReturnType<typeof createPairTable>>();
  for (const to of destinations) {
    const endpoint = to.members[0]?.endpoint ?? null;
    // Destinations at which the names mean the same have the same ports.
    const key = splitBy(endpoint);
    const space = tables.get(key) ?? createPairTable(model, question, coveredPorts(ports, endpoint));
    tables.set(key, space);
    for (const from of sources) {
      if (from.family !== to.family || (from.members.length === 0 && to.members.length === 0)) continue;
      if (isOneAddress(from, to)) continue;
      const egress = from.view.spaceOf(to.addressClass);
      const ingress = to.view.spaceOf(from.addressClass);
      yield { from, to, space: space(egress, ingress) };
    }
  }
}

/** Destinations with equal texts mean the same by the port names of a question. */
export function namesSplit(ports: AccessQuestion["ports"]): (endpoint: Endpoint | null) => string {
  const names = (ports ?? []).filter((port) => port.kind === "named");
  return (endpoint) =>
    names.length === 0 ? "" : JSON.stringify(portsNamed(endpoint === null ? [] : [endpoint], names));
}

/** The ports of a question at one destination; `null` = all. */
export function coveredPorts(ports: AccessQuestion["ports"], destination: Endpoint | null): PortSpace<boolean> | null {
  if (ports === null) return null;
  const ranges = ports.filter((port) => port.kind === "range");
  const names = ports.filter((port) => port.kind === "named");
  return coveredSpace([...ranges, ...portsNamed(destination === null ? [] : [destination], names)]);
}

function createPairTable(model: AccessModel, question: AccessQuestion, covered: PortSpace<boolean> | null) {
  const isPolicy = (pair: DecisionPair): boolean => {
    const { egress, ingress } = decisionsOfPair(pair);
    return !model.decisions.isBuiltin(egress) && !model.decisions.isBuiltin(ingress);
  };
  const known = new Map<PortSpace<DecisionPair>, PortSpace<DecisionPair | null>>();
  return (egress: number, ingress: number): PortSpace<DecisionPair | null> => {
    const whole = model.spaces.pair(egress, ingress);
    let space = known.get(whole);
    if (!space) {
      const asked = question.builtins ? whole : mapSpace(whole, (pair) => (isPolicy(pair) ? pair : null));
      space = covered === null ? asked : combineSpaces(asked, covered, (pair, isCovered) => (isCovered ? pair : null));
      known.set(whole, space);
    }
    return space;
  };
}

/** Whether all members of both groups are at one and the same address, so that no connection is between them. */
export function isOneAddress(from: MemberGroup, to: MemberGroup): boolean {
  const [first] = from.members;
  return (
    first !== undefined &&
    from.regions.length + to.regions.length === 0 &&
    [...from.members, ...to.members].every(({ address }) => address === first.address)
  );
}
