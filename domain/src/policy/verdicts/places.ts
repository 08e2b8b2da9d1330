/** Several worlds as one space: every place that any of them knows, with what it is in each. */

import { prefixKey, regionSize } from "../access/address-regions.ts";
import { type AddressClass, compareMembers, type Member } from "../access/address-space.ts";
import type { AccessModel } from "../access/model.ts";
import { cidrContains, formatAddress } from "../address.ts";
import type { AddressRegion } from "../diff/index.ts";
import type { Cidr, Endpoint } from "../model.ts";

export interface Place {
  /** Whose policies decide there, by world; `null` = nobody's. */
  readonly owners: readonly (Endpoint | null)[];
  /** By world. */
  readonly classes: readonly AddressClass[];
  /** `null` = addresses that belong to nobody in any world. */
  readonly member: Member | null;
  /** Addresses of endpoints inside are not meant. */
  readonly region: AddressRegion | null;
  /** The same with those cut out. */
  readonly exact: AddressRegion | null;
}

/**
 * An endpoint counts at each address that it has in any world. In a world that does not know it there, the address is its
 * host's, or somebody's who is there, or nobody's.
 */
export function jointPlaces(models: readonly AccessModel[]): readonly Place[] {
  const members = memberPlaces(models);
  const taken = new Set(members.flatMap(({ member }) => member?.address ?? []));
  return [...members, ...outsidePlaces(models, taken)];
}

function memberPlaces(models: readonly AccessModel[]): readonly Place[] {
  const addresses = new Map<string, Member>();
  for (const model of models) for (const member of model.space.members) addresses.set(member.address, member);
  const places = [...addresses.values()].flatMap(({ address, family, bytes }) => {
    const present = models.map((model) => (model.space.membersAt.get(address) ?? []).map(({ endpoint }) => endpoint));
    const classes = models.map((model) => model.addressClass(model.space.classOfAddress(bytes)));
    const rests = present.map((own) => own.toSorted(hostsFirst)[0] ?? null);
    const shown = new Map<string, Endpoint>();
    for (const own of present)
      for (const endpoint of own) if (!shown.has(endpoint.key)) shown.set(endpoint.key, endpoint);
    return [...shown.values()].map((endpoint): Place & { readonly member: Member } => ({
      owners: present.map((own, world) => own.find(({ key }) => key === endpoint.key) ?? rests[world] ?? null),
      classes,
      member: { endpoint, address, family, bytes, addressClass: classes[0]?.number ?? 0 },
      region: null,
      exact: null,
    }));
  });
  return places.sort((left, right) => compareMembers(left.member, right.member));
}

function hostsFirst(left: Endpoint, right: Endpoint): number {
  if (left.kind !== right.kind) return left.kind === "host" ? -1 : 1;
  return left.key < right.key ? -1 : 1;
}

interface Cut {
  readonly prefix: Cidr;
  /** By world; -1 = as the prefix around it. */
  readonly classes: number[];
}

/** Addresses that belong to nobody, cut by the prefixes of all worlds. */
function outsidePlaces(models: readonly AccessModel[], taken: ReadonlySet<string>): readonly Place[] {
  const cuts = new Map<string, Cut>();
  for (const [world, model] of models.entries()) {
    for (const { prefix, addressClass } of model.space.prefixes) {
      const key = prefixKey(prefix);
      const cut = cuts.get(key) ?? { prefix, classes: models.map(() => -1) };
      cuts.set(key, cut);
      cut.classes[world] = addressClass;
    }
  }
  const nodes: (Cut & { readonly parent: number; readonly children: Cidr[] })[] = [];
  let parent = -1;
  for (const [, cut] of [...cuts].sort(([left], [right]) => (left < right ? -1 : 1))) {
    let around = nodes[parent];
    while (around && !cidrContains(around.prefix, cut.prefix)) {
      parent = around.parent;
      around = nodes[parent];
    }
    around?.children.push(cut.prefix);
    const classes = cut.classes.map((own, world) => (own >= 0 ? own : (around?.classes[world] ?? -1)));
    parent = nodes.push({ prefix: cut.prefix, classes, parent, children: [] }) - 1;
  }
  const isMember = (prefix: Cidr): boolean =>
    prefix.prefixLength === prefix.bytes.length * 8 && taken.has(formatAddress(prefix.bytes));
  return nodes.flatMap(({ prefix, classes, children }): Place[] => {
    const exact = { prefix, except: children };
    if (isMember(prefix) || regionSize(exact) === 0n) return [];
    return [
      {
        owners: models.map(() => null),
        classes: classes.map((number, world) => modelAt(models, world).addressClass(number)),
        member: null,
        region: { prefix, except: children.filter((inner) => !isMember(inner)) },
        exact,
      },
    ];
  });
}

export function modelAt(models: readonly AccessModel[], world: number): AccessModel {
  const model = models[world];
  if (!model) throw new Error(`there is no world ${world}`);
  return model;
}
