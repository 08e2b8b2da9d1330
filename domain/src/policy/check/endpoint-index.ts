import { endpointMatches, formatSelector, requirementMatches } from "../labels.ts";
import type { Endpoint, EndpointSelector, Inventory, LabelRequirement } from "../model.ts";

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

  /** The smallest list that holds all matches: what carries a label that must have one value. */
  #candidates(requirements: readonly LabelRequirement[]): readonly Endpoint[] {
    let smallest = this.inventory.endpoints;
    for (const { key, operator, values } of requirements) {
      if (operator !== "In" || values.length !== 1) continue;
      const list = this.#byLabel.get(labelText(key, values[0]!)) ?? [];
      if (list.length < smallest.length) smallest = list;
    }
    return smallest;
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

export function selectorIdentity({ namespaces, endpoints, kind }: EndpointSelector): string {
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
