/** Two worlds as one space: every place that either of them knows, with what it is in each. */
import { cidrContains, formatAddress } from "../address.ts";
import type { AddressRegion } from "../diff/index.ts";
import type { Cidr, Direction, Endpoint } from "../model.ts";
import { prefixKey, regionSize } from "./address-regions.ts";
import { type AddressClass, compareMembers, type Member } from "./address-space.ts";
import type { MemberGroup } from "./member-groups.ts";
import type { AccessModel } from "./model.ts";
import type { SubjectView } from "./view.ts";

/** Somebody's policies in one world, and how others see the address there. */
export interface Side {
  readonly view: SubjectView;
  readonly addressClass: AddressClass;
}

/** Places that are treated alike in the old world and alike in the new one, in one direction. */
export interface JointGroup extends MemberGroup {
  readonly old: Side;
  readonly next: Side;
}

export interface JointSpace {
  /** By endpoint key, family and address. */
  readonly members: readonly Member[];
  groups(direction: Direction): readonly JointGroup[];
}

/**
 * Whose policies decide at an address before and after. `null` = nobody's. `shown` is the endpoint that stands for it: no
 * two places of one address have the same.
 */
export interface SubjectPair {
  readonly old: Endpoint | null;
  readonly next: Endpoint | null;
  readonly shown: Endpoint;
}

/**
 * Pairs the endpoints at one address. Those with the same key belong together. Of the others, the first of the old ones
 * becomes the first of the new ones and so on, hosts first: an address that changes hands is still that address. What is
 * left over was, or becomes, part of the host at that address, or nobody's.
 */
export function pairSubjects(old: readonly Endpoint[], next: readonly Endpoint[]): readonly SubjectPair[] {
  const inOld = new Map(old.map((endpoint) => [endpoint.key, endpoint]));
  const inNext = new Map(next.map((endpoint) => [endpoint.key, endpoint]));
  const kept = next.flatMap((endpoint): SubjectPair[] => {
    const before = inOld.get(endpoint.key);
    return before ? [{ old: before, next: endpoint, shown: endpoint }] : [];
  });
  const gone = old.filter(({ key }) => !inNext.has(key)).sort(compareHostsFirst);
  const come = next.filter(({ key }) => !inOld.has(key)).sort(compareHostsFirst);
  const [oldRest = null] = old.toSorted(compareHostsFirst);
  const [nextRest = null] = next.toSorted(compareHostsFirst);
  const changed = Array.from({ length: Math.max(gone.length, come.length) }, (_, index): SubjectPair | null => {
    const [before, after] = [gone[index], come[index]];
    if (after) return { old: before ?? oldRest, next: after, shown: after };
    return before ? { old: before, next: nextRest, shown: before } : null;
  });
  return [...kept, ...changed.filter((pair) => pair !== null)];
}

function compareHostsFirst(left: Endpoint, right: Endpoint): number {
  if (left.kind !== right.kind) return left.kind === "host" ? -1 : 1;
  return left.key < right.key ? -1 : 1;
}

interface Place {
  readonly old: Endpoint | null;
  readonly next: Endpoint | null;
  readonly oldClass: AddressClass;
  readonly nextClass: AddressClass;
  readonly member: Member | null;
  readonly region: AddressRegion | null;
}

export function createJointSpace(old: AccessModel, next: AccessModel): JointSpace {
  const members = jointMembers(old, next);
  const taken = new Set(members.map(({ member }) => member?.address));
  const places = [...members, ...jointOutside(old, next, taken)];
  return {
    members: members.flatMap(({ member }) => member ?? []),
    groups: (direction) => groupPlaces(places, old, next, direction),
  };
}

function jointMembers(old: AccessModel, next: AccessModel): readonly Place[] {
  const addresses = new Map([...old.space.members, ...next.space.members].map((member) => [member.address, member]));
  const places = [...addresses.values()].flatMap(({ address, family, bytes }) => {
    const ownersIn = (model: AccessModel): readonly Endpoint[] =>
      (model.space.membersAt.get(address) ?? []).map(({ endpoint }) => endpoint);
    const oldNumber = old.space.classOfAddress(bytes);
    const nextNumber = next.space.classOfAddress(bytes);
    return pairSubjects(ownersIn(old), ownersIn(next)).map((pair) => ({
      old: pair.old,
      next: pair.next,
      oldClass: old.addressClass(oldNumber),
      nextClass: next.addressClass(nextNumber),
      member: { endpoint: pair.shown, address, family, bytes, addressClass: nextNumber },
      region: null,
    }));
  });
  return places.sort((left, right) => compareMembers(left.member, right.member));
}

