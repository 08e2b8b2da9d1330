/** One side of a row, exactly and in words: endpoints by the labels that they share, other addresses as prefixes. */
import { formatAddress, formatCidr } from "../address.ts";
import type { AddressRegion } from "../diff/index.ts";
import type { Cidr, Endpoint } from "../model.ts";
import { joinRegions } from "./address-regions.ts";
import type { Member } from "./address-space.ts";
import type { MemberGroup } from "./member-groups.ts";

const SHOWN_PARTS = 4;
const SHOWN_EXCEPTS = 3;
/** Labels that tell most about what an endpoint is, most telling first; the others follow by name. */
const TELLING_LABELS = ["app", "app.kubernetes.io/name", "k8s-app", "role", "component", "tier", "env", "team"];

export interface PartyEndpoint {
  readonly key: string;
  /** Canonical, those that are meant. */
  readonly addresses: readonly string[];
}

export interface Party {
  /** `app=web in prod, db-1`, `10.0.0.0/8 except 10.1.0.0/16`, `anyone`. */
  readonly text: string;
  /** By key. */
  readonly endpoints: readonly PartyEndpoint[];
  /** Addresses that belong to no endpoint: those of endpoints inside a region are not meant. */
  readonly regions: readonly AddressRegion[];
}

type Families = ReadonlySet<4 | 6>;

export type PartyDescriber = (groups: readonly MemberGroup[]) => Party;

/** `members`: everybody that could be meant, to tell whether a label says it all. */
export function createPartyDescriber(members: readonly Member[]): PartyDescriber {
  const universe = new Universe(members);
  return (groups) => {
    const own = groups.flatMap((group) => group.members);
    const byKey = new Map<string, Member[]>();
    for (const member of own) byKey.set(member.endpoint.key, [...(byKey.get(member.endpoint.key) ?? []), member]);
    const endpoints = [...byKey].map(([key, list]) => ({ key, addresses: list.map(({ address }) => address) }));
    const regions = joinRegions(groups.flatMap((group) => group.regions));
    const families = new Set(groups.map(({ family }) => family));
    return {
      text: describe(universe, byKey, regions, families),
      endpoints: endpoints.sort((left, right) => (left.key < right.key ? -1 : 1)),
      regions,
    };
  };
}

/** Describes groups by their places; many rows have a side in common. */
export function rememberParties(describe: PartyDescriber) {
  const known = new Map<readonly MemberGroup[], Map<string, Party>>();
  return (groups: readonly MemberGroup[], places: readonly number[]): Party => {
    const parties = known.get(groups) ?? new Map<string, Party>();
    known.set(groups, parties);
    const key = places.join();
    const party = parties.get(key) ?? describe(places.flatMap((place) => groups[place] ?? []));
    parties.set(key, party);
    return party;
  };
}

function describe(
  universe: Universe,
  byKey: ReadonlyMap<string, readonly Member[]>,
  regions: readonly AddressRegion[],
  families: Families,
): string {
  const whole = regions.every(({ prefix, except }) => prefix.prefixLength === 0 && except.length === 0);
  const isEverywhere = whole && regions.length === families.size;
  const full = new Set<Endpoint>();
  const parts: string[] = [];
  for (const members of byKey.values()) {
    const [first] = members;
    if (!first) continue;
    const isWhole = universe.addressCount(first.endpoint, families) === members.length;
    if (isWhole) full.add(first.endpoint);
    else parts.push(`${endpointName(first.endpoint)} (${members.map(({ address }) => address).join(", ")})`);
  }
  const isEveryone = parts.length === 0 && full.size === universe.count(families);
  if (isEverywhere && isEveryone) return families.size === 2 ? "anyone" : `anyone over IPv${[...families].join()}`;
  if (full.size > 0) parts.unshift(...(isEveryone ? ["every endpoint"] : universe.nameSet(full, families)));
  if (isEverywhere) parts.push("addresses outside the inventory");
  else parts.push(...regions.map(formatRegion));
  return listed(parts, SHOWN_PARTS);
}

function formatRegion({ prefix, except }: AddressRegion): string {
  const what = prefix.prefixLength === 0 ? `other IPv${prefix.family} addresses` : formatPrefix(prefix);
  return except.length === 0 ? what : `${what} except ${listed(except.map(formatPrefix), SHOWN_EXCEPTS)}`;
}

function formatPrefix(prefix: Cidr): string {
  return prefix.prefixLength === prefix.bytes.length * 8 ? formatAddress(prefix.bytes) : formatCidr(prefix);
}

function listed(texts: readonly string[], count: number): string {
  const shown = texts.slice(0, count).join(", ");
  return texts.length > count ? `${shown} and ${texts.length - count} more` : shown;
}

export function endpointName({ kind, namespace, name }: Endpoint): string {
  return kind === "host" ? name : `${namespace}/${name}`;
}

