/** Every connection between the places of a small world where something begins or ends, for comparison with answers. */
import { cidrContainsAddress, parseAddress } from "../address.ts";
import { effectiveAddresses } from "../endpoints.ts";
import type { FlowEnd, PolicyFlow } from "../evaluation.ts";
import { endpointMatches } from "../labels.ts";
import type { PolicyWorld, PortMatch, TestEnd } from "../model.ts";
import { entityContains } from "../named-peers.ts";
import { probeAddresses, probePorts } from "../testing/index.ts";
import type { MemberGroup } from "./member-groups.ts";
import type { Party } from "./party.ts";
import type { AccessQuestion, DecidedPorts } from "./question.ts";

export interface ProbeLimits {
  /** Addresses that belong to nobody; picked evenly. */
  readonly maxOutside: number;
  readonly maxPorts: number;
}

/** Every endpoint at each of its addresses, and addresses that belong to nobody. */
export function probeEnds(world: PolicyWorld, maxOutside: number): readonly FlowEnd[] {
  const own = world.inventory.endpoints.flatMap((endpoint) =>
    effectiveAddresses(world.inventory, endpoint).map((address) => ({ endpointKey: endpoint.key, address })),
  );
  const taken = new Set(own.map(({ address }) => address));
  const outside = probeAddresses(world)
    .filter((address) => !taken.has(address))
    .map((address) => ({ endpointKey: null, address }));
  return [...own, ...spread(outside, maxOutside)];
}

/** Addresses where something begins or ends; picked evenly. */
export function probePlaces(world: PolicyWorld, count: number): readonly string[] {
  return spread(probeAddresses(world), count);
}

/** At least one end of each belongs to an endpoint, and the addresses differ. */
export function probeFlows(world: PolicyWorld, { maxOutside, maxPorts }: ProbeLimits): readonly PolicyFlow[] {
  const ends = probeEnds(world, maxOutside);
  const ports = spread(probePorts(world), maxPorts);
  return ends.flatMap((from) =>
    ends
      .filter((to) => isPair(from, to))
      .flatMap((to) => ports.map(([protocol, port]): PolicyFlow => ({ from, to, protocol, port }))),
  );
}

function isPair(from: FlowEnd, to: FlowEnd): boolean {
  const isOneFamily = from.address.includes(":") === to.address.includes(":");
  return isOneFamily && from.address !== to.address && (from.endpointKey !== null || to.endpointKey !== null);
}

/** `count` of the values, first and last among them. */
function spread<Value>(values: readonly Value[], count: number): readonly Value[] {
  if (values.length <= count) return values;
  if (count <= 1) return values.slice(0, count);
  const step = (values.length - 1) / (count - 1);
  const picked = new Set(Array.from({ length: count }, (_, index) => Math.round(index * step)));
  return values.filter((_, index) => picked.has(index));
}

export function groupHolds(group: MemberGroup, end: FlowEnd): boolean {
  if (end.endpointKey !== null) {
    return group.members.some(({ endpoint, address }) => endpoint.key === end.endpointKey && address === end.address);
  }
  return regionsHold(group.regions, end.address);
}

function regionsHold(regions: MemberGroup["regions"], text: string): boolean {
  const address = parseAddress(text);
  if (!address.ok) throw new Error(`${text} is not an address`);
  return regions.some(
    ({ prefix, except }) =>
      cidrContainsAddress(prefix, address.bytes) && !except.some((inner) => cidrContainsAddress(inner, address.bytes)),
  );
}

export function portsHold(
  part: Pick<DecidedPorts, "protocol" | "exceptProtocols" | "low" | "high">,
  { protocol, port }: Pick<PolicyFlow, "protocol" | "port">,
): boolean {
  if (port < part.low || port > part.high) return false;
  return part.protocol === null ? !part.exceptProtocols.includes(protocol) : part.protocol === protocol;
}

/** Whether an end is meant by one side of a row. */
export function partyHolds(party: Party, end: FlowEnd): boolean {
  if (end.endpointKey === null) return regionsHold(party.regions, end.address);
  return party.endpoints.some(({ key, addresses }) => key === end.endpointKey && addresses.includes(end.address));
}

/** A question in the words of tests. */
export interface TestQuestion extends AccessQuestion {
  readonly from: TestEnd;
  readonly to: TestEnd;
}

/** The question, asked of one connection in the words of the model. */
export function isAsked(world: PolicyWorld, question: TestQuestion, { from, to, protocol, port }: PolicyFlow): boolean {
  const destination = world.inventory.endpoints.find(({ key }) => key === to.endpointKey);
  const source = world.inventory.endpoints.find(({ key }) => key === from.endpointKey);
  const { namespaces } = world.inventory;
  if (source && question.fromWithout && endpointMatches(question.fromWithout, source, namespaces)) return false;
  const isPort = (match: PortMatch): boolean => {
    if (match.protocol !== protocol) return false;
    if (match.kind === "range") return match.low <= port && port <= match.high;
    return (
      destination?.ports.some((own) => own.name === match.name && own.protocol === protocol && own.port === port) ??
      false
    );
  };
  return (
    endHolds(world, question.from, from) && endHolds(world, question.to, to) && (question.ports?.some(isPort) ?? true)
  );
}

function endHolds(world: PolicyWorld, end: TestEnd, { endpointKey, address }: FlowEnd): boolean {
  const parsed = parseAddress(address);
  const endpoint = world.inventory.endpoints.find(({ key }) => key === endpointKey);
  if (!parsed.ok) return false;
  switch (end.kind) {
    case "any":
      return true;
    case "endpoints":
      return endpoint !== undefined && endpointMatches(end.selector, endpoint, world.inventory.namespaces);
    case "addresses":
      return (
        [end.cidr].some((inner) => cidrContainsAddress(inner, parsed.bytes)) &&
        !end.except.some((inner) => cidrContainsAddress(inner, parsed.bytes))
      );
    case "entity":
      return entityContains(world.inventory, end.entity, null, address);
  }
}
