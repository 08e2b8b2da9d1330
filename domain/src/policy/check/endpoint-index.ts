import { endpointMatches, formatSelector, requirementMatches } from "../labels.ts";
import type { Endpoint, EndpointSelector, Inventory, LabelRequirement } from "../model.ts";

const NO_NAMES: ReadonlySet<string> = new Set();

export interface SharedAddress {
  readonly endpoint: Endpoint;
  readonly address: string;
  /** Of the same kind where there are any. */
  readonly others: readonly Endpoint[];
  /** Whether the others are of the endpoint's kind. */
  readonly alike: boolean;
}

/**
 * Endpoints by label and by address, for checks over many policies. The evaluator and the compiler do not use it; what it
 * answers is what `endpointMatches` says.
 */
export class EndpointIndex {
  readonly inventory: Inventory;
  readonly #byLabel = new Map<string, Map<string, Endpoint[]>>();
  readonly #byAddress = new Map<string, Endpoint[]>();
  readonly #hosts = new Map<string, Endpoint>();
  readonly #shared = new Map<readonly Endpoint[], SharedAddress | null>();
  readonly #portNames = new Map<readonly Endpoint[], Map<number, Set<string>>>();
  readonly #selected = new Map<string, readonly Endpoint[]>();
  readonly #bySelector = new WeakMap<EndpointSelector, readonly Endpoint[]>();
  /** The commonest selectors, one label with one value in a namespace: by namespace, key and value. */
  readonly #labelled = new Map<string, Map<string, Map<string, readonly Endpoint[]>>>();
  #answerCount = 0;
  /** Those with an address that others have too. */
  readonly #crowded = new Set<Endpoint>();