/** A property that endpoints have in common. */
interface Trait {
  readonly text: string;
  readonly isNamespace: boolean;
  readonly having: ReadonlySet<Endpoint>;
}

class Universe {
  readonly #addressCounts = new Map<Endpoint, Record<4 | 6, number>>();
  readonly #traits = new Map<string, Trait & { having: Set<Endpoint> }>();
  readonly #groups = new Map<string, readonly Endpoint[]>();
  readonly #counts = new Map<string, number>();

  constructor(members: readonly Member[]) {
    for (const { endpoint, family } of members) {
      const counts = this.#addressCounts.get(endpoint) ?? { 4: 0, 6: 0 };
      counts[family] += 1;
      this.#addressCounts.set(endpoint, counts);
    }
    for (const endpoint of this.#addressCounts.keys()) {
      this.#add(`in ${endpoint.namespace}`, true, endpoint);
      for (const [key, value] of endpoint.labels) this.#add(`${key}=${value}`, false, endpoint);
    }
  }

  #add(text: string, isNamespace: boolean, endpoint: Endpoint): void {
    const key = `${isNamespace} ${text}`;
    const trait = this.#traits.get(key) ?? { text, isNamespace, having: new Set<Endpoint>() };
    trait.having.add(endpoint);
    this.#traits.set(key, trait);
  }

  addressCount(endpoint: Endpoint, families: Families): number {
    const counts = this.#addressCounts.get(endpoint);
    return counts ? (families.has(4) ? counts[4] : 0) + (families.has(6) ? counts[6] : 0) : 0;
  }

  /** Endpoints with an address of one of the families. */
  count(families: Families): number {
    const key = [...families].sort().join();
    let count = this.#counts.get(key);
    if (count === undefined) {
      count = [...this.#addressCounts.keys()].filter((endpoint) => this.addressCount(endpoint, families) > 0).length;
      this.#counts.set(key, count);
    }
    return count;
  }

  /** Names that together mean exactly these endpoints. */
  nameSet(endpoints: ReadonlySet<Endpoint>, families: Families): readonly string[] {
    const left = new Set(endpoints);
    const names: string[] = [];
    for (const endpoint of endpoints) {
      if (!left.has(endpoint)) continue;
      const found = left.size > 1 ? this.#bestGroup(endpoint, endpoints, families) : null;
      names.push(found?.text ?? endpointName(endpoint));
      for (const one of found?.group ?? [endpoint]) left.delete(one);
    }
    return names;
  }

  /** The largest group around an endpoint that is wholly among `wanted` and has a name. */
  #bestGroup(endpoint: Endpoint, wanted: ReadonlySet<Endpoint>, families: Families) {
    const namespace = this.#traits.get(`true in ${endpoint.namespace}`);
    const labels = [...endpoint.labels]
      .sort(([left], [right]) => tellingRank(left) - tellingRank(right) || (left < right ? -1 : 1))
      .flatMap(([key, value]) => this.#traits.get(`false ${key}=${value}`) ?? [])
      .filter(({ having }) => having.size > 1);
    const single = namespace ? [...labels, namespace] : labels;
    const combined = namespace ? labels.map((label) => [label, namespace] as const) : [];
    const pairs = labels.flatMap((one, index) => labels.slice(index + 1).map((other) => [one, other] as const));
    let best: { text: string; group: readonly Endpoint[] } | null = null;
    for (const traits of [...single.map((trait) => [trait] as const), ...combined, ...pairs]) {
      const group = this.#having(traits, families);
      if (group.length < 2 || group.length > wanted.size || group.length <= (best?.group.length ?? 0)) continue;
      if (group.every((one) => wanted.has(one))) best = { text: formatTraits(traits), group };
    }
    return best;
  }

  #having(traits: readonly Trait[], families: Families): readonly Endpoint[] {
    const key = `${[...families].join()} ${formatTraits(traits)}`;
    const known = this.#groups.get(key);
    if (known) return known;
    const [smallest, ...others] = traits.toSorted((left, right) => left.having.size - right.having.size);
    const group = [...(smallest?.having ?? [])].filter(
      (endpoint) => others.every(({ having }) => having.has(endpoint)) && this.addressCount(endpoint, families) > 0,
    );
    this.#groups.set(key, group);
    return group;
  }
}

function formatTraits(traits: readonly Trait[]): string {
  const labels = traits.filter(({ isNamespace }) => !isNamespace).map(({ text }) => text);
  const namespaces = traits.filter(({ isNamespace }) => isNamespace).map(({ text }) => text);
  const what = labels.length > 0 ? labels.join(" ") : "everything";
  return [what, ...namespaces].join(" ");
}

function tellingRank(key: string): number {
  const rank = TELLING_LABELS.indexOf(key);
  return rank < 0 ? TELLING_LABELS.length : rank;
}