interface Cut {
  readonly prefix: Cidr;
  oldClass: number | null;
  nextClass: number | null;
}

/** Addresses that belong to nobody in either world, cut by the prefixes of both. */
function jointOutside(old: AccessModel, next: AccessModel, taken: ReadonlySet<string | undefined>): readonly Place[] {
  const cuts = new Map<string, Cut>();
  const cutAt = (prefix: Cidr): Cut => {
    const key = prefixKey(prefix);
    const cut = cuts.get(key) ?? { prefix, oldClass: null, nextClass: null };
    cuts.set(key, cut);
    return cut;
  };
  for (const { prefix, addressClass } of old.space.prefixes) cutAt(prefix).oldClass = addressClass;
  for (const { prefix, addressClass } of next.space.prefixes) cutAt(prefix).nextClass = addressClass;

  const nodes: (Cut & { readonly parent: number; readonly children: Cidr[] })[] = [];
  let parent = -1;
  for (const [, cut] of [...cuts].sort(([left], [right]) => (left < right ? -1 : 1))) {
    let around = nodes[parent];
    while (around && !cidrContains(around.prefix, cut.prefix)) {
      parent = around.parent;
      around = nodes[parent];
    }
    around?.children.push(cut.prefix);
    const inherited = {
      oldClass: cut.oldClass ?? around?.oldClass ?? null,
      nextClass: cut.nextClass ?? around?.nextClass ?? null,
    };
    parent = nodes.push({ prefix: cut.prefix, ...inherited, parent, children: [] }) - 1;
  }
  const isMember = (prefix: Cidr): boolean =>
    prefix.prefixLength === prefix.bytes.length * 8 && taken.has(formatAddress(prefix.bytes));
  return nodes.flatMap(({ prefix, oldClass, nextClass, children }): Place[] => {
    if (isMember(prefix) || regionSize({ prefix, except: children }) === 0n) return [];
    if (oldClass === null || nextClass === null) throw new Error("both worlds name the whole of each family");
    return [
      {
        old: null,
        next: null,
        oldClass: old.addressClass(oldClass),
        nextClass: next.addressClass(nextClass),
        member: null,
        region: { prefix, except: children.filter((inner) => !isMember(inner)) },
      },
    ];
  });
}

function groupPlaces(
  places: readonly Place[],
  old: AccessModel,
  next: AccessModel,
  direction: Direction,
): readonly JointGroup[] {
  const groups = new Map<string, JointGroup & { readonly members: Member[]; readonly regions: AddressRegion[] }>();
  const numbers = new Map<object, number>();
  const numberOf = (value: object): number => {
    const number = numbers.get(value) ?? numbers.size;
    numbers.set(value, number);
    return number;
  };
  for (const place of places) {
    const oldView = old.views(place.old)[direction];
    const nextView = next.views(place.next)[direction];
    const parts = [oldView, nextView, place.oldClass, place.nextClass].map(numberOf);
    const key = `${parts.join()} ${place.member === null}`;
    const group = groups.get(key) ?? {
      family: place.nextClass.family,
      members: [],
      regions: [],
      old: { view: oldView, addressClass: place.oldClass },
      next: { view: nextView, addressClass: place.nextClass },
    };
    groups.set(key, group);
    if (place.member) group.members.push(place.member);
    if (place.region) group.regions.push(place.region);
  }
  return [...groups.values()];
}

/** Whether an address is in a region of a group. */
export function regionsHold(regions: readonly AddressRegion[], bytes: Uint8Array): boolean {
  const address: Cidr = { family: bytes.length === 4 ? 4 : 6, bytes, prefixLength: bytes.length * 8 };
  return regions.some(
    ({ prefix, except }) => cidrContains(prefix, address) && !except.some((inner) => cidrContains(inner, address)),
  );
}
