/** Places of a picture: addresses of a node that the draft and everything that is enforced treat alike. */

import { lowestAddress, prefixKey, regionSize } from "../access/address-regions.ts";
import type { AddressClass, Member } from "../access/address-space.ts";
import type { AccessModel } from "../access/index.ts";
import type { SubjectViews } from "../access/subjects.ts";
import { cidrContains, formatAddress } from "../address.ts";
import type { AddressRegion } from "../diff/index.ts";
import type { Cidr, Endpoint } from "../model.ts";
import { classesAlike } from "./alike.ts";
import type { GroupedNodes } from "./grouping.ts";
import type { EnforcedAt } from "./model.ts";

/** How a place stands in one world. */
export interface Standing {
  readonly views: SubjectViews;
  readonly addressClass: AddressClass;
}

/** Who decides at a place today: a world by its number, nobody, or nobody knows who. */
export type Enforcer = number | "nothing" | "unknown";

export interface Place {
  readonly family: 4 | 6;
  readonly isOutside: boolean;
  readonly draft: Standing;
  readonly enforcer: Enforcer;
  /** By number of the enforced world. */
  readonly enforced: readonly Standing[];
  /** Addresses of members; several members may be at one. */
  readonly addresses: ReadonlyMap<string, number>;
  /** How many of them; addresses of no endpoint count as one. */
  readonly count: number;
}

export interface PlacedNodes {
  /** By place of the node. */
  readonly places: readonly (readonly Place[])[];
  readonly worlds: readonly AccessModel[];
  /** By place of the node: members whose host cannot say what it enforces. */
  readonly unknownMembers: readonly number[];
}

interface Building extends Place {
  readonly addresses: Map<string, number>;
  count: number;
}

/** Also fills in the regions of nodes for addresses of no endpoint. */
export function* placeNodes(
  draft: AccessModel,
  grouped: GroupedNodes,
  enforcedAt: (hostName: string) => EnforcedAt,
): Generator<void, PlacedNodes> {
  const placer = new Placer(draft, enforcedAt);
  const nodeOfKey = new Map<string, number>();
  for (const [index, node] of grouped.nodes.entries()) for (const { key } of node.members) nodeOfKey.set(key, index);
  const hosts = new Set(draft.world.inventory.endpoints.flatMap(({ hostName }) => hostName ?? []));
  for (const host of hosts) placer.know(host);
  yield;
  yield* placer.joinAlike();
  const unknown = grouped.nodes.map(() => 0);
  for (const [index, { members }] of grouped.nodes.entries()) {
    unknown[index] = members.filter(({ hostName }) => placer.enforcerOf(hostName) === "unknown").length;
  }
  for (const [number, member] of draft.space.members.entries()) {
    const node = nodeOfKey.get(member.endpoint.key);
    if (node !== undefined) placer.addMember(node, member);
    if (number % 500 === 0) yield;
  }
  const numberOf = new Map(grouped.nodes.map((node, index) => [node, index]));
  for (const { prefix, region, exact } of outsideRegions(draft, placer.worlds)) {
    const node = grouped.nodeOfPrefix(prefix);
    node.regions.push(region);
    placer.addOutside(numberOf.get(node) ?? 0, exact);
    yield;
  }
  return {
    places: grouped.nodes.map((_, index) => placer.places(index)),
    worlds: placer.worlds,
    unknownMembers: unknown,
  };
}

class Placer {
  readonly worlds: AccessModel[] = [];
  readonly #draft: AccessModel;
  readonly #enforcedAt: (hostName: string) => EnforcedAt;
  readonly #enforcers = new Map<string, Enforcer>();
  readonly #numbers = new Map<object, number>();
  readonly #alike = new Map<AccessModel, (addressClass: AddressClass) => AddressClass>();
  readonly #nodes = new Map<number, Map<string, Building>>();

  constructor(draft: AccessModel, enforcedAt: (hostName: string) => EnforcedAt) {
    this.#draft = draft;
    this.#enforcedAt = enforcedAt;
  }

  /** After every host is known. */
  *joinAlike(): Generator<void, void> {
    for (const world of [this.#draft, ...this.worlds]) {
      if (!this.#alike.has(world)) this.#alike.set(world, yield* classesAlike(world));
    }
  }

  #standing(world: AccessModel, endpoint: Endpoint | null, addressClass: AddressClass): Standing {
    return { views: world.views(endpoint), addressClass: this.#alike.get(world)?.(addressClass) ?? addressClass };
  }

  #standingIn(world: AccessModel, key: string | null, address: string, bytes: Uint8Array): Standing {
    return this.#standing(world, ownerAt(world, key, address), classAt(world, bytes));
  }

  know(hostName: string): void {
    this.enforcerOf(hostName);
  }

  /** `null` = on no host that is known: nothing is enforced there. */
  enforcerOf(hostName: string | null): Enforcer {
    if (hostName === null) return "nothing";
    let enforcer = this.#enforcers.get(hostName);
    if (enforcer === undefined) {
      const found = this.#enforcedAt(hostName);
      enforcer = found.kind === "world" ? this.#worldNumber(found.model) : found.kind;
      this.#enforcers.set(hostName, enforcer);
    }
    return enforcer;
  }

  #worldNumber(model: AccessModel): number {
    const known = this.worlds.indexOf(model);
    return known >= 0 ? known : this.worlds.push(model) - 1;
  }

