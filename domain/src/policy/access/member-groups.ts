/** The members of an end, in groups that are treated alike. */

import { ErrorCode, Failure } from "../../errors/index.ts";
import { cidrContainsAddress, formatAddress } from "../address.ts";
import type { AddressRegion } from "../diff/index.ts";
import { endpointMatches } from "../labels.ts";
import type { Cidr, Direction, Endpoint, EndpointSelector, TestEnd } from "../model.ts";
import { meshPrefix } from "../named-peers.ts";
import { compareBytes, cutRegion, lowestAddress, withoutPrefix } from "./address-regions.ts";
import type { AddressClass, Member } from "./address-space.ts";
import type { AccessModel } from "./model.ts";
import type { SubjectView } from "./view.ts";

/** An end of a question: as in tests, these endpoints by key, or these addresses as far as they belong to nobody. */
export type AccessEnd =
  | TestEnd
  | { readonly kind: "keys"; readonly keys: readonly string[] }
  | { readonly kind: "outside"; readonly regions: readonly AddressRegion[] };

/** A set of endpoints at their addresses, or of addresses that belong to nobody; all of one family. */
export interface MemberGroup {
  readonly family: 4 | 6;
  /** By endpoint key, family and address; empty for addresses that belong to nobody. */
  readonly members: readonly Member[];
  /** Addresses of endpoints inside a region are not meant. Empty for endpoints. */
  readonly regions: readonly AddressRegion[];
}

/** A group whose members are asked the same in one direction and are seen by others as one. */
export interface ClassedGroup extends MemberGroup {
  readonly view: SubjectView;
  readonly addressClass: AddressClass;
  /** The same regions with the addresses of endpoints cut out. */
  readonly exactRegions: readonly AddressRegion[];
}

export interface EndOptions {
  /** Endpoints that are not meant. */
  readonly without?: EndpointSelector | null;
  /** Splits groups further: members of one group have equal keys. */
  readonly splitBy?: (endpoint: Endpoint | null) => string;
}

/** `direction`: what the members do in the connection; `egress` for those who open it. */
export function groupMembers(
  model: AccessModel,
  end: AccessEnd,
  direction: Direction,
  options: EndOptions = {},
): readonly ClassedGroup[] {
  const set = addressSetOf(end);
  const groups = new Map<SubjectView, Map<string, Building>>();
  const groupOf = (endpoint: Endpoint | null, addressClass: number): Building => {
    const view = model.views(endpoint)[direction];
    const key = `${addressClass} ${endpoint === null} ${options.splitBy?.(endpoint) ?? ""}`;
    const byKey = groups.get(view) ?? new Map<string, Building>();
    groups.set(view, byKey);
    const own = model.addressClass(addressClass);
    const group = byKey.get(key) ?? {
      family: own.family,
      view,
      addressClass: own,
      members: [],
      regions: [],
      exactRegions: [],
    };
    byKey.set(key, group);
    return group;
  };
  const isMeant = endpointFilter(model, end, options.without ?? null);
  for (const member of model.space.members) {
    if (!set.holdsMember(member.bytes) || !isMeant(member.endpoint)) continue;
    groupOf(member.endpoint, member.addressClass).members.push(member);
  }
  for (const { region, exact, addressClass } of set.outside.length > 0 ? model.space.outside : []) {
    for (const prefix of set.outside) {
      const cut = cutBy(exact, prefix);
      const shown = cutBy(region, prefix);
      if (cut === null || shown === null) continue;
      const group = groupOf(null, addressClass);
      group.regions.push(shown);
      group.exactRegions.push(cut);
    }
  }
  return [...groups.values()].flatMap((byKey) => [...byKey.values()]);
}

function endpointFilter(
  model: AccessModel,
  end: AccessEnd,
  without: EndpointSelector | null,
): (endpoint: Endpoint) => boolean {
  const { namespaces } = model.world.inventory;
  const keys = end.kind === "keys" ? new Set(end.keys) : null;
  return (endpoint) =>
    (end.kind !== "endpoints" || endpointMatches(end.selector, endpoint, namespaces)) &&
    (keys === null || keys.has(endpoint.key)) &&
    !(without && endpointMatches(without, endpoint, namespaces));
}

interface Building extends ClassedGroup {
  readonly members: Member[];
  readonly regions: AddressRegion[];
  readonly exactRegions: AddressRegion[];
}

interface AddressSet {
  holdsMember(bytes: Uint8Array): boolean;
  /** Prefixes whose addresses that belong to nobody are meant too. */
  readonly outside: readonly AddressRegion[];
}