  constructor(inventory: Inventory) {
    this.inventory = inventory;
    for (const endpoint of inventory.endpoints) {
      if (endpoint.kind === "host") this.#hosts.set(endpoint.name, endpoint);
      for (const [key, value] of endpoint.labels) {
        append(submap(this.#byLabel, key), value, endpoint);
      }
    }
    for (const endpoint of inventory.endpoints) {
      for (const address of this.addressesOf(endpoint)) append(this.#byAddress, address, endpoint);
    }
    for (const sharing of this.#byAddress.values()) {
      if (sharing.length > 1) for (const endpoint of sharing) this.#crowded.add(endpoint);
    }
  }

  /** How many different selectors it was asked for. */
  get answerCount(): number {
    return this.#answerCount;
  }

  host(name: string): Endpoint | null {
    return this.#hosts.get(name) ?? null;
  }

  get hostNames(): Iterable<string> {
    return this.#hosts.keys();
  }

  /** Its own addresses, or those of the host that it shares. */
  addressesOf(endpoint: Endpoint): readonly string[] {
    if (endpoint.addresses.length > 0 || endpoint.hostName === null) return endpoint.addresses;
    return this.#hosts.get(endpoint.hostName)?.addresses ?? [];
  }

  endpointsAt(address: string): readonly Endpoint[] {
    return this.#byAddress.get(address) ?? [];
  }

  get addresses(): Iterable<[string, readonly Endpoint[]]> {
    return this.#byAddress;
  }

  /** The endpoints that the selector picks. Equal selectors are answered once, with one list. */
  select(selector: EndpointSelector): readonly Endpoint[] {
    const { namespaces, endpoints, kind } = selector;
    const [only, second] = endpoints.requirements;
    if (
      namespaces.kind === "name" &&
      kind === undefined &&
      only?.operator === "In" &&
      second === undefined &&
      only.values.length === 1
    ) {
      const lists = submap(submap(this.#labelled, namespaces.name), only.key);
      return this.#remembered(lists, only.values[0]!, selector);
    }
    let found = this.#bySelector.get(selector);
    if (!found) {
      found = this.#remembered(this.#selected, selectorIdentity(selector), selector);
      this.#bySelector.set(selector, found);
    }
    return found;
  }

  #remembered(
    lists: Map<string, readonly Endpoint[]>,
    identity: string,
    selector: EndpointSelector,
  ): readonly Endpoint[] {
    let found = lists.get(identity);
    if (!found) {
      found = this.#find(selector);
      lists.set(identity, found);
      this.#answerCount += 1;
    }
    return found;
  }

  /** Looks at the endpoints that carry a label which must have one of some values: the label with the fewest of them. */
  #find(selector: EndpointSelector): readonly Endpoint[] {
    const { requirements } = selector.endpoints;
    let candidates: readonly (readonly Endpoint[])[] = [this.inventory.endpoints];
    let fewest = this.inventory.endpoints.length;
    let met: LabelRequirement | null = null;
    for (const requirement of requirements) {
      const { key, operator, values } = requirement;
      if (operator !== "In") continue;
      const byValue = [...new Set(values)].map((value) => this.#byLabel.get(key)?.get(value) ?? []);
      const size = byValue.reduce((sum, list) => sum + list.length, 0);
      if (size >= fewest) continue;
      candidates = byValue;
      fewest = size;
      met = requirement;
    }
    const rest: EndpointSelector =
      met === null
        ? selector
        : { ...selector, endpoints: { requirements: requirements.filter((requirement) => requirement !== met) } };
    const { namespaces } = this.inventory;
    return candidates.flatMap((list) => list.filter((endpoint) => endpointMatches(rest, endpoint, namespaces)));
  }

  /** The first of these endpoints that others, not among them, share an address with; of one list it is found once. */
  sharedAddress(picked: readonly Endpoint[]): SharedAddress | null {
    const known = this.#shared.get(picked);
    if (known !== undefined) return known;
    const shared = this.#findSharedAddress(picked);
    this.#shared.set(picked, shared);
    return shared;
  }

  #findSharedAddress(picked: readonly Endpoint[]): SharedAddress | null {
    const chosen = new Set(picked);
    for (const endpoint of picked) {
      if (!this.#crowded.has(endpoint)) continue;
      for (const address of this.addressesOf(endpoint)) {
        const others = this.endpointsAt(address).filter((other) => !chosen.has(other));
        if (others.length === 0) continue;
        const alike = others.filter((other) => other.kind === endpoint.kind);
        return { endpoint, address, others: alike.length > 0 ? alike : others, alike: alike.length > 0 };
      }
    }
    return null;
  }

  /** The names that ports of this protocol have at these endpoints; of one list they are collected once. */
  portNames(endpoints: readonly Endpoint[], protocol: number): ReadonlySet<string> {
    let byProtocol = this.#portNames.get(endpoints);
    if (!byProtocol) {
      byProtocol = new Map();
      for (const { ports } of endpoints) {
        for (const port of ports) {
          byProtocol.set(port.protocol, (byProtocol.get(port.protocol) ?? new Set()).add(port.name));
        }
      }
      this.#portNames.set(endpoints, byProtocol);
    }
    return byProtocol.get(protocol) ?? NO_NAMES;
  }

  get labelKeys(): Iterable<string> {
    return this.#byLabel.keys();
  }

  valuesOf(key: string): Iterable<string> {
    return this.#byLabel.get(key)?.keys() ?? [];
  }

  /** Whether any endpoint anywhere fulfils the one requirement. */
  anyFulfils(requirement: LabelRequirement): boolean {
    return this.inventory.endpoints.some((endpoint) => requirementMatches(requirement, endpoint.labels));
  }
}

function selectorIdentity({ namespaces, endpoints, kind }: EndpointSelector): string {
  const where =
    namespaces.kind === "any"
      ? "*"
      : namespaces.kind === "name"
        ? `=${namespaces.name}`
        : `~${formatSelector(namespaces.selector)}`;
  return `${where}\n${formatSelector(endpoints)}\n${kind ?? ""}`;
}

function submap<Key, Value>(maps: Map<string, Map<Key, Value>>, key: string): Map<Key, Value> {
  let map = maps.get(key);
  if (!map) {
    map = new Map();
    maps.set(key, map);
  }
  return map;
}

function append(map: Map<string, Endpoint[]>, key: string, endpoint: Endpoint): void {
  const list = map.get(key);
  if (list) list.push(endpoint);
  else map.set(key, [endpoint]);
}
