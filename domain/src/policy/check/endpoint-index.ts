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
  readonly #byLabel = new Map<string, Endpoint[]>();
  readonly #byAddress = new Map<string, Endpoint[]>();
  readonly #hosts = new Map<string, Endpoint>();
  readonly #valuesByKey = new Map<string, Set<string>>();
  readonly #shared = new Map<readonly Endpoint[], SharedAddress | null>();
  readonly #portNames = new Map<readonly Endpoint[], Map<number, Set<string>>>();
  readonly #selected = new Map<string, readonly Endpoint[]>();

  constructor(inventory: Inventory) {
    this.inventory = inventory;
    for (const endpoint of inventory.endpoints) {
      if (endpoint.kind === "host") this.#hosts.set(endpoint.name, endpoint);
      for (const [key, value] of endpoint.labels) {
        append(this.#byLabel, labelText(key, value), endpoint);
        const values = this.#valuesByKey.get(key) ?? new Set();
        this.#valuesByKey.set(key, values.add(value));
      }
    }
    for (const endpoint of inventory.endpoints) {
      for (const address of this.addressesOf(endpoint)) append(this.#byAddress, address, endpoint);
    }
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

  /** The endpoints that the selector picks. Equal selectors are answered once. */
  select(selector: EndpointSelector): readonly Endpoint[] {
    const identity = selectorIdentity(selector);
    const known = this.#selected.get(identity);
    if (known) return known;
    const found = this.#candidates(selector.endpoints.requirements).filter((endpoint) =>
      endpointMatches(selector, endpoint, this.inventory.namespaces),
    );
    this.#selected.set(identity, found);
    return found;
  }

  /** Not many that hold all matches: what carries a label that must have one of some values. */
  #candidates(requirements: readonly LabelRequirement[]): readonly Endpoint[] {
    let lists: readonly (readonly Endpoint[])[] = [this.inventory.endpoints];
    let smallest = this.inventory.endpoints.length;
    for (const { key, operator, values } of requirements) {
      if (operator !== "In") continue;
      const byValue = [...new Set(values)].map((value) => this.#byLabel.get(labelText(key, value)) ?? []);
      const size = byValue.reduce((sum, list) => sum + list.length, 0);
      if (size >= smallest) continue;
      lists = byValue;
      smallest = size;
    }
    return lists.length === 1 ? lists[0]! : lists.flat();
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
    return this.#valuesByKey.keys();
  }

  valuesOf(key: string): Iterable<string> {
    return this.#valuesByKey.get(key) ?? [];
  }

  /** Whether any endpoint anywhere fulfils the one requirement. */
  anyFulfils(requirement: LabelRequirement): boolean {
    return this.inventory.endpoints.some((endpoint) => requirementMatches(requirement, endpoint.labels));
  }
}

/** Of selectors that were asked for before: an editor's next reading holds most of the same objects. */
const identities = new WeakMap<EndpointSelector, string>();

export function selectorIdentity(selector: EndpointSelector): string {
  let identity = identities.get(selector);
  if (identity === undefined) {
    identity = writeIdentity(selector);
    identities.set(selector, identity);
  }
  return identity;
}

function writeIdentity({ namespaces, endpoints, kind }: EndpointSelector): string {
  const where =
    namespaces.kind === "any"
      ? "*"
      : namespaces.kind === "name"
        ? `=${namespaces.name}`
        : `~${formatSelector(namespaces.selector)}`;
  return `${where}\n${formatSelector(endpoints)}\n${kind ?? ""}`;
}

function labelText(key: string, value: string): string {
  return `${key}=${value}`;
}

function append(map: Map<string, Endpoint[]>, key: string, endpoint: Endpoint): void {
  const list = map.get(key);
  if (list) list.push(endpoint);
  else map.set(key, [endpoint]);
}