const EVERYWHERE: readonly AddressRegion[] = [
  { prefix: { family: 4, bytes: new Uint8Array(4), prefixLength: 0 }, except: [] },
  { prefix: { family: 6, bytes: new Uint8Array(16), prefixLength: 0 }, except: [] },
];

function addressSetOf(end: AccessEnd): AddressSet {
  switch (end.kind) {
    case "any":
      return { holdsMember: () => true, outside: EVERYWHERE };
    case "endpoints":
    case "keys":
      return { holdsMember: () => true, outside: [] };
    case "addresses":
      return prefixSet(end.cidr, end.except);
    case "outside":
      return { holdsMember: () => false, outside: end.regions };
    case "entity":
      break;
  }
  switch (end.entity) {
    case "cluster":
      return { holdsMember: () => true, outside: [] };
    case "mesh":
      return prefixSet(meshPrefix(), []);
    case "world":
      return { holdsMember: () => false, outside: EVERYWHERE.flatMap((all) => withoutPrefix(all, meshPrefix()) ?? []) };
    case "host":
      throw new Failure({
        code: ErrorCode.INVALID_ARGUMENT,
        message: 'The entity "host" stands for something else at each end and cannot be asked about.',
        hint: "Name the host or its addresses.",
      });
  }
}

function prefixSet(prefix: Cidr, except: readonly Cidr[]): AddressSet {
  return {
    holdsMember: (bytes) =>
      cidrContainsAddress(prefix, bytes) && !except.some((inner) => cidrContainsAddress(inner, bytes)),
    outside: [{ prefix, except }],
  };
}

function cutBy(region: AddressRegion, by: AddressRegion): AddressRegion | null {
  let left = cutRegion(region, by.prefix);
  for (const inner of by.except) left = left && withoutPrefix(left, inner);
  return left;
}

/** One place that a connection can start from or go to. */
export interface GroupEnd {
  /** Key of the endpoint, or `null` for an address that belongs to nobody. */
  readonly endpointKey: string | null;
  readonly address: string;
  readonly bytes: Uint8Array;
}

/** Endpoints by key, then addresses that belong to nobody; IPv4 before IPv6, then by number. */
export function compareEnds(left: GroupEnd, right: GroupEnd): number {
  if (left.endpointKey !== right.endpointKey) {
    if (left.endpointKey === null) return 1;
    if (right.endpointKey === null) return -1;
    return left.endpointKey < right.endpointKey ? -1 : 1;
  }
  return compareBytes(left.bytes, right.bytes);
}

/** The first ends of a group in that order: every member, or the lowest address of the regions. */
export function firstEnds(group: ClassedGroup): readonly GroupEnd[] {
  if (group.members.length > 0) {
    return group.members.map(({ endpoint, address, bytes }) => ({ endpointKey: endpoint.key, address, bytes }));
  }
  const [lowest] = group.exactRegions.map(lowestAddress).sort(compareBytes);
  return lowest ? [{ endpointKey: null, address: formatAddress(lowest), bytes: lowest }] : [];
}

export interface EndMembers {
  /** Keys of the endpoints that are meant and have an address, in order. */
  readonly endpoints: readonly string[];
  /** Keys of those that are meant and have none: no connection is theirs, so no answer is about them. */
  readonly withoutAddress: readonly string[];
  /** Whether addresses that belong to nobody are meant too. */
  readonly hasOutside: boolean;
}

/** Whom an end means. A question about nobody is true of nobody, so a proof should ask this first. */
export function membersOf(model: AccessModel, end: AccessEnd, without: EndpointSelector | null = null): EndMembers {
  const groups = groupMembers(model, end, "egress", { without });
  const endpoints = new Set(groups.flatMap(({ members }) => members.map(({ endpoint }) => endpoint.key)));
  const addressed = new Set(model.space.members.map(({ endpoint }) => endpoint.key));
  const isNamed = end.kind === "endpoints" || end.kind === "keys";
  const isMeant = endpointFilter(model, end, without);
  const withoutAddress = isNamed
    ? model.world.inventory.endpoints.filter((endpoint) => !addressed.has(endpoint.key) && isMeant(endpoint))
    : [];
  return {
    endpoints: [...endpoints].sort(),
    withoutAddress: withoutAddress.map(({ key }) => key).sort(),
    hasOutside: groups.some(({ regions }) => regions.length > 0),
  };
}