  addMember(node: number, { endpoint, address, family, bytes, addressClass }: Member): void {
    const standing = this.#standing(this.#draft, endpoint, this.#draft.addressClass(addressClass));
    const enforced = this.worlds.map((world) => this.#standingIn(world, endpoint.key, address, bytes));
    const place = this.#place(node, family, false, standing, this.enforcerOf(endpoint.hostName), enforced);
    place.addresses.set(address, (place.addresses.get(address) ?? 0) + 1);
    place.count += 1;
  }

  addOutside(node: number, region: AddressRegion): void {
    const bytes = lowestAddress(region);
    const standing = this.#standing(this.#draft, null, classAt(this.#draft, bytes));
    const address = formatAddress(bytes);
    const enforced = this.worlds.map((world) => this.#standingIn(world, null, address, bytes));
    // Whoever had the address in what is enforced decides there still.
    const owner = this.worlds.map((world) => ownerAt(world, null, address)).find((found) => found !== null);
    const place = this.#place(
      node,
      region.prefix.family,
      true,
      standing,
      this.enforcerOf(owner?.hostName ?? null),
      enforced,
    );
    place.count = 1;
  }

  #place(
    node: number,
    family: 4 | 6,
    isOutside: boolean,
    draft: Standing,
    enforcer: Enforcer,
    enforced: readonly Standing[],
  ): Building {
    const own = typeof enforcer === "number" ? enforced[enforcer] : undefined;
    const parts = [
      draft.views.ingress,
      draft.views.egress,
      draft.addressClass,
      ...enforced.map((each) => each.addressClass),
    ];
    if (own) parts.push(own.views.ingress, own.views.egress);
    const key = `${isOutside} ${enforcer} ${parts.map((part) => this.#numberOf(part)).join()}`;
    const places = this.#nodes.get(node) ?? new Map<string, Building>();
    this.#nodes.set(node, places);
    const known = places.get(key);
    if (known) return known;
    const place = { family, isOutside, draft, enforcer, enforced, addresses: new Map<string, number>(), count: 0 };
    places.set(key, place);
    return place;
  }

  #numberOf(value: object): number {
    const number = this.#numbers.get(value) ?? this.#numbers.size;
    this.#numbers.set(value, number);
    return number;
  }

  places(node: number): readonly Place[] {
    return [...(this.#nodes.get(node)?.values() ?? [])];
  }
}

/** An address that changes hands is still that address: who has it now counts where the endpoint is not known. */
function ownerAt(world: AccessModel, key: string | null, address: string): Endpoint | null {
  const members = world.space.membersAt.get(address) ?? [];
  const own = members.find(({ endpoint }) => endpoint.key === key);
  const found = own ?? members.find(({ endpoint }) => endpoint.kind === "host") ?? members[0];
  return found?.endpoint ?? null;
}

function classAt(world: AccessModel, bytes: Uint8Array): AddressClass {
  return world.addressClass(world.space.classOfAddress(bytes));
}

interface OutsideRegion {
  readonly prefix: Cidr;
  /** Addresses of endpoints of the draft inside it are not meant. */
  readonly region: AddressRegion;
  readonly exact: AddressRegion;
}

/** Addresses of no endpoint of the draft, cut by every prefix that the draft or anything enforced names. */
function outsideRegions(draft: AccessModel, worlds: readonly AccessModel[]): readonly OutsideRegion[] {
  const cuts = new Map<string, Cidr>();
  for (const { space } of [draft, ...worlds]) {
    for (const { prefix } of space.prefixes) cuts.set(prefixKey(prefix), prefix);
    for (const { family, bytes } of space.members) {
      const prefix = { family, bytes, prefixLength: bytes.length * 8 };
      cuts.set(prefixKey(prefix), prefix);
    }
  }
  const nodes: { readonly prefix: Cidr; readonly parent: number; readonly children: Cidr[] }[] = [];
  let parent = -1;
  for (const [, prefix] of [...cuts].sort(([left], [right]) => (left < right ? -1 : 1))) {
    let around = nodes[parent];
    while (around && !cidrContains(around.prefix, prefix)) {
      parent = around.parent;
      around = nodes[parent];
    }
    around?.children.push(prefix);
    parent = nodes.push({ prefix, parent, children: [] }) - 1;
  }
  const isMember = (prefix: Cidr): boolean =>
    prefix.prefixLength === prefix.bytes.length * 8 && draft.space.membersAt.has(formatAddress(prefix.bytes));
  return nodes.flatMap(({ prefix, children }): OutsideRegion[] => {
    const exact = { prefix, except: children };
    if (isMember(prefix) || regionSize(exact) === 0n) return [];
    return [{ prefix, exact, region: { prefix, except: children.filter((inner) => !isMember(inner)) } }];
  });
}
